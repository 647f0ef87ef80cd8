"""The output that hands each sample to the process that serves metrics, and then to another output, if there is one."""
from __future__ import annotations

import os
import time

from .. import lifecycle, log
from ..model.declared import Chart, Dimension
from .sample_page import RAW, Writer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..collect.collector import Sample
    from . import Output


# the others show the same numbers once more, but for those of the plugin itself (`netdata`) that are called something
TYPES = ("ebpf", "apps", "cgroups")


class Published:
    """state: {"page": descriptor, "server": process id, "alive": descriptor that it ends without, "hooks": (group, hook,
    attach method or "") of each, "counters": {group: names} of those whose rows are told as they are}; every: the interval
    in seconds; output: the other one, or None.

    Without another output there is nothing to do when the server has ended: that ends the plugin.
    """

    def __init__(self, state: dict[str, Any], every: float, output: Output | None):
        self._writer, self._server, self._alive = Writer(state["page"]), state["server"], state["alive"]
        self._every, self._output = every, output
        self._readers: Any = {}
        self._raw = {group: Chart(group, RAW, "", "", "", 0, tuple([Dimension(name) for name in names]), type=RAW)
                     for group, names in state["counters"].items()}
        self._hooks = _about("hook_attached", "Whether the programs of a hook are attached", tuple(
            [(("group", group), ("hook", hook), ("method", method)) for group, hook, method in state["hooks"]]), "absolute")
        self._attached = tuple([int(method != "") for _, _, method in state["hooks"]])
        self._tick = _about("tick", "Time from the beginning of the tick until its numbers were handed over", ((),),
                            "absolute", "microseconds")

    def __enter__(self) -> Published:
        if self._output is not None:
            self._output.__enter__()
        return self

    def __exit__(self, *error: Any) -> Any:
        # at once: behind us the kernel takes programs down for seconds, and who starts the plugin again needs the address
        os.close(self._alive)
        return self._output.__exit__(*error) if self._output is not None else False

    def still_here(self) -> None:
        """In the middle of a long wait."""
        if self._output is not None:
            self._output.still_here()

    def begin(self, now: float, sample: Sample) -> None:
        """Counters can be read at once, however long the first tick takes."""
        self._publish(now, sample)
        if self._output is not None:
            self._output.begin(now, sample)

    def show(self, now: float, sample: Sample) -> None:
        """A tick."""
        self._publish(now, sample)
        if self._output is not None:
            self._output.show(now, sample)

    def watch(self, readers: Any) -> None:
        """Tell rows as they are, too, by `columns` of these Counters."""
        self._readers = readers

    def _own(self, now: float) -> Sample:
        """Charts of the plugin itself, which only metrics have."""
        found: Sample = [(self._hooks, self._attached), (self._tick, (round((time.monotonic() - now) * 1e6),))]
        for group, chart in self._raw.items():
            columns = self._readers[group].columns if group in self._readers else ()
            rows: Any = tuple([(row, values) for row, values in enumerate(zip(*columns)) if any(values)])
            found.append((chart, rows))
        return found

    def _publish(self, now: float, sample: Sample) -> None:
        if not self._server:
            return
        ended, status = os.waitpid(self._server, os.WNOHANG)
        if ended:
            self._server = 0
            log.write(log.ERROR, "the process that serves metrics has ended with status %d: there are no metrics until the "
                      "plugin is started again" % os.waitstatus_to_exitcode(status))
            if self._output is None:
                raise lifecycle.Stop(1)
            return
        try:
            shown = [each for each in sample if each[0].type in TYPES or each[0].type == "netdata" and each[0].metric]
            self._writer.write(now, time.time(), self._every, shown + self._own(now))
        except OSError as error:
            log.once(log.ERROR, "cannot hand samples to the process that serves metrics: %s" % error.strerror)


def _about(id: str, title: str, labels: tuple[Any, ...], algorithm: str = "incremental", units: str = "") -> Chart:
    """A chart of the plugin itself, with a dimension for each of `labels`."""
    return Chart("plugin", id, title, units, "ebpf.plugin", 0, _dimensions(labels, algorithm))


def _dimensions(labels: tuple[Any, ...], algorithm: str) -> tuple[Dimension, ...]:
    return tuple([Dimension("%d" % place, algorithm, labels=of_one) for place, of_one in enumerate(labels)])
