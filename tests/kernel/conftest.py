"""A real kernel: the programs are loaded once for each rung and mode, and see only processes of a name of our own."""
import pytest

from ebpf_plugin.group import MODES, RUNGS
from live import Attached, missing_feature


@pytest.fixture(scope="session", params=["%s-%s" % (rung, mode) for rung in RUNGS for mode in MODES])
def attached(request):
    """Attached for each rung that this kernel has, in both modes."""
    rung, mode = request.param.split("-")
    missing = missing_feature(rung)
    if missing:
        pytest.skip(missing)
    found = Attached(rung, mode)
    yield found
    found.close()
