"""Where things are: in a checkout, or installed by pip or a package."""
from __future__ import annotations

import os
import sys
from typing import Mapping

PACKAGE = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))


def data(name: str) -> str:
    """The directory `name` ("bpf", "conf.d") of the checkout, or of the installation."""
    checkout = os.path.join(os.path.dirname(os.path.dirname(PACKAGE)), name)
    installed = os.path.join(sys.prefix, "share", "ebpf.plugin", name)
    return checkout if os.path.isdir(checkout) else installed


def checkout() -> str:
    """The directory of the checkout that we are in; "" if we are installed."""
    found = os.path.dirname(os.path.dirname(PACKAGE))
    return found if os.path.isfile(os.path.join(found, "Makefile")) else ""


def configuration(chosen: str | None, environment: Mapping[str, str]) -> list[str]:
    """The directories that may hold ebpf.conf, the most important first. `chosen` is that of --config, or None."""
    user = chosen or environment.get("NETDATA_USER_CONFIG_DIR") or "/etc/netdata"
    stock = environment.get("NETDATA_STOCK_CONFIG_DIR")
    return [user] + ([stock] if stock else []) + [data("conf.d")]


def bytecode(machine: str) -> str:
    """Where the bytecode file of an architecture is: installed beside bpf/, or made in a checkout by `make bytecode`."""
    root = os.path.dirname(data("bpf"))
    paths = [os.path.join(root, folder, "bytecode-" + machine) for folder in ("bytecode", "build")]
    found = next((path for path in paths if os.path.exists(path)), paths[-1])
    return os.environ.get("EBPF_PLUGIN_TEST_BYTECODE", found)
