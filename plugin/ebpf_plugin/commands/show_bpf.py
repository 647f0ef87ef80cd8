"""--show-bpf: the C text of each group, and what fills its holes here."""
from __future__ import annotations

from .. import log
from ..compile import bytecode, source
from ..config import directories
from ..kernel import bpf, btf
from ..load import loader, values
from ..load.plan import Plan
from ..outputs import netdata


def show(plan: Plan) -> int:
    """Print them to stdout; returns the exit status."""
    try:
        known = btf.BTF()
    except btf.NoBTF as error:
        known = None
        log.write(log.INFO, str(error))
    try:
        _, origin = loader.from_file(directories.bytecode(bpf.MACHINE), directories.data("bpf"))
    except FileNotFoundError as error:
        origin = "compiled at the start, as there is no %s" % error.filename
    except bytecode.Refused as refusal:
        origin = "compiled at the start, as %s" % refusal
    netdata.write("/* instructions: %s */\n" % origin)
    filled = values.of_settings(plan.settings.mode, plan.sizes, {})
    for group in plan.groups:
        text = source.text_of(group, directories.data("bpf"), bpf.MACHINE)
        of_group = {**filled, **values.of_kernel(group, known, filled)}
        netdata.write("/* ---- group %s; values here:\n%s */\n%s\n" % (
            group.name, "".join(" * %s = %s\n" % (name, of_group.get(name, "unknown")) for name in text.holes), text.text))
    return 0
