"""What the ends of TCP and UDP alike say to each other; sizes of messages.

All go in lock-step, an answer for each question, each of one segment or datagram: nothing depends on time, and each call
moves exactly one message.
"""
import errno
import socket

ASK, ANSWER, SHORT = 101, 211, 10
PARTS = range(1, 38)  # sizes of the parts of one message, of sendmsg(2)
MANY = (1, 101, 0, 211, 307, 2, 3)  # sizes of messages of sendmmsg(2)


def expect(result, expected):
    assert result == expected, "%s, not %s" % (result, expected)


def nothing(_end, _n):
    pass


# (end, wire): what is done with a connection, or a connected socket

def ask(_end, wire):
    expect(wire.send(ASK), ASK)
    expect(wire.recv_all(ANSWER), ANSWER)


def write_read(_end, wire):
    wire.set(socket.SO_RCVLOWAT, ANSWER)
    expect(wire.write(ASK), ASK)
    expect(wire.read(ANSWER), ANSWER)


def peek(_end, wire):
    expect(wire.send(ASK), ASK)
    expect([wire.peek(ANSWER), wire.peek(ANSWER), wire.recv_all(ANSWER)], [0, 0, ANSWER])


def recv_nothing(end, wire):
    expect(wire.recv(ANSWER, socket.MSG_DONTWAIT), -errno.EAGAIN)
    ask(end, wire)
