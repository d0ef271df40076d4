"""What the playlist actor knows of each rendition, and how it judges what was loaded.  Sans-IO."""

from __future__ import annotations

import msgspec

from shoal.transports.errors import AddressRefused, StatusError, TransportError

from .. import identity
from ..formats.hls import NOTHING, Directives, Edge, Load, Multivariant, Reload
from ..integrity import Sidecar
from ..streams import Medium
from .messages import Listed, PlaylistText

__all__ = ["KnownRendition", "knows_parts", "lacking", "may_pass", "newness"]

_PARTS_AHEAD = 3  # that a player may ask for beyond the last one, which is how long it may have to wait


class KnownRendition(msgspec.Struct):
    url: str
    stream: identity.Stream
    stream_type: identity.StreamType
    reload: Reload
    variables: dict[str, str] = {}
    medium: Medium = Medium()
    answer: PlaylistText | None = None
    listed: Listed | None = None  # what the session was told last
    loaded_us: int = 0
    fresh_us: int | None = None  # how long after loading it counts as new; None: for ever
    edge: Edge = Edge()  # how far it is
    went_on_us: int = 0  # when that last changed
    target_duration_us: int = 0
    part_target_us: int | None = None
    is_live: bool = False
    blocks: bool = False  # its server waits with an answer until it has what was asked for
    before: Load | None = None  # the last load, where a delta update of it may be asked for
    went_back_us: int | None = None  # when its numbers last began anew: who has a playlist of before can join no update
    takes_skip: bool = True  # until asking for one has failed where a whole playlist came

    def skippable(self, now_us: int) -> Load | None:
        """What to ask a delta update of: a load no older than half the skip boundary (rfc8216bis, 6.3.7)."""
        before = self.before
        control = None if before is None else before.playlist.server_control
        if control is None or not self.takes_skip:
            return None
        boundary_us = control.can_skip_until_us or 0
        return before if now_us - self.loaded_us <= boundary_us // 2 else None

    def gives_skip_us(self, boundary_us: int | None, now_us: int) -> int | None:
        """The boundary of an update that players may get now, where their server gives updates at all.

        A player asks for one within half the boundary (rfc8216bis, 6.3.7): until then it may join nothing to before.
        """
        is_joined = self.went_back_us is None or boundary_us is None or now_us - self.went_back_us > boundary_us // 2
        return boundary_us if is_joined else None

    def is_too_far(self, wanted: Directives) -> bool:
        """Whether nobody who follows this rendition would ask for it yet, as far as the last load tells."""
        return self.edge.is_too_far(wanted, self.part_target_us)

    def wait_us(self, wanted: Directives, target_durations: float) -> int:
        """How much longer than else an answer may take, since the server waits for what is wanted."""
        if wanted.segment is None:
            return 0
        if wanted.part is not None and self.part_target_us is not None:
            return _PARTS_AHEAD * self.part_target_us
        return int(self.target_duration_us * target_durations)

    def is_overdue(self, now_us: int, target_durations: float, wanted: Directives = NOTHING) -> bool:
        """Whether it should have gone on by now: by a part, where one is wanted, and else by a segment."""
        unit_us = self.part_target_us if wanted.part is not None else None
        return now_us - self.went_on_us > (unit_us or self.target_duration_us) * target_durations


def may_pass(error: Exception) -> bool:
    """Whether the same request may be answered better later."""
    if isinstance(error, StatusError):
        return error.status >= 500 or error.status in {408, 425, 429}
    return isinstance(error, TransportError) and not isinstance(error, AddressRefused)


def newness(loaded: Load | Multivariant) -> tuple[int, int]:
    return loaded.edge.place if isinstance(loaded, Load) else (0, 0)


def lacking(loaded: Load | Multivariant, sidecar: Sidecar | None) -> int:
    """How many of the newest two segments of a live playlist its hashes do not know, and the newest part."""
    if sidecar is None or not isinstance(loaded, Load) or not loaded.playlist.is_live:
        return 0
    lacks = sum(sidecar.sha256(segment.uri, segment.byte_range) is None for segment in loaded.newest)
    newest = loaded.newest_parts[-1:]
    if newest and sidecar.sha256(newest[0].uri, newest[0].byte_range) is None and knows_parts(loaded, sidecar):
        lacks += 1
    return lacks


def knows_parts(loaded: Load | Multivariant, sidecar: Sidecar | None) -> bool:
    """Whether there are hashes of parts as well."""
    if sidecar is None or not isinstance(loaded, Load):
        return False
    return any(sidecar.sha256(part.uri, part.byte_range) is not None for part in loaded.newest_parts)
