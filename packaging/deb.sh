#!/bin/sh
# deb.sh [DIRECTORY]: build the Debian package from this checkout into DIRECTORY (default: build/ of the checkout).
# What the build needs is installed, if it is not there yet (debian/control, Build-Depends).
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
mkdir -p "${1:-$root/build}"
out=$(cd "${1:-$root/build}" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

as_root() {
	if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

mkdir "$work/tree"
tar -C "$root" --exclude=__pycache__ -c plugin bpf conf.d tools packaging README.md ARCHITECTURE.md CHANGELOG.md |
	tar -C "$work/tree" -x
cd "$work/tree"
mv packaging/debian debian
if ! dpkg-checkbuilddeps 2>/dev/null; then
	echo "installing what the build needs" >&2
	as_root apt-get update -qq
	as_root env DEBIAN_FRONTEND=noninteractive apt-get build-dep -y -qq --no-install-recommends ./ >/dev/null
fi
DEB_BUILD_OPTIONS=noautodbgsym dpkg-buildpackage -b -us -uc >"$work/log" 2>&1 || { cat "$work/log" >&2 && exit 1; }
rm -f "$out"/netdata-ebpf-plugin_*
cp "$work"/netdata-ebpf-plugin_*.deb "$out"
echo "${out#"$PWD/"}"/netdata-ebpf-plugin_*.deb
