"""Cases of the network group: a workload of N events, and what it must add on the measured host.

A packet is a call that moved more than 0 bytes. An IPv6 socket connected to an IPv4 address counts as IPv4.
"""
import collections
from typing import NamedTuple

from harness import network_namespaces
from harness.counting_sockets import MAPPED, V4, V6, run_pair
from workloads import tcp, tcp_events, udp
from workloads.messages import ANSWER, ASK, MANY, PARTS, SHORT, ask, do_nothing, peek, recv_without_data, write_read

PEER4, PEER6 = network_namespaces.V4 % 2, network_namespaces.V6 % 2
OUT4, OUT6, IN = ("out", PEER4), ("out", PEER6), ("in", None)
FIRST_PORT = 7001


class Case(NamedTuple):
    """`work` is a function of (peer, n) on the measured host, `peer_work` one on the other host, or None.

    `adds` is {counter: what one event adds}, `rows` {(direction, protocol, remote address or None for inbound): values as in
    exact_counts.ROW}, `once` {counter: count} for all events together. Counters in `from_calls` depend on the kernel's
    buffers: what the workload's own calls returned is expected of them, and of the rows. `on_system_calls` replaces `adds`
    where hooks are on system calls. `kernel` is {counter of /proc/net: count for one event} where the calls do not tell,
    `kernel_at_least` the same as lower bounds; tcp_retransmit is compared with Host.retransmissions().
    """
    name: str
    work: object
    peer_work: object
    adds: dict = {}
    rows: dict = {}
    once: dict = {}
    from_calls: tuple = ()
    kernel_at_least: dict = {}
    kernel: dict = {}
    on_system_calls: dict = {}
    cut: str = ""  # the key of network_namespaces.CUTS that it needs
    port: int = 0  # of the service, in all rows


def moves(protocol, row, sent=(), received=(), **more):
    """`adds` and `rows` of an event with calls of these sizes; 0 is a call that moves nothing."""
    adds = {"%s_send_calls" % protocol: len(sent), "%s_send_bytes" % protocol: sum(sent),
            "%s_recv_calls" % protocol: len(received), "%s_recv_bytes" % protocol: sum(received)}
    values = sum(sent), sum(map(bool, sent)), sum(received), sum(map(bool, received))
    return {"adds": {**adds, **more}, "rows": {(row[0], protocol.upper(), row[1]): values} if any(values) else {}}


def connection(row, sent=(ASK,), received=(ANSWER,), **more):
    """The same for a connection from the measured host, closed."""
    return moves("tcp", row, sent, received, tcp_close=1, **{"connect_v6" if row == OUT6 else "connect_v4": 1, **more})


def accepted(sent=(ANSWER,), received=(ASK,), **more):
    """The same for a connection accepted by the measured host; `once` is the close of the listener."""
    return {**moves("tcp", IN, sent, received, tcp_close=1, accept_tcp=1, **more), "once": {"tcp_close": 1}}


def both(protocol, remote, **more):
    """The same where client and server are on the measured host."""
    out, inner = (moves(protocol, ("out", remote), [ASK], [ANSWER]), moves(protocol, IN, [ANSWER], [ASK]))
    adds = {name: value + inner["adds"][name] for name, value in out["adds"].items()}
    return {"adds": {**adds, **more}, "rows": {**out["rows"], **inner["rows"]}}


ASKED = {"sent": [ASK], "received": [ANSWER]}
ANSWERED = {"sent": [ANSWER], "received": [ASK]}
SERVED4, SERVED6 = tcp.server(V4, tcp_events.answer), tcp.server(V6, tcp_events.answer)
UDP_SERVED4, UDP_SERVED6 = udp.server(V4, udp.answer), udp.server(V6, udp.answer)

BY_TIMEOUT = {"kernel_at_least": {"Tcp.RetransSegs": 1, "TcpExt.TCPTimeouts": 1}, "kernel": {"TcpExt.TCPLossProbes": 0}}
SYN_ACK_AGAIN = {"Tcp.RetransSegs": 1, "TcpExt.TCPSynRetrans": 1}
ON_RESET = {"Tcp.EstabResets": 1}

