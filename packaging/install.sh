#!/bin/sh
# install.sh: install ebpf.plugin from this checkout, for a Netdata agent that is not Debian's package or for Prometheus alone.
set -eu

usage() {
	cat <<'END'
usage: install.sh [--prefix DIR] [--plugins-dir DIR] [--group NAME] [--standalone] [--dry-run] [--uninstall]

  --prefix DIR       where the program goes: DIR/share/netdata-ebpf-plugin (default /usr/local)
  --plugins-dir DIR  where the agent looks for plugins (default: the first that exists of those below)
  --group NAME       the agent's group: its members may start the plugin (default netdata)
  --standalone       without an agent: a systemd service that serves metrics to Prometheus on 127.0.0.1:9435
  --dry-run          say what would be done, and do nothing
  --uninstall        remove what was installed with the same --prefix, --plugins-dir and --standalone

Needs root, a C compiler and setcap (libcap2-bin) unless it is --standalone, libbpf and the python3 modules iniconfig and netaddr of the distribution; and
BCC (python3-bpfcc), if `make bytecode` was not run before. With DESTDIR in the environment, files are laid out below it for a package, and nothing else is done.
END
}

fail() {
	echo "install.sh: $*" >&2
	exit 1
}

plugins_dirs="/usr/libexec/netdata/plugins.d /opt/netdata/usr/libexec/netdata/plugins.d /usr/lib/netdata/plugins.d"
capabilities=cap_bpf,cap_perfmon,cap_dac_read_search,cap_sys_admin,cap_sys_resource=p # the table is in launcher.c

prefix=/usr/local plugins_dir='' group=netdata dry='' uninstall='' standalone='' dest=${DESTDIR:-}
while [ $# -gt 0 ]; do
	case $1 in
	--prefix | --plugins-dir | --group)
		[ $# -gt 1 ] || fail "$1 needs a value"
		case $1 in
		--prefix) prefix=$2 ;;
		--plugins-dir) plugins_dir=$2 ;;
		--group) group=$2 ;;
		esac
		shift
		;;
	--standalone) standalone=yes ;;
	--dry-run) dry=yes ;;
	--uninstall) uninstall=yes ;;
	-h | --help) usage && exit ;;
	*) usage >&2 && fail "unknown option $1" ;;
	esac
	shift
done

if [ "$standalone" ]; then
	plugins_dir=/nowhere
elif [ -z "$plugins_dir" ]; then
	for each in $plugins_dirs; do
		[ -z "$plugins_dir" ] && [ -d "$each" ] && plugins_dir=$each
	done
	[ "$plugins_dir" ] || fail "no agent found in $plugins_dirs; give --plugins-dir or --standalone"
fi
for each in "$prefix" "$plugins_dir"; do
	case $each in
	*[!A-Za-z0-9_./+-]*) fail "not a plain path: $each" ;; # it becomes a part of the launcher and of shell commands
	/*) ;;
	*) fail "not an absolute path: $each" ;;
	esac
done

here=$(cd "$(dirname "$0")/.." && pwd)
home=$prefix/share/netdata-ebpf-plugin
program=$home/plugin/ebpf.plugin
launcher=$plugins_dir/ebpf.plugin
command=$prefix/bin/ebpf.plugin
manual=$prefix/share/man/man1/ebpf.plugin.1
case $prefix in
/usr | /usr/local) units=$prefix/lib/systemd/system ;; # where systemd looks
*) units=/etc/systemd/system ;;
esac
dropin=$units/netdata.service.d/ebpf-plugin.conf
case $plugins_dir in # where the agent has its stock configuration and its web pages
*/libexec/netdata/plugins.d) agent=${plugins_dir%/libexec/netdata/plugins.d} ;;
*/lib/netdata/plugins.d) agent=${plugins_dir%/lib/netdata/plugins.d} ;;
*) agent= ;;
esac
alerts=$agent/lib/netdata/conf.d/health.d/ebpf.conf
texts=$agent/share/netdata/web/ebpf_dashboard_info.js

run() {
	if [ "$dry" ]; then echo "$*"; else "$@"; fi
}

ours() { # the launcher has the path of its program in it
	[ -f "$1" ] && grep -aqF "$program" "$1"
}

mark='# Alerts on the charts of ebpf.plugin.' # by which we know our own file of alerts

reload() {
	[ -d /run/systemd/system ] || return 0
	run systemctl daemon-reload
	if [ "$standalone" ]; then
		[ "$uninstall" ] || run systemctl enable --now ebpf-plugin.socket ebpf-plugin.service
	else
		echo "now restart the agent: systemctl restart netdata"
	fi
}

[ "$dry" ] || [ "$dest" ] || [ "$(id -u)" = 0 ] || fail "run as root (or with --dry-run)"

