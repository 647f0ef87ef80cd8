"""Compiles the text of a group by BCC, imported only here. Needs no privilege: BCC makes no map and loads nothing."""
from __future__ import annotations

import ctypes
import os

FLAGS = ["-Wno-unused-function", "-Werror=implicit-function-declaration"]


class CompileError(Exception):
    """What is wrong with a text: the first lines that the compiler has to say."""


def programs_in(text: str, directory: str) -> dict[str, bytes]:
    """{name: instructions} of the functions of a text; `directory` is bpf/. Raises CompileError, ImportError."""
    import bcc

    class Quiet(bcc.BPF):  # type: ignore[misc]  # bcc has no types
        """Attaches nothing by itself."""

        def _trace_autoload(self) -> None:
            pass

    os.chdir(directory)  # BCC looks for included files in the working directory first
    os.environ["BCC_KERNEL_SOURCE"] = directory
    messages = _Stderr()
    with messages:
        try:
            program = Quiet(text=text, cflags=FLAGS)
        except Exception as error:  # pylint: disable=broad-except  # BCC raises nothing better
            failure: Exception | None = error
        else:
            failure = None
    if failure is not None:
        raise CompileError(messages.first_error() or str(failure))
    found = {}
    for number in range(bcc.lib.bpf_num_functions(program.module)):
        name = bcc.lib.bpf_function_name(program.module, number)
        size = bcc.lib.bpf_function_size(program.module, name)
        found[name.decode()] = ctypes.string_at(bcc.lib.bpf_function_start(program.module, name), size)
    return found


class _Stderr:
    """What is written to descriptor 2 inside: clang writes there, not to sys.stderr."""

    def __enter__(self) -> None:
        self._file = os.memfd_create("compiler")
        self._stderr = os.dup(2)
        os.dup2(self._file, 2)

    def __exit__(self, *_: object) -> None:
        os.dup2(self._stderr, 2)
        self.text = os.pread(self._file, 1 << 16, 0).decode("utf-8", "replace")
        os.close(self._stderr)
        os.close(self._file)

    def first_error(self) -> str:
        """The first line that says `error`."""
        return next((line.strip() for line in self.text.splitlines() if "error:" in line), "")
