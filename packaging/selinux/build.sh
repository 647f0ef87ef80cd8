#!/bin/sh
# build.sh [DIRECTORY]: compile the SELinux policy module into DIRECTORY (default: build/ of the checkout).
set -eu

here=$(cd "$(dirname "$0")" && pwd)
out=${1:-$here/../../build}
for tool in checkmodule semodule_package; do
	command -v $tool >/dev/null || {
		echo "$tool is not installed: apt-get install checkpolicy semodule-utils (Fedora: checkpolicy policycoreutils)" >&2
		exit 1
	}
done
mkdir -p "$out"
checkmodule -M -m -o "$out/ebpf_plugin.mod" "$here/ebpf_plugin.te"
semodule_package -o "$out/ebpf_plugin.pp" -m "$out/ebpf_plugin.mod"
rm "$out/ebpf_plugin.mod"
