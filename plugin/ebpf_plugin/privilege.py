"""After attaching, the collector keeps only what reading maps takes on this kernel."""
from __future__ import annotations

from . import kernel, log


def drop(trial):
    """Give up capabilities until `trial()` raises OSError, and keep the least with which it does not.

    With kernel.unprivileged_bpf_disabled, every bpf(2) took CAP_BPF (or, before 5.8, CAP_SYS_ADMIN) until 5.19, when
    looking into a map by descriptor was let through. Only the trial tells.
    """
    _, permitted = kernel.capabilities()
    if not permitted:
        return
    for keep in ((), ("bpf",), ("sys_admin",)):
        mask = permitted & sum(1 << kernel.CAPABILITIES[name] for name in keep)
        try:
            kernel.set_capabilities(mask, permitted)
            trial()
        except OSError:
            continue
        kernel.set_capabilities(mask, mask)
        kernel.no_new_privileges()
        return
    kernel.set_capabilities(permitted, permitted)
    log.write(log.ERROR, "reading counters needs more than CAP_BPF here; all capabilities are kept")
