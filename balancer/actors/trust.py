"""What vouches for the bytes of a session's resources: for each segment by itself, the first of these that there is.

    its hash                  in the sidecar that came last, whatever the source; if a key is given, in a signed one
    an audit (audit.py)       of what peers sent, where it is known that there is no hash of this segment, or not yet
    nothing                   CDNs only

A sidecar of a live stream names its newest segments a little later than the playlist, and those that have left the
window no more.  What an earlier one said counts for nothing: an encoder that begins anew writes other segments under
the same names.  What is under way is finished as it began, and so is what the policy knows of it; what is held then
without a hash is hashed as soon as there is one (rechecks.py).

Playlists are no source of hashes: HLS (RFC 8216 and its second edition) has no place for them, and that of DASH
(ContentAuthenticity, ISO/IEC 23009-4) is not read.

A part of the session.  Which CDN audits, and how often, is the policy's decision; what
its answer means, the assembly's.
"""

from __future__ import annotations

from typing import Any

import msgspec

from shoal.runtime import ActorRef

from ..assembly import Assembly
from ..audited_assembly import AuditedAssembly
from ..events import AuditEnded, AuditFailed
from ..integrity import Digests, Sidecar
from ..lengthless_assembly import LengthlessAssembly
from ..model import Kind, ResourceKey, Segment, SourceKind, source_label
from . import messages as m
from . import reporter as r
from .parts import SessionParts

__all__ = ["Trust"]

_MEDIA = Kind.MEDIA
_NUMBER_BYTES = 8  # 64 bits: over a segment of 64 MiB, no place is likelier than another by more than 4e-12


class Trust:
    def __init__(self, parts: SessionParts, reporter: ActorRef[Any]) -> None:
        self._config = parts.config
        self._random_bytes = parts.random_bytes
        self._reporter = reporter
        self._sidecar: Sidecar | None = None
        self._is_settled = False  # whether it is known which hashes there are, so that the others are audited

    def know(self, message: m.HashesKnown | m.HashesAbsent) -> None:
        """Hashes came, or never will.  What is under way is finished as it began."""
        if isinstance(message, m.HashesKnown):
            self._sidecar = message.sidecar
        self._is_settled = True

    @property
    def allows_peers(self) -> bool:
        """Whether wrong bytes of a peer could be told from right ones."""
        return self._sidecar is not None or self._audits

    @property
    def _audits(self) -> bool:
        return self._is_settled and self._config.audit

    @property
    def allows_offers(self) -> bool:
        """Whether peers may be told what we hold."""
        return self._sidecar is not None or self._may_offer("audited")

    @property
    def hashes(self) -> str:
        """For the report."""
        if self._sidecar is None:
            return "none"
        return "blocks" if self._sidecar.has_blocks else "segments"

    def digests(self, segment: Segment) -> Digests | None:
        """Its hashes with its length; of a live PeerTube there are hashes without (`sha256`)."""
        return self._sidecar.digests(segment.uri, segment.byte_range) if self._sidecar is not None else None

    def sha256(self, segment: Segment | None) -> bytes | None:
        """Of the whole segment, if a sidecar says it."""
        if segment is None or self._sidecar is None:
            return None
        return self._sidecar.sha256(segment.uri, segment.byte_range)

    def listed(self, segment: Segment, under_way: Assembly | None = None) -> Segment:
        """The segment as the policy knows it: as its assembly began, if one is under way."""
        if under_way is None or under_way.completed:
            is_hashed = self.sha256(segment) is not None
            is_audited = not is_hashed and self._is_audited(segment)
        else:
            is_audited = isinstance(under_way, AuditedAssembly)
            is_hashed = under_way.verified in {"blocks", "segment"}
        return msgspec.structs.replace(segment, is_hashed=is_hashed, is_audited=is_audited)

    def _is_audited(self, segment: Segment) -> bool:
        """If it has no hash."""
        return self._audits and segment.key.kind is _MEDIA

    def is_shareable(self, key: ResourceKey, verified: str) -> bool:
        """Whether others may have it.  What no hash vouches for, only as far as the operator says so."""
        return key.kind is _MEDIA and (verified in {"blocks", "segment"} or self._may_offer(verified))

    def _may_offer(self, verified: str) -> bool:
        """Of what has no hash.  An audit is of peers' bytes: what is unverified came from CDNs alone.

        Nothing unverified is announced, but by who was told to (`announce_unaudited`): an operator's exception, for a
        seed whose CDNs are trusted.  What a bad CDN sent it would be offered on; who takes it audits it at CDNs.
        """
        config = self._config
        if not self._audits:
            return False
        return config.announce_unaudited or (verified == "audited" and config.announce_audited)

    def assembly(self, segment: Segment) -> Assembly:
        digests, sha256 = self.digests(segment), self.sha256(segment)
        if sha256 is not None and digests is None:
            return LengthlessAssembly(
                sha256,
                segment_bytes_max=self._config.segment_bytes_max,
                hold_back_bytes=self._config.hold_back_bytes,
            )
        if digests is None and self._is_audited(segment):
            return AuditedAssembly(
                segment_bytes_max=self._config.segment_bytes_max,
                known_bytes=segment.byte_range.length if segment.byte_range is not None else None,
                share=self._config.audit_share,
                ranges_max=self._config.audit_ranges,
            )
        return Assembly(
            digests,
            segment_bytes_max=self._config.segment_bytes_max,
            hold_back_bytes=self._config.hold_back_bytes,
        )

    def question(self, segment: Segment, assembly: AuditedAssembly) -> m.Audit:
        """Drawn now, when all bytes of peers are there: no peer can know what is going to be looked at."""
        drawn = self._random_bytes(assembly.numbers_wanted * _NUMBER_BYTES)
        numbers = [int.from_bytes(drawn[at : at + _NUMBER_BYTES]) for at in range(0, len(drawn), _NUMBER_BYTES)]
        return m.Audit(segment, assembly, assembly.audit(numbers))

    def heard(self, answer: m.AuditAnswered | m.AuditUnanswered) -> AuditEnded | AuditFailed:
        """Count what it cost, and say it as the policy hears it."""
        key: ResourceKey = answer.question.segment.key
        source = source_label(SourceKind.CDN, answer.cdn)
        match answer:
            case m.AuditAnswered(cdn, _, answers):
                byte_count = sum(map(len, answers))
                self._reporter.tell(r.Audited(source, byte_count))
                return AuditEnded(key=key, cdn=cdn, byte_count=byte_count)
            case m.AuditUnanswered(cdn, question, reason, byte_count):
                question.assembly.audit_failed(question.ranges, byte_count)
                self._reporter.tell(r.Audited(source, byte_count))
                self._reporter.tell(r.Lost(f"audit_{reason}"))
                return AuditFailed(key=key, cdn=cdn, reason=reason, byte_count=byte_count)
