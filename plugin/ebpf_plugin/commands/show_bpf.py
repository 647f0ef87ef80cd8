"""--show-bpf: the definitions and the C text that would be compiled."""
from __future__ import annotations

from .. import log
from ..compile import source
from ..config import directories
from ..kernel import bpf, btf
from ..load.plan import Plan
from ..outputs import netdata


def show(plan: Plan) -> int:
    """Print them; returns the exit status."""
    try:
        known = btf.BTF()
    except btf.NoBTF as error:
        known = None
        log.write(log.INFO, str(error))
    for name, value in source.definitions(plan.groups, plan.settings.mode, bpf.MACHINE, known, plan.sizes).items():
        netdata.write("#define %s %s\n" % (name, value))
    netdata.write(source.text(plan.groups, directories.data("bpf"), plan.sizes))
    return 0
