"""A link with delay, a rate and loss between two WebRTC peers, in user space: no root, no kernel module.

Two UDP sockets stand between them.  Each description is passed on with one candidate only, the link's own, so that
all packets of ICE, DTLS and SCTP take this way:

    A  --->  [far] ... delay, rate, loss ... [near]  --->  B        and the same way back

Order is kept, as on most real paths.  Packets wait for the rate in a queue of `queue_bytes`; what does not fit there,
and what is lost by chance (from a seed), is counted.  Packets are passed on in steps of a millisecond, as many as are
there with one call each way (`packets.py`), so that the link takes little of the core that the measured ends need:
`cpu_s` says how much.

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

from .packets import Packets

__all__ = ["Link"]

_CANDIDATE = re.compile(
    r"(?im)^a=candidate:(?P<before>\S+ 1 udp \d+) (?P<host>\d+\.\d+\.\d+\.\d+) (?P<port>\d+) typ host"
)
_ANY_CANDIDATE = re.compile(r"(?m)^a=candidate:.*\r?\n")
_BUFFER_BYTES = 8 * 1024 * 1024  # ours must never be what loses a packet
_SO_RCVBUFFORCE = 33
_STEP_S = 0.001
_HEADER_BYTES = 28
_PASSED, _LOST, _OVERFLOWED, _PASSED_BYTES = range(4)  # places in the counts

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
        self._counts = multiprocessing.Array("q", 4, lock=False)  # only the link writes
        self._cpu_s = multiprocessing.Value("d", 0.0, lock=False)

    @property
    def passed(self) -> int:
        """Packets, both ways."""
        return self._counts[_PASSED]

    @property
    def lost(self) -> int:
        """Packets lost by chance."""
        return self._counts[_LOST]

    @property
    def overflowed(self) -> int:
        """Packets that found the queue full."""
        return self._counts[_OVERFLOWED]

    @property
    def passed_bytes(self) -> int:
        """From A to B, with the headers of IPv4 and UDP."""
        return self._counts[_PASSED_BYTES]

    @property
    def cpu_s(self) -> float:
        """What the link itself took of a core, once it has ended; in a thread that of the whole process."""
        return self._cpu_s.value

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
        sockets = [way.packets.source for way in ways]
        began_s = time.process_time()
        while not self._stop.is_set():
            due = min((way.due[0][0] for way in ways if way.due), default=None)
            wait = 0.05 if due is None else min(0.05, max(0.0, due - time.monotonic()))
            if not select.select(sockets, [], [], wait)[0] and due is None:
                continue
            # A step of a millisecond, as network cards collect interrupts: packet by packet we would need a core.
            time.sleep(_STEP_S)
            for way in ways:
                self._take(way)
            now = time.monotonic()
            for way in ways:
                way.pass_on(now)
        self._cpu_s.value = time.process_time() - began_s

    def _take(self, way: _Way) -> None:
        now = time.monotonic()
        sizes = way.packets.read()
        is_counted = way.packets.source is self._far
        if self._rate is None and not self._loss and not self.cut.is_set() and sizes:
            self._counts[_PASSED] += len(sizes)
            if is_counted:
                self._counts[_PASSED_BYTES] += sum(sizes) + _HEADER_BYTES * len(sizes)
            way.due.append((now + self._delay_s, len(sizes)))
            return
        for size in sizes:
            if self.cut.is_set() or (self._loss and self._chance.random() < self._loss):
                self._counts[_LOST] += 1
                way.due.append((0.0, 0))
                continue
            leaves = now
            if self._rate is not None:
                if (way.free_at - now) * self._rate > self._queue_bytes:
                    self._counts[_OVERFLOWED] += 1
                    way.due.append((0.0, 0))
                    continue
                leaves = way.free_at = max(way.free_at, now) + size / self._rate
            self._counts[_PASSED] += 1
            if is_counted:
                self._counts[_PASSED_BYTES] += size + _HEADER_BYTES
            way.due.append((leaves + self._delay_s, 1))


class _Way:
    """One direction: packets, and when how many of them leave; (0, 0) is one that never does."""

    def __init__(self, source: socket.socket, target: socket.socket, address: Address) -> None:
        self.packets = Packets(source, target, address)
        self.free_at = 0.0
        self.due: deque[tuple[float, int]] = deque()

    def pass_on(self, now: float) -> None:
        count = 0
        while self.due and self.due[0][0] <= now:
            _, more = self.due.popleft()
            if not more:
                self.packets.write(count)
                self.packets.drop()
                count = 0
            count += more
        self.packets.write(count)


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
