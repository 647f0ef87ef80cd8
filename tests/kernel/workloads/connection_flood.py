"""Short connections, or datagrams, to many ports, as fast as the machine can: for tests of full maps and of cost."""
import resource
import select

from harness.counting_sockets import V4, converse

FIRST_PORT = 20000


def storm(here, there, protocol, events, ports, way=V4, comm=None):
    """Heard of `events` TCP connections that carry a byte each, or UDP datagrams of a byte, from `here` to so many
    ports of `there`, each port in its turn. A connection is reset at the end: it leaves no port in TIME_WAIT.

    For TCP, Heard.theirs is {"accept_tcp": connections that were accepted}.
    """
    out, serve = {"tcp": (connections, accept), "udp": (datagrams, bind)}[protocol]
    parts = [lambda end: out(end, way, events, ports), lambda end: serve(end, way, ports)]
    return converse(here, there, FIRST_PORT, parts, comm)


def connections(end, way, events, ports):
    end.hear()
    address = way.to(end.other)
    for i in range(events):
        wire = end.tcp(way)
        failed = wire.connect(address, end.port + i % ports)
        assert not failed, (i, failed)
        wire.send(1)
        wire.reset()
    end.say()


def datagrams(end, way, events, ports):
    end.hear()
    address = way.to(end.other)
    wire = end.udp(way)
    for i in range(events):
        wire.sendto(1, (address, end.port + i % ports))
    end.say()


def accept(end, way, ports):
    """Accept until the other end says that it has done, and then what is left."""
    listeners = opened(end.tcp, end, way, ports)
    poll = select.epoll()
    for listener in listeners.values():
        listener.socket.setblocking(False)
        poll.register(listener.socket, select.EPOLLIN)
    poll.register(end.hears, select.EPOLLIN)
    end.say()
    ready = []
    while end.hears not in ready:
        ready = [descriptor for descriptor, _ in poll.poll()]
        for descriptor in listeners if end.hears in ready else ready:
            accept_all(listeners[descriptor])


def accept_all(listener):
    try:
        while True:
            listener.accept().close()
    except BlockingIOError:
        pass


def bind(end, way, ports):
    """Sockets that nobody reads: what they cannot hold is dropped, and nobody is told."""
    held = opened(end.udp, end, way, ports)
    end.say()
    end.hear()
    assert len(held) == ports


def opened(make, end, way, ports):
    """{descriptor: Wire} that serve so many ports."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = max(most, ports + 100)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    wires = [make(way).serve(way, end.port + i) for i in range(ports)]
    return {wire.socket.fileno(): wire for wire in wires}
