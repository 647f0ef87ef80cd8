"""A real kernel: the programs are loaded once for each rung and mode, and see only processes of a name of our own."""
import shutil
import tempfile

import pytest

from ebpf_plugin.group import MODES, RUNGS
from live import Attached, missing_feature
from plugin import ROOT


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


@pytest.fixture(scope="session")
def everybody_s_plugin():
    """The command in a place where everybody may read it: a checkout may be in root's own directory."""
    with tempfile.TemporaryDirectory() as directory:
        for part in ("plugin", "bpf", "conf.d"):
            shutil.copytree(ROOT / part, directory + "/" + part)
        shutil.chown(directory, 65534)
        yield directory + "/plugin/ebpf.plugin"
