"""Workloads of the network, each of N events, and what it must add on the measured host.

`adds` is {counter: for each event}, `once` {counter: beside that, for the whole}, `rows` {(direction, protocol, remote
address or None for inbound): values of an event as in counting_sockets.ROW}; a packet is a call that moved more than 0
bytes, and the service port of all rows is the workload's. What is `measured` is known only when it has happened: the
workload's calls tell.
`system_call` replaces it for hooks on system calls, as in case.py. For tcp_retransmit there is Host.retransmissions().

A socket for IPv6 that talks to an IPv4 address counts as IPv4.
"""
import collections
from typing import NamedTuple

from harness import network_namespaces
from harness.counting_sockets import MAPPED, V4, V6, converse
from workloads import tcp as t
from workloads import udp as u
from workloads.messages import ANSWER, ASK, MANY, PARTS, SHORT, ask, nothing, peek, recv_nothing, write_read

THERE4, THERE6 = network_namespaces.V4 % 2, network_namespaces.V6 % 2
OUT4, OUT6, IN = ("out", THERE4), ("out", THERE6), ("in", None)
FIRST_PORT = 7001


class Work(NamedTuple):
    name: str
    here: object
    there: object
    adds: dict = {}
    rows: dict = {}
    once: dict = {}
    measured: tuple = ()  # names of counters; the rows are measured too
    at_least: dict = {}  # {counter of the kernel: for each event}
    kernel: dict = {}  # {counter of the kernel: for each event}, where the workload's own counters do not say it
    system_call: dict = {}
    cut: str = ""  # the key of network_namespaces.CUTS that it needs
    port: int = 0


def moves(protocol, row, sent=(), received=(), **more):
    """Adds and rows of an event with calls of these sizes; 0 for a call that moves nothing."""
    adds = {"%s_send_calls" % protocol: len(sent), "%s_send_bytes" % protocol: sum(sent),
            "%s_recv_calls" % protocol: len(received), "%s_recv_bytes" % protocol: sum(received)}
    values = sum(sent), sum(map(bool, sent)), sum(received), sum(map(bool, received))
    return {"adds": {**adds, **more}, "rows": {(row[0], protocol.upper(), row[1]): values} if any(values) else {}}


def connection(row, sent=(ASK,), received=(ANSWER,), **more):
    """Connected from here, and closed."""
    return moves("tcp", row, sent, received, tcp_close=1, **{"connect_v6" if row == OUT6 else "connect_v4": 1, **more})


def accepted(sent=(ANSWER,), received=(ASK,), **more):
    """Accepted here, and closed; the listener is closed at the end."""
    return {**moves("tcp", IN, sent, received, tcp_close=1, accept_tcp=1, **more), "once": {"tcp_close": 1}}


def both(protocol, remote, **more):
    """Asked and answered on the measured host."""
    out, inner = (moves(protocol, ("out", remote), [ASK], [ANSWER]), moves(protocol, IN, [ANSWER], [ASK]))
    adds = {name: value + inner["adds"][name] for name, value in out["adds"].items()}
    return {"adds": {**adds, **more}, "rows": {**out["rows"], **inner["rows"]}}


ASKED = {"sent": [ASK], "received": [ANSWER]}
ANSWERED = {"sent": [ANSWER], "received": [ASK]}
SERVED4, SERVED6 = t.server(V4, t.answer), t.server(V6, t.answer)
UDP_SERVED4, UDP_SERVED6 = u.server(V4, u.answer), u.server(V6, u.answer)

