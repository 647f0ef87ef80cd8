"""Charts as groups declare them: frozen data."""
from __future__ import annotations

from typing import NamedTuple

ENTRY, RETURN = MODES = ("entry", "return")


class Dimension(NamedTuple):
    """A dimension: `id` is shown as it is. `plus` and `minus` are counters whose sums make the value.

    It is declared if every hook that writes them is attached. What is shown is its value times `multiplier` by `divisor`.
    `labels` are pairs of name and value for metrics, instead of the chart's label with the id. With a label `le`, the value
    counts observations up to that bound which no dimension before it has counted, and the chart is a histogram.
    """

    id: str
    plus: tuple[str, ...]
    minus: tuple[str, ...] = ()
    algorithm: str = "incremental"
    multiplier: int = 1
    divisor: int = 1
    labels: tuple[tuple[str, str], ...] = ()


class Metric(NamedTuple):
    """How a chart is called where names follow Prometheus, as far as the rule of model/metric.py does not say it well.

    name: without prefix, unit and `_total`. label: the name of the label whose values are the dimensions' ids. help: instead
    of the chart's title. sum: for a histogram, the chart and the dimension of the same group whose value is the sum of what
    was observed.
    """

    name: str = ""
    label: str = ""
    help: str = ""
    sum: tuple[str, ...] = ()


class Chart(NamedTuple):
    """A chart of type `ebpf`. `units` are per second where the dimensions are incremental.

    `context` is what dashboards and alarm templates group charts by; "" is type and id. The contexts of Netdata's own plugin
    (1.37.1 to 2.10) stand for the same things here.

    `cgroup` is, of a chart of applications, the end of the contexts of the charts of control groups that show the same
    (`cgroup.fd_open`, `services.fd_open`); "" if there are none.

    `description` is for people: two to four plain sentences on what it counts, at which point of the kernel, what it does
    not see, what a rise means. The collector does not hold it.

    An `absolute` dimension is sent as its change since the tick before, so it needs two ticks on time. `priority` is the
    place in the dashboard, lower numbers first; 0 means behind all charts that have one, in the registry's order.
    """

    id: str
    title: str
    units: str
    family: str
    dims: tuple[Dimension, ...]
    priority: int = 0
    modes: tuple[str, ...] = MODES
    description: str = ""
    context: str = ""
    cgroup: str = ""
    metric: Metric = Metric()


def placed(first: int, *charts: Chart) -> tuple[Chart, ...]:
    """The charts, with the priorities `first`, `first` + 1, ..."""
    return tuple(chart._replace(priority=first + place) for place, chart in enumerate(charts))


def per_application(chart: str, title: str, units: str, counters: tuple[str, ...], description: str,
                    family: str = "ebpf syscall", modes: tuple[str, ...] = MODES, context: str = "",
                    cgroup: str = "", metric: str = "") -> Chart:
    """A chart for Group.apps: of each application the sum of `counters`. The other arguments are those of Chart; `metric`
    is the name in its Metric."""
    return Chart(id=chart, title=title, units=units, family=family, modes=modes, description=description, context=context,
                 dims=(Dimension("application", counters),), cgroup=cgroup, metric=Metric(metric))
