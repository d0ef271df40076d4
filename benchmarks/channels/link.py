"""A link with delay, a rate and loss between two WebRTC peers, in user space: no root, no kernel module.

Two UDP sockets stand between them.  Each description is passed on with one candidate only, the link's own, so that
all packets of ICE, DTLS and SCTP take this way:

    A  --->  [far] ... delay, rate, loss ... [near]  --->  B        and the same way back

Order is kept, as on most real paths.  Packets wait for the rate in a queue of `queue_bytes`; what does not fit there,
and what is lost by chance (from a seed), is counted.  Packets are passed on in steps of a millisecond.

    link = Link(delay_us=10_000)
    answer = await other.answer(link.pass_offer(offer.description))
    with link.running():                        # in a process of its own; `thread=True` for tests
        channel = await offer.accept(link.pass_answer(answer.description))
"""

from __future__ import annotations

import contextlib
import multiprocessing
import random
import re
import select
import socket
import threading
import time
from collections import deque
from collections.abc import Iterator

__all__ = ["Link"]

_CANDIDATE = re.compile(
    r"(?im)^a=candidate:(?P<before>\S+ 1 udp \d+) (?P<host>\d+\.\d+\.\d+\.\d+) (?P<port>\d+) typ host"
)
_ANY_CANDIDATE = re.compile(r"(?m)^a=candidate:.*\r?\n")
_BUFFER_BYTES = 8 * 1024 * 1024  # ours must never be what loses a packet
_SO_RCVBUFFORCE = 33
_READ_AT_ONCE = 256  # so that a flood one way does not hold up the other
_STEP_S = 0.001
_HEADER_BYTES = 28

Address = tuple[str, int]


class Link:
    """One link; each direction has the same properties."""

    def __init__(
        self,
        *,
        delay_us: int = 0,
        bytes_per_second: int | None = None,
        queue_bytes: int = 4 * 1024 * 1024,
        loss: float = 0.0,
        seed: int = 0,
    ) -> None:
        """`delay_us` is one way; `loss` a share of the packets."""
        self._delay_s = delay_us / 1e6
        self._rate = bytes_per_second
        self._queue_bytes = queue_bytes
        self._loss = loss
        self._chance = random.Random(seed)
        self._far = _socket()  # what A takes for B
        self._near = _socket()  # what B takes for A
        self._a: Address | None = None
        self._b: Address | None = None
        self.cut = multiprocessing.Event()  # set: nothing passes any more, in either direction
        self._stop = multiprocessing.Event()
        self._counts = multiprocessing.Array("q", 4)

    @property
    def passed(self) -> int:
        """Packets, both ways."""
        return self._counts[0]

    @property
    def lost(self) -> int:
        """Packets lost by chance."""
        return self._counts[1]

    @property
    def overflowed(self) -> int:
        """Packets that found the queue full."""
        return self._counts[2]

    @property
    def passed_bytes(self) -> int:
        """From A to B, with the headers of IPv4 and UDP."""
        return self._counts[3]

    def pass_offer(self, description: str) -> str:
        """A's offer, as B is to see it."""
        self._a, changed = _redirect(description, self._near)
        return changed

    def pass_answer(self, description: str) -> str:
        """B's answer, as A is to see it."""
        self._b, changed = _redirect(description, self._far)
        return changed

    @contextlib.contextmanager
    def running(self, *, thread: bool = False) -> Iterator[Link]:
        """Pass packets until the end of the block; call after both descriptions were passed."""
        assert self._a is not None
        assert self._b is not None
        worker = (
            threading.Thread(target=self._run, daemon=True)
            if thread
            else multiprocessing.get_context("fork").Process(target=self._run, daemon=True)
        )
        worker.start()
        try:
            yield self
        finally:
            self._stop.set()
            worker.join(5)
            self._far.close()
            self._near.close()

    def _run(self) -> None:
        assert self._a is not None
        assert self._b is not None
        ways = [_Way(self._far, self._near, self._b), _Way(self._near, self._far, self._a)]
        by_socket = {way.source: way for way in ways}
        while not self._stop.is_set():
            due = min((way.queue[0][0] for way in ways if way.queue), default=None)
            wait = 0.05 if due is None else min(0.05, max(0.0, due - time.monotonic()))
            if not select.select(list(by_socket), [], [], wait)[0] and due is None:
                continue
            # A step of a millisecond, as network cards collect interrupts: packet by packet we would need a core.
            time.sleep(_STEP_S)
            for way in ways:
                self._take(way)
            now = time.monotonic()
            for way in ways:
                while way.queue and way.queue[0][0] <= now:
                    _, packet = way.queue.popleft()
                    with contextlib.suppress(OSError):
                        way.target.sendto(packet, way.address)

    def _take(self, way: _Way) -> None:
        for _ in range(_READ_AT_ONCE):
            try:
                packet = way.source.recv(2048)
            except OSError:  # nothing more; or the other end's port is closed, which ICE has to notice by itself
                return
            now = time.monotonic()
            if self.cut.is_set() or (self._loss and self._chance.random() < self._loss):
                self._counts[1] += 1
                continue
            if self._rate is not None:
                if (way.free_at - now) * self._rate > self._queue_bytes:
                    self._counts[2] += 1
                    continue
                way.free_at = max(way.free_at, now) + len(packet) / self._rate
                now = way.free_at
            self._counts[0] += 1
            if way.source is self._far:
                self._counts[3] += len(packet) + _HEADER_BYTES
            way.queue.append((now + self._delay_s, packet))


class _Way:
    def __init__(self, source: socket.socket, target: socket.socket, address: Address) -> None:
        self.source = source
        self.target = target
        self.address = address
        self.free_at = 0.0
        self.queue: deque[tuple[float, bytes]] = deque()


def _socket() -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("0.0.0.0", 0))
    sock.setblocking(False)
    for option in (_SO_RCVBUFFORCE, socket.SO_RCVBUF):
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, option, _BUFFER_BYTES)
            break
    return sock


def _redirect(description: str, sock: socket.socket) -> tuple[Address, str]:
    """Where its sender really is, and the description with the socket as the only candidate."""
    found = _CANDIDATE.search(description)
    if found is None:
        raise ValueError("the description has no IPv4 host candidate over UDP; is there an interface beside loopback?")
    host, port = found["host"], sock.getsockname()[1]
    ours = f"a=candidate:{found['before']} {host} {port} typ host\r\n"
    first = _ANY_CANDIDATE.search(description)
    assert first is not None
    without = _ANY_CANDIDATE.sub("", description)
    return (host, int(found["port"])), without[: first.start()] + ours + without[first.start() :]