if [ "$uninstall" ] && [ "$standalone" ]; then
	[ -d /run/systemd/system ] && run systemctl disable --now ebpf-plugin.service ebpf-plugin.socket
	run rm -rf "$dest$home"
	run rm -f "$dest$command" "$dest$manual" "$dest$units/ebpf-plugin.service" "$dest$units/ebpf-plugin.socket"
	reload
	exit
fi
if [ "$uninstall" ]; then
	[ -e "$dest$launcher" ] && { ours "$dest$launcher" || fail "$launcher is not ours; nothing was removed"; }
	run rm -rf "$dest$home"
	run rm -f "$dest$launcher" "$dest$command" "$dest$manual" "$dest$dropin"
	if [ "$agent" ] && grep -qsF "$mark" "$dest$alerts"; then run rm -f "$dest$alerts"; fi
	[ -z "$agent" ] || run rm -f "$dest$texts"
	run rmdir "$(dirname "$dest$dropin")" 2>/dev/null || true
	reload
	exit
fi

if [ -e "$dest$launcher" ] && ! ours "$dest$launcher"; then
	fail "$launcher is another program, perhaps the agent's own (package netdata-plugin-ebpf): remove that first"
fi
[ "$dry" ] || [ "$dest" ] || [ "$standalone" ] || getent group "$group" >/dev/null || fail "there is no group $group; give --group"

for each in plugin bpf conf.d; do
	(cd "$here" && find "$each" -type f ! -name '*.pyc' ! -path '*/.*') | while read -r file; do
		mode=644 && [ -x "$here/$file" ] && mode=755
		run install -D -m "$mode" "$here/$file" "$dest$home/$file"
	done
done
machine=$(uname -m)
bytecode=$here/build/bytecode-$machine
if [ ! -f "$bytecode" ] || [ -n "$(find "$here/bpf" "$here/plugin" -newer "$bytecode" \( -name '*.[ch]' -o -path '*/groups/*.py' \))" ]; then
	run mkdir -p "$here/build"
	(cd "$here/plugin" && run /usr/bin/python3 -B -m ebpf_plugin.compile "$bytecode") ||
		fail "cannot compile the BPF programs: install BCC (Debian: python3-bpfcc)"
fi
run install -D -m 644 "$bytecode" "$dest$home/bytecode/bytecode-$machine"
for each in check-kernel-config.sh reset_netdata_trace.sh; do
	run install -D -m 755 "$here/tools/$each" "$dest$home/tools/$each"
done
run install -D -m 644 "$here/packaging/ebpf.plugin.1" "$dest$manual"
run mkdir -p "$dest$prefix/bin"
run ln -sfn "$program" "$dest$command"
check() {
	run /usr/bin/python3 -m compileall -q "$home/plugin"
	run /usr/bin/python3 -I -c 'import iniconfig, netaddr' ||
		echo "install.sh: install what is missing from the distribution (Debian: python3-iniconfig python3-netaddr)" >&2
}
if [ "$standalone" ]; then
	for each in service socket; do
		run install -D -m 644 "$here/packaging/systemd/ebpf-plugin.$each" "$dest$units/ebpf-plugin.$each"
		run sed -i "s|/usr/local/bin/|$prefix/bin/|" "$dest$units/ebpf-plugin.$each"
	done
	[ "$dest" ] && exit
	check
	reload
	exit
fi
run install -D -m 644 "$here/packaging/ebpf-plugin.conf" "$dest$dropin"
if [ -z "$agent" ]; then
	echo "install.sh: put packaging/health.d/ebpf.conf into the directory health.d of the agent's configuration for its alerts," >&2
	echo "install.sh: and packaging/ebpf_dashboard_info.js into its directory of web pages" >&2
elif [ -e "$dest$alerts" ] && ! grep -qF "$mark" "$dest$alerts"; then
	echo "install.sh: $alerts is another's and stays; ours is packaging/health.d/ebpf.conf" >&2
else
	run install -D -m 644 "$here/packaging/health.d/ebpf.conf" "$dest$alerts"
fi
[ -z "$agent" ] || run install -D -m 644 "$here/packaging/ebpf_dashboard_info.js" "$dest$texts"
run mkdir -p "$dest$plugins_dir"

hardening="-fPIE -pie -fstack-protector-strong -D_FORTIFY_SOURCE=2 -Wl,-z,relro -Wl,-z,now"
# shellcheck disable=SC2086 # lists of words
run ${CC:-cc} -std=c11 -Wall -Wextra -Werror ${CFLAGS:--O2 $hardening} ${CPPFLAGS:-} ${LDFLAGS:-} \
	"-DPROGRAM=\"$program\"" -o "$dest$launcher" "$here/packaging/launcher.c"
[ "$dest" ] && exit

run chown "root:$group" "$launcher"
run chmod 0750 "$launcher"
run setcap "$capabilities" "$launcher" || run chmod 4750 "$launcher" # not every file system has capabilities
check
reload
