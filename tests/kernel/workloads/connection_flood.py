"""Short connections, or datagrams, to many ports, as fast as the machine can: for tests of full maps and of cost."""
import resource
import select

from harness.counting_sockets import V4, run_pair

FIRST_PORT = 20000


def flood(here, there, protocol, events, ports, ip=V4, comm=None):
    """Outcome of `events` TCP connections that carry a byte each, or UDP datagrams of a byte, from `here` to so many
    ports of `there`, one after the other. A connection ends with a reset: it leaves no port in TIME_WAIT.

    For TCP, Outcome.peer_counters is {"accept_tcp": connections that were accepted}.
    """
    send, receive = {"tcp": (connect_all, accept_all), "udp": (send_datagrams, bind_all)}[protocol]
    functions = [lambda peer: send(peer, ip, events, ports), lambda peer: receive(peer, ip, ports)]
    return run_pair(here, there, FIRST_PORT, functions, comm)


def connect_all(peer, ip, events, ports):
    peer.wait()
    address = ip.address_of(peer.other)
    for i in range(events):
        sock = peer.tcp(ip)
        failed = sock.connect(address, peer.port + i % ports)
        assert not failed, (i, failed)
        sock.send(1)
        sock.reset()
    peer.signal()


def send_datagrams(peer, ip, events, ports):
    peer.wait()
    address = ip.address_of(peer.other)
    sock = peer.udp(ip)
    for i in range(events):
        sock.sendto(1, (address, peer.port + i % ports))
    peer.signal()


def accept_all(peer, ip, ports):
    """Accept until the other peer signals that it is done, and then what is still pending."""
    listeners = listen_on(peer.tcp, peer, ip, ports)
    poll = select.epoll()
    for listener in listeners.values():
        listener.socket.setblocking(False)
        poll.register(listener.socket, select.EPOLLIN)
    poll.register(peer.reading, select.EPOLLIN)
    peer.signal()
    ready = []
    while peer.reading not in ready:
        ready = [descriptor for descriptor, _ in poll.poll()]
        for descriptor in listeners if peer.reading in ready else ready:
            accept_pending(listeners[descriptor])


def accept_pending(listener):
    try:
        while True:
            listener.accept().close()
    except BlockingIOError:
        pass


def bind_all(peer, ip, ports):
    """Sockets that are never read: the kernel drops silently what they cannot hold."""
    sockets = listen_on(peer.udp, peer, ip, ports)
    peer.signal()
    peer.wait()
    assert len(sockets) == ports


def listen_on(make, peer, ip, ports):
    """{descriptor: CountingSocket} of so many ports; make(ip) makes one."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = max(most, ports + 100)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    socks = [make(ip).serve(ip, peer.port + i) for i in range(ports)]
    return {sock.socket.fileno(): sock for sock in socks}
