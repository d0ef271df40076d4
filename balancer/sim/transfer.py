"""One transfer in the world: a round trip or more, then a flow, then its end.

begin()            the request leaves
due_at(time)       its last byte will be there then, as it looks now; None: nothing moves
tell_progress()    count what came until now
failed(reason)     the source ends it
stop()             the viewer ends it
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..events import TransferEnded, TransferFailed, TransferStarted
from ..integrity import BLOCK_BYTES
from ..model import ResourceKey
from .flows import Flow, Link
from .scenario import Behaviour, FaultKind

if TYPE_CHECKING:
    from .viewer import Viewer
    from .world import Cdn

__all__ = ["CdnTransfer", "PeerTransfer", "Transfer"]

_SLOW_BYTES_PER_S = 40_000.0
_CHOKED_BYTES_PER_S = 1.0  # no flow is ever at rest
_CONNECT_RTTS = 3  # TCP, TLS 1.3, request


class Transfer:
    __slots__ = (
        "_armed_us",
        "_due_us",
        "_flow",
        "_flow_bytes",
        "_hangs",
        "_told_bytes",
        "_unchoked_cap",
        "fills_line",
        "first_byte",
        "is_choked",
        "is_wrong",
        "kept_bytes",
        "key",
        "label",
        "number",
        "parts",
        "size_bytes",
        "viewer",
        "world",
        "wrong",
    )

    def __init__(self, viewer: Viewer, number: int, key: ResourceKey, first_byte: int, label: str) -> None:
        self.viewer = viewer
        self.world = viewer.world
        self.label = label
        self.fills_line = False  # it sends as fast as the viewer's line lets it
        self.size_bytes = self.world.scenario.stream.size_bytes(key.rendition)
        self.number = number
        self.key = key
        self.first_byte = first_byte
        self.kept_bytes = 0  # came and was not thrown away
        self.parts: list[Transfer] = []  # all that bring bytes of the same; the viewer's own list
        self.is_wrong = False
        self.wrong = (0, 0)  # from and to which byte of the segment, where that matters: in audits
        self._due_us: int | None = None  # when its last byte will be there
        self._armed_us: int | None = None  # the next moment at which that is looked at
        self._hangs = False
        self.is_choked = False
        self._unchoked_cap = 0.0
        self._flow: Flow | None = None
        self._flow_bytes = 0
        self._told_bytes = 0

    def is_running(self) -> bool:
        return self.viewer.transfers.get(self.number) is self

    def end_bytes(self) -> int:
        """Up to which byte of the segment it has brought."""
        return self.first_byte + self.kept_bytes

    def uncounted_bytes(self, now_us: int) -> float:
        """What has come since bytes were last counted."""
        flow = self._flow
        if flow is None:
            return 0.0
        left = flow.left_bytes - flow.rate * (now_us - flow.updated_us) / 1_000_000
        return self._flow_bytes - max(0.0, left) - self._told_bytes

    def begin(self) -> None:
        raise NotImplementedError

    def due_at(self, time_us: int | None) -> None:
        """One that is put off is left where it is, and armed anew when its old moment comes."""
        self._due_us = time_us
        if time_us is not None and (self._armed_us is None or time_us < self._armed_us):
            self._armed_us = time_us
            self.world.at(time_us, self._arrived, (time_us,))

    def _arrived(self, armed_us: int) -> None:
        if armed_us != self._armed_us:
            return
        self._armed_us = None
        if self._flow is None or self._due_us is None:
            return
        if self._due_us > armed_us:
            self.due_at(self._due_us)
            return
        self.tell_progress()
        if self._flow is None or self._flow.left_bytes > 0.5:  # told and cancelled, or a rounding away
            if self._flow is not None:
                self.due_at(self.world.now_us + 1)
            return
        self._end_flow()
        if self._hangs:
            return
        if self.is_wrong and self.viewer.verifies:
            self.viewer.blamed(self)
            return
        self._gone()
        self.viewer.note(TransferEnded(self.number))
        if self.first_byte + self._told_bytes >= self.size_bytes:
            self.viewer.completed(self.key)
        self.viewer.look()

    def tell_progress(self) -> None:
        self._count()
        came = self._flow_bytes_now() - self._told_bytes
        if came > 0:
            self._told_bytes += came
            if self.is_running():
                new = min(came, max(0, self.end_bytes() - self.viewer.end_bytes(self)))
                self.viewer.progressed(self.number, new, came - new)

    def failed(self, reason: str, status: int | None = None) -> None:
        if self.is_running():
            self.tell_progress()
        if self.is_running():
            self._end_flow()
            self._gone()
            self.viewer.feed(TransferFailed(self.number, reason, status))

    def stop(self) -> None:
        """Cancelled, or the viewer goes: nothing more is told."""
        self._count()
        self._told_bytes = self._flow_bytes_now()
        self._end_flow()
        self._gone()

    def _start_flow(self, links: tuple[Link, ...], rtt_us: int, loss: float, cap: float | None = None) -> None:
        rest = self.size_bytes - self.first_byte
        if self.is_wrong and self.viewer.verifies:
            rest = min(rest, BLOCK_BYTES)
        elif self._hangs:
            rest = max(1, rest // 2)
        self._flow_bytes = rest
        self.viewer.moves(int(self.fills_line))
        self._flow = self.world.start_flow(links, rest, rtt_us, loss, cap, self)

    def _flow_bytes_now(self) -> int:
        if self._flow is None:
            return self._told_bytes
        return self._flow_bytes - int(self._flow.left_bytes + 0.999_999)

    def _count(self) -> None:
        if self._flow is not None:
            self._flow.settle(self.world.now_us)
            if self._flow.left_bytes <= 0.5:
                self._flow.left_bytes = 0.0
            came = self._flow_bytes_now() - self._told_bytes
            self.kept_bytes += came
            self.viewer.came(came)
            self._sent(came)

    def _sent(self, byte_count: int) -> None:
        """The source's own account."""

    def _end_flow(self) -> None:
        if self._flow is not None:
            self._flow.owner = None
            self.world.stop_flow(self._flow)
            self._flow = None
            self.viewer.moves(-int(self.fills_line))

    def _gone(self) -> None:
        self.viewer.transfers.pop(self.number, None)


