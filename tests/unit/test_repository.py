"""The habits of the repository that a machine can check."""
import ast
import os
import re
import subprocess
import sys

from fakes import PACKAGE, ROOT, duplicates
import pytest

from ebpf_plugin import VERSION

MODULES = sorted(
    os.path.relpath(os.path.join(folder, name), PACKAGE)
    for folder, _, names in os.walk(PACKAGE) for name in names if name.endswith(".py")
)
# Arrows go down only: which folders a folder may import. What is above all folders (log.py, ...) may be imported by all but
# the data. Imports for the type checker alone do not count.
ALLOWED = {
    "model": set(),
    "groups": {"model"},
    "kernel": {"model"},
    "config": {"groups", "model", "kernel"},
    "compile": {"config", "groups", "model", "kernel"},
    "outputs": {"model"},
    "programs": {"series", "kernel", "model"},
    "series": {"model"},
    "internals": {"kernel", "model"},
    "collect": {"internals", "programs", "series", "outputs", "model", "kernel"},
    "endpoint": {"config", "outputs", "model", "kernel"},
    "load": {"compile", "collect", "config", "groups", "model", "kernel"},
    "commands": {"internals", "programs", "endpoint", "load", "compile", "collect", "outputs", "config", "groups", "model",
                 "kernel"},
}
# who may import them, and then in a function: none of it is in memory while the collector runs
LENT = {"netaddr": {"config/network_filters.py"}, "bcc": {"compile/bcc.py"}, "rich": {"outputs/terminal.py"},
        "pyroute2": set(), "yaml": {"endpoint/web_config.py"}, "ssl": {"endpoint/access.py"},
        "bcrypt": {"endpoint/access.py", "endpoint/web_config.py"}}

every_module = pytest.mark.parametrize("module", MODULES)


