"""Workloads over TCP: functions of (peer, n) for a process, where the server signals when it listens; and functions of
(peer, sock) for one event on a connection."""
import errno
import os
import socket

from harness.counting_sockets import V4
from workloads.messages import ANSWER, ASK, PARTS, ask, expect

BULK = 1 << 20  # more than BUFFER and what the other side holds
BUFFER = 16384


def client(ip, exchange):
    def work(peer, n):
        peer.wait()
        for _ in range(n):
            sock = peer.tcp(ip)
            expect(sock.connect(ip.address_of(peer.other), peer.port), 0)
            peer.wait()
            exchange(peer, sock)
            sock.close()
    return work


def server(ip, exchange):
    def work(peer, n):
        listener = peer.tcp(ip).serve(ip, peer.port)
        peer.signal()
        for _ in range(n):
            sock = listener.accept()
            # What arrives while the kernel replaces the request by the socket may find neither of them, and is answered by a
            # reset (inet_csk_complete_hashdance; seen on an emulated 5.10).
            peer.signal()
            exchange(peer, sock)
        listener.close()
    return work


def client_lasting(ip, exchange):
    """One connection for all events."""
    def work(peer, n):
        client(ip, lambda peer, sock: [exchange(peer, sock) for _ in range(n)])(peer, 1)
    return work


def server_lasting(ip, exchange):
    def work(peer, n):
        server(ip, lambda peer, sock: [exchange(peer, sock, last=i == n - 1) for i in range(n)])(peer, 1)
    return work


def loopback(ip, address):
    """Client and server are one process."""
    def work(peer, n):
        listener = peer.tcp(ip).serve(ip, peer.port)
        for _ in range(n):
            sock = peer.tcp(ip)
            expect(sock.connect(address, peer.port), 0)
            accepted = listener.accept()
            for sender, receiver, size in ((sock, accepted, ASK), (accepted, sock, ANSWER)):
                expect(sender.send(size), size)
                expect(receiver.recv_all(size), size)
            sock.close()
            accepted.close()
        listener.close()
    return work


def refused(ip):
    def work(peer, n):
        for _ in range(n):
            sock = peer.tcp(ip)
            expect(sock.connect(ip.address_of(peer.other), peer.port), errno.ECONNREFUSED)
            sock.close()
    return work


def unconnected(peer, n):
    for _ in range(n):
        sock = peer.tcp(V4)
        expect(sock.send(ASK), -errno.EPIPE)
        expect(sock.recv(ANSWER), -errno.ENOTCONN)
        sock.close()


def accept_nothing(peer, n):
    listener = peer.tcp(V4).serve(V4, peer.port)
    listener.socket.setblocking(False)
    for _ in range(n):
        try:
            listener.accept()
        except BlockingIOError:
            continue
        raise AssertionError("an unexpected connection")
    listener.close()


def retransmit(ip, how, probes):
    """N connections whose first segment is lost at least once, then arrives. `probes`: tail loss probes may come before
    timeouts."""
    def work(peer, n):
        peer.host.setting("ipv4/tcp_early_retrans", 3 if probes else 0)
        peer.wait()
        socks = [peer.tcp(ip) for _ in range(n)]
        for sock in socks:
            expect(sock.connect(ip.address_of(peer.other), peer.port), 0)
        with peer.host.cut(peer.other, how):
            for sock in socks:
                expect(sock.send(ASK), ASK)
        for sock in socks:
            expect(sock.recv_all(ANSWER), ANSWER)
            sock.close()
        peer.host.setting("ipv4/tcp_early_retrans", 3)
    return work


def lose_answers(ip):
    """N requests for a connection, whose first answer (SYN-ACK) is lost."""
    def work(peer, n):
        listener = peer.tcp(ip).serve(ip, peer.port)
        with peer.host.cut(peer.other, "neighbour"):
            peer.signal()
            peer.wait()
        accepted = [listener.accept() for _ in range(n)]
        peer.signal()
        for sock in accepted:
            answer(peer, sock)
        listener.close()
    return work


def request_at_once(ip):
    def work(peer, n):
        peer.wait()
        socks = [peer.tcp(ip) for _ in range(n)]
        for sock in socks:
            sock.socket.setblocking(False)
            expect(sock.connect(ip.address_of(peer.other), peer.port), errno.EINPROGRESS)
            sock.socket.setblocking(True)
        peer.signal()
        peer.wait()
        for sock in socks:
            expect(sock.send(ASK), ASK)
        for sock in socks:
            expect(sock.recv_all(ANSWER), ANSWER)
            sock.close()
    return work


