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
		lost "BTF $absent" "no trampolines, no network, no applications, and vfs_create only on tracepoints" "$other" \
			trampolines btf network applications
	# x86 has it since 5.5, arm64 since 6.4; without it trampolines are refused: kernel/bpf/trampoline.c, register_fentry
	have "$direct" DYNAMIC_FTRACE DYNAMIC_FTRACE_WITH_DIRECT_CALLS ||
		lost "direct calls of ftrace $absent" "no trampolines" "$other" trampolines
	# both would attach then and never run (seen on 6.1): the plugin does not take them
	[ "$(cat "$proc/kernel/ftrace_enabled" 2>/dev/null)" != 0 ] ||
		lost "ftrace switched off" "no trampolines, no probes" "sysctl -w kernel.ftrace_enabled=1" trampolines probes returns
	# perf_event_open(2) makes kprobes since 4.17: kernel/events/core.c, perf_kprobe
	have "$(shown "$devices/kprobe" "$devices")" HAVE_KPROBES KPROBES KPROBE_EVENTS ||
		lost "kprobes $absent" "no probes" "$other" probes returns
	have "$([ -z "$tracefs" ] || shown "$tracefs/events/syscalls" "$tracefs/events")" FTRACE_SYSCALLS ||
		lost "tracepoints of system calls $absent" "none to fall back to" "$other" tracepoints
	# those of TCP and UDP calls are younger than most kernels, so they are missed only where nothing else is left; BTF has
	# a type for each tracepoint, and without BTF there is no network
	if [ -r "$sys/kernel/btf/vmlinux" ]; then
		LC_ALL=C grep -aq btf_trace_sock_send_length "$sys/kernel/btf/vmlinux" && sockets=y || sockets=n
	fi
}

# bpf(2) and trampolines are not on its list (enum lockdown_reason in include/linux/security.h); to read memory is
confidential() {
	case $(cat "$root/sys/kernel/security/lockdown" 2>/dev/null) in *"[confidentiality]"*) ;; *) return 1 ;; esac
	lost "lockdown in confidentiality mode" \
		"no probes, no tracepoints of system calls; no vfs_create, no task_error, no UDP, no retransmissions, no applications" \
		"boot with lockdown=integrity or none" probes returns tracepoints reading applications
}

find_tracefs() {
	for path in sys/kernel/tracing sys/kernel/debug/tracing; do
		[ -d "$root/$path/events" ] || continue
		tracefs=$root/$path
		[ -w "$tracefs/kprobe_events" ] || [ ! -e "$tracefs/kprobe_events" ] ||
			lost "/$path/kprobe_events not writable" "no probes at returns" "run as root, or mount it writable" returns
		return
	done
	cost="no tracepoints of system calls, no probes at returns"
	if grep -Eq ' /sys/kernel/(debug/)?tracing tracefs ' "$root/proc/mounts" 2>/dev/null; then
		lost "tracefs not permitted" "$cost" "run as root or give the user access" tracepoints returns
	else
		lost "tracefs not mounted" "$cost" "mount -t tracefs nodev /sys/kernel/tracing" tracepoints returns
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
	# the number of the first one: PROC_PID_INIT_INO in include/linux/proc_ns.h
	case $(readlink "$root/proc/self/ns/pid") in
	'' | 'pid:[4026531836]') ;;
	*) lost "in a pid namespace of its own" "no applications" "start the container with --pid=host" applications ;;
	esac
	[ -r "$root/proc/1/stat" ] || [ ! -e "$root/proc/self/stat" ] ||
		lost "/proc hides the processes of others" "no applications" "mount it without hidepid" applications
	capabilities=$(sed -n 's/^CapEff:[[:space:]]*//p' "$root/proc/self/status" 2>/dev/null)
	if [ -z "$capabilities" ] || can 21; then return; fi
	if ! can 38 || ! can 39; then
		fatal "missing$(can 39 || echo ' CAP_BPF')$(can 38 || echo ' CAP_PERFMON')" \
			"run as root or grant it (before Linux 5.8 CAP_SYS_ADMIN)"
	# Debian's and Ubuntu's addition: above 2, perf_event_open(2) takes CAP_SYS_ADMIN
	elif [ "$(cat "$root/proc/sys/kernel/perf_event_paranoid" 2>/dev/null || echo 2)" -gt 2 ]; then
		lost "kernel.perf_event_paranoid above 2" "no probes and no tracepoints of system calls without CAP_SYS_ADMIN" \
			"sysctl -w kernel.perf_event_paranoid=2" probes returns tracepoints
	fi
}

