#!/bin/sh
# test.sh: all tests on the running kernel, and meanwhile, as most of that is waiting, tests/kernel on Debian 12's kernel in a
# virtual machine, whose output comes at the end. Exit status 0 if both have passed.
set -u
cd "$(dirname "$0")/.." || exit

as_root() {
	if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

log=$(mktemp)
trap 'kill "$guest" 2>/dev/null; rm -f "$log"' EXIT
make -s test-kernel KERNEL=bookworm >"$log" 2>&1 &
guest=$!

as_root /usr/bin/python3 -m pytest -q -rs
here=$?
wait "$guest"
there=$?
echo
echo "tests/kernel on Debian 12's kernel:"
cat "$log"
[ "$here" = 0 ] && [ "$there" = 0 ]
