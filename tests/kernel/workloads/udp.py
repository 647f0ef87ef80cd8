"""Workloads over UDP: functions of (peer, n) for a process, where the server signals when it is bound; and functions of
(peer, sock) for one event."""
import errno

from workloads.messages import ANSWER, ASK, MANY, SHORT, expect


def client(ip, exchange, connected=True):
    """N exchanges on one socket."""
    def work(peer, n):
        peer.wait()
        sock = peer.udp(ip)
        if connected:
            expect(sock.connect(ip.address_of(peer.other), peer.port), 0)
        for _ in range(n):
            exchange(peer, sock)
    return work


def server(ip, exchange):
    def work(peer, n):
        sock = peer.udp(ip).serve(ip, peer.port)
        peer.signal()
        for _ in range(n):
            exchange(peer, sock)
    return work


def loopback(ip, address):
    def work(peer, n):
        service, sock = peer.udp(ip).serve(ip, peer.port), peer.udp(ip)
        expect(sock.connect(address, peer.port), 0)
        for _ in range(n):
            expect(sock.send(ASK), ASK)
            answer(peer, service)
            expect(sock.recv(ANSWER), ANSWER)
    return work


def refused(ip, exchange):
    """No socket is bound to the port."""
    def work(peer, n):
        sock = peer.udp(ip)
        expect(sock.connect(ip.address_of(peer.other), peer.port), 0)
        for _ in range(n):
            exchange(peer, sock)
    return work


def send_refused(_peer, sock):
    expect(sock.send(ASK), ASK)
    sock.await_event()
    expect(sock.send(ASK), -errno.ECONNREFUSED)


def recv_refused(_peer, sock):
    expect(sock.send(ASK), ASK)
    sock.await_event()
    expect(sock.recv(ANSWER), -errno.ECONNREFUSED)


def send_too_much(_peer, sock):
    expect(sock.send(70000), -errno.EMSGSIZE)


def ask_to(ip):
    def exchange(peer, sock):
        expect(sock.sendto(ASK, (ip.address_of(peer.other), peer.port)), ASK)
        expect(sock.recvfrom(ANSWER)[0], ANSWER)
    return exchange


def ask_short(_peer, sock):
    """The datagram is longer than the buffer: the kernel drops the rest."""
    expect(sock.send(ASK), ASK)
    expect(sock.recv(SHORT), SHORT)


def ask_nothing(_peer, sock):
    expect(sock.send(0), 0)
    expect(sock.recv(ANSWER), 0)


def ask_many(_peer, sock):
    expect(sock.sendmmsg(*MANY), list(MANY))
    expect(sock.recvmmsg(*[ANSWER * 2] * len(MANY)), list(MANY))


def answer(_peer, sock):
    size, address = sock.recvfrom(ANSWER)
    expect([size, sock.sendto(ANSWER, address)], [ASK, ANSWER])


def answer_nothing(_peer, sock):
    size, address = sock.recvfrom(ANSWER)
    expect([size, sock.sendto(0, address)], [0, 0])


def answer_many(_peer, sock):
    for size in MANY:
        found, address = sock.recvfrom(ANSWER * 2)
        expect(found, size)
        expect(sock.sendto(size, address), size)
