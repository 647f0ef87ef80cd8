"""The filter of system calls: what it is made of, and what it does to a process."""
import os
import struct
import subprocess
import sys

from fakes import PACKAGE
import pytest

from ebpf_plugin.endpoint import seccomp


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_every_jump_stays_inside(machine):
    code = [struct.unpack("=HBBI", each) for each in [
        seccomp.filter_program(machine)[place:place + 8] for place in range(0, len(seccomp.filter_program(machine)), 8)]]
    assert code[-1][0] == seccomp.RETURN and len(code) <= 4096
    for place, (kind, if_true, if_false, _) in enumerate(code):
        assert place + 1 + max(if_true, if_false) < len(code) or kind == seccomp.RETURN


def test_numbers_of_an_architecture_are_unique():
    for place in range(2):
        numbers = [each[place] for each in seccomp.CALLS.values()] + [each[0][place] for each in seccomp.LIMITED.values()]
        numbers = [number for number in numbers if number is not None]
        assert len(numbers) == len(set(numbers))


def test_an_architecture_whose_numbers_are_not_known():
    with pytest.raises(OSError, match="no list of system calls for riscv64"):
        seccomp.filter_program("riscv64")


ALLOWED = ["os.write(1, b'')", "threading.Thread(target=int).start()", "time.sleep(0.001)", "os.urandom(1)",
           "bytearray(1 << 22)", "ours.accept()", "ours.settimeout(1)"]
DENIED = ["open('/etc/passwd')", "os.listdir('/')", "os.stat('/')", "os.fork()", "os.execv('/bin/true', ['true'])",
          "socket.socket()", "os.kill(os.getpid(), 0)", "os.setuid(0)", "os.unlink('/nowhere')", "os.memfd_create('x')",
          "ours.connect(('127.0.0.1', 9))", "fcntl.ioctl(0, 0x5401, bytes(64))", "mmap.mmap(-1, 4096, prot=mmap.PROT_EXEC)"]
CODE = """
import os, sys, threading, time, socket, fcntl, mmap
sys.path.insert(0, sys.argv[1])
from ebpf_plugin.endpoint import seccomp; from ebpf_plugin.kernel import process
ours = socket.create_server(("127.0.0.1", 0))
client = socket.create_connection(ours.getsockname())
process.no_new_privileges()
seccomp.allow_only_serving()
try:
    %s
except PermissionError:
    os._exit(13)
os._exit(0)
"""


def status_of(statement):
    return subprocess.run([sys.executable, "-I", "-c", CODE % statement, os.path.dirname(PACKAGE)],
                          stderr=subprocess.PIPE).returncode


has_filters = pytest.mark.skipif(not os.path.exists("/proc/sys/kernel/seccomp"), reason="CONFIG_SECCOMP_FILTER")


@has_filters
@pytest.mark.parametrize("statement", ALLOWED)
def test_what_serving_takes_is_allowed(statement):
    assert status_of(statement) == 0


@has_filters
@pytest.mark.parametrize("statement", DENIED)
def test_everything_else_is_refused(statement):
    assert status_of(statement) == 13
