#!/bin/sh
# Can this machine run ebpf.plugin in full? Silent if it can; usage() has the rest. Looks only, changes nothing.
# What is missing goes to stdout: it is the answer, and "no output" has to mean the same behind a pipe.
# All is in functions, so that `curl ... | sudo bash` runs the whole text or none of it.

usage() {
	cat <<-'END'
		usage: check-kernel-config.sh [--config FILE | --root DIR]
		Prints what keeps ebpf.plugin from running in full, one line each: what, what it costs, what to do.
		It looks and does not try; `ebpf.plugin --check` tries every hook.
		  --config FILE  look at a saved kernel configuration (gzipped or not), not at this machine
		  --root DIR     take /proc, /sys, /boot, /lib and /usr from DIR
		status: 0 nothing is missing (no output), 1 something is, 2 the plugin cannot run, 64 wrong arguments
	END
}

wrong() { echo "check-kernel-config.sh: $1" >&2; exit 64; }
fatal() { echo "$1: the plugin cannot run; $2"; status=2; }
lost() { # WHAT COST REMEDY VARIABLE...: each variable becomes n
	echo "$1: $2; $3"
	[ "$status" = 2 ] || status=1
	shift 3
	for variable; do eval "$variable=n"; done
}

# The symbols that are built in. None that we ask for can be a module, so =m never counts.
read_config() { { zcat <"$1" || cat "$1"; } 2>/dev/null | LC_ALL=C grep '^CONFIG_[A-Z0-9_]*=y$'; }

find_config() {
	release=$(cat "$root/proc/sys/kernel/osrelease" 2>/dev/null)
	for path in proc/config.gz "boot/config-$release" "lib/modules/$release/config" "lib/modules/$release/build/.config" \
		"usr/lib/modules/$release/config" "usr/lib/modules/$release/build/.config"; do
		[ -r "$root/$path" ] && config=$(read_config "$root/$path") && return
	done
}

# What the running kernel shows: y if PATH is there, n if only ABOVE is, nothing if neither.
shown() { if [ -e "$1" ]; then echo y; elif [ -e "$2" ]; then echo n; fi; } # PATH ABOVE

# Is it in the kernel? What the kernel shows (y or n) beats the configuration; what neither tells is taken for granted.
# If it is not, $absent says so with the symbols to blame.
have() { # SHOWN SYMBOL...
	evidence=$1 absent=
	shift
	[ "$evidence" != y ] || return 0
	[ -n "$evidence$config" ] || { granted="$granted $*"; return 0; }
	for symbol; do
		case "$newline$config$newline" in
		*"${newline}CONFIG_$symbol=y$newline"*) ;; *) absent="$absent CONFIG_$symbol" ;;
		esac
	done
	[ -n "$evidence$absent" ] || return 0
	absent="not in this kernel${absent:+ (${absent# })}"
	return 1
}

check_kernel() {
	sys=$root/sys proc=$root/proc/sys devices=$root/sys/bus/event_source/devices
	other="boot a kernel that has it"
	# functions that are compiled with the symbol only (kernel/trace/bpf_trace.c, ftrace.c); users may read their names
	functions=$(grep -E ' (trace_call_bpf|register_ftrace_direct)$' "$root/proc/kallsyms" 2>/dev/null)
	case $functions in *trace_call_bpf*) events=y ;; *) events= ;; esac
	case $functions in *register_ftrace_direct*) direct=y ;; *) direct= ;; esac

	have "$(shown "$proc/kernel/unprivileged_bpf_disabled" "$proc/kernel/osrelease")" BPF BPF_SYSCALL ||
		fatal "bpf(2) $absent" "$other"
	# every kind of program that we use is under CONFIG_BPF_EVENTS: include/linux/bpf_types.h
	have "$events" PERF_EVENTS TRACEPOINTS BPF_EVENTS || fatal "BPF programs at events $absent" "$other"
	# the sysctl is not shown in a container's network namespace
	have "$(shown "$proc/net/core/bpf_jit_enable" /nowhere)" BPF_JIT ||
		lost "BPF JIT $absent" "no trampolines, and programs are interpreted, which is slow" "$other" trampolines
	[ "$(cat "$proc/net/core/bpf_jit_enable" 2>/dev/null)" != 0 ] ||
		lost "BPF JIT switched off" "programs are interpreted, which is slow" "sysctl -w net.core.bpf_jit_enable=1"
	have "$(shown "$sys/kernel/btf/vmlinux" "$sys/kernel")" DEBUG_INFO_BTF ||
		lost "BTF $absent" "no trampolines, and vfs_create only on tracepoints" "$other" trampolines btf
	# x86 has it since 5.5, arm64 since 6.4; without it trampolines are refused: kernel/bpf/trampoline.c, register_fentry
	have "$direct" DYNAMIC_FTRACE DYNAMIC_FTRACE_WITH_DIRECT_CALLS ||
		lost "direct calls of ftrace $absent" "no trampolines" "$other" trampolines
	# both attach then and never run (seen on 6.1): trampolines and kprobes at a function's start are calls of ftrace's
	[ "$(cat "$proc/kernel/ftrace_enabled" 2>/dev/null)" != 0 ] ||
		lost "ftrace switched off" "trampolines and probes never run, their counts stay 0" "sysctl -w kernel.ftrace_enabled=1"
	# perf_event_open(2) makes kprobes since 4.17: kernel/events/core.c, perf_kprobe
	have "$(shown "$devices/kprobe" "$devices")" HAVE_KPROBES KPROBES KPROBE_EVENTS ||
		lost "kprobes $absent" "no probes" "$other" probes
	have "$([ -z "$tracefs" ] || shown "$tracefs/events/syscalls" "$tracefs/events")" FTRACE_SYSCALLS ||
		lost "tracepoints of system calls $absent" "none to fall back to" "$other" tracepoints
}