def retransmit_as_server(ip):
    """As retransmit(), by the process that has accepted the connections."""
    def work(peer, n):
        listener = peer.tcp(ip).serve(ip, peer.port)
        peer.signal()
        socks = [listener.accept() for _ in range(n)]
        with peer.host.cut(peer.other, "neighbour"):
            for sock in socks:
                expect(sock.send(ASK), ASK)
        for sock in socks:
            expect(sock.recv_all(ANSWER), ANSWER)
            sock.close()
    return work


def answer_server(ip):
    """The client of retransmit_as_server()."""
    def work(peer, n):
        peer.wait()
        socks = [peer.tcp(ip) for _ in range(n)]
        for sock in socks:
            expect(sock.connect(ip.address_of(peer.other), peer.port), 0)
        for sock in socks:
            expect(sock.recv_all(ASK), ASK)
            expect(sock.send(ANSWER), ANSWER)
            sock.close()
    return work


def answer_in_turn(ip):
    def work(peer, n):
        listener = peer.tcp(ip).serve(ip, peer.port)
        peer.signal()
        for sock in [listener.accept() for _ in range(n)]:
            answer(peer, sock)
        listener.close()
    return work


# one event on a connection, by the server

def answer(_peer, sock, last=True):
    expect(sock.recv_all(ASK), ASK)
    expect(sock.send(ANSWER), ANSWER)
    if last:
        sock.close()


def answer_sendmsg(_peer, sock):
    expect(sock.recvmsg(*PARTS), sum(PARTS))
    expect(sock.sendmsg(*PARTS), sum(PARTS))
    sock.close()


def answer_at_end(_peer, sock):
    """After the client has closed its sending half."""
    expect([sock.recv_all(ASK), sock.recv(ASK)], [ASK, 0])
    expect(sock.send(ANSWER), ANSWER)
    sock.close()


def drain(peer, sock):
    peer.wait()
    while sock.recv(65536):
        pass
    sock.close()


def reset(peer, sock):
    peer.wait()  # else the reset may arrive before the client's connect(2) returns
    sock.reset()


# one event on a connection, by the client

def sendmsg(_peer, sock):
    expect(sock.sendmsg(*PARTS), sum(PARTS))
    expect(sock.recvmsg(*PARTS), sum(PARTS))


def sendfile(_peer, sock):
    """Of less than a page: that is one call of the protocol, whichever function the kernel has for it."""
    file = os.memfd_create("sent")
    os.write(file, bytes(ASK))
    expect(sock.sendfile(file, ASK), ASK)
    os.close(file)
    expect(sock.recv_all(ANSWER), ANSWER)


def splice(_peer, sock):
    reading, writing = os.pipe()
    expect(sock.send(ASK), ASK)
    expect(sock.splice(writing, ANSWER), ANSWER)
    os.close(reading)
    os.close(writing)


def empty_send(peer, sock):
    expect(sock.send(0), 0)
    ask(peer, sock)


def half_close(peer, sock):
    expect(sock.send(ASK), ASK)
    sock.socket.shutdown(socket.SHUT_WR)
    expect([sock.recv_all(ANSWER), sock.recv(ANSWER)], [ANSWER, 0])


def send_until_full(peer, sock):
    """As much as the kernel takes without waiting, which is part of BULK."""
    sock.set(socket.SO_SNDBUF, BUFFER)
    moved = [sock.send(BULK, socket.MSG_DONTWAIT)]
    while moved[-1] > 0:
        moved.append(sock.send(BULK, socket.MSG_DONTWAIT))
    peer.signal()
    expect(moved[-1], -errno.EAGAIN)
    assert 0 < moved[0] < BULK, "sent %d of %d bytes" % (moved[0], BULK)


def send_after_reset(peer, sock):
    peer.signal()
    sock.await_event()
    expect([sock.send(ASK), sock.send(ASK)], [-errno.ECONNRESET, -errno.EPIPE])


def recv_after_reset(peer, sock):
    peer.signal()
    sock.await_event()
    expect(sock.recv(ANSWER), -errno.ECONNRESET)
