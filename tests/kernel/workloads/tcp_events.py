"""One event on a TCP connection: functions of (peer, sock), by the server and by the client."""
import errno
import os
import socket

from workloads.messages import ANSWER, ASK, PARTS, ask, expect

BULK = 1 << 20  # more than BUFFER and what the other side holds
BUFFER = 16384


# by the server

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


# by the client

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
