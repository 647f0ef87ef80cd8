"""The table of programs, and the line of JSON."""
import json
import os
from types import SimpleNamespace

from ebpf_plugin.outputs import programs_table
from ebpf_plugin.programs.usage import Usage


def usage(number=7, name="vfs_read", attached=(), holders=None, pins=(), ran=23, used=4600):
    program = SimpleNamespace(id=number, type="kprobe", name=name, at=10 ** 9, runs=1023, run_time=104600, missed=2, uid=0)
    found = Usage(program, (0, 1023 - ran, 104600 - used), 2)
    found.attached, found.holders, found.pins = list(attached), dict(holders or {}), list(pins)
    found.memory = 8192
    return found


def cells(line):
    return [cell.strip() for cell in line.split("  ") if cell.strip()]


def test_a_line_for_each_program():
    lines = programs_table.table([usage(attached=["kprobe:vfs_read"], holders={31: "ebpf.plugin"}, pins=["/sys/fs/bpf/a"]),
                                  usage(8, ran=0, used=0)]).splitlines()
    assert cells(lines[0]) == list(programs_table.HEAD)
    assert cells(lines[1]) == ["0.000", "0.000", "23", "200", "1,023", "7", "kprobe", "vfs_read", "kprobe:vfs_read",
                               "ebpf.plugin[31]", "/sys/fs/bpf/a", "8"]
    assert cells(lines[2]) == ["0.000", "0.000", "0", "-", "1,023", "8", "kprobe", "vfs_read", "-", "-", "-", "8"]


def test_names_cannot_move_the_cursor():
    text = programs_table.table([usage(holders={1: "a\x1b[2Jb\nc"}, pins=["/sys/fs/bpf/\udcff\r"])])
    assert len(text.splitlines()) == 2
    assert "a\\x1b[2Jb\\nc[1]" in text
    assert "/sys/fs/bpf/\\udcff\\r" in text
    text.encode()  # it can be written


def test_of_many_places_some_are_listed():
    text = programs_table.table([usage(attached=["a", "b", "c", "d", "e"])])
    assert "a, b, c and 2 more" in text


def test_a_terminal_gets_as_much_as_it_shows():
    lines = programs_table.table([usage(number) for number in range(100)], os.terminal_size((40, 10))).splitlines()
    assert len(lines) == 8  # the heading above, and the cursor's line
    assert max(map(len, lines)) <= 40


def test_the_heading_adds_up():
    text = programs_table.heading([usage(used=10 ** 7), usage(used=3 * 10 ** 7)], 5, "overhead")
    assert text.endswith("2 of 5 programs: 4.000 % of a CPU, 2.000 % of the machine; sorted by overhead\n")


def test_json_is_one_line_with_exact_numbers():
    text = programs_table.line_of_json([usage(name="a\nb", holders={31: "\udcff\x1b"}, pins=["/p"])], 2)
    assert text.count("\n") == 1
    found = json.loads(text)
    program, = found["programs"]
    assert found["cpus"] == 2
    assert (program["runs"], program["run_time_ns"], program["missed"], program["maps_bytes"]) == (1023, 104600, 2, 8192)
    assert (program["interval_runs"], program["interval_run_time_ns"], program["interval_ns"]) == (23, 4600, 10 ** 9)
    assert (program["average_ns"], program["runs_per_second"]) == (200, 23)
    assert (program["name"], program["holders"], program["pins"]) == ("a\nb", [{"pid": 31, "comm": "\udcff\x1b"}], ["/p"])
