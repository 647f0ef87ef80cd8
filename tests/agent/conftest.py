"""The real agent of Debian 12, with the package installed, in a system that is forgotten afterwards."""
import pathlib
import sys

import pytest

TESTS = pathlib.Path(__file__).parents[1]
sys.path[:0] = [str(TESTS / "install"), str(TESTS / "kernel")]

from agent import Agent  # noqa: E402
from cleanroot import Root, bookworm, package  # noqa: E402


@pytest.fixture(scope="module")
def system(tmp_path_factory):
    with Root(bookworm(), tmp_path_factory.mktemp("agent")) as root:
        root.install(package())
        yield root


@pytest.fixture(scope="module")
def as_netdata(system):
    """As Debian's service starts it: user netdata, its bounding set, load mode entry, each second."""
    with Agent(system) as agent:
        yield agent


@pytest.fixture(scope="module")
def as_root(system):
    """Started by root, and staying root; load mode return, each two seconds."""
    with Agent(system, user="root", every=2, options="-r") as agent:
        yield agent


@pytest.fixture(scope="module")
def each_five(system):
    with Agent(system, every=5) as agent:
        yield agent


@pytest.fixture(scope="module", params=["as_netdata", "as_root"])
def either(request):
    return request.getfixturevalue(request.param)
