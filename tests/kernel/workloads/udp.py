"""What two ends say over UDP: functions of (end, n), where the end that serves says when it listens; and of (end, wire),
what they do N times."""
import errno

from workloads.messages import ANSWER, ASK, MANY, SHORT, expect


def client(way, exchange, connected=True):
    """N exchanges on one socket."""
    def work(end, n):
        end.hear()
        wire = end.udp(way)
        if connected:
            expect(wire.connect(way.to(end.other), end.port), 0)
        for _ in range(n):
            exchange(end, wire)
    return work


def server(way, exchange):
    def work(end, n):
        wire = end.udp(way).serve(way, end.port)
        end.say()
        for _ in range(n):
            exchange(end, wire)
    return work


def loopback(way, address):
    def work(end, n):
        service, wire = end.udp(way).serve(way, end.port), end.udp(way)
        expect(wire.connect(address, end.port), 0)
        for _ in range(n):
            expect(wire.send(ASK), ASK)
            answer(end, service)
            expect(wire.recv(ANSWER), ANSWER)
    return work


def refused(way, exchange):
    """Nobody is there."""
    def work(end, n):
        wire = end.udp(way)
        expect(wire.connect(way.to(end.other), end.port), 0)
        for _ in range(n):
            exchange(end, wire)
    return work


def send_refused(_end, wire):
    expect(wire.send(ASK), ASK)
    wire.await_event()
    expect(wire.send(ASK), -errno.ECONNREFUSED)


def recv_refused(_end, wire):
    expect(wire.send(ASK), ASK)
    wire.await_event()
    expect(wire.recv(ANSWER), -errno.ECONNREFUSED)


def send_too_much(_end, wire):
    expect(wire.send(70000), -errno.EMSGSIZE)


def ask_to(way):
    def exchange(end, wire):
        expect(wire.sendto(ASK, (way.to(end.other), end.port)), ASK)
        expect(wire.recvfrom(ANSWER)[0], ANSWER)
    return exchange


def ask_short(_end, wire):
    """The datagram is longer than the buffer: the rest of it is lost."""
    expect(wire.send(ASK), ASK)
    expect(wire.recv(SHORT), SHORT)


def ask_nothing(_end, wire):
    expect(wire.send(0), 0)
    expect(wire.recv(ANSWER), 0)


def ask_many(_end, wire):
    expect(wire.sendmmsg(*MANY), list(MANY))
    expect(wire.recvmmsg(*[ANSWER * 2] * len(MANY)), list(MANY))


def answer(_end, wire):
    size, address = wire.recvfrom(ANSWER)
    expect([size, wire.sendto(ANSWER, address)], [ASK, ANSWER])


def answer_nothing(_end, wire):
    size, address = wire.recvfrom(ANSWER)
    expect([size, wire.sendto(0, address)], [0, 0])


def answer_many(_end, wire):
    for size in MANY:
        found, address = wire.recvfrom(ANSWER * 2)
        expect(found, size)
        expect(wire.sendto(size, address), size)
