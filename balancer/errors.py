"""What can go wrong inside the balancer.

    BalancerError
    ├── ConfigurationError      a setting or an argument is out of its range; our caller's mistake
    ├── UnknownResource         nothing in the session has this name
    ├── DirectiveRefused        a player asks for a playlist in a way that makes no sense (_HLS_msn, _HLS_part)
    ├── NoSource                every source was tried or ruled out; carries the key and each source's reason
    ├── WrongBytes              a source's bytes are not those that the hashes promise
    ├── PlaylistError           a playlist cannot be used; carries the line
    │   ├── NotAPlaylist        something else came: an error page, media, JSON, nothing at all
    │   ├── PlaylistTooLarge    a limit was passed; says which, and where to raise it
    │   ├── PlaylistMalformed   it breaks the grammar, or a tag has a value that it cannot have
    │   └── PlaylistUnsupported well formed, and asks for something that is not served
    ├── SidecarError            a file of hashes cannot be used
    │   ├── SidecarTooLarge     a limit was passed
    │   └── SidecarMalformed    it is not what `integrity.py` describes
    ├── SteeringError           a content steering manifest cannot be used
    │   ├── SteeringTooLarge    a limit was passed
    │   ├── SteeringMalformed   it breaks the grammar
    │   └── SteeringUnsupported a version that is not understood
    └── RecordingError          a recorded session cannot be replayed; says which line, and why

Errors between here and another machine are those of `transports/errors.py`.
Each message says what happened, with the value, and what to do.  `reason` is the
stable short word under which reports and counters file the error.
"""

from __future__ import annotations

from collections.abc import Mapping

from .model import ByteRange, ResourceKey

__all__ = [
    "BalancerError",
    "ConfigurationError",
    "DirectiveRefused",
    "NoSource",
    "NotAPlaylist",
    "PlaylistError",
    "PlaylistMalformed",
    "PlaylistTooLarge",
    "PlaylistUnsupported",
    "RecordingError",
    "SidecarError",
    "SidecarMalformed",
    "SidecarTooLarge",
    "SteeringError",
    "SteeringMalformed",
    "SteeringTooLarge",
    "SteeringUnsupported",
    "UnknownResource",
    "WrongBytes",
]


class BalancerError(Exception):
    """Something went wrong inside the balancer."""

    reason = "balancer"


class ConfigurationError(BalancerError):
    """A setting or an argument is out of its range; raised where it is given."""

    reason = "configuration"


class UnknownResource(BalancerError):
    """Nothing in the session has this name; it may have left a live playlist."""

    reason = "unknown"

    def __init__(self, message: str, *, key: ResourceKey | None = None) -> None:
        super().__init__(message)
        self.key = key


class DirectiveRefused(BalancerError):
    """A player asks for a playlist with directives that are no numbers, or for one that is far ahead of the stream."""

    reason = "directive"


class NoSource(BalancerError):
    """No source is left for a resource."""

    reason = "no_source"

    def __init__(self, message: str, *, key: ResourceKey, reasons: Mapping[str, str]) -> None:
        """`reasons` says of each source ("cdn:NAME" or "peer:ID") why it is no longer asked."""
        super().__init__(message)
        self.key = key
        self.reasons = dict(reasons)


class WrongBytes(BalancerError):
    """Bytes that came are not those that the hashes promise."""

    reason = "wrong_bytes"

    def __init__(self, message: str, *, key: ResourceKey, source: str, wrong: ByteRange) -> None:
        """`wrong` is the smallest part of the resource that is known to hold the wrong bytes."""
        super().__init__(message)
        self.key = key
        self.source = source
        self.wrong = wrong


class PlaylistError(BalancerError):
    """A playlist cannot be used."""

    reason = "playlist"

    def __init__(self, message: str, *, line: int | None = None) -> None:
        """`line` counts from 1; `url` is filled in by the parser, without its query, which may hold a signature."""
        super().__init__(message)
        self.message = message
        self.line = line
        self.url: str | None = None

    def __str__(self) -> str:
        place = [self.url] if self.url else []
        if self.line is not None:
            place.append(f"line {self.line}")
        return f"{', '.join(place)}: {self.message}" if place else self.message


class NotAPlaylist(PlaylistError):
    """Something else came: an error page, media, JSON, nothing at all."""

    reason = "not_a_playlist"


class PlaylistTooLarge(PlaylistError):
    """A limit was passed; the message names the field of `Limits` that holds it."""

    reason = "playlist_too_large"


class PlaylistMalformed(PlaylistError):
    """It breaks the grammar, or a tag has a value that it cannot have."""

    reason = "playlist_malformed"


class PlaylistUnsupported(PlaylistError):
    """Well formed, and asks for something that is not served."""

    reason = "playlist_unsupported"


class SidecarError(BalancerError):
    """A file of hashes cannot be used."""

    reason = "sidecar"


class SidecarTooLarge(SidecarError):
    """A limit was passed; the message names it."""

    reason = "sidecar_too_large"


class SidecarMalformed(SidecarError):
    """It is not a sidecar as `integrity.py` describes it."""

    reason = "sidecar_malformed"


class SteeringError(BalancerError):
    """A content steering manifest cannot be used; the one before it stays."""

    reason = "steering"


class SteeringTooLarge(SteeringError):
    """A limit was passed; the message names it."""

    reason = "steering_too_large"


class SteeringMalformed(SteeringError):
    """It is not a manifest as rfc8216bis, 7.2 describes it."""

    reason = "steering_malformed"


class SteeringUnsupported(SteeringError):
    """A manifest of a version that is not understood."""

    reason = "steering_unsupported"


class RecordingError(BalancerError):
    """A recorded session cannot be replayed."""

    reason = "recording"
