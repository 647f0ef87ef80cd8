"""Messages that TCP and UDP peers exchange, and their sizes in bytes.

A message is one segment or datagram, and each one is answered before the next: nothing depends on time, and each call moves
exactly one message.
"""
import errno
import socket

ASK, ANSWER, SHORT = 101, 211, 10
PARTS = range(1, 38)  # sizes of the parts of one message, of sendmsg(2)
MANY = (1, 101, 0, 211, 307, 2, 3)  # sizes of messages of sendmmsg(2)


def expect(result, expected):
    assert result == expected, "%s, not %s" % (result, expected)


def do_nothing(_peer, _n):
    pass


# functions of (peer, sock): one event on a connection, or on a connected socket

def ask(_peer, sock):
    expect(sock.send(ASK), ASK)
    expect(sock.recv_all(ANSWER), ANSWER)


def write_read(_peer, sock):
    sock.set(socket.SO_RCVLOWAT, ANSWER)
    expect(sock.write(ASK), ASK)
    expect(sock.read(ANSWER), ANSWER)


def peek(_peer, sock):
    expect(sock.send(ASK), ASK)
    expect([sock.peek(ANSWER), sock.peek(ANSWER), sock.recv_all(ANSWER)], [0, 0, ANSWER])


def recv_without_data(peer, sock):
    expect(sock.recv(ANSWER, socket.MSG_DONTWAIT), -errno.EAGAIN)
    ask(peer, sock)
