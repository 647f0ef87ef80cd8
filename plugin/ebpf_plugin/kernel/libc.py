"""libc, for the system calls that Python does not have.

By _ctypes, the part of ctypes that is written in C. The rest of it would take 0.6 MB of the collector, for nothing that is
needed here.
"""
from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mmap import mmap
    from typing import Any, Callable

    _ctypes: Any
else:
    import _ctypes


class _Int(_ctypes._SimpleCData):  # type: ignore[misc]
    """As ctypes.c_int."""

    _type_ = "i"


class _Char(_ctypes._SimpleCData):  # type: ignore[misc]
    """As ctypes.c_char."""

    _type_ = "c"


class _Function(_ctypes.CFuncPtr):  # type: ignore[misc]
    """A function that returns an int and sets errno."""

    _flags_ = _ctypes.FUNCFLAG_CDECL | _ctypes.FUNCFLAG_USE_ERRNO
    _restype_ = _Int


class _Libc:
    """The functions of libc, by their names."""

    _handle = _ctypes.dlopen(None, 0)

    def __getattr__(self, name: str) -> Callable[..., int]:
        function: Callable[..., int] = _Function(_ctypes.dlsym(self._handle, name))
        setattr(self, name, function)
        return function


LIBC = _Libc()


def call(function: Callable[..., int], *args: Any) -> int:
    """What a function of libc returns; raises OSError with its errno if that is below zero. An int is passed as a C int."""
    result = function(*args)
    if result < 0:
        number = _ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def pointer(buffer: bytearray) -> Any:
    """A pointer to a buffer, as an argument of call()."""
    return _ctypes.byref(_Char.from_buffer(buffer))


def address(buffer: bytearray | mmap) -> int:
    """Where a buffer is, for the kernel. It must not be empty, and must live as long as the kernel looks there."""
    where: int = _ctypes.addressof(_Char.from_buffer(buffer))
    return where
