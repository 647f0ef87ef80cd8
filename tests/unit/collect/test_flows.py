"""Which groups of connections are shown, and that no byte is counted twice or goes back, whatever the kernel's map does."""
from fakes import FUZZ
from hypothesis import given, settings
from hypothesis import strategies as st
import pytest

from ebpf_plugin.collect import flows
from ebpf_plugin.collect.flows import IDLE, KEY, STAYS, Direction


def key(number, inbound=0, protocol=6):
    return KEY.pack(bytes(10) + b"\xff\xff" + bytes([10, 0, number >> 8, number & 255]), 443, protocol, inbound)


def value(received, born=1):
    """(born, sent, sent packets, received, received packets, retransmits) of who has received this much."""
    return born, 0, 0, received, received // 10, 0


class Kernel:
    """The groups' map and the totals beside it. An evicted group comes back with another `born`."""

    def __init__(self):
        self.rows, self.totals, self._clock = {}, [0] * 5, 0

    def moved(self, name, amounts):
        self._clock += 1
        born, *sums = self.rows.get(name, (self._clock,) + (0,) * 5)
        self.rows[name] = (born, *(a + b for a, b in zip(sums, amounts)))
        self.totals = [a + b for a, b in zip(self.totals, amounts)]

    def evict(self, name):
        self.rows.pop(name, None)


class Viewer:
    """What the agent makes of a Direction: differences of what is sent under a name."""

    def __init__(self, direction):
        self.direction, self.last, self.drawn, self.other, self.falls = direction, {}, {}, None, []
        self._flows = {}

    def look(self):
        for name, flow in self.direction.shown.items():
            before = self.last.get(name)
            if before is not None and flow is not self._flows[name]:
                # retired so long ago that it is forgotten: the agent has removed it, too
                self.falls += [(name, before, flow.sums)] if any(flow.sums) else []
                before = None
            self._flows[name] = flow
            if before is not None:
                self.falls += [(name, a, b) for a, b in zip(before, flow.sums) if b < a]
                drawn = self.drawn.get(name, [0] * 5)
                self.drawn[name] = [a + c - b for a, b, c in zip(drawn, before, flow.sums)]
            self.last[name] = list(flow.sums)
        if self.other is not None:
            self.falls += [("other", a, b) for a, b in zip(self.other, self.direction.other) if b < a]
        self.other = list(self.direction.other)


FEW = settings(FUZZ, max_examples=100)
AMOUNTS = st.tuples(*[st.integers(0, 10 ** 6)] * 5)
# a tick: who moves what before the totals are read, who is evicted, who moves what between totals and rows, who is hidden
NAMES = st.integers(0, 7)
MOVES = st.lists(st.tuples(NAMES, AMOUNTS), max_size=8)
TICKS = st.lists(
    st.tuples(st.sampled_from((1, 1, 1, 30, STAYS, IDLE + 1)), MOVES, st.lists(NAMES, max_size=3), MOVES,
              st.lists(NAMES, max_size=1)),
    min_size=1, max_size=40)


def play(most, script, hiding=False, skewed=True):
    """Yields (Direction, Kernel, Viewer, totals that were read, whether nobody has left so far) for each tick."""
    kernel, direction = Kernel(), Direction(most)
    viewer, now, hidden, calm = Viewer(direction), 1000.0, set(), True
    for seconds, before, evicted, between, hide in script:
        now += seconds
        for name, amounts in before:
            kernel.moved(key(name), amounts)
        for name in evicted:
            kernel.evict(key(name))
        totals = list(kernel.totals)
        for name, amounts in between if skewed else ():
            kernel.moved(key(name), amounts)
        if hiding:
            # a name that the resolver has forgotten hides nobody
            hidden ^= set(map(key, hide))
        was = set(direction.shown)
        changed = direction.tick(now, list(kernel.rows.items()), totals, hidden.__contains__)
        assert not set(direction.shown) & hidden
        assert changed or was == set(direction.shown)
        viewer.look()
        calm = calm and not was - set(direction.shown)
        yield direction, kernel, viewer, totals, calm


