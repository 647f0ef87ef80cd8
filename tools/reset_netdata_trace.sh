#!/bin/sh
# Remove the kprobe events that ebpf.plugin left in tracefs: after kill -9 of the plugin, for example.
# They are named ebpf_plugin/r_<program>_<process> (plugin/ebpf_plugin/kernel/tracefs.py); no other line is ours to touch.

usage() {
	cat <<-'END'
		usage: reset_netdata_trace.sh [--all] [--root DIR]
		Removes the kprobe events of ebpf.plugin from tracefs. Those of a running process stay.
		  --all       try those as well: the process may be another one that was given the same number.
		              The kernel does not let go of an event that is in use.
		  --root DIR  take /proc and /sys from DIR
		status: 0 what should be gone is gone, 1 something is not or cannot be seen, 64 wrong arguments
	END
}

wrong() { echo "reset_netdata_trace.sh: $1" >&2; exit 64; }
cannot() { echo "$1" >&2; exit 1; }

find_events() {
	for path in sys/kernel/tracing sys/kernel/debug/tracing; do
		[ ! -d "$root/$path/events" ] || { events=$root/$path/kprobe_events; return; }
	done
	! grep -Eq ' /sys/kernel/(debug/)?tracing tracefs ' "$root/proc/mounts" 2>/dev/null ||
		cannot "no access to tracefs: run as root"
	cannot "tracefs is not mounted: mount -t tracefs nodev /sys/kernel/tracing"
}

# The names of our events, read in one go: the kernel's list changes while we remove from it.
ours() { sed -n 's/^[^:]*:\(ebpf_plugin\/[^ ]*\).*/\1/p' "$events"; }

remove() { # NAME
	# Always to the end: to open with truncation asks the kernel to remove everybody's events (kernel/trace/trace_kprobe.c,
	# probes_open).
	if { printf '%s\n' "-:$1" >>"$events"; } 2>/dev/null; then
		echo "removed $1"
	elif ours | grep -Fqx "$1"; then
		echo "not removed $1: the kernel refuses; a running program may use it" >&2
		status=1
	else
		echo "gone by itself $1" # the kernel or somebody else was faster
	fi
}

main() {
	status=0 root='' all=''
	while [ $# -gt 0 ]; do
		case $1 in
		-h | --help) usage; exit 0 ;;
		--all) all=y ;;
		--root) [ -n "${2-}" ] || wrong "--root needs a name"; root=${2%/}; shift ;;
		*) wrong "what is $1? -h helps" ;;
		esac
		shift
	done
	find_events
	if [ ! -e "$events" ]; then
		echo "nothing to remove: this kernel has no kprobe events"
		exit 0
	fi
	names=$(ours 2>/dev/null) || cannot "cannot read $events: run as root; lockdown in confidentiality mode forbids it too"
	[ -n "$names" ] || echo "nothing to remove"
	for name in $names; do
		process=${name##*_}
		if [ -z "$all" ] && [ -e "$root/proc/$process" ]; then
			echo "left $name: process $process ($(cat "$root/proc/$process/comm" 2>/dev/null)) runs"
		else
			remove "$name"
		fi
	done
	exit "$status"
}

main "$@"
