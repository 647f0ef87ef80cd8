#!/bin/sh
# setup.sh run|test: install what is missing from the distribution's packages and mount tracefs and bpffs.
# Changes nothing that is there already, so it may be run any number of times.
set -eu

packages="python3-bpfcc python3-iniconfig python3-netaddr python3-rich"
if [ "${1:-run}" = test ]; then
	packages="$packages python3-pytest python3-hypothesis python3-flake8 python3-pyroute2 python3-prometheus-client mypy"
	packages="$packages prometheus python3-yaml python3-bcrypt openssl" # metrics
	packages="$packages python3-venv python3-pip python3-setuptools python3-wheel"
	packages="$packages debootstrap debhelper dh-python lintian libcap2-bin binutils" # the Debian package, and a clean system for it
	packages="$packages shellcheck checkpolicy semodule-utils"
	packages="$packages bpftool qemu-system-x86 e2fsprogs git gcc libc6-dev iproute2 iperf3" # virtual machines, and what they measure
fi

as_root() {
	if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

missing=
for package in $packages; do
	[ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing="$missing $package"
done
case "$missing " in
*" prometheus "*) # its tests start it; the service shall not
	as_root mkdir -p /etc/systemd/system
	[ -e /etc/systemd/system/prometheus.service ] || as_root ln -s /dev/null /etc/systemd/system/prometheus.service
	;;
esac
if [ -n "$missing" ]; then
	echo "installing:$missing" >&2
	as_root apt-get update -qq
	# shellcheck disable=SC2086 # a list of words
	as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
fi

for mount in tracefs:/sys/kernel/tracing bpf:/sys/fs/bpf; do
	grep -q " ${mount#*:} ${mount%%:*} " /proc/mounts || as_root mount -t "${mount%%:*}" nodev "${mount#*:}" ||
		echo "cannot mount ${mount%%:*} on ${mount#*:}; what depends on it will say so" >&2
done
