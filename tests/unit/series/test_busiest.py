"""Which rows become series, and that nothing is counted twice or goes back, whatever the kernel's map does."""
from fakes import FUZZ
from hypothesis import given, settings
from hypothesis import strategies as st
import pytest

from ebpf_plugin.collect.connections import KEY
from ebpf_plugin.series import busiest
from ebpf_plugin.series.busiest import IDLE, MIN_LIFETIME, SOURCE, Busiest


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


def describe(key):
    return key.hex(), "", ()


def busiest_of(limit):
    """A Busiest after its first tick, which is not shown."""
    found = Busiest(limit, 5, describe)
    found.tick(0, [], [0] * 5)
    return found


class Agent:
    """What the agent makes of a Busiest: it takes the first value of a series for where it began, and draws differences."""

    def __init__(self, chosen):
        self.chosen, self.last, self.drawn, self.other, self.falls = chosen, {}, {}, None, []
        self._series, self._ticks = {}, {}

    def look(self):
        for name, series in self.chosen.table.live.items():
            sums = series.sums[SOURCE]
            before = self.last.get(name)
            if self._series.get(name) is not series or self._ticks[name] != series.tick:
                start = series.start[SOURCE]
                # one that came back goes on where it was, unless that was so long ago that it is forgotten
                if before is not None and self._series[name] is series:
                    self.falls += [(name, a, b) for a, b in zip(before, start) if a != b]
                self.last[name], self._series[name], self._ticks[name] = list(start), series, series.tick
                continue
            self.falls += [(name, a, b) for a, b in zip(before, sums) if b < a]
            drawn = self.drawn.get(name, [0] * 5)
            self.drawn[name] = [a + c - b for a, b, c in zip(drawn, before, sums)]
            self.last[name] = list(sums)
        if self.other is not None:
            self.falls += [("other", a, b) for a, b in zip(self.other, self.chosen.other) if b < a]
        self.other = list(self.chosen.other)


FEW = settings(FUZZ, max_examples=100)
AMOUNTS = st.tuples(*[st.integers(0, 10 ** 6)] * 5)
# a tick: who moves what before the totals are read, who is evicted, who moves what between totals and rows, who is hidden
NAMES = st.integers(0, 7)
MOVES = st.lists(st.tuples(NAMES, AMOUNTS), max_size=8)
TICKS = st.lists(
    st.tuples(st.sampled_from((1, 1, 1, 30, MIN_LIFETIME, IDLE + 1)), MOVES, st.lists(NAMES, max_size=3), MOVES,
              st.lists(NAMES, max_size=1)),
    min_size=1, max_size=40)


def play(most, script, hiding=False, skewed=True):
    """Yields (Busiest, Kernel, Agent, totals that were read, whether no series has left so far) for each tick."""
    kernel, chosen = Kernel(), busiest_of(most)
    agent, now, hidden, calm, rows = Agent(chosen), 1000.0, set(), True, []
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
            # a name that the resolver has forgotten excludes no series
            hidden ^= set(map(key, hide))
        was, version = set(chosen.table.live), chosen.table.version
        if list(kernel.rows.items()) != rows:  # else they are the same object: as they were
            rows = list(kernel.rows.items())
        chosen.tick(now, rows, totals, hidden.__contains__)
        assert not set(chosen.table.live) & hidden
        assert chosen.table.version != version or was == set(chosen.table.live)
        agent.look()
        calm = calm and not was - set(chosen.table.live)
        yield chosen, kernel, agent, totals, calm


@FEW
@given(most=st.integers(0, 9), script=TICKS)
def test_nothing_goes_back_and_no_more_than_most_are_shown(most, script):
    for chosen, _, agent, _, _ in play(most, script):
        assert len(chosen.table.live) <= most
        for series in chosen.table.live.values():
            assert all(amount >= 0 for amount in series.sums[SOURCE])
        ids = [series.id for series in chosen.table.live.values()]
        assert len(ids) == len(set(ids)), ids
    assert agent.falls == []


@FEW
@given(most=st.integers(0, 9), script=TICKS)
def test_shown_and_other_are_the_total_at_each_tick(most, script):
    """Of the series that are there and those that have left, as an output without a baseline of its own has them."""
    for chosen, _, _, totals, _ in play(most, script, skewed=False):
        everything = [*chosen.table.live.values(), *chosen.table._retired.values()]
        if len(everything) < 2 * most:  # none is forgotten
            sums = [sum(series.sums[SOURCE][place] for series in everything) for place in range(5)]
            assert [a + b for a, b in zip(sums, chosen.other)] == totals


def check_the_balance(most, script, hiding=False):
    """After two ticks in which nothing moves, what was moved while we looked is drawn: once."""
    script = script + [(1, [], [], [], [])] * 2
    first = None
    for chosen, kernel, agent, _, calm in play(most, script, hiding, skewed=False):
        if first is None:
            # what is in the first values the agent only remembers
            first = list(chosen.other)
    drawn = [sum(of[place] for of in agent.drawn.values()) + chosen.other[place] - first[place] for place in range(5)]
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
    for chosen, kernel, agent, _, calm in play(most, script):
        first = first or (list(chosen.other), list(agent.other))
    drawn = [sum(of[place] for of in agent.drawn.values()) + chosen.other[place] for place in range(5)]
    assert all(a <= b for a, b in zip(drawn, kernel.totals))
    assert drawn == kernel.totals or not calm


