"""Exact comparison of counts. Each difference is a line of chart, dimension, expected, seen, attach method, kernel."""
import os

ROW = ("sent_bytes", "sent_packets", "recv_bytes", "recv_packets")  # of a group of connections


def assert_counts(seen, expected, attached_by="", mode=""):
    """`seen` and `expected` are {"chart.dimension": count}, what is not named is 0. `attached_by` is the attach method, or
    {"chart.dimension": attach methods}. Each difference is a line of the error."""
    __tracebackhide__ = True
    lines = [line_of(name, expected.get(name, 0), seen.get(name, 0), attached_by, mode)
             for name in sorted({**seen, **expected}) if seen.get(name, 0) != expected.get(name, 0)]
    if lines:
        raise AssertionError("\n".join(lines))


def line_of(name, expected, seen, attached_by, mode):
    methods = attached_by if isinstance(attached_by, str) else "+".join(sorted(attached_by.get(name, ())))
    chart, _, dimension = name.rpartition(".")
    return "chart %s, dimension %s: expected %s, seen %s, attached by %s, load mode %s, kernel %s" % (
        chart or "none", dimension, expected, seen, methods or "unknown", mode or "unknown", os.uname().release)


def difference(after, before):
    """{name: what it has grown by}, without those that are as they were."""
    return {name: value - before.get(name, 0) for name, value in after.items() if value != before.get(name, 0)}


def by_dimension(rows):
    """{"connections DIRECTION PROTOCOL PORT ADDRESS.NAME": count} of {(direction, protocol, port, address): as in ROW}."""
    return {"connections %s.%s" % (" ".join(map(str, row)), name): value
            for row, values in rows.items() for name, value in zip(ROW, values)}


def of_counters(counters):
    """{"counter NAME": count}"""
    return {"counters.%s" % name: value for name, value in counters.items()}
