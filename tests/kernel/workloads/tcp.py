"""What two ends say over TCP: functions of (end, n), where the end that serves says when it listens; and of (end, wire),
what they do with each connection."""
import errno
import os
import socket

from harness.counting_sockets import V4
from workloads.messages import ANSWER, ASK, PARTS, ask, expect

BULK = 1 << 20  # more than BUFFER and what the other side holds
BUFFER = 16384


def client(way, exchange):
    def work(end, n):
        end.hear()
        for _ in range(n):
            wire = end.tcp(way)
            expect(wire.connect(way.to(end.other), end.port), 0)
            end.hear()
            exchange(end, wire)
            wire.close()
    return work


def server(way, exchange):
    def work(end, n):
        listener = end.tcp(way).serve(way, end.port)
        end.say()
        for _ in range(n):
            wire = listener.accept()
            # What arrives while the kernel replaces the request by the socket may find neither of them, and is answered by a
            # reset (inet_csk_complete_hashdance; seen on an emulated 5.10).
            end.say()
            exchange(end, wire)
        listener.close()
    return work


def client_lasting(way, exchange):
    """One connection for all."""
    def work(end, n):
        client(way, lambda end, wire: [exchange(end, wire) for _ in range(n)])(end, 1)
    return work


def server_lasting(way, exchange):
    def work(end, n):
        server(way, lambda end, wire: [exchange(end, wire, last=i == n - 1) for i in range(n)])(end, 1)
    return work


def loopback(way, address):
    """Both ends are one process."""
    def work(end, n):
        listener = end.tcp(way).serve(way, end.port)
        for _ in range(n):
            wire = end.tcp(way)
            expect(wire.connect(address, end.port), 0)
            accepted = listener.accept()
            for sender, receiver, size in ((wire, accepted, ASK), (accepted, wire, ANSWER)):
                expect(sender.send(size), size)
                expect(receiver.recv_all(size), size)
            wire.close()
            accepted.close()
        listener.close()
    return work


def refused(way):
    def work(end, n):
        for _ in range(n):
            wire = end.tcp(way)
            expect(wire.connect(way.to(end.other), end.port), errno.ECONNREFUSED)
            wire.close()
    return work


def unconnected(end, n):
    for _ in range(n):
        wire = end.tcp(V4)
        expect(wire.send(ASK), -errno.EPIPE)
        expect(wire.recv(ANSWER), -errno.ENOTCONN)
        wire.close()


def accept_nothing(end, n):
    listener = end.tcp(V4).serve(V4, end.port)
    listener.socket.setblocking(False)
    for _ in range(n):
        try:
            listener.accept()
        except BlockingIOError:
            continue
        raise AssertionError("somebody has connected")
    listener.close()


def retransmit(way, how, probes):
    """N connections lose what they send, each once at least; then it gets through. `probes` may come before timeouts."""
    def work(end, n):
        end.host.setting("ipv4/tcp_early_retrans", 3 if probes else 0)
        end.hear()
        wires = [end.tcp(way) for _ in range(n)]
        for wire in wires:
            expect(wire.connect(way.to(end.other), end.port), 0)
        with end.host.cut(end.other, how):
            for wire in wires:
                expect(wire.send(ASK), ASK)
        for wire in wires:
            expect(wire.recv_all(ANSWER), ANSWER)
            wire.close()
        end.host.setting("ipv4/tcp_early_retrans", 3)
    return work


def lose_answers(way):
    """N requests for a connection are answered, each in vain at first."""
    def work(end, n):
        listener = end.tcp(way).serve(way, end.port)
        with end.host.cut(end.other, "neighbour"):
            end.say()
            end.hear()
        accepted = [listener.accept() for _ in range(n)]
        end.say()
        for wire in accepted:
            answer(end, wire)
        listener.close()
    return work


def request_at_once(way):
    def work(end, n):
        end.hear()
        wires = [end.tcp(way) for _ in range(n)]
        for wire in wires:
            wire.socket.setblocking(False)
            expect(wire.connect(way.to(end.other), end.port), errno.EINPROGRESS)
            wire.socket.setblocking(True)
        end.say()
        end.hear()
        for wire in wires:
            expect(wire.send(ASK), ASK)
        for wire in wires:
            expect(wire.recv_all(ANSWER), ANSWER)
            wire.close()
    return work


def answer_in_turn(way):
    def work(end, n):
        listener = end.tcp(way).serve(way, end.port)
        end.say()
        for wire in [listener.accept() for _ in range(n)]:
            answer(end, wire)
        listener.close()
    return work


# what is done with a connection by who accepted it

def answer(_end, wire, last=True):
    expect(wire.recv_all(ASK), ASK)
    expect(wire.send(ANSWER), ANSWER)
    if last:
        wire.close()


def answer_sendmsg(_end, wire):
    expect(wire.recvmsg(*PARTS), sum(PARTS))
    expect(wire.sendmsg(*PARTS), sum(PARTS))
    wire.close()


def answer_at_end(_end, wire):
    """Not before the other side has said that nothing more will come."""
    expect([wire.recv_all(ASK), wire.recv(ASK)], [ASK, 0])
    expect(wire.send(ANSWER), ANSWER)
    wire.close()


def drain(end, wire):
    end.hear()
    while wire.recv(65536):
        pass
    wire.close()


def reset(end, wire):
    end.hear()  # else the other end's connect(2) may find the reset before it returns
    wire.reset()


# what is done with a connection by who made it

def sendmsg(_end, wire):
    expect(wire.sendmsg(*PARTS), sum(PARTS))
    expect(wire.recvmsg(*PARTS), sum(PARTS))


def sendfile(_end, wire):
    """Of less than a page: that is one call of the protocol, whichever function the kernel has for it."""
    file = os.memfd_create("sent")
    os.write(file, bytes(ASK))
    expect(wire.sendfile(file, ASK), ASK)
    os.close(file)
    expect(wire.recv_all(ANSWER), ANSWER)


def splice(_end, wire):
    reading, writing = os.pipe()
    expect(wire.send(ASK), ASK)
    expect(wire.splice(writing, ANSWER), ANSWER)
    os.close(reading)
    os.close(writing)


def empty_send(end, wire):
    expect(wire.send(0), 0)
    ask(end, wire)


def half_close(end, wire):
    expect(wire.send(ASK), ASK)
    wire.socket.shutdown(socket.SHUT_WR)
    expect([wire.recv_all(ANSWER), wire.recv(ANSWER)], [ANSWER, 0])


def flood(end, wire):
    """As much as the kernel takes without waiting."""
    wire.set(socket.SO_SNDBUF, BUFFER)
    moved = [wire.send(BULK, socket.MSG_DONTWAIT)]
    while moved[-1] > 0:
        moved.append(wire.send(BULK, socket.MSG_DONTWAIT))
    end.say()
    assert moved[-1] == -errno.EAGAIN and 0 < moved[0] < BULK, moved


def send_after_reset(end, wire):
    end.say()
    wire.await_event()
    expect([wire.send(ASK), wire.send(ASK)], [-errno.ECONNRESET, -errno.EPIPE])


def recv_after_reset(end, wire):
    end.say()
    wire.await_event()
    expect(wire.recv(ANSWER), -errno.ECONNRESET)