class Town:
    """Ticks of a second; move(names and bytes) is what happened in it."""

    def __init__(self, most):
        self.chosen, self.now, self._kernel, self.other = busiest_of(most), 0.0, Kernel(), 0
        self.changes = 0

    def tick(self, seconds=1, hidden=(), **moved):
        for name, amount in moved.items():
            self._kernel.moved(key(int(name[1:])), (0, 0, amount, 1, 0))
        self.now += seconds
        version = self.chosen.table.version
        self.chosen.tick(self.now, list(self._kernel.rows.items()), list(self._kernel.totals),
                         frozenset(map(key, hidden)).__contains__)
        self.changes += self.chosen.table.version != version
        return self

    def run(self, ticks, **moved):
        for _ in range(ticks):
            self.tick(**moved)
        return self

    def evict(self, number):
        self._kernel.evict(key(number))
        return self

    def shown(self):
        return {number for number in range(20) if key(number) in self.chosen.table.live}

    def received(self, number):
        return self.chosen.table.live[key(number)].sums[SOURCE][2]

    def others(self):
        return self.chosen.other[2]


def test_a_new_row_has_all_that_it_moved_and_began_at_zero():
    town = Town(2).tick(_1=70)
    assert (town.shown(), town.received(1), town.others()) == ({1}, 70, 0)
    assert town.chosen.table.live[key(1)].start[SOURCE] == (0,) * 5
    assert town.tick(_1=5).received(1) == 75
    assert town.tick(_2=3).received(1) == 75
    assert town.received(2) == 3
    assert town.others() == 0


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
    town = Town(1).run(5 * MIN_LIFETIME, _1=1000, _2=1000)
    assert town.shown() == {1} or town.shown() == {2}
    assert town.changes == 1


def test_who_is_a_little_busier_does_not_take_the_place():
    town = Town(1).tick(_1=2000, _2=1)
    assert town.run(5 * MIN_LIFETIME, _1=1000, _2=1300).shown() == {1} and town.changes == 1


def test_who_is_far_busier_takes_the_place_but_not_at_once():
    town = Town(1).run(5, _1=100)
    assert town.run(MIN_LIFETIME - 10, _1=100, _2=10000).shown() == {1}
    assert town.run(20, _1=100, _2=10000).shown() == {2}
    assert town.run(5 * MIN_LIFETIME, _1=100, _2=10000).shown() == {2} and town.changes == 2


def test_who_was_busy_long_ago_does_not_come_back_for_that():
    town = Town(1).tick(_1=10 ** 12).run(2 * MIN_LIFETIME, _1=1)
    assert town.run(5 * MIN_LIFETIME, _1=1, _2=10000).shown() == {2}
    assert town.changes == 2


def test_not_all_places_change_hands_at_once():
    town = Town(100)
    weak = {"_%d" % number: 10 for number in range(100)}
    strong = {"_%d" % number: 10 ** 5 for number in range(100, 200)}
    town.run(MIN_LIFETIME + 5, **weak)
    before = set(town.chosen.table.live)
    for _ in range(30):
        town.tick(**weak, **strong)
        now = set(town.chosen.table.live)
        assert len(now - before) <= busiest.MAX_REPLACED and len(now) == 100
        before = now
    assert town.run(MIN_LIFETIME, **weak, **strong).chosen.table.live.keys() == {key(number) for number in range(100, 200)}


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
    town = Town(1).run(MIN_LIFETIME + 10, _1=100)
    town.run(30, _1=1, _2=10 ** 6)
    assert town.shown() == {2}
    town.run(3 * MIN_LIFETIME, _1=10 ** 9, _2=1)
    assert town.shown() == {1}
    assert town.received(1) >= 100 * (MIN_LIFETIME + 10)
    town.run(2)
    assert sum(series.sums[SOURCE][2] for series in town.chosen.table.live.values()) + town.others() <= sum((
        100 * (MIN_LIFETIME + 10), 30 * (10 ** 6 + 1), 3 * MIN_LIFETIME * (10 ** 9 + 1)))


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
    agent, begin = Agent(town.chosen), None
    for number in range(3 * MIN_LIFETIME):
        moved = {"_1": 100} if number < MIN_LIFETIME else {"_1": 100, "_2": 10 ** 5}
        town.tick(**moved)
        agent.look()
        begin = begin or list(town.chosen.other)
    town.tick().tick()
    agent.look()
    assert town.shown() == {2}
    drawn = sum(of[2] for of in agent.drawn.values()) + town.others() - begin[2]
    assert drawn == 1 + 3 * MIN_LIFETIME * 100 + 2 * MIN_LIFETIME * 10 ** 5


