"""What `ebpf.plugin programs` prints: a table for people, or a line of JSON."""
from __future__ import annotations

import json
import os
import time

from .. import log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Sequence

    from ..programs.usage import Usage

HEAD = ("CPU %", "machine %", "runs/s", "average ns", "runs", "id", "type", "name", "attached to", "held by", "pinned at",
        "maps kB")
RIGHT = {0, 1, 2, 3, 4, 5, 11}  # columns of numbers
MOST_PLACES = 3  # of one program that are listed
CLEAR = "\x1b[H\x1b[J"


def table(usages: Sequence[Usage], size: os.terminal_size | None = None) -> str:
    """One line for each, below a heading. With `size` only as much as a terminal of that size shows."""
    rows = [HEAD, *[_row(usage) for usage in usages[:None if size is None else max(0, size.lines - 3)]]]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEAD))]
    lines = ["  ".join(cell.rjust(width) if column in RIGHT else cell.ljust(width)
                       for column, (cell, width) in enumerate(zip(row, widths))).rstrip() for row in rows]
    return "".join("%s\n" % (line if size is None else line[:size.columns]) for line in lines)


def _row(usage: Usage) -> tuple[str, ...]:
    program = usage.program
    return (
        "%.3f" % usage.of_a_cpu, "%.3f" % usage.of_the_machine, "{:,.0f}".format(usage.rate),
        "-" if usage.average is None else "{:,.0f}".format(usage.average), "{:,d}".format(program.runs), str(program.id),
        program.type, _some([usage.name]), _some(usage.attached),
        _some(["%s[%d]" % (comm, pid) for pid, comm in sorted(usage.holders.items())]), _some(usage.pins),
        "{:,d}".format(usage.memory // 1024))


def _some(texts: list[str]) -> str:
    """They come from anywhere: a pin or a process may have any name."""
    more = len(texts) - MOST_PLACES
    return log.printable(", ".join(texts[:MOST_PLACES]) + (" and %d more" % more if more > 0 else "")) or "-"


def heading(usages: Sequence[Usage], of: int, by: str) -> str:
    """The line above the table; `of` is how many programs there are."""
    return "%s  %d of %d programs: %.3f %% of a CPU, %.3f %% of the machine; sorted by %s\n" % (
        time.strftime("%H:%M:%S"), len(usages), of, sum(usage.of_a_cpu for usage in usages),
        sum(usage.of_the_machine for usage in usages), by)


def line_of_json(usages: Sequence[Usage], cpus: int) -> str:
    """An object with all that is known; sizes in bytes, times in nanoseconds."""
    return json.dumps({"time": time.time(), "cpus": cpus, "programs": [_as_object(usage) for usage in usages]}) + "\n"


def _as_object(usage: Usage) -> dict[str, Any]:
    program = usage.program
    return {
        "id": program.id, "type": program.type, "name": usage.name, "uid": program.uid, "ours": usage.is_ours,
        "interval_ns": usage.interval, "interval_runs": usage.ran, "interval_run_time_ns": usage.used,
        "cpu_percent": usage.of_a_cpu, "machine_percent": usage.of_the_machine, "runs_per_second": usage.rate,
        "average_ns": usage.average, "runs": program.runs, "run_time_ns": program.run_time, "missed": program.missed,
        "attached": usage.attached, "holders": [{"pid": pid, "comm": comm} for pid, comm in sorted(usage.holders.items())],
        "pins": usage.pins, "maps_bytes": usage.memory,
    }
