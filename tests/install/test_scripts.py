"""The scripts of packaging/, and the SELinux module."""
import pathlib
import shutil
import subprocess

import pytest

PACKAGING = pathlib.Path(__file__).parents[2] / "packaging"
SCRIPTS = sorted(path for path in PACKAGING.rglob("*") if path.is_file() and path.read_bytes().startswith(b"#!/bin/sh\n"))


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_shellcheck(path):
    if not shutil.which("shellcheck"):
        pytest.skip("no shellcheck")
    done = subprocess.run(["shellcheck", path], capture_output=True, text=True, check=False)
    assert done.stdout == ""


def test_the_selinux_module_compiles(tmp_path):
    if not shutil.which("checkmodule") or not shutil.which("semodule_package"):
        pytest.skip("no checkmodule or semodule_package")
    subprocess.run([PACKAGING / "selinux" / "build.sh", tmp_path], check=True)
    assert [path.name for path in tmp_path.iterdir()] == ["ebpf_plugin.pp"]


def test_the_selinux_build_says_what_it_lacks(tmp_path):
    done = subprocess.run(["/bin/sh", PACKAGING / "selinux" / "build.sh", tmp_path], env={"PATH": "/nowhere"},
                          capture_output=True, text=True, check=False)
    assert done.returncode != 0