@FEW
@given(most=st.integers(0, 9), script=TICKS)
def test_nothing_goes_back_and_no_more_than_most_are_shown(most, script):
    for direction, _, viewer, _, _ in play(most, script):
        assert len(direction.shown) <= most
        for flow in direction.shown.values():
            assert all(amount >= 0 for amount in flow.sums)
    assert viewer.falls == []


def check_the_balance(most, script, hiding=False):
    """After two ticks in which nothing moves, what was moved while we looked is drawn: once."""
    script = script + [(1, [], [], [], [])] * 2
    first = None
    for direction, kernel, viewer, _, calm in play(most, script, hiding, skewed=False):
        if first is None:
            # what is in the first values the agent only remembers
            first = list(direction.other)
    drawn = [sum(of[place] for of in viewer.drawn.values()) + direction.other[place] - first[place] for place in range(5)]
    total = [amount - begin for amount, begin in zip(kernel.totals, first)]
    assert all(a <= b for a, b in zip(drawn, total)), "counted twice: %s of %s" % (drawn, total)
    assert drawn == total or not calm, "lost: %s of %s" % (drawn, total)


@FEW
@given(most=st.integers(0, 9), script=TICKS)
def test_what_is_drawn_is_the_total(most, script):
    check_the_balance(most, script)


@FEW
@given(most=st.integers(0, 9), script=TICKS)
def test_what_is_drawn_is_the_total_while_some_are_hidden(most, script):
    check_the_balance(most, script, hiding=True)


@FEW
@given(most=st.integers(0, 9), script=TICKS)
def test_skew_loses_nothing_for_long(most, script):
    """Rows that are read later than the totals have more in them: `other` waits, and catches up."""
    script = script + [(1, [(0, (10 ** 9,) * 5)], [], [], []), (1, [], [], [], []), (1, [], [], [], [])]
    first = None
    for direction, kernel, viewer, _, calm in play(most, script):
        first = first or (list(direction.other), list(viewer.other))
    drawn = [sum(of[place] for of in viewer.drawn.values()) + direction.other[place] for place in range(5)]
    assert all(a <= b for a, b in zip(drawn, kernel.totals))
    assert drawn == kernel.totals or not calm


class Town:
    """Ticks of a second; move(names and bytes) is what happened in it."""

    def __init__(self, most):
        self.direction, self.now, self._kernel, self.other = Direction(most), 0.0, Kernel(), 0
        self.changes = 0

    def tick(self, seconds=1, hidden=(), **moved):
        for name, amount in moved.items():
            self._kernel.moved(key(int(name[1:])), (0, 0, amount, 1, 0))
        self.now += seconds
        self.changes += self.direction.tick(
            self.now, list(self._kernel.rows.items()), list(self._kernel.totals), frozenset(map(key, hidden)).__contains__)
        return self

    def run(self, ticks, **moved):
        for _ in range(ticks):
            self.tick(**moved)
        return self

    def evict(self, number):
        self._kernel.evict(key(number))
        return self

    def shown(self):
        return {number for number in range(20) if key(number) in self.direction.shown}

    def received(self, number):
        return self.direction.shown[key(number)].sums[2]

    def others(self):
        return self.direction.other[2]


def test_a_new_group_begins_at_zero_and_has_all_a_tick_later():
    town = Town(2).tick(_1=70)
    assert (town.shown(), town.received(1), town.others()) == ({1}, 0, 0)
    assert town.tick(_1=5).received(1) == 75 and town.others() == 0
    assert town.tick(_2=3).received(1) == 75 and town.received(2) == 0
    assert town.tick().received(2) == 3 and town.others() == 0


