"""The text of metrics, held to the parsers of prometheus_client and to the names that promtool accepts."""
import math
import shutil
import subprocess

from fakes import FUZZ, attached
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text
import pytest

from ebpf_plugin.groups import GROUPS
from ebpf_plugin.model.declared import Chart, Dimension
from ebpf_plugin.model.select import select_application_charts, select_charts
from ebpf_plugin.outputs import metrics

HOOKS = {group.name: attached(group) for group in GROUPS}
FIXED = select_charts(GROUPS, "return", HOOKS)


def of_applications(*names):
    return [chart.replaced(dimensions=tuple(Dimension(name, labels=(("application", name),)) for name in names))
            for chart in select_application_charts(GROUPS, "return", HOOKS)]


def chart(*dimensions, **fields):
    found = Chart("toy", "flow", "In and out", "bytes/s", "Toys", 1, dimensions)
    return found.replaced(**fields)


def text(sample, openmetrics=False):
    return "".join(metrics.texts(sample, openmetrics)) + (metrics.END if openmetrics else "")


def samples(sample, openmetrics=False):
    """{(name, labels): value} as prometheus_client reads the text."""
    parse = parse_openmetrics if openmetrics else parse_text
    found = {}
    for family in parse(text(sample, openmetrics)):
        for each in family.samples:
            place = each.name, tuple(sorted(each.labels.items()))
            assert place not in found
            found[place] = each.value
    return found


both_formats = pytest.mark.parametrize("openmetrics", [False, True])


@both_formats
def test_counters_of_the_machine(openmetrics):
    io = next(chart for chart in FIXED if chart.id == "io")
    assert samples([(io, (23, 2 ** 53))], openmetrics) == {
        ("ebpf_vfs_io_calls_total", (("operation", "read"),)): 23,
        ("ebpf_vfs_io_calls_total", (("operation", "write"),)): 2 ** 53}


def test_the_text_of_0_0_4():
    io_bytes = next(chart for chart in FIXED if chart.id == "io_bytes")
    assert text([(io_bytes, (94208, 7))]) == """\
# HELP ebpf_vfs_io_bytes_total Bytes read and written through VFS
# TYPE ebpf_vfs_io_bytes_total counter
ebpf_vfs_io_bytes_total{operation="read"} 94208
ebpf_vfs_io_bytes_total{operation="write"} 7
"""


def test_the_text_of_openmetrics():
    io_bytes = next(chart for chart in FIXED if chart.id == "io_bytes")
    assert text([(io_bytes, (94208, 7))], True) == """\
# TYPE ebpf_vfs_io_bytes counter
# UNIT ebpf_vfs_io_bytes bytes
# HELP ebpf_vfs_io_bytes Bytes read and written through VFS
ebpf_vfs_io_bytes_total{operation="read"} 94208
ebpf_vfs_io_bytes_total{operation="write"} 7
# EOF
"""


@both_formats
def test_what_is_unknown_has_no_sample(openmetrics):
    one, other = Dimension("one", labels=(("way", "one"),)), Dimension("other", labels=(("way", "other"),))
    assert samples([(chart(one, other), (None, 3))], openmetrics) == {("ebpf_toy_flow_bytes_total", (("way", "other"),)): 3}
    assert text([(chart(one, other), (None, None)), (chart(), ())]) == ""


@both_formats
def test_what_is_drawn_below_zero_counts_up(openmetrics):
    assert samples([(chart(Dimension("sent", multiplier=-1)), (5,))], openmetrics) == {("ebpf_toy_flow_bytes_total", ()): 5}


@both_formats
def test_a_difference_is_a_gauge_with_its_sign(openmetrics):
    difference = chart(Dimension("rest", "absolute"), units="difference")
    assert samples([(difference, (-5,))], openmetrics) == {("ebpf_toy_flow", ()): -5}
    assert "# TYPE ebpf_toy_flow gauge\n" in text([(difference, (-5,))], openmetrics)


@both_formats
def test_times_are_seconds(openmetrics):
    times = next(chart for chart in FIXED if chart.id == "softirq_time")
    nanoseconds = (123456789012345,) + (1,) * 9
    found = samples([(times, nanoseconds)], openmetrics)
    assert found["ebpf_softirq_time_seconds_total", (("vector", "HI"),)] == 123456.789012345
    assert found["ebpf_softirq_time_seconds_total", (("vector", "RCU"),)] == 1e-9


@both_formats
def test_histograms(openmetrics):
    charts = [chart for chart in FIXED if chart.group == "softirq"]
    values = [tuple(range(10)), tuple(n * 10 ** 9 for n in range(10))] + [tuple(range(n, n + 12)) for n in range(10)]
    sample = list(zip(charts, values))
    found = samples(sample, openmetrics)
    vector = ("vector", "NET_RX")  # the fourth
    buckets = {float(dict(labels)["le"]): value for (name, labels), value in found.items()
               if name == "ebpf_softirq_duration_seconds_bucket" and vector in labels}
    assert buckets == {**{((1 << n) * 1000 - 1) / 1e9: sum(range(3, 4 + n)) for n in range(11)},
                       math.inf: sum(range(3, 15))}
    assert found["ebpf_softirq_duration_seconds_sum", (vector,)] == 3
    assert found["ebpf_softirq_duration_seconds_count", (vector,)] == sum(range(3, 15))
    assert text(sample).count("# TYPE ebpf_softirq_duration_seconds histogram") == 1


@both_formats
def test_a_histogram_with_an_unknown_slot_is_unknown(openmetrics):
    slots = next(chart for chart in FIXED if chart.id == "softirq_duration_hi")
    assert text([(slots, (1,) * 11 + (None,))], openmetrics) == ("# EOF\n" if openmetrics else "")


@both_formats
@FUZZ
@given(st.lists(st.text(st.characters(blacklist_categories=("Cs",)), min_size=1), min_size=1, unique=True))
def test_any_name_of_an_application_comes_back_as_it_is(openmetrics, names):
    opens = of_applications(*names)[0]
    assert samples([(opens, tuple(range(len(names))))], openmetrics) == {
        ("ebpf_application_file_open_calls_total", (("application", name),)): number for number, name in enumerate(names)}


@both_formats
@FUZZ
@given(st.text(st.characters(blacklist_categories=("Cs",))))
def test_any_title_is_a_line_of_help(openmetrics, more):
    title = "Calls%s." % more
    parse = parse_openmetrics if openmetrics else parse_text
    found, = parse(text([(chart(Dimension("a"), title=title), (1,))], openmetrics))
    assert (found.documentation, found.type) == (title, "counter")


def everything():
    """Every chart with a number for each dimension."""
    charts = [*FIXED, *of_applications("a", "b")]
    return [(chart, tuple(range(len(chart.dimensions)))) for chart in charts]


@both_formats
def test_every_chart_can_be_parsed(openmetrics):
    expected = {metrics.metric.family(chart).name for chart, _ in everything()}
    found = {family.name for family in (parse_openmetrics if openmetrics else parse_text)(text(everything(), openmetrics))}
    assert found == {name[:-len("_total")] if name.endswith("_total") else name for name in expected}


@pytest.mark.skipif(not shutil.which("promtool"), reason="promtool (Debian: prometheus) is not installed")
def test_promtool_has_no_complaint():
    checked = subprocess.run(["promtool", "check", "metrics"], input=text(everything()), stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT, text=True)
    assert (checked.returncode, checked.stdout) == (0, "")