def parsed(module):
    """The syntax tree of a module, without what is for the type checker alone."""
    with open(os.path.join(PACKAGE, module), encoding="utf-8") as file:
        tree = ast.parse(file.read())
    tree.body = [node for node in tree.body if not (
        isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING")]
    return tree


@every_module
def test_arrows_go_down(module):
    folder = os.path.dirname(module)
    found = set()
    for node in ast.walk(parsed(module)):
        if isinstance(node, ast.ImportFrom) and node.level:
            # from .x: the own folder; from ..x.y: another one; in the top folder one dot is the top itself
            names = [node.module] if node.module else [alias.name for alias in node.names]
            if node.level == (2 if folder else 1):
                found.update(name.split(".")[0] for name in names)
    found = {name for name in found if os.path.isdir(os.path.join(PACKAGE, name))}
    assert found <= (ALLOWED[folder] if folder else set(ALLOWED)), "%s imports %s" % (module, found)


def test_no_folder_has_more_than_ten_files():
    sizes = {}
    for module in MODULES:
        if not module.endswith("__init__.py"):
            sizes.setdefault(os.path.dirname(module), []).append(module)
    # groups are one file each, as many as there are
    assert {folder: len(files) for folder, files in sizes.items() if len(files) > 10 and folder != "groups"} == {}


def test_unit_tests_mirror_the_folders():
    folders = {name for name in os.listdir(os.path.join(ROOT, "tests", "unit"))
               if os.path.isdir(os.path.join(ROOT, "tests", "unit", name)) and not name.startswith("__")}
    assert folders - set(ALLOWED) == {"tools"}
    assert set(ALLOWED) - folders == {"groups"}  # data: tests/unit/model checks it


def imports(module):
    """(name of the outermost package, True if the import stands in a function) of a module's absolute imports."""
    tree = parsed(module)
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
def test_who_imports_what_is_lent(module):
    found = set(imports(module))
    for name, where in LENT.items():
        assert (name, False) not in found
        assert module in where or (name, True) not in found


# what the resident process has, with everything on but control groups, besides what Python starts with
RESIDENT = {"__init__", "lifecycle", "log", "simple_patterns", "model", "model.declared", "outputs", "outputs.netdata",
            "outputs.netdata_protocol", "kernel", "kernel.bpf", "kernel.capabilities", "kernel.libc", "kernel.maps",
            "kernel.privileges", "kernel.process", "kernel.procfs", "kernel.tracefs", "series", "series.busiest",
            "series.charts", "series.table", "internals", "internals.charts", "internals.source"}
OF_COLLECT = ("application_matcher", "applications", "collector", "connections", "daemon", "missed_events", "resolver",
              "rows", "ticker")
HEAVY = {"bcc", "rich", "pyroute2", "netaddr", "ctypes.util", "subprocess"}
DONE_WITH = {"iniconfig", "argparse", "json", "socket", "typing", "threading", "re", "base64", "_blake2", "ctypes", "signal",
             "enum", "contextlib", "collections", "functools", "operator"}


def held_by(modules, *flags):
    """The modules that a Python has when it has imported these."""
    code = "import sys; sys.path.insert(0, sys.argv[1]); import %s; print(*sys.modules)" % ", ".join(modules)
    done = subprocess.run([sys.executable, "-I", *flags, "-c", code, os.path.dirname(PACKAGE)], stdout=subprocess.PIPE,
                          text=True, check=True)
    return set(done.stdout.split())


def test_the_collector_holds_what_is_on_the_list():
    held = held_by(["ebpf_plugin.internals.source", *("ebpf_plugin.collect." + name for name in OF_COLLECT)], "-S")
    ours = {name.partition(".")[2] or "__init__" for name in held if name.startswith("ebpf_plugin")}
    assert ours == RESIDENT | {"collect"} | {"collect." + name for name in OF_COLLECT}
    assert held & (HEAVY | DONE_WITH) == set()


def test_control_groups_take_regular_expressions_besides():
    held = held_by(["ebpf_plugin.collect.daemon", "ebpf_plugin.collect.cgroups"], "-S")
    assert held & (HEAVY | DONE_WITH) == {"re", "enum", "collections", "functools", "operator"}


def test_metrics_take_two_modules_besides_and_no_library():
    without = held_by(["ebpf_plugin.collect.daemon"], "-S")
    held = held_by(["ebpf_plugin.collect.daemon", "ebpf_plugin.outputs.published"], "-S")
    assert held - without == {"ebpf_plugin.outputs.published", "ebpf_plugin.outputs.sample_page"}


def test_the_command_holds_nothing_heavy():
    assert held_by(["ebpf_plugin.__main__"]) & HEAVY == set()
    assert held_by(["ebpf_plugin.commands.run"]) & HEAVY == set()


@every_module
def test_modules_open_with_a_sentence(module):
    with open(os.path.join(PACKAGE, module), encoding="utf-8") as file:
        assert (ast.get_docstring(ast.parse(file.read())) or "").split("\n")[0].rstrip().endswith((".", "?"))


def lines(*path):
    with open(os.path.join(ROOT, *path), encoding="utf-8") as file:
        return sum(1 for _ in file)


@every_module
def test_a_module_is_small(module):
    """A file of over 250 lines holds two ideas; a group's data is one, however long."""
    assert lines(PACKAGE, module) <= 250 or module.startswith("groups" + os.sep)


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
    """What is not released yet stands under Unreleased, first."""
    headings = re.findall(r"(?m)^## \[?([\w.]+)", text("CHANGELOG.md"))
    assert [heading for heading in headings if heading != "Unreleased"][0] == VERSION
    assert "Unreleased" not in headings[1:]


def test_file_names_of_test_modules_are_unique():
    """Without packages pytest imports each by its file's name, and `make test` imports them all."""
    names = [name for _, _, files in os.walk(os.path.join(ROOT, "tests")) for name in files
             if name.endswith(".py") and name != "conftest.py"]
    assert duplicates(names) == []