def test_none_are_shown():
    town = Town(0).run(7, _1=10, _2=1)
    assert town.shown() == set() and town.others() == 77 and town.changes == 0


def test_the_busiest_come_first():
    town = Town(2).tick(_1=10, _2=30, _3=20)
    assert town.shown() == {2, 3}
    assert town.tick().others() == 10


def test_an_evicted_group_goes_on():
    town = Town(1).tick(_1=100).tick().evict(1).tick(_1=30)
    assert town.received(1) == 130
    assert town.evict(1).tick().received(1) == 130 and town.tick(_1=200).received(1) == 330
    assert town.others() == 0


def test_two_that_are_equally_busy_do_not_flap():
    town = Town(1).run(5 * STAYS, _1=1000, _2=1000)
    assert town.shown() == {1} or town.shown() == {2}
    assert town.changes == 1


def test_who_is_a_little_busier_does_not_take_the_place():
    town = Town(1).tick(_1=2000, _2=1)
    assert town.run(5 * STAYS, _1=1000, _2=1300).shown() == {1} and town.changes == 1


def test_who_is_far_busier_takes_the_place_but_not_at_once():
    town = Town(1).run(5, _1=100)
    assert town.run(STAYS - 10, _1=100, _2=10000).shown() == {1}
    assert town.run(20, _1=100, _2=10000).shown() == {2}
    assert town.run(5 * STAYS, _1=100, _2=10000).shown() == {2} and town.changes == 2


def test_who_was_busy_long_ago_does_not_come_back_for_that():
    town = Town(1).tick(_1=10 ** 12).run(2 * STAYS, _1=1)
    assert town.run(5 * STAYS, _1=1, _2=10000).shown() == {2}
    assert town.changes == 2


def test_not_all_places_change_hands_at_once():
    town = Town(100)
    weak = {"_%d" % number: 10 for number in range(100)}
    strong = {"_%d" % number: 10 ** 5 for number in range(100, 200)}
    town.run(STAYS + 5, **weak)
    before = set(town.direction.shown)
    for _ in range(30):
        town.tick(**weak, **strong)
        now = set(town.direction.shown)
        assert len(now - before) <= flows.AT_A_TIME and len(now) == 100
        before = now
    assert town.run(STAYS, **weak, **strong).direction.shown.keys() == {key(number) for number in range(100, 200)}


def test_idle_ones_leave():
    town = Town(2).tick(_1=100).run(3, _2=5)
    assert town.tick(IDLE - 10, _2=5).shown() == {1, 2}
    assert town.tick(11, _2=5).shown() == {2}


def test_idle_ones_stay_away_until_something_moves():
    town = Town(2).tick(_1=100).run(3, _2=5).tick(IDLE, _2=5).tick(_2=5)
    assert town.run(20, _2=5).shown() == {2}
    assert town.tick(_1=1).run(6, _1=1).shown() == {1, 2}


def test_who_was_never_busy_is_not_shown():
    """Rows that are in the map from before, say of a run of the programs that nobody looked at."""
    town = Town(2).tick(_1=1).run(3)
    town.tick(IDLE + 1).tick()
    assert town.run(2).changes <= 2 and town.shown() == set()


def test_a_retired_one_goes_on_where_it_was():
    town = Town(1).run(STAYS + 10, _1=100)
    town.run(30, _1=1, _2=10 ** 6)
    assert town.shown() == {2}
    town.run(3 * STAYS, _1=10 ** 9, _2=1)
    assert town.shown() == {1}
    assert town.received(1) >= 100 * (STAYS + 10)
    town.run(2)
    assert sum(flow.sums[2] for flow in town.direction.shown.values()) + town.others() <= sum((
        100 * (STAYS + 10), 30 * (10 ** 6 + 1), 3 * STAYS * (10 ** 9 + 1)))