class CdnTransfer(Transfer):
    __slots__ = ("_is_first", "_rtt_us", "cdn")

    def __init__(
        self, viewer: Viewer, number: int, key: ResourceKey, first_byte: int, cdn: Cdn, *, is_first: bool
    ) -> None:
        super().__init__(viewer, number, key, first_byte, f"cdn:{cdn.spec.name}")
        self.fills_line = True
        self.cdn = cdn
        self._is_first = is_first
        self._rtt_us = viewer.spec.rtt_us + cdn.spec.rtt_us

    def begin(self) -> None:
        rtts = _CONNECT_RTTS if self._is_first else 1
        self.world.at(self.world.now_us + rtts * self._rtt_us, self._answer, ())

    def _answer(self) -> None:
        if not self.is_running():
            return
        fault = self.cdn.fault(self.world.now_us)
        kind = None if fault is None else fault.kind
        if kind is FaultKind.ERROR:
            self.failed("status", 503)
        elif kind is FaultKind.DEAD:
            self.failed("connect")
        elif kind is not FaultKind.SILENT:
            self._hangs = kind is FaultKind.HANG
            self.is_wrong = kind is FaultKind.WRONG
            self.viewer.feed(TransferStarted(self.number, self.size_bytes, self.cdn.spec.name))
            if self.is_running():
                cap = _SLOW_BYTES_PER_S if kind is FaultKind.SLOW else None
                self._start_flow((self.cdn.link, self.viewer.down), self._rtt_us, self.viewer.spec.loss, cap)

    def _sent(self, byte_count: int) -> None:
        self.world.sent_by_cdn(self.cdn, byte_count)


class PeerTransfer(Transfer):
    __slots__ = ("_gave", "_peer_name", "_rtt_us", "peer", "who")

    def __init__(self, viewer: Viewer, number: int, key: ResourceKey, first_byte: int, peer: Viewer) -> None:
        self._peer_name = peer.name_in(key.rendition)
        super().__init__(viewer, number, key, first_byte, f"peer:{self._peer_name}")
        self.peer = peer
        self._rtt_us = viewer.spec.rtt_us + peer.spec.rtt_us
        self._gave = False  # it sent something
        self.who = viewer.name_in(key.rendition)  # as the other end calls us

    def begin(self) -> None:
        self.world.at(self.world.now_us + self._rtt_us, self._answer, ())

    def _answer(self) -> None:
        if not self.is_running():
            return
        peer = self.peer
        if not peer.is_here:
            self.failed("closed")
            return
        if peer.spec.behaviour is Behaviour.FREE_RIDER or (
            self.key not in peer.held and peer.spec.behaviour is not Behaviour.POLLUTER
        ):
            self.failed("absent")
            return
        self.is_wrong = peer.spec.behaviour is Behaviour.POLLUTER or not peer.held[self.key]
        self.wrong = peer.wrong_of(self.key)
        peer.uploads[id(self)] = self
        peer.choking.begin(self.who)
        self.viewer.feed(TransferStarted(self.number, self.size_bytes))
        if self.is_running():
            self._start_flow((peer.up, self.viewer.down), self._rtt_us, max(self.viewer.spec.loss, peer.spec.loss))
        peer.choke()

    def choke(self, is_choked: bool) -> None:
        """Wait for others, or go on."""
        flow = self._flow
        if flow is None or is_choked == self.is_choked:
            return
        self.is_choked = is_choked
        if is_choked:
            self._unchoked_cap = flow.cap
        self.world.set_cap(flow, _CHOKED_BYTES_PER_S if is_choked else self._unchoked_cap)

    def _sent(self, byte_count: int) -> None:
        self.peer.outcome.sent_bytes += byte_count
        if byte_count and not self._gave:
            self._gave = True
            self.viewer.choking.got(self._peer_name)

    def failed(self, reason: str, status: int | None = None) -> None:
        if reason == "absent" and self.is_running():
            self.refused()
        Transfer.failed(self, reason, status)

    def refused(self) -> None:
        """The peer did not give what it had announced: said so, or said nothing."""
        self.viewer.choking.refused(self._peer_name)

    def _gone(self) -> None:
        Transfer._gone(self)  # noqa: SLF001, not `super()`: a C method has no cell that names its class
        if self.peer.uploads.pop(id(self), None) is not None:
            self.peer.choking.end(self.who)
            self.peer.choke()
