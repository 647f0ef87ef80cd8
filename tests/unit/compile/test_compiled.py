"""The texts of bpf/, compiled for real by BCC: takes seconds, no kernel and no privilege."""
import os
import shutil
import sys

from fakes import ROOT
import pytest

from ebpf_plugin.compile import bytecode, child
from ebpf_plugin.groups import GROUPS
from ebpf_plugin.kernel.bpf import MACHINE

pytest.importorskip("bcc", reason="python3-bpfcc")
BPF = os.path.join(ROOT, "bpf")
OF = {group.name: group for group in GROUPS}
START = """
import sys; sys.path.insert(0, sys.argv[1])
from ebpf_plugin.config import directories
directories.data = lambda name: %r
from ebpf_plugin.compile.child import main
main()
"""


def compiled(directory=BPF):
    return child.compile_all(300, START % str(directory))


@pytest.fixture(scope="module")
def data():
    return compiled()


@pytest.fixture(scope="module")
def code(data):
    return bytecode.read(data, MACHINE)


def asked_for(group):
    """The programs that some attach method in some mode wants."""
    for hook in group.hooks:
        for mode in hook.modes:
            for function in hook.functions:
                for method in ("trampoline", "probe"):
                    yield from (function.program + "_" + way for way in function.program_types.of(method, mode))
            yield from (tracepoint.program for tracepoint in hook.tracepoints if mode in tracepoint.modes)


@pytest.mark.parametrize("name", OF)
def test_programs_that_are_asked_for_are_those_that_there_are(code, name):
    assert code.groups[name].error == ""
    assert set(code.groups[name].programs) == set(asked_for(OF[name]))


def test_each_program_can_be_filled(code):
    bytecode.check(code)


@pytest.mark.parametrize("name", OF)
def test_programs_of_a_function_read_no_more_than_they_are_given(code, name):
    """A return has its result where the loader says; nothing else reads so far behind the context."""
    for program, instructions in code.groups[name].programs.items():
        assert not bytecode.result_loads(instructions) or program.endswith("_fexit"), program


def test_the_same_text_is_the_same_bytes_wherever_it_is(data, tmp_path):
    elsewhere = tmp_path / "a longer path" / "bpf"
    shutil.copytree(BPF, elsewhere)
    assert compiled(elsewhere) == data


def test_no_path_of_this_machine_is_in_it(data):
    assert ROOT.encode() not in data
    assert sys.prefix.encode() + b"/" not in data


def test_a_group_that_cannot_be_compiled_has_the_compilers_message_and_the_others_are_whole(code, tmp_path):
    shutil.copytree(BPF, tmp_path / "bpf")
    with open(tmp_path / "bpf" / "vfs.c", "a", encoding="utf-8") as file:
        file.write("\nthis is not C\n")
        line = sum(1 for _ in open(tmp_path / "bpf" / "vfs.c", encoding="utf-8")) + 2
    broken = bytecode.read(compiled(tmp_path / "bpf"), MACHINE)
    assert broken.groups["vfs"].programs == {}
    assert broken.groups["vfs"].error.startswith("vfs.c:%d:" % line)
    assert "error: unknown type name 'this'" in broken.groups["vfs"].error
    for name in set(OF) - {"vfs"}:
        assert broken.groups[name] == code.groups[name]


def test_names_of_one_group_are_free_in_another(code, tmp_path):
    """Each group is a text of its own: a function, a macro or a program may have a name that another group has, too."""
    shutil.copytree(BPF, tmp_path / "bpf")
    with open(tmp_path / "bpf" / "file.c", "a", encoding="utf-8") as file:
        file.write("\n#define AT_REMOVEDIR 7\ninline_int begin(int calls) { return 0; }\n"
                   "int vfs_read_kprobe(u64 *ctx) { return 0; }\n")
    clashing = bytecode.read(compiled(tmp_path / "bpf"), MACHINE)
    assert [group.error for group in clashing.groups.values()] == [""] * len(OF)
    assert "vfs_read_kprobe" in clashing.groups["file"].programs
    assert clashing.groups["vfs"] == code.groups["vfs"]
