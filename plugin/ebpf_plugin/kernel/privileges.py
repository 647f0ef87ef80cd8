"""Privilege is for loading: files are read without it, and the collector keeps only what reading maps takes."""
from __future__ import annotations

from . import capabilities, process
from .. import log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable


class Unused:
    """A context in which files are opened with no more right than the user has who started us.

    The launcher gives CAP_DAC_READ_SEARCH for tracefs, to every member of the agent's group. An ebpf.conf of theirs may be
    a link to a file that they may not read, and a message about what is wrong in it would show what it says.
    """

    def __enter__(self) -> None:
        self._effective, self._permitted = capabilities.effective_and_permitted()
        self._inheritable = capabilities.inheritable()  # without it, nothing would be left for the loader
        capabilities.set_capabilities(0, self._permitted, self._inheritable)

    def __exit__(self, *_: Any) -> None:
        capabilities.set_capabilities(self._effective, self._permitted, self._inheritable)


def drop(trial: Callable[[], object]) -> None:
    """Give up capabilities until `trial()` raises OSError, and keep the least with which it does not.

    With kernel.unprivileged_bpf_disabled, every bpf(2) took CAP_BPF (or, before 5.8, CAP_SYS_ADMIN) until 5.19, when
    looking into a map by descriptor was let through. Only the trial tells.
    """
    _, permitted = capabilities.effective_and_permitted()
    if not permitted:
        return
    for keep in ((), ("bpf",), ("sys_admin",)):
        mask = permitted & sum(1 << capabilities.CAPABILITIES[name] for name in keep)
        try:
            capabilities.set_capabilities(mask, permitted)
            trial()
        except OSError:
            continue
        capabilities.set_capabilities(mask, mask)
        process.no_new_privileges()
        return
    capabilities.set_capabilities(permitted, permitted)
    log.write(log.WARNING, "reading counters needs more than CAP_BPF here; all capabilities are kept")
