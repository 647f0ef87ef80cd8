"""Charts and dimensions as they are declared to the outputs. The collector does without typing and collections."""
from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Iterable


class Dimension:
    """A dimension of a chart: a series with a value at each tick.

    plus, minus: places in the group's counters whose sums make the value, empty if it comes from a table. methods: the
    attach methods of its hooks. name: for people, if it is not the id. labels: pairs of name and value. start: what the
    counter began with when the dimension appeared, None if that was before the first tick.
    """

    __slots__ = ("id", "algorithm", "multiplier", "plus", "minus", "methods", "name", "labels", "start", "divisor")

    def __init__(self, id: str, algorithm: str = "incremental", multiplier: int = 1, plus: tuple[int, ...] = (),
                 minus: tuple[int, ...] = (), methods: tuple[str, ...] = (), name: str = "",
                 labels: tuple[tuple[str, str], ...] = (), start: int | None = None,
                 divisor: int = 1):
        self.id, self.algorithm, self.multiplier, self.plus, self.minus = id, algorithm, multiplier, plus, minus
        self.methods, self.name, self.labels, self.start, self.divisor = methods, name, labels, start, divisor

    def fields(self) -> tuple[Any, ...]:
        """All fields in order: Dimension(*fields) is the same."""
        return tuple(getattr(self, name) for name in self.__slots__)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Dimension) and self.fields() == other.fields()

    def __repr__(self) -> str:
        return "Dimension%r" % (self.fields(),)


class Chart:
    """A chart that is declared. group: the name of its group; title: with what its numbers mean here; kind: line or stacked;
    type: what stands before the id; by: what its dimensions are told apart by ("application", ...), "" if they are fixed;
    context: what outputs group charts by, "" for type and id; labels: pairs of name and value; metric: the fields of
    model.chart.Metric, or none."""

    __slots__ = ("group", "id", "title", "units", "family", "priority", "dimensions", "kind", "type", "by", "context",
                 "labels", "metric", "full_id")

    def __init__(self, group: str, id: str, title: str, units: str, family: str, priority: int,
                 dimensions: tuple[Dimension, ...], kind: str = "line", type: str = "ebpf", by: str = "",
                 context: str = "", labels: tuple[tuple[str, str], ...] = (), metric: tuple[Any, ...] = ()):
        self.group, self.id, self.title, self.units, self.family, self.priority = group, id, title, units, family, priority
        self.dimensions, self.kind, self.type, self.by, self.context = dimensions, kind, type, by, context
        self.labels, self.metric = labels, metric
        self.full_id = "%s.%s" % (type, id)

    def fields(self) -> tuple[Any, ...]:
        """All fields in order: Chart(*fields) is the same."""
        return tuple(getattr(self, name) for name in self.__slots__[:-1])

    def replaced(self, **fields: Any) -> Chart:
        """The same with other values of some fields."""
        return Chart(**{**dict(zip(self.__slots__, self.fields())), **fields})

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Chart) and self.fields() == other.fields()

    def __repr__(self) -> str:
        return "Chart%r" % (self.fields(),)


def pack(charts: Iterable[Chart]) -> tuple[Any, ...]:
    """Charts as plain tuples, for marshal."""
    return tuple(chart.replaced(dimensions=tuple(dimension.fields() for dimension in chart.dimensions)).fields()
                 for chart in charts)


def unpack(packed: Iterable[tuple[Any, ...]]) -> tuple[Chart, ...]:
    """The contrary of pack()."""
    return tuple(_unpacked(fields) for fields in packed)


def _unpacked(fields: tuple[Any, ...]) -> Chart:
    known: dict[str, Any] = dict(zip(Chart.__slots__, fields))
    known["dimensions"] = tuple(Dimension(*dimension) for dimension in known["dimensions"])
    return Chart(**known)