check_programs() {
	case $(uname -m) in x86_64 | aarch64) ;; *) fatal "machine $(uname -m)" "it runs on x86_64 and aarch64" ;; esac
	python=$root/usr/bin/python3
	[ -x "$python" ] || { fatal "no /usr/bin/python3" "apt-get install python3"; return; }
	# to import bcc would load LLVM, so it is only looked for
	for missing in $("$python" -I -c 'import sys; from importlib.util import find_spec
print(*["3.9"] * (sys.version_info < (3, 9)),
	*(name for name in ("bcc", "iniconfig", "netaddr") if not find_spec(name)))'); do
		no="no $missing for /usr/bin/python3" install="apt-get install python3-$missing"
		case $missing in
		3.9) fatal "/usr/bin/python3 older than 3.9" "take a newer distribution" ;;
		bcc) # only who has no bytecode file has to compile
			home=$root$(cd "$(dirname "$0")/.." && pwd)
			[ -f "$home/bytecode/bytecode-$(uname -m)" ] || [ -f "$home/build/bytecode-$(uname -m)" ] ||
				fatal "no BCC for /usr/bin/python3" "apt-get install python3-bpfcc (elsewhere python3-bcc)"
			;;
		netaddr) lost "$no" "no network" "$install" network ;;
		*) fatal "$no" "$install" ;;
		esac
	done
}

# "all but A, B and C", or "all" if nothing is to be left out
all_but() {
	text=all
	while [ $# -gt 0 ]; do
		case $text,$# in all,*) text="all but $1" ;; *,1) text="$text and $1" ;; *) text="$text, $1" ;; esac
		shift
	done
	echo "$text"
}

on_trampolines() {
	set --
	[ "$reading" = y ] || set -- vfs_create task_error
	[ "$network" = y ] || set -- "$@" network
	[ "$network$reading" != yn ] || set -- "$@" UDP retransmissions
	[ "$applications" = y ] || set -- "$@" applications
	echo "$(all_but "$@"), on trampolines"
}

# Without trampolines. Load mode return takes probes at returns, load mode entry only where TCP and UDP receive.
otherwise() { # MODE
	calls=$returns
	[ "$1" = return ] || calls=$probes
	set --
	[ "$calls$tracepoints" != nn ] || set -- files VFS
	[ "$calls$tracepoints$btf" != ynn ] || set -- vfs_create
	[ "$returns$tracepoints" != nn ] || set -- "$@" task_error
	if [ "$network" = n ]; then
		set -- "$@" network
	elif [ "$returns$sockets" != ny ]; then
		unless=
		[ -n "$sockets" ] || unless=" (unless the kernel has the tracepoint sock:sock_send_length)"
		case $calls$returns in
		yn) set -- "$@" "what TCP and UDP receive$unless" ;;
		nn) set -- "$@" "what TCP and UDP send and receive$unless" ;;
		esac
	fi
	[ "$network$reading" != yn ] || set -- "$@" connections retransmissions
	[ "$applications" = y ] || set -- "$@" applications
	on=
	[ "$tracepoints" = n ] || on=", on tracepoints, which count a little differently (charts.md, Attach methods)"
	[ "$calls" = n ] || on=", on probes"
	echo "$(all_but "$@")$on"
}

# What is left. Whether the kernel lets trampolines be attached is known only to who tries.
charts() {
	[ "$reading" = y ] || sockets=n
	case $trampolines$probes$returns$tracepoints$network$applications in yyyyyy) return ;; esac
	entry=$(otherwise entry) rest=$(otherwise return)
	[ "$entry" = "$rest" ] || rest="in load mode entry $entry; in load mode return $rest"
	[ "$trampolines" = n ] || rest="$(on_trampolines); where the kernel refuses those, $rest"
	echo "charts: $rest"
}

main() {
	status=0 root='' file='' config='' granted='' tracefs='' reading=y btf=y network=y applications=y
	trampolines=y probes=y returns=y tracepoints=y sockets=
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