WORKS = [
    # TCP, a connection each
    Work("tcp4-client", t.client(V4, ask), SERVED4, **connection(OUT4)),
    Work("tcp6-client", t.client(V6, ask), SERVED6, **connection(OUT6)),
    Work("tcp4-mapped-client", t.client(MAPPED, ask), SERVED4, **connection(OUT4)),
    Work("tcp4-server", SERVED4, t.client(V4, ask), **accepted()),
    Work("tcp6-server", SERVED6, t.client(V6, ask), **accepted()),
    Work("tcp4-mapped-server", t.server(MAPPED, t.answer), t.client(V4, ask), **accepted()),
    Work("tcp4-loopback", t.loopback(V4, "127.0.0.1"), None, once={"tcp_close": 1},
         **both("tcp", "127.0.0.1", connect_v4=1, accept_tcp=1, tcp_close=2)),
    Work("tcp6-loopback", t.loopback(V6, "::1"), None, once={"tcp_close": 1},
         **both("tcp", "::1", connect_v6=1, accept_tcp=1, tcp_close=2)),
    # one connection
    Work("tcp4-lasting", t.client_lasting(V4, ask), t.server_lasting(V4, t.answer),
         once={"connect_v4": 1, "tcp_close": 1}, **moves("tcp", OUT4, **ASKED)),
    # other calls
    Work("tcp4-read-write", t.client(V4, write_read), SERVED4, **connection(OUT4)),
    Work("tcp4-sendmsg", t.client(V4, t.sendmsg), t.server(V4, t.answer_sendmsg),
         **connection(OUT4, [sum(PARTS)], [sum(PARTS)])),
    Work("tcp4-sendfile", t.client(V4, t.sendfile), SERVED4, **connection(OUT4)),
    Work("tcp4-splice", t.client(V4, t.splice), SERVED4, system_call={"tcp_recv_calls": 0, "tcp_recv_bytes": 0},
         **connection(OUT4)),
    Work("tcp4-peek", t.client(V4, peek), SERVED4, **connection(OUT4, received=[0, 0, ANSWER])),
    Work("tcp4-empty-send", t.client(V4, t.empty_send), SERVED4, **connection(OUT4, sent=[0, ASK])),
    Work("tcp4-half-close", t.client(V4, t.half_close), t.server(V4, t.answer_at_end),
         **connection(OUT4, received=[ANSWER, 0])),
    Work("tcp4-EAGAIN", t.client(V4, recv_nothing), SERVED4, **connection(OUT4, received=[0, ANSWER])),
    Work("tcp4-partial", t.client(V4, t.flood), t.server(V4, t.drain), measured=("tcp_send_calls", "tcp_send_bytes"),
         adds={"connect_v4": 1, "tcp_close": 1}),
    Work("tcp4-accept-EAGAIN", t.accept_nothing, None, once={"tcp_close": 1}),
    # errors
    Work("tcp4-refused", t.refused(V4), None, kernel={"Tcp.AttemptFails": 1}, **connection(OUT4, (), ())),
    Work("tcp6-refused", t.refused(V6), None, kernel={"Tcp.AttemptFails": 1}, **connection(OUT6, (), ())),
    Work("tcp4-reset-send", t.client(V4, t.send_after_reset), t.server(V4, t.reset), kernel={"Tcp.EstabResets": 1},
         **connection(OUT4, sent=[0, 0], received=(), tcp_send_errors=2)),
    Work("tcp4-reset-recv", t.client(V4, t.recv_after_reset), t.server(V4, t.reset), kernel={"Tcp.EstabResets": 1},
         **connection(OUT4, sent=(), received=[0], tcp_recv_errors=1)),
    Work("tcp4-unconnected", t.unconnected, None,
         **moves("tcp", OUT4, [0], [0], tcp_send_errors=1, tcp_recv_errors=1, tcp_close=1)),
    # what is sent is lost at first; then by timeouts, or by the probe for a lost tail that comes before a timeout
    Work("tcp4-retransmit-qdisc", t.retransmit(V4, "qdisc", False), t.answer_in_turn(V4), cut="qdisc",
         at_least={"Tcp.RetransSegs": 1, "TcpExt.TCPTimeouts": 1}, kernel={"TcpExt.TCPLossProbes": 0}, **connection(OUT4)),
    Work("tcp6-retransmit-qdisc", t.retransmit(V6, "qdisc", False), t.answer_in_turn(V6), cut="qdisc",
         at_least={"Tcp.RetransSegs": 1, "TcpExt.TCPTimeouts": 1}, kernel={"TcpExt.TCPLossProbes": 0}, **connection(OUT6)),
    Work("tcp4-retransmit", t.retransmit(V4, "neighbour", False), t.answer_in_turn(V4),
         at_least={"Tcp.RetransSegs": 1, "TcpExt.TCPTimeouts": 1}, kernel={"TcpExt.TCPLossProbes": 0}, **connection(OUT4)),
    Work("tcp4-loss-probe", t.retransmit(V4, "neighbour", True), t.answer_in_turn(V4),
         at_least={"Tcp.RetransSegs": 1, "TcpExt.TCPLossProbes": 1}, **connection(OUT4)),
    Work("tcp4-answers-lost", t.lose_answers(V4), t.request_at_once(V4),
         at_least={"Tcp.RetransSegs": 1, "TcpExt.TCPSynRetrans": 1}, **accepted()),
    Work("tcp6-answers-lost", t.lose_answers(V6), t.request_at_once(V6),
         at_least={"Tcp.RetransSegs": 1, "TcpExt.TCPSynRetrans": 1}, **accepted()),
    # UDP, connected
    Work("udp4-client", u.client(V4, ask), UDP_SERVED4, **moves("udp", OUT4, **ASKED)),
    Work("udp6-client", u.client(V6, ask), UDP_SERVED6, **moves("udp", OUT6, **ASKED)),
    Work("udp4-mapped-client", u.client(MAPPED, ask), UDP_SERVED4, **moves("udp", OUT4, **ASKED)),
    Work("udp4-loopback", u.loopback(V4, "127.0.0.1"), None, **both("udp", "127.0.0.1")),
    Work("udp6-loopback", u.loopback(V6, "::1"), None, **both("udp", "::1")),
    # unconnected
    Work("udp4-sendto", u.client(V4, u.ask_to(V4), False), UDP_SERVED4, **moves("udp", OUT4, **ASKED)),
    Work("udp6-sendto", u.client(V6, u.ask_to(V6), False), UDP_SERVED6, **moves("udp", OUT6, **ASKED)),
    Work("udp4-mapped-sendto", u.client(MAPPED, u.ask_to(MAPPED), False), UDP_SERVED4, **moves("udp", OUT4, **ASKED)),
    Work("udp4-server", UDP_SERVED4, u.client(V4, ask), **moves("udp", IN, **ANSWERED)),
    Work("udp6-server", UDP_SERVED6, u.client(V6, ask), **moves("udp", IN, **ANSWERED)),
    Work("udp4-mapped-server", u.server(MAPPED, u.answer), u.client(V4, ask), **moves("udp", IN, **ANSWERED)),
    # other calls and sizes
    Work("udp4-read-write", u.client(V4, write_read), UDP_SERVED4, **moves("udp", OUT4, **ASKED)),
    Work("udp4-mmsg", u.client(V4, u.ask_many), u.server(V4, u.answer_many), **moves("udp", OUT4, MANY, MANY)),
    Work("udp4-empty", u.client(V4, u.ask_nothing), u.server(V4, u.answer_nothing),
         **moves("udp", OUT4, [0], [0])),
    Work("udp4-truncated", u.client(V4, u.ask_short), UDP_SERVED4, **moves("udp", OUT4, [ASK], [SHORT])),
    Work("udp4-peek", u.client(V4, peek), UDP_SERVED4, kernel={"InDatagrams": 1},
         **moves("udp", OUT4, [ASK], [0, 0, ANSWER])),
    Work("udp4-EAGAIN", u.client(V4, recv_nothing), UDP_SERVED4, kernel={"InDatagrams": 1},
         **moves("udp", OUT4, [ASK], [0, ANSWER])),
    # errors
    Work("udp4-refused-send", u.refused(V4, u.send_refused), None, kernel={"IcmpMsg.InType3": 1},
         **moves("udp", OUT4, [ASK, 0], udp_send_errors=1)),
    Work("udp4-refused-recv", u.refused(V4, u.recv_refused), None, kernel={"IcmpMsg.InType3": 1},
         **moves("udp", OUT4, [ASK], [0], udp_recv_errors=1)),
    Work("udp6-refused-recv", u.refused(V6, u.recv_refused), None, kernel={"Icmp6InType1": 1},
         **moves("udp", OUT6, [ASK], [0], udp_recv_errors=1)),
    Work("udp4-EMSGSIZE", u.refused(V4, u.send_too_much), None, **moves("udp", OUT4, [0], udp_send_errors=1)),
]

# a port for each, so that its rows are its own
WORKS = [work._replace(port=FIRST_PORT + i) for i, work in enumerate(WORKS)]


def talk(here, there, work, n, comm=None):
    """Heard, when each end has done its part N times. The process on the measured host goes by the name `comm`."""
    parts = work.here, work.there or nothing
    return converse(here, there, work.port, [lambda end, part=part: part(end, n) for part in parts], comm)


def expected(work, n, heard):
    """(counters, rows) that N events must have added, in the shape of Heard: what stays as it was is not named. Those that
    are only measured are taken from `heard`."""
    counters = collections.Counter({name: n * value for name, value in work.adds.items()})
    counters.update(work.once)
    for name in work.measured:
        counters[name] = heard.counters.get(name, 0)
    rows = {(direction, protocol, work.port, remote): tuple(n * value for value in values)
            for (direction, protocol, remote), values in work.rows.items()}
    return dict(+counters), {**rows, **(heard.rows if work.measured else {})}
