"""The habits of the repository that a machine can check."""
import ast
import os
import re
import subprocess
import sys

from fakes import PACKAGE, ROOT
import pytest

from ebpf_plugin import VERSION

MODULES = sorted(
    os.path.relpath(os.path.join(folder, name), PACKAGE)
    for folder, _, names in os.walk(PACKAGE) for name in names if name.endswith(".py")
)
# what the short-lived loader needs; all the rest may be in the collector
LOADER_SIDE = {"load/loader.py", "load/attach.py", "kernel/btf.py", "load/listening_sockets.py"}
# who may import them, and then in a function: none of it is in memory while the collector runs
LENT = {"netaddr": {"config/network_filters.py"}, "pyroute2": {"load/listening_sockets.py"}}

every_module = pytest.mark.parametrize("module", MODULES)


def imports(module):
    """(name of the outermost package, True if the import stands in a function) of a module's absolute imports."""
    with open(os.path.join(PACKAGE, module), encoding="utf-8") as file:
        tree = ast.parse(file.read())
    inner = {
        node for function in ast.walk(tree) if isinstance(function, (ast.FunctionDef, ast.Lambda))
        for node in ast.walk(function)
    }
    for node in ast.walk(tree):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names = [node.module]
        for name in names:
            yield name.split(".")[0], node in inner


@every_module
def test_who_imports_what(module):
    found = set(imports(module))
    assert ("bcc", True) in found if module == "load/loader.py" else "bcc" not in dict(found)
    assert ("bcc", False) not in found
    assert ("rich", False) not in found
    assert module == "outputs/terminal.py" or "rich" not in dict(found)
    for name, where in LENT.items():
        assert (name, False) not in found
        assert module in where or name not in dict(found)


HEAVY = {"bcc", "rich", "pyroute2", "netaddr"} | {"ebpf_plugin." + name[:-3].replace("/", ".") for name in LOADER_SIDE}

DONE_WITH = {"iniconfig", "argparse", "json", "socket", "typing", "threading", "re", "ebpf_plugin.config",
             "ebpf_plugin.groups", "ebpf_plugin.load"}


@pytest.mark.parametrize("module, flags, unwanted", [
    ("__main__", ["-I"], HEAVY),
    # what runs for months is done with arguments, files and messages
    ("collect.daemon", ["-I", "-S"], HEAVY | DONE_WITH),
    # and what it imports only if it is wanted
    ("collect.daemon, ebpf_plugin.collect.applications, ebpf_plugin.collect.connections, ebpf_plugin.collect.resolver",
     ["-I", "-S"], HEAVY | DONE_WITH),
    ("collect.daemon, ebpf_plugin.collect.cgroups", ["-I", "-S"], HEAVY | DONE_WITH - {"re"}),
])
def test_what_a_process_holds(module, flags, unwanted):
    code = "import sys; sys.path.insert(0, sys.argv[1]); import ebpf_plugin.%s; print(*sys.modules)" % module
    done = subprocess.run([sys.executable] + flags + ["-c", code, os.path.dirname(PACKAGE)],
                          stdout=subprocess.PIPE, text=True, check=True)
    assert not set(done.stdout.split()) & unwanted


@every_module
def test_modules_open_with_a_sentence(module):
    with open(os.path.join(PACKAGE, module), encoding="utf-8") as file:
        assert (ast.get_docstring(ast.parse(file.read())) or "").split("\n")[0].rstrip().endswith((".", "?"))


def lines(*path):
    with open(os.path.join(ROOT, *path), encoding="utf-8") as file:
        return sum(1 for _ in file)


@every_module
def test_a_module_is_small(module):
    assert lines(PACKAGE, module) <= (200 if module.startswith("groups" + os.sep) else 250)


def test_programs_are_small():
    names = [name for name in os.listdir(os.path.join(ROOT, "bpf")) if name.endswith((".c", ".h"))]
    assert names and all(lines("bpf", name) <= 200 for name in names)


def text(name):
    path = os.path.join(ROOT, name)
    if not os.path.exists(path):
        pytest.skip("there is no %s yet" % name)
    with open(path, encoding="utf-8") as file:
        return file.read()


def test_the_version_of_setup_cfg():
    version = re.search(r"(?m)^version *= *(.*?) *$", text("setup.cfg")).group(1)
    assert version in ("attr: ebpf_plugin.VERSION", VERSION)


def test_the_version_of_the_changelog():
    assert re.search(r"(?m)^## \[?([\w.]+)", text("CHANGELOG.md")).group(1) == VERSION


def test_modules_of_the_tests_have_names_of_their_own():
    """Without packages pytest imports each by its file's name, and `make test` imports them all."""
    names = [name for _, _, files in os.walk(os.path.join(ROOT, "tests")) for name in files
             if name.endswith(".py") and name != "conftest.py"]
    assert sorted(names) == sorted(set(names))
