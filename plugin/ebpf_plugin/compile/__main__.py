"""python3 -m ebpf_plugin.compile FILE: compile the texts of all groups into a bytecode file. `-` is stdout."""
from __future__ import annotations

import sys

from . import bcc, bytecode, source
from ..config import directories
from ..groups import GROUPS
from ..kernel.bpf import MACHINE


def compiled(directory: str, machine: str) -> bytecode.Bytecode:
    """The bytecode of all groups; a group that cannot be compiled has an error instead. Raises ImportError, OSError."""
    groups = {}
    for group in GROUPS:
        text = source.text_of(group, directory, machine)
        try:
            programs, error = bcc.programs_in(text.text, directory), ""
        except bcc.CompileError as failure:
            programs, error = {}, str(failure)
        groups[group.name] = bytecode.GroupCode(programs, text.tables, text.holes, error)
    return bytecode.Bytecode(machine, source.digest(directory, machine), groups)


def main(path: str) -> int:
    """Write the file; a message and status 1 if that fails. To stdout a file goes even if a group is missing in it."""
    try:
        code = compiled(directories.data("bpf"), MACHINE)
        bytecode.check(code)
    except (ImportError, OSError, bytecode.Refused) as error:
        print("cannot compile: %s" % error, file=sys.stderr)
        return 1
    data = bytecode.write(code)
    if path == "-":
        sys.stdout.buffer.write(data)
        return 0
    errors = ["%s: %s" % (name, group.error) for name, group in code.groups.items() if group.error]
    if errors:
        print("\n".join(errors), file=sys.stderr)
        return 1
    try:
        bytecode.write_file(path, data)
    except OSError as error:
        print("cannot write %s: %s" % (path, error.strerror), file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
