"""libc by ctypes, for the system calls that Python does not have."""
from __future__ import annotations

import ctypes
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable

LIBC = ctypes.CDLL(None, use_errno=True)


def call(function: Callable[..., int], *args: Any) -> int:
    """What a function of libc returns; raises OSError with its errno if that is below zero."""
    result = function(*args)
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result
