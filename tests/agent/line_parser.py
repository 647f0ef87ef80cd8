"""Reads what a plugin prints as an agent does, by the rules that were read in the sources of Netdata 1.37.1 and of its head
in 2026 and observed on 1.37.1 and 2.10.4. Where the two differ it takes only what both take.

It stands in for newer agents, which no Debian 12 package has; the tests with the agent itself are beside it.
"""
import re
from typing import NamedTuple

LONGEST = 15000  # 1.37.1 cuts a line at 15,359 bytes and takes the rest for another line
MOST_WORDS = 20  # the rest is dropped silently
CHART_TYPES = ("line", "area", "stacked")
ALGORITHMS = ("absolute", "incremental", "percentage-of-absolute-row", "percentage-of-incremental-row")


class Fault(Exception):
    """What an agent would stop the plugin for, or crash at, or store as something else than was meant."""


class Chart(NamedTuple):
    """A declared chart. `dimensions` is {id: (name, algorithm, multiplier, divisor)}."""

    name: str
    title: str
    units: str
    family: str
    context: str
    kind: str
    priority: int
    every: int
    options: str
    plugin: str
    module: str
    dimensions: dict


class Parser:
    """`charts` is {type.id: Chart}; `samples` is a list of (type.id, microseconds or None, {dimension: value})."""

    def __init__(self):
        self.charts, self.samples, self.disabled = {}, [], False
        self._rest, self._defined, self._open, self._labelled = b"", None, None, False

    def feed(self, data):
        """Takes bytes as they come. A line is taken when its end has come; newer agents never take one without."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._line(line)

    def end(self):
        if self._rest:
            raise Fault("a last line without its end: %r" % self._rest)
        if self._open:
            raise Fault("a block without END: %s" % self._open[0])

    def _line(self, line):
        if len(line) > LONGEST:
            raise Fault("a line of %d bytes" % len(line))
        text = line.decode("utf-8")
        if re.search(r"[\0-\x08\x0b\x0c\x0e-\x1f\x7f]", text):
            raise Fault("a control character in %r" % text)
        words = split(text)
        if not words:
            return  # keeps a connection alive that is silent for 120 s
        if self.disabled:
            raise Fault("after DISABLE: %r" % text)
        if len(words) > MOST_WORDS:
            raise Fault("%d words in %r" % (len(words), text))
        handler = getattr(self, "_" + words[0], None) if re.fullmatch("[A-Z_]+", words[0]) else None
        if handler is None:
            raise Fault("an unknown keyword: %r" % text)
        handler(*words[1:])

    def _CHART(self, full, name="", title="", units="", family="", context="", kind="line", priority="1000", every="0",
               options="", plugin="", module=""):
        if self._open:
            raise Fault("CHART inside a block")
        if not re.fullmatch(r"[\w-]+\.[\w.-]+", full, re.ASCII) or len(full) > 199:
            raise Fault("chart id %r" % full)
        if kind not in CHART_TYPES:
            raise Fault("chart type %r" % kind)
        if not 1 <= number(every) <= 86400:
            raise Fault("update_every %r" % every)
        dimensions = self.charts[full].dimensions if full in self.charts else {}
        self.charts[full] = Chart(name, title, units, family, context, kind, number(priority), number(every), options,
                                  plugin, module, dimensions)
        self._defined, self._labelled = full, False

    def _DIMENSION(self, name, shown="", algorithm="absolute", multiplier="1", divisor="1", options=""):
        if not self._defined:
            raise Fault("DIMENSION without CHART")
        if not name:
            raise Fault("dimension id %r" % name)  # an empty one crashes 1.37.1
        if algorithm not in ALGORITHMS or not number(multiplier) or not number(divisor):
            raise Fault("dimension %s: %s %s %s" % (name, algorithm, multiplier, divisor))
        if "obsolete" in options:
            self.charts[self._defined].dimensions.pop(name, None)
        else:
            self.charts[self._defined].dimensions[name] = (shown or name, algorithm, number(multiplier), number(divisor))

    def _CLABEL(self, name, _value, source):  # fewer than three words crash 1.37.1, and so does one without a chart
        if not self._defined or not name or number(source) not in (1, 2, 4, 8):
            raise Fault("CLABEL %s" % name)
        self._labelled = True

    def _CLABEL_COMMIT(self):
        if not self._labelled:
            raise Fault("CLABEL_COMMIT without CLABEL")

    def _BEGIN(self, full, microseconds=None):
        if self._open:
            raise Fault("BEGIN %s inside a block: what was open is dropped" % full)
        if full not in self.charts:
            raise Fault("BEGIN of the unknown chart %s" % full)
        if microseconds is not None and number(microseconds) <= 0:
            raise Fault("BEGIN %s %s" % (full, microseconds))
        self._open, self._defined = (full, microseconds and int(microseconds), {}), None

    def _SET(self, dimension, value=""):
        if not self._open:
            raise Fault("SET without BEGIN")
        full, _, values = self._open
        if dimension not in self.charts[full].dimensions:
            raise Fault("SET of the unknown dimension %s of %s" % (dimension, full))
        if dimension in values:
            raise Fault("%s of %s is set twice" % (dimension, full))
        if value:
            values[dimension] = number(value)

    def _END(self):
        if not self._open:
            raise Fault("END without BEGIN")
        self.samples.append(self._open)
        self._open = None

    def _DISABLE(self):
        self.disabled = True


def number(text):
    """A number that every agent reads alike: plain decimal, no leading zero, 64 bits with a sign."""
    if not re.fullmatch(r"0|-?[1-9][0-9]{0,18}", text) or not -2 ** 63 <= int(text) < 2 ** 63:
        raise Fault("number %r" % text)
    return int(text)


def split(text):
    """The words of a line. A word that begins with a quote ends at the next such quote; = separates as a blank does."""
    words, at = [], 0
    while at < len(text):
        if text[at] in " \t\r=":
            at += 1
            continue
        if text[at] in "'\"":
            end = text.find(text[at], at + 1)
            if end < 0:
                raise Fault("a quote that does not end in %r" % text)
            if "\\" in text[at:end]:
                raise Fault("a backslash in %r" % text)
            words.append(text[at + 1:end])
            at = end + 1
        else:
            end = at
            while end < len(text) and text[end] not in " \t\r=":
                end += 1
            words.append(text[at:end])
            at = end
    return words
