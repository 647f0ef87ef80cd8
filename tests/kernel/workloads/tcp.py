"""Workloads over TCP: functions of (peer, n) for a process. The server signals when it listens."""
import errno
import socket

from harness.counting_sockets import V4
from workloads.messages import ANSWER, ASK, expect
from workloads.tcp_events import answer


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


def to_itself(ip, address):
    """One socket, which is connected to itself, for all events. It is reset: in TIME_WAIT it would keep its port."""
    def work(peer, n):
        sock = peer.tcp(ip)
        sock.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.socket.bind((address, peer.port))
        expect(sock.connect(address, peer.port), 0)
        for _ in range(n):
            expect(sock.send(ASK), ASK)
            expect(sock.recv_all(ASK), ASK)
        sock.reset()
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
