"""Simple patterns: which names pass, and that no pattern makes a name take long."""
import marshal
import re
import subprocess
import sys
import time

from fakes import FUZZ, PACKAGE
from hypothesis import example, given
from hypothesis import strategies as st
import pytest

from ebpf_plugin import simple_patterns


@pytest.mark.parametrize("text, value", [
    ("", ((), ())),
    ("a", ((("a",),), ())),
    ("!a", ((), (("a",),))),
    ("*", ((("", ""),), ())),
    ("a*b*c", ((("a", "b", "c"),), ())),
    (" *A**b*\t!c* ", ((("", "a", "b", ""),), (("c", ""),))),
    ("!", ((), ())),
    ("!*", ((), (("", ""),))),
    ("!!a a!", ((("a!",),), (("!a",),))),
])
def test_parse(text, value):
    assert simple_patterns.parse(text) == value


@pytest.mark.parametrize("text, passing, stopped", [
    ("", ["", "a", "example.com"], []),
    ("*", ["", "a", "example.com"], []),
    ("!*", [], ["", "a", "example.com"]),
    ("!example.com", ["example.org", "www.example.com", ""], ["example.com", "EXAMPLE.com"]),
    ("*.example.com", ["www.example.com", ".example.com", "a.b.Example.COM"], ["example.com", "www.example.com.org"]),
    ("*.example.com !db*", ["www.example.com"], ["db.example.com", "example.org"]),
    ("!db* *.example.com", ["www.example.com"], ["db.example.com", "example.org"]),
    ("a b", ["a", "b"], ["", "ab", "a b", "c"]),
    ("a*a", ["aa", "aba"], ["a", "ab"]),
    ("ab*ba", ["abba", "ab ba"], ["aba"]),
    ("*ab*ab*", ["abab", "xabxabx"], ["aba", "ab"]),
    ("a*b*c", ["abc", "abbc", "a.b.c"], ["ac", "abcd", "acb"]),
    ("STRASSE", ["stra\u00dfe"], []),
    ("a.c", ["a.c"], ["abc"]),
    ("[ab]?\\", ["[ab]?\\"], ["a"]),
])
def test_which_names_pass(text, passing, stopped):
    parsed = simple_patterns.parse(text)
    assert [name for name in passing + stopped if simple_patterns.passes(parsed, name)] == passing


def naive(text, name):
    """The same by regular expressions."""
    def matches(pattern):
        return re.fullmatch(".*".join(map(re.escape, pattern.casefold().split("*"))), name.casefold(), re.S)
    items = [item for item in text.split() if item != "!"]
    positive = [item for item in items if item[0] != "!"]
    negated = any(matches(item[1:]) for item in items if item[0] == "!")
    return not negated and (not positive or any(map(matches, positive)))


FEW = st.text(st.sampled_from("abA.*! \u00df"), max_size=12)


@FUZZ
@given(FEW, FEW)
@example("a*ba*ba", "aba")
def test_as_regular_expressions_have_it(text, name):
    assert simple_patterns.passes(simple_patterns.parse(text), name) == naive(text, name)


@FUZZ
@given(st.text(st.characters()), st.text(st.characters()))
def test_whatever_the_text_it_can_be_handed_over(text, name):
    parsed = simple_patterns.parse(text)
    assert marshal.loads(marshal.dumps(parsed)) == parsed
    assert simple_patterns.passes(parsed, name) in (True, False)


@pytest.mark.parametrize("pattern", ["*a" * 5000 + "*b", "*" * 100000 + "b", "*" + "a" * 5000 + "b*", "a*" * 5000 + "b*"])
def test_no_pattern_is_slow(pattern):
    parsed = simple_patterns.parse(pattern)
    begin = time.process_time()
    assert not simple_patterns.passes(parsed, "a" * 10000)
    assert time.process_time() - begin < 1


def test_it_imports_nothing():
    code = "import sys; sys.path.insert(0, sys.argv[1]); import ebpf_plugin; before = set(sys.modules); " \
        "import ebpf_plugin.simple_patterns; print(*set(sys.modules) - before)"
    done = subprocess.run([sys.executable, "-I", "-S", "-c", code, PACKAGE[:-len("ebpf_plugin")]],
                          stdout=subprocess.PIPE, text=True, check=True)
    assert done.stdout.split() == ["ebpf_plugin.simple_patterns"]