CASES = [
    # TCP, a connection each
    Case("tcp4-client", tcp.client(V4, ask), SERVED4, **connection(OUT4)),
    Case("tcp6-client", tcp.client(V6, ask), SERVED6, **connection(OUT6)),
    Case("tcp4-mapped-client", tcp.client(MAPPED, ask), SERVED4, **connection(OUT4)),
    Case("tcp4-server", SERVED4, tcp.client(V4, ask), **accepted()),
    Case("tcp6-server", SERVED6, tcp.client(V6, ask), **accepted()),
    Case("tcp4-mapped-server", tcp.server(MAPPED, tcp_events.answer), tcp.client(V4, ask), **accepted()),
    Case("tcp4-loopback", tcp.loopback(V4, "127.0.0.1"), None, once={"tcp_close": 1},
         **both("tcp", "127.0.0.1", connect_v4=1, accept_tcp=1, tcp_close=2)),
    Case("tcp6-loopback", tcp.loopback(V6, "::1"), None, once={"tcp_close": 1},
         **both("tcp", "::1", connect_v6=1, accept_tcp=1, tcp_close=2)),
    # a socket that is connected to itself: one that opens, and that nobody accepts
    Case("tcp4-to-itself", tcp.to_itself(V4, "127.0.0.1"), None, once={"connect_v4": 1, "tcp_close": 1},
         **moves("tcp", ("out", "127.0.0.1"), [ASK], [ASK])),
    Case("tcp6-to-itself", tcp.to_itself(V6, "::1"), None, once={"connect_v6": 1, "tcp_close": 1},
         **moves("tcp", ("out", "::1"), [ASK], [ASK])),
    # one connection
    Case("tcp4-lasting", tcp.client_lasting(V4, ask), tcp.server_lasting(V4, tcp_events.answer),
         once={"connect_v4": 1, "tcp_close": 1}, **moves("tcp", OUT4, **ASKED)),
    # other calls
    Case("tcp4-read-write", tcp.client(V4, write_read), SERVED4, **connection(OUT4)),
    Case("tcp4-sendmsg", tcp.client(V4, tcp_events.sendmsg), tcp.server(V4, tcp_events.answer_sendmsg),
         **connection(OUT4, [sum(PARTS)], [sum(PARTS)])),
    Case("tcp4-sendfile", tcp.client(V4, tcp_events.sendfile), SERVED4, **connection(OUT4)),
    Case("tcp4-splice", tcp.client(V4, tcp_events.splice), SERVED4,
         on_system_calls={"tcp_recv_calls": 0, "tcp_recv_bytes": 0}, **connection(OUT4)),
    Case("tcp4-peek", tcp.client(V4, peek), SERVED4, **connection(OUT4, received=[0, 0, ANSWER])),
    Case("tcp4-empty-send", tcp.client(V4, tcp_events.empty_send), SERVED4, **connection(OUT4, sent=[0, ASK])),
    Case("tcp4-half-close", tcp.client(V4, tcp_events.half_close), tcp.server(V4, tcp_events.answer_at_end),
         **connection(OUT4, received=[ANSWER, 0])),
    Case("tcp4-EAGAIN", tcp.client(V4, recv_without_data), SERVED4, **connection(OUT4, received=[0, ANSWER])),
    Case("tcp4-partial", tcp.client(V4, tcp_events.send_until_full), tcp.server(V4, tcp_events.drain),
         from_calls=("tcp_send_calls", "tcp_send_bytes"), adds={"connect_v4": 1, "tcp_close": 1}),
    Case("tcp4-accept-EAGAIN", tcp.accept_nothing, None, once={"tcp_close": 1}),
    # errors
    Case("tcp4-refused", tcp.refused(V4), None, kernel={"Tcp.AttemptFails": 1}, **connection(OUT4, (), ())),
    Case("tcp6-refused", tcp.refused(V6), None, kernel={"Tcp.AttemptFails": 1}, **connection(OUT6, (), ())),
    Case("tcp4-reset-send", tcp.client(V4, tcp_events.send_after_reset), tcp.server(V4, tcp_events.reset), kernel=ON_RESET,
         **connection(OUT4, sent=[0, 0], received=(), tcp_send_errors=2)),
    Case("tcp4-reset-recv", tcp.client(V4, tcp_events.recv_after_reset), tcp.server(V4, tcp_events.reset), kernel=ON_RESET,
         **connection(OUT4, sent=(), received=[0], tcp_recv_errors=1)),
    Case("tcp4-unconnected", tcp.unconnected, None,
         **moves("tcp", OUT4, [0], [0], tcp_send_errors=1, tcp_recv_errors=1, tcp_close=1)),
    # segments are lost at first, and sent again after a timeout, or by a tail loss probe before it
    Case("tcp4-retransmit-qdisc", tcp.retransmit(V4, "qdisc", False), tcp.answer_in_turn(V4), cut="qdisc",
         **BY_TIMEOUT, **connection(OUT4)),
    Case("tcp6-retransmit-qdisc", tcp.retransmit(V6, "qdisc", False), tcp.answer_in_turn(V6), cut="qdisc",
         **BY_TIMEOUT, **connection(OUT6)),
    Case("tcp4-retransmit", tcp.retransmit(V4, "neighbour", False), tcp.answer_in_turn(V4),
         **BY_TIMEOUT, **connection(OUT4)),
    Case("tcp4-loss-probe", tcp.retransmit(V4, "neighbour", True), tcp.answer_in_turn(V4),
         kernel_at_least={"Tcp.RetransSegs": 1, "TcpExt.TCPLossProbes": 1}, **connection(OUT4)),
    Case("tcp4-answers-lost", tcp.lose_answers(V4), tcp.request_at_once(V4),
         kernel_at_least=SYN_ACK_AGAIN, **accepted()),
    Case("tcp6-answers-lost", tcp.lose_answers(V6), tcp.request_at_once(V6),
         kernel_at_least=SYN_ACK_AGAIN, **accepted()),
    # UDP, connected
    Case("udp4-client", udp.client(V4, ask), UDP_SERVED4, **moves("udp", OUT4, **ASKED)),
    Case("udp6-client", udp.client(V6, ask), UDP_SERVED6, **moves("udp", OUT6, **ASKED)),
    Case("udp4-mapped-client", udp.client(MAPPED, ask), UDP_SERVED4, **moves("udp", OUT4, **ASKED)),
    Case("udp4-loopback", udp.loopback(V4, "127.0.0.1"), None, **both("udp", "127.0.0.1")),
    Case("udp6-loopback", udp.loopback(V6, "::1"), None, **both("udp", "::1")),
    # unconnected
    Case("udp4-sendto", udp.client(V4, udp.ask_to(V4), False), UDP_SERVED4, **moves("udp", OUT4, **ASKED)),
    Case("udp6-sendto", udp.client(V6, udp.ask_to(V6), False), UDP_SERVED6, **moves("udp", OUT6, **ASKED)),
    Case("udp4-mapped-sendto", udp.client(MAPPED, udp.ask_to(MAPPED), False), UDP_SERVED4, **moves("udp", OUT4, **ASKED)),
    Case("udp4-server", UDP_SERVED4, udp.client(V4, ask), **moves("udp", IN, **ANSWERED)),
    Case("udp6-server", UDP_SERVED6, udp.client(V6, ask), **moves("udp", IN, **ANSWERED)),
    Case("udp4-mapped-server", udp.server(MAPPED, udp.answer), udp.client(V4, ask), **moves("udp", IN, **ANSWERED)),
    # other calls and sizes
    Case("udp4-read-write", udp.client(V4, write_read), UDP_SERVED4, **moves("udp", OUT4, **ASKED)),
    Case("udp4-mmsg", udp.client(V4, udp.ask_many), udp.server(V4, udp.answer_many), **moves("udp", OUT4, MANY, MANY)),
    Case("udp4-empty", udp.client(V4, udp.ask_nothing), udp.server(V4, udp.answer_nothing),
         **moves("udp", OUT4, [0], [0])),
    Case("udp4-truncated", udp.client(V4, udp.ask_short), UDP_SERVED4, **moves("udp", OUT4, [ASK], [SHORT])),
    Case("udp4-peek", udp.client(V4, peek), UDP_SERVED4, kernel={"InDatagrams": 1},
         **moves("udp", OUT4, [ASK], [0, 0, ANSWER])),
    Case("udp4-EAGAIN", udp.client(V4, recv_without_data), UDP_SERVED4, kernel={"InDatagrams": 1},
         **moves("udp", OUT4, [ASK], [0, ANSWER])),
    # errors
    Case("udp4-refused-send", udp.refused(V4, udp.send_refused), None, kernel={"IcmpMsg.InType3": 1},
         **moves("udp", OUT4, [ASK, 0], udp_send_errors=1)),
    Case("udp4-refused-recv", udp.refused(V4, udp.recv_refused), None, kernel={"IcmpMsg.InType3": 1},
         **moves("udp", OUT4, [ASK], [0], udp_recv_errors=1)),
    Case("udp6-refused-recv", udp.refused(V6, udp.recv_refused), None, kernel={"Icmp6InType1": 1},
         **moves("udp", OUT6, [ASK], [0], udp_recv_errors=1)),
    Case("udp4-EMSGSIZE", udp.refused(V4, udp.send_too_much), None, **moves("udp", OUT4, [0], udp_send_errors=1)),
]

# a port for each case, so that its rows are its own
CASES = [case._replace(port=FIRST_PORT + i) for i, case in enumerate(CASES)]


def run_case(here, there, case, n, comm=None):
    """Outcome of N events. The process on the measured host `here` has the name `comm`."""
    functions = [lambda peer: case.work(peer, n), lambda peer: (case.peer_work or do_nothing)(peer, n)]
    return run_pair(here, there, case.port, functions, comm)


def expected_counts(case, n, outcome):
    """(counters, rows) that N events must have added, in the shape of Outcome: zeros are left out."""
    counters = collections.Counter({name: n * value for name, value in case.adds.items()})
    counters.update(case.once)
    for name in case.from_calls:
        counters[name] = outcome.counters.get(name, 0)
    rows = {(direction, protocol, case.port, remote): tuple(n * value for value in values)
            for (direction, protocol, remote), values in case.rows.items()}
    return dict(+counters), {**rows, **(outcome.rows if case.from_calls else {})}
