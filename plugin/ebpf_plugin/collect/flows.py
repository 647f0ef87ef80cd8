"""Who talks to whom: the kernel's groups of connections (bpf/flows.c) become dimensions, the busiest of them, and `other`.

For each direction and measure, shown + other = the total that the kernel counts beside the groups, so nothing is lost when a
group leaves the kernel's map or is not shown. No sum ever goes back.
"""
from __future__ import annotations

import struct

MEASURES = ("sent", "sent_packets", "received", "received_packets", "retransmits")
PROTOCOLS = {6: "TCP", 17: "UDP"}
KEY = struct.Struct("=16sHBB")  # struct flow_key: address, port, protocol, inbound
KEY_SIZE, VALUE = KEY.size, "=6Q"  # struct flow: born, then the MEASURES
NOTHING = (0,) * len(MEASURES)

DECAY = 0.9  # a tick: what was moved half a minute ago hardly counts
STAYS = 60  # seconds that a dimension stays at least, once shown
TWICE = 2  # as busy as a shown one has to be who takes its place
IDLE = 600  # seconds without traffic after which a dimension goes
LOOKS = 5  # ticks from one look at those that are not shown to the next
REMEMBERED = 2  # times as many as are shown: groups that left, and go on where they were if they come back
AT_A_TIME = 20  # places that change hands in one tick: charts do not flap


class Flow:
    """A group that is or was shown. `sums` are what its dimensions say, `sent` what they said at the last tick. What it had
    moved when it came is `pending` for a tick, because the agent only remembers the first value of a dimension."""

    __slots__ = ("key", "value", "sums", "sent", "pending", "score", "since", "active")

    def __init__(self, key):
        self.key, self.value = key, (None,) + NOTHING
        self.sums = self.sent = NOTHING
        self.pending = NOTHING
        self.score, self.since, self.active = 0.0, 0.0, 0.0

    def id(self):
        address, port, protocol, inbound = KEY.unpack(self.key)
        return "%d_%s" % (port, PROTOCOLS[protocol]) + ("" if inbound else "_" + text_of(address).replace(":", "-"))

    def protocol(self):
        return PROTOCOLS[KEY.unpack(self.key)[2]]


class Direction:
    """The groups of one direction. `most` are shown at a time."""

    def __init__(self, most):
        self.most = most
        self.shown = {}  # key: Flow
        self.other = list(NOTHING)
        self._given = NOTHING  # what has gone to shown groups in all
        self._changed = []  # flows whose sums are not those that were sent, or that have something pending
        self._retired = {}  # key: Flow; what comes back goes on where it was
        self._seen = {}  # key: (born, moved, score) of groups that are not shown, when they were looked at last
        self._ticks, self._looked = 0, True

    def tick(self, now, rows, totals, is_hidden=None):
        """Take what the kernel has: rows [(key, value)], totals of MEASURES, read before the rows. Whether who is shown
        has changed. is_hidden(key) says who must not be."""
        changed, self._changed = self._changed, []
        for flow in changed:
            flow.sent = flow.sums
        for flow in changed:
            if flow.pending is not NOTHING:
                flow.sums, flow.pending = _sum(flow.sums, flow.pending), NOTHING
                self._changed.append(flow)
        self._ticks += 1
        candidates, shown = [], self.shown
        # while there is no room, the others are looked at only now and then: there may be thousands
        looking = len(shown) < self.most or self._ticks % LOOKS == 0
        for key, value in rows:
            flow = shown.get(key)
            if flow is None:
                if looking:
                    candidates.append((key, value))
            elif value != flow.value:
                self._count(flow, value, now)
        for flow in shown.values():
            flow.score *= DECAY
        gone = [flow for flow in shown.values() if now - flow.active > IDLE or is_hidden and is_hidden(flow.key)]
        left = self._leave(gone)
        came = looking and self._come(now, candidates, is_hidden)
        self._looked = looking
        self.other = [max(known, total - given) for known, total, given in zip(self.other, totals, self._given)]
        return bool(left) or came

    def _count(self, flow, value, now):
        before = flow.value
        # it has begun anew if it was thrown out meanwhile
        moved = tuple(a - b for a, b in zip(value[1:], before[1:])) if before[0] == value[0] else value[1:]
        flow.value, flow.active = value, now
        flow.sums = _sum(flow.sums, moved)
        flow.score += sum(moved)
        self._given = _sum(self._given, moved)
        self._changed.append(flow)

    def _candidate(self, key, value, seen):
        """(score, key, value, what it has moved since the last look, whether it is new)"""
        born, before, score = self._seen.get(key, (None, 0, 0.0))
        is_new = born != value[0]
        moved = sum(value[1:])
        since = moved if is_new else moved - before
        score = score * DECAY ** LOOKS + since
        seen[key] = value[0], moved, score
        return score, key, value, since, is_new

    def _leave(self, flows):
        """What they have moved in this tick nobody will be told in their name: it goes to `other`."""
        for flow in flows:
            del self.shown[flow.key]
            self._retired[flow.key] = flow
            untold = _sum(flow.sums, flow.pending)
            self._given = tuple(given - (a - b) for given, a, b in zip(self._given, untold, flow.sent))
            flow.sums, flow.pending = flow.sent, NOTHING
            self._seen[flow.key] = flow.value[0], sum(flow.value[1:]), flow.score
        while len(self._retired) > REMEMBERED * self.most:
            del self._retired[next(iter(self._retired))]
        return flows

    def _come(self, now, candidates, is_hidden):
        """The busiest candidates take the free places, then those of shown ones that are far less busy."""
        if not self.most:
            return False
        seen = {key: known for key, known in self._seen.items() if key in self._retired}
        candidates = [self._candidate(key, value, seen) for key, value in candidates]
        self._seen = seen
        candidates = [one for one in candidates if one[3] and not (is_hidden and is_hidden(one[1]))]
        candidates.sort(key=lambda one: one[:2], reverse=True)
        room = self.most - len(self.shown)
        chosen = candidates[:room]
        if len(candidates) > room:
            weak = sorted((flow for flow in self.shown.values() if now - flow.since >= STAYS), key=lambda flow: flow.score)
            pairs = [(flow, candidate) for flow, candidate in zip(weak[:AT_A_TIME], candidates[room:])
                     if candidate[0] > TWICE * flow.score]
            self._leave([flow for flow, _ in pairs])
            chosen += [candidate for _, candidate in pairs]
        for score, key, value, _, is_new in chosen:
            flow = self._retired.pop(key, None) or Flow(key)
            # what a group has moved since the last tick is its own; what was there at the last tick went to `other` then
            flow.pending = value[1:] if is_new and self._looked and flow.value[0] != value[0] else NOTHING
            flow.value, flow.score, flow.since, flow.active = value, score, now, now
            self.shown[key] = flow
            del self._seen[key]
            self._changed.append(flow)
            self._given = _sum(self._given, flow.pending)
        return bool(chosen)


def _sum(one, other):
    return tuple(a + b for a, b in zip(one, other))


def text_of(address):
    """16 bytes as people write an address."""
    from _socket import AF_INET, AF_INET6, inet_ntop  # socket itself costs the collector half a megabyte
    if address[:12] == b"\0" * 10 + b"\xff\xff":
        return inet_ntop(AF_INET, address[12:])
    return inet_ntop(AF_INET6, address)
