"""What several tests share: small data, what the loader would have said, and how hypothesis runs."""
import os

from hypothesis import HealthCheck, settings

from ebpf_plugin.load.loader import AttachedHook, Loaded
from ebpf_plugin.model.chart import Chart, Dimension
from ebpf_plugin.model.group import Function, Group, Hook, Switch, Tracepoint

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PACKAGE = os.path.join(ROOT, "plugin", "ebpf_plugin")

# No deadline: what is slow is the machine. No database: a test run leaves nothing behind.
FUZZ = settings(deadline=None, database=None, max_examples=300, suppress_health_check=[HealthCheck.too_slow])

GROUP = Group(
    name="toy",
    switch=Switch("toy"),
    counters=("in_calls", "in_errors", "out_calls"),
    hooks=(
        Hook("in", ("in_calls", "in_errors"), (Function("do_in", ("do_in",)),)),
        Hook("out", ("out_calls",), tracepoints=(Tracepoint("out_raw", ("out",), raw=True),)),
    ),
    charts=(
        Chart("flow", "In and out", "calls/s", "Toys",
              (Dimension("in", ("in_calls",)), Dimension("out", ("out_calls",), multiplier=-1)), 1,
              description="What goes in. What goes out."),
        Chart("inside", "Not out", "difference", "Toys",
              (Dimension("rest", ("in_calls",), ("out_calls",), "absolute"),), 2, description="What is in. It stays."),
        Chart("flow_error", "In fails", "calls/s", "Toys", (Dimension("in", ("in_errors",)),), 3, ("return",),
              "What does not go in. It is lost."),
    ),
)


def attached(group, method="trampoline", **methods):
    """{hook: AttachedHook}: every hook by `method` but those that are named."""
    return {hook.name: AttachedHook(methods.get(hook.name, method), ("here",), ()) for hook in group.hooks}


def loaded(*groups, **methods):
    """What loader.load() gives, without a kernel."""
    return Loaded(
        maps={group.name: index for index, group in enumerate(groups)}, tables={},
        hooks={group.name: attached(group, **methods) for group in groups}, broken={}, events=[], programs={}, links={},
        warnings=[], memory=0, values={"APP_ROWS": 1, "CGROUPS": 0, "CONNECTIONS": 1}, origin="a test", descriptors=[],
    )


def duplicates(names):
    """The names that occur more than once."""
    return sorted({name for name in names if names.count(name) > 1})


class Reader:
    """Gives one sample after the other; None in the script is a read that fails."""

    def __init__(self, *script):
        self._script = iter(script)

    def read(self):
        sample = next(self._script)
        if sample is None:
            raise OSError(5, "Input/output error")
        return sample
