"""pip install . into a virtual environment that sees the distribution's packages: the command works from anywhere, with its
C files and its stock configuration, and nothing of the checkout is used."""
import pathlib
import re
import shutil
import subprocess

import pytest

from ebpf_plugin import VERSION

ROOT = pathlib.Path(__file__).parents[2]


@pytest.fixture(scope="module")
def command(tmp_path_factory):
    where = tmp_path_factory.mktemp("pip")
    source = where / "source"
    # a copy, as pip leaves a build directory behind, and as it must not be there later
    shutil.copytree(ROOT, source, ignore=shutil.ignore_patterns(".git", "build", "*.egg-info", "__pycache__"))
    subprocess.run(["/usr/bin/python3", "-m", "venv", "--system-site-packages", where / "venv"], check=True)
    subprocess.run([where / "venv/bin/pip", "install", "--quiet", "--no-index", "--no-build-isolation", source], check=True)
    shutil.rmtree(source)
    return where / "venv" / "bin" / "ebpf.plugin"


def run(command, *arguments):
    return subprocess.run([command, *arguments], cwd="/", stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          check=False, timeout=60)


def test_it_is_there(command):
    assert run(command, "--version").stdout == "ebpf.plugin %s\n" % VERSION


def test_it_runs(command):
    done = run(command, "--once")
    assert done.returncode == 0
    assert re.findall(r"^(\w+) ebpf\.io\b", done.stdout, re.MULTILINE) == ["CHART", "BEGIN"]
    assert done.stderr == ""


def test_its_c_files_and_configuration_are_its_own(command):
    assert "ON_FENTRY" in run(command, "--show-bpf").stdout
    share = command.parents[1] / "share" / "ebpf.plugin"
    assert (share / "conf.d" / "ebpf.conf").read_text() == (ROOT / "conf.d" / "ebpf.conf").read_text()
    installed = sorted(path.relative_to(share / "bpf") for path in (share / "bpf").rglob("*.[ch]"))
    assert installed == sorted(path.relative_to(ROOT / "bpf") for path in (ROOT / "bpf").rglob("*.[ch]"))