def test_a_hidden_one_leaves_at_once_and_never_comes_back():
    town = Town(2).run(3, _1=10, _2=10)
    before = town.others()
    assert town.tick(hidden=[1], _1=10, _2=10).shown() == {2}
    for _ in range(IDLE // 100):
        town.tick(hidden=[1], _1=1000, _2=1)
    assert town.shown() == {2} and town.others() >= before + 6000


def test_the_bytes_of_the_tick_in_which_one_leaves():
    """What a group moves in the tick in which it loses its place is not sent under its name, so it is in `other`."""
    town = Town(1)
    town.tick(_1=1)
    viewer, begin = Viewer(town.direction), None
    for number in range(3 * STAYS):
        moved = {"_1": 100} if number < STAYS else {"_1": 100, "_2": 10 ** 5}
        town.tick(**moved)
        viewer.look()
        begin = begin or [list(town.direction.other), sum(flow.sums[2] for flow in town.direction.shown.values())]
    town.tick().tick()
    viewer.look()
    assert town.shown() == {2}
    drawn = sum(of[2] for of in viewer.drawn.values()) + town.others() - begin[0][2]
    assert drawn == 1 + 3 * STAYS * 100 + 2 * STAYS * 10 ** 5 - begin[1]


def test_what_is_kept_of_those_that_changed_has_an_end():
    town = Town(5)
    for _ in range(50):
        town.tick(_1=1, _2=2, _3=3, _4=4, _5=5)
    held = {name: len(each) for name, each in vars(town.direction).items() if isinstance(each, (list, dict, set))}
    # each moves in this tick, and what it had when it came may be pending besides
    assert all(number <= 2 * 5 for number in held.values()), held


@pytest.mark.parametrize("amount", [10, 100, 1000])
def test_who_was_evicted_comes_back_at_once_whatever_it_moves(amount):
    """Another `born`: what it has is new, be it less, as much or more than it had before."""
    town = Town(2).tick(_1=100).run(3, _2=5).evict(1).tick(IDLE, _2=5)
    assert town.tick(_2=5).shown() == {2}
    before = town.others()
    assert town.tick(_1=amount, _2=5).shown() == {1, 2}
    assert (town.received(1), town.others()) == (100, before)
    assert town.tick().received(1) == 100 + amount


def test_who_is_hidden_no_more_has_been_counted_already():
    """The resolver has forgotten the name, because there are others."""
    town = Town(2)
    for _ in range(3):
        town.tick(hidden=[1], _1=10 ** 6, _2=1)
    before = town.others()
    assert before == 3 * 10 ** 6
    town.tick(_1=7).tick()
    assert town.shown() == {1, 2} and town.received(1) + town.others() == before + 7


@pytest.mark.parametrize("address, text", [
    ("00000000000000000000ffff0a000001", "10.0.0.1"),
    ("00000000000000000000ffffffffffff", "255.255.255.255"),
    ("20010db8000000000000000000000001", "2001:db8::1"),
    ("00000000000000000000000000000000", "::"),
    ("00000000000000000000000000000001", "::1"),
    ("fe80000000000000020000fffe000001", "fe80::200:ff:fe00:1"),
])
def test_addresses_as_people_write_them(address, text):
    assert flows.text_of(bytes.fromhex(address)) == text


@pytest.mark.parametrize("packed, identity", [
    (key(1), "443_TCP_10.0.0.1"),
    (key(258, protocol=17), "443_UDP_10.0.1.2"),
    (KEY.pack(bytes(16), 53, 17, 1), "53_UDP"),
    (KEY.pack(bytes(15) + b"\1", 65535, 6, 0), "65535_TCP_--1"),
    (KEY.pack(bytes.fromhex("20010db8000000000000000000000001"), 0, 6, 0), "0_TCP_2001-db8--1"),
])
def test_ids(packed, identity):
    assert flows.Flow(packed).id() == identity
    assert flows.Flow(packed).protocol() == ("UDP" if "UDP" in identity else "TCP")