def test_what_is_kept_of_those_that_changed_has_an_end():
    town = Town(5)
    for _ in range(50):
        town.tick(_1=1, _2=2, _3=3, _4=4, _5=5)
    state = {**vars(town.chosen), **vars(town.chosen.table)}
    held = {name: len(each) for name, each in state.items() if isinstance(each, (list, dict, set))}
    # each moves in this tick, and what it had when it came may be pending besides
    assert all(number <= 2 * 5 for number in held.values()), held


@pytest.mark.parametrize("amount", [10, 100, 1000])
def test_who_was_evicted_comes_back_at_once_whatever_it_moves(amount):
    """Another `born`: what it has is new, be it less, as much or more than it had before."""
    town = Town(2).tick(_1=100).run(3, _2=5).evict(1).tick(IDLE, _2=5)
    assert town.tick(_2=5).shown() == {2}
    before = town.others()
    assert town.tick(_1=amount, _2=5).shown() == {1, 2}
    assert (town.received(1), town.others()) == (100 + amount, before)


def test_who_is_hidden_no_more_has_been_counted_already():
    """The resolver has forgotten the name, because there are others."""
    town = Town(2)
    for _ in range(3):
        town.tick(hidden=[1], _1=10 ** 6, _2=1)
    before = town.others()
    assert before == 3 * 10 ** 6
    town.tick(_1=7).tick()
    assert town.shown() == {1, 2} and town.received(1) + town.others() == before + 7


class Rows(list):
    """Counts how often it is gone through."""

    times = 0

    def __iter__(self):
        self.times += 1
        return super().__iter__()


def test_rows_that_are_as_they_were_are_not_gone_through():
    chosen = busiest_of(1)
    rows = Rows([(key(1), value(70)), (key(2), value(50))])
    chosen.tick(1, rows, [0, 0, 120, 12, 0])
    times = rows.times
    for now in range(2, 30):
        chosen.tick(now, rows, [0, 0, 120, 12, 0])
    assert rows.times == times and set(chosen.table.live) == {key(1)} and chosen.other == [0, 0, 50, 5, 0]


def test_candidates_are_looked_for_among_rows_that_rest_if_nobody_has_looked_since_they_moved():
    chosen, now = busiest_of(1), MIN_LIFETIME + 1
    chosen.tick(1, [(key(1), value(70))], [0, 0, 70, 7, 0])
    rows = Rows([(key(1), value(70)), (key(2), value(5000))])
    while chosen._ticks % busiest.RESCAN_TICKS != 1:
        chosen.tick(now, [(key(1), value(70))], [0, 0, 70, 7, 0])
    for _ in range(busiest.RESCAN_TICKS - 2):
        chosen.tick(now, rows, [0, 0, 5070, 507, 0])
        assert set(chosen.table.live) == {key(1)} and rows.times == 1
    chosen.tick(now, rows, [0, 0, 5070, 507, 0])
    assert set(chosen.table.live) == {key(2)}


def test_a_candidate_is_forgotten_as_fast_while_rows_rest():
    """Scores fall by time, whether the rows are gone through or not."""
    scores = []
    for same in True, False:
        chosen = busiest_of(1)
        rows = [(key(1), value(70)), (key(2), value(50))]
        for now in range(1, 4 * busiest.RESCAN_TICKS):
            chosen.tick(now, rows if same else list(rows), [0, 0, 120, 12, 0])
        moved = [(key(1), value(71)), (key(2), value(51))]
        for now in range(busiest.RESCAN_TICKS + 1):
            chosen.tick(now, list(moved), [0, 0, 122, 12, 0])
        scores.append(chosen._seen[key(2)][2])
    assert scores[0] == pytest.approx(scores[1])


def test_another_limit_takes_nothing_away():
    """Of fewer the busiest stay. What has been shown and `other` are the total all the time, and no sum goes back."""
    kernel, chosen, last = Kernel(), busiest_of(6), {}
    for tick, limit in enumerate((6,) * 8 + (2,) * 8 + (9,) * 8, 1):
        for number in range(8):
            kernel.moved(key(number), (0, 0, 10 ** (number % 6), 1, 0))
        if limit != len(chosen.table.live):
            chosen.resize(limit)
        chosen.tick(tick, list(kernel.rows.items()), kernel.totals)
        sums = {series.id: series.sums[SOURCE] for series in chosen.table.live.values()}
        assert all(now >= before for name, values in sums.items() for now, before in zip(values, last.get(name, values)))
        last.update(sums)
        assert kernel.totals == [shown + other for shown, other in zip(map(sum, zip(*last.values())), chosen.other)]
        if limit == 2:
            assert set(chosen.table.live) == {key(4), key(5)}
    assert len(chosen.table.live) == 8


def test_rows_that_are_let_go_of_are_counted_once():
    chosen, rows = busiest_of(2), [(key(1), value(70))]
    chosen.tick(1, rows, value(70)[1:])
    chosen.forget_rows()
    rows = [(key(1), value(75)), (key(2), value(5))]
    chosen.tick(2, rows, tuple(map(sum, zip(value(75)[1:], value(5)[1:]))))
    assert [series.sums["rows"][2] for series in chosen.table.live.values()] == [75, 5]
    assert chosen.other == [0] * 5
