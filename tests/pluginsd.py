"""The agent's side of the protocol, for tests: how it splits a line, and what it makes of all that a plugin writes."""
import unicodedata


def words(line):
    """A line as the agent splits it: at white space and `=`; a quote counts at the beginning of a word and runs to the next
    of its kind; a backslash hides the next character and stays."""
    found, at = [], 0
    while at < len(line):
        if line[at] in " \t\r\n=":
            at += 1
            continue
        closing = line[at] if line[at] in "'\"" else None
        start = at = at + (closing is not None)
        while at < len(line) and (line[at] != closing if closing else line[at] not in " \t\r\n="):
            at += 2 if line[at] == "\\" else 1
        found.append(line[start:at])
        at += 1
    return found


def check_line(line):
    assert line.endswith("\n") and len(line.splitlines()) == 1
    assert len(line.encode("utf-8")) < 15000
    assert not any(unicodedata.category(character) in ("Cc", "Cs") for character in line[:-1])


class Agent:
    """Takes a plugin's text and fails on what the agent would complain of.

    charts: {id: {dimension: [name, last value or None, obsolete]}}; `sums`: {(chart, dimension): what it has drawn in all},
    as the agent does with an incremental dimension: from one value to the next, the first one is only remembered.
    """

    def __init__(self):
        self.charts, self.declared, self.sums, self.falls = {}, [], {}, []
        self._chart = self._open = None
        self._labels = False

    def take(self, text):
        for line in text.splitlines(True):
            check_line(line)
            verb, *rest = words(line) or [""]
            getattr(self, "_take_" + verb.lower())(*rest)
        assert self._open is None, "no END"

    def _take_(self):
        """A line that keeps the agent listening."""

    def _take_chart(self, name, *rest):
        assert len(rest) == 11, rest
        self.declared.append(name)
        self._chart = self.charts.setdefault(name, {})

    def _take_dimension(self, name, shown, algorithm, multiplier, divisor, *options):
        assert algorithm in ("incremental", "absolute")
        assert int(divisor) > 0
        assert int(multiplier) != 0
        _, last, _ = self._chart.get(name, (None, None, None))
        self._chart[name] = [shown or name, last, "obsolete" in options]
        self.declared.append(name)

    def _take_clabel(self, name, value, source):
        assert self._chart is not None and self._open is None and name and source == "1"
        self._labels = True

    def _take_clabel_commit(self):
        assert self._labels, "1.37.1 stops a plugin that commits no label"
        self._labels = False

    def _take_begin(self, name, microseconds=None):
        assert self._open is None and name in self.charts, name
        self._open = name

    def _take_set(self, name, value):
        dimension = self.charts[self._open][name]
        assert not dimension[2], "%s is obsolete" % name
        _, last, _ = dimension
        dimension[1] = int(value)
        if last is not None:
            if int(value) < last:
                self.falls.append((self._open, name, last, int(value)))
            key = self._open, name
            self.sums[key] = self.sums.get(key, 0) + int(value) - last

    def _take_end(self):
        assert self._open
        self._open = None


def of_type(wanted, text):
    """The lines about charts of one type ("apps" of "apps.file_open")."""
    lines, keep = [], False
    for line in text.splitlines(True):
        if line.startswith(("CHART", "BEGIN")):
            keep = line.split()[1].startswith(wanted + ".")
        if keep:
            lines.append(line)
    return "".join(lines)
