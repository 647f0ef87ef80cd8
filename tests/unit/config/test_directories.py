"""Where ebpf.conf is looked for, and the files that come with the plugin."""
import os

from fakes import ROOT
import pytest

from ebpf_plugin.config import directories

OURS = os.path.join(ROOT, "conf.d")


@pytest.mark.parametrize("chosen, environment, expected", [
    (None, {}, ["/etc/netdata", OURS]),
    (None, {"NETDATA_USER_CONFIG_DIR": "/u"}, ["/u", OURS]),
    (None, {"NETDATA_USER_CONFIG_DIR": "/u", "NETDATA_STOCK_CONFIG_DIR": "/s"}, ["/u", "/s", OURS]),
    ("/c", {"NETDATA_USER_CONFIG_DIR": "/u", "NETDATA_STOCK_CONFIG_DIR": "/s"}, ["/c", "/s", OURS]),
    (None, {"NETDATA_USER_CONFIG_DIR": "", "NETDATA_STOCK_CONFIG_DIR": ""}, ["/etc/netdata", OURS]),
])
def test_configuration(chosen, environment, expected):
    assert directories.configuration(chosen, environment) == expected


def test_data(monkeypatch):
    assert directories.data("bpf") == os.path.join(ROOT, "bpf")
    monkeypatch.setattr(directories, "PACKAGE", "/nowhere/lib/ebpf_plugin")
    monkeypatch.setattr(directories.sys, "prefix", "/opt/x")
    assert directories.data("bpf") == "/opt/x/share/ebpf.plugin/bpf"