# bpf(2) and trampolines are not on its list (enum lockdown_reason in include/linux/security.h); to read memory is
confidential() {
	case $(cat "$root/sys/kernel/security/lockdown" 2>/dev/null) in *"[confidentiality]"*) ;; *) return 1 ;; esac
	lost "lockdown in confidentiality mode" "no probes, no tracepoints of system calls, no vfs_create, no task_error" \
		"boot with lockdown=integrity or none" probes tracepoints reading
}

find_tracefs() {
	for path in sys/kernel/tracing sys/kernel/debug/tracing; do
		[ ! -d "$root/$path/events" ] || { tracefs=$root/$path; return; }
	done
	cost="no tracepoints of system calls, and probes at returns lose events when many tasks wait in the function"
	if grep -Eq ' /sys/kernel/(debug/)?tracing tracefs ' "$root/proc/mounts" 2>/dev/null; then
		lost "tracefs not permitted" "$cost" "run as root or give the user access" tracepoints
	else
		lost "tracefs not mounted" "$cost" "mount -t tracefs nodev /sys/kernel/tracing" tracepoints
	fi
}

can() { [ $((0x$capabilities >> $1 & 1)) = 1 ]; }

# kernel.unprivileged_bpf_disabled does not matter: 0 lets users load socket filters, nothing of ours (kernel/bpf/syscall.c)
check_permission() {
	# a namespace of its own has a map of some users only
	case $(tr -s ' ' 2>/dev/null <"$root/proc/self/uid_map") in
	'' | ' 0 0 4294967295') ;;
	*) fatal "in a user namespace (unprivileged container)" "run it outside: capabilities do not count for BPF in there" ;;
	esac
	capabilities=$(sed -n 's/^CapEff:[[:space:]]*//p' "$root/proc/self/status" 2>/dev/null)
	if [ -z "$capabilities" ] || can 21; then return; fi
	if ! can 38 || ! can 39; then
		fatal "missing$(can 39 || echo ' CAP_BPF')$(can 38 || echo ' CAP_PERFMON')" \
			"run as root or grant it (before Linux 5.8 CAP_SYS_ADMIN)"
	# Debian's and Ubuntu's addition: above 2, perf_event_open(2) takes CAP_SYS_ADMIN
	elif [ "$(cat "$root/proc/sys/kernel/perf_event_paranoid" 2>/dev/null || echo 2)" -gt 2 ]; then
		lost "kernel.perf_event_paranoid above 2" "no probes and no tracepoints of system calls without CAP_SYS_ADMIN" \
			"sysctl -w kernel.perf_event_paranoid=2" probes tracepoints
	fi
}

check_programs() {
	case $(uname -m) in x86_64 | aarch64) ;; *) fatal "machine $(uname -m)" "it runs on x86_64 and aarch64" ;; esac
	python=$root/usr/bin/python3
	[ -x "$python" ] || { fatal "no /usr/bin/python3" "apt-get install python3"; return; }
	# to import bcc would load LLVM, so it is only looked for
	for missing in $("$python" -I -c 'import sys; from importlib.util import find_spec
print(*["3.9"] * (sys.version_info < (3, 9)), *(name for name in ("bcc", "iniconfig") if not find_spec(name)))'); do
		case $missing in
		3.9) fatal "/usr/bin/python3 older than 3.9" "take a newer distribution" ;;
		bcc) fatal "no BCC for /usr/bin/python3" "apt-get install python3-bpfcc (elsewhere python3-bcc)" ;;
		*) fatal "no $missing for /usr/bin/python3" "apt-get install python3-$missing" ;;
		esac
	done
}

# What is left without some of the rungs. Whether the kernel lets trampolines be attached is known only to who tries.
charts() {
	all="charts: all"
	[ "$tracepoints$btf" != nn ] || all="$all but vfs_create"
	[ "$reading" = y ] || all="$all but vfs_create and task_error"
	few="only process_thread, exit and process_status"
	differ="on tracepoints, which count a little differently (README.md, Three rungs)"
	case $trampolines$probes$tracepoints in
	yyy) ;;
	yy*) echo "$all, on trampolines; where the kernel refuses those, on probes" ;;
	yny) echo "$all, on trampolines; where the kernel refuses those, $differ" ;;
	ynn) echo "$all, on trampolines; where the kernel refuses those, $few" ;;
	ny*) echo "$all, on probes, which cost a little more than trampolines" ;;
	nny) echo "$all, $differ" ;;
	*) echo "charts: $few" ;;
	esac
}

main() {
	status=0 root='' file='' config='' granted='' tracefs='' trampolines=y probes=y tracepoints=y btf=y reading=y
	newline='
'
	while [ $# -gt 0 ]; do
		case $1 in
		-h | --help) usage; exit 0 ;;
		--config | --root) [ -n "${2-}" ] || wrong "$1 needs a name" ;;
		*) wrong "what is $1? -h helps" ;;
		esac
		case $1 in --config) file=$2 ;; *) root=${2%/} ;; esac
		shift 2
	done
	if [ -n "$file" ]; then
		config=$(read_config "$file") || wrong "$file is not a kernel configuration"
		root=/dev/null # nothing is below it: this machine shows nothing
		check_kernel
	else
		find_config
		confidential || find_tracefs
		check_kernel
		check_permission
		check_programs
	fi
	[ -z "$granted" ] || lost "no configuration of this kernel found" "not certain:$granted" "ebpf.plugin --check tries"
	[ "$status" = 2 ] || charts
	exit "$status"
}

main "$@"
