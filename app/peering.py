"""How peers are met: which servers help, what of us they learn, how much we upload, and by which WebRTC.

PeerOptions       what a session is told
make_connector    the Connector that does so
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import msgspec

from shoal.balancer.errors import ConfigurationError
from shoal.transports import registry
from shoal.transports.interface import Connector, TurnServer
from shoal.transports.sansio.descriptions import CandidatePolicy

from .candidates import CandidateSetting, Hidden, candidates_for

__all__ = ["UPLOAD_BYTES_PER_S_MIN", "PeerOptions", "TurnServer", "make_connector"]

UPLOAD_BYTES_PER_S_MIN = 8_000  # below, one packet takes a sixth of a second
_SERVERS_MAX = 8  # each is asked for each connection; browsers warn from five on

# RFC 7064 and 7065, without the ports' ranges: a name or address, a port, and TURN's transport.
_STUN = re.compile(r"stuns?:(?:[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?")
_TURN = re.compile(r"turns?:(?:[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?(?:\?transport=(?:udp|tcp))?")


class PeerOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Nothing of it is needed where viewers reach each other by themselves.

    `candidates` says which of our addresses other viewers learn: all; public ones; a relay's alone, which needs a
    TURN server; or, with "auto", all where every tracker is on a private address, else public ones.
    `line_bytes_per_s` caps what all channels together put on the line, with headers, handshakes and repetitions; the
    balancer's `upload_bytes_per_s` counts bytes of segments alone, and is no higher.  `webrtc` is the name of an
    implementation in the registry; None takes the platform's own.
    """

    stun_servers: tuple[str, ...] = ()
    turn_servers: tuple[TurnServer, ...] = ()
    candidates: CandidateSetting = "auto"
    line_bytes_per_s: int | None = None
    webrtc: str | None = None

    def check(self) -> None:
        """ConfigurationError says which of them makes no sense, and why."""
        if len(self.stun_servers) + len(self.turn_servers) > _SERVERS_MAX:
            raise ConfigurationError(
                f"{len(self.stun_servers) + len(self.turn_servers)} STUN and TURN servers are given; "
                f"at most {_SERVERS_MAX}, since each is asked for each peer"
            )
        for url in self.stun_servers:
            if not _STUN.fullmatch(url):
                raise ConfigurationError(f"STUN server {url!r} is not of the form stun:HOST or stun:HOST:PORT")
        for turn in self.turn_servers:
            if not _TURN.fullmatch(turn.url):
                raise ConfigurationError(
                    f"TURN server {turn.url!r} is not of the form turn:HOST:PORT or turn:HOST:PORT?transport=tcp"
                )
        if self.candidates == "relay" and not self.turn_servers:
            raise ConfigurationError("with candidates through a relay alone, a TURN server is needed; none is given")
        if self.line_bytes_per_s is not None and self.line_bytes_per_s < UPLOAD_BYTES_PER_S_MIN:
            raise ConfigurationError(
                f"an upload of {self.line_bytes_per_s} bytes/s is too little for one packet in time; "
                f"give {UPLOAD_BYTES_PER_S_MIN} or more"
            )


def make_connector(options: PeerOptions, trackers: Iterable[str]) -> Connector:
    """For viewers that these trackers pick.

    ConfigurationError for what the implementation does not do, TransportMissing where it is not installed.
    """
    options.check()
    candidates = _candidates(options, trackers)
    arguments: dict[str, Any] = {
        "stun_servers": options.stun_servers,
        "turn_servers": options.turn_servers,
        "candidates": candidates,
        "upload_bytes_per_second": options.line_bytes_per_s,
    }
    # An implementation need not know what is not asked of it.
    given = {name: value for name, value in arguments.items() if value not in ((), "all", None)}
    make = registry.resolve_connector(options.webrtc)
    try:
        connector = make(**given)
    except TypeError as error:
        raise ConfigurationError(
            f"the connector {options.webrtc or registry.platform()} does not take {', '.join(given)}: {error}"
        ) from error
    is_hidden = options.candidates == "auto" and candidates == "public"
    return Hidden(connector) if is_hidden and not (options.stun_servers or options.turn_servers) else connector


def _candidates(options: PeerOptions, trackers: Iterable[str]) -> CandidatePolicy:
    """A browser hides private addresses by itself, behind names of the local network (RFC 8828), and knows no rule."""
    if options.candidates == "auto" and registry.platform() == "browser":
        return "all"
    return candidates_for(options.candidates, trackers)
