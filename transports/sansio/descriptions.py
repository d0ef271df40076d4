"""What of a stranger's session description we hand to a WebRTC stack.

A description decides what the stack allocates and whom it sends packets to, so
its size, its media and its candidates are bounded before a full parser sees it
(RFC 8866 for the lines, RFC 8841 for a data channel's media).
"""

from __future__ import annotations

from typing import Literal

from shoal.transports.errors import ConnectFailed

from .addresses import is_public

__all__ = ["CANDIDATES_MAX", "CandidatePolicy", "bounded_description", "filtered_description"]

_DESCRIPTION_CHARACTERS_MAX = 64 * 1024  # Chromium's with every interface of a laptop is 3 KiB
CANDIDATES_MAX = 24  # each is paired with each of ours and sent to; a browser on three interfaces has about ten


def bounded_description(text: str) -> str:
    """The description with at most CANDIDATES_MAX candidates; ConnectFailed unless it is one data channel's."""
    if len(text) > _DESCRIPTION_CHARACTERS_MAX:
        raise ConnectFailed(f"a description of {len(text)} characters is refused; {_DESCRIPTION_CHARACTERS_MAX} do")
    lines = text.splitlines()
    media = [line for line in lines if line.startswith("m=")]
    if len(media) != 1 or not media[0].startswith("m=application "):
        raise ConnectFailed(f"a description with media {media[:3]!r} is refused; it must have one data channel only")
    kept: list[str] = []
    candidates = 0
    for line in lines:
        if line.startswith("a=candidate:"):
            candidates += 1
            if candidates > CANDIDATES_MAX:
                continue
        kept.append(line)
    return "\r\n".join(kept) + "\r\n"


CandidatePolicy = Literal["all", "public", "relay"]
"""Which of our addresses others are told: all, for a swarm on a local network; public ones; a relay's alone."""


def filtered_description(text: str, policy: CandidatePolicy) -> str:
    """Our own description, with only those addresses in it that strangers may know.

    A description goes to whoever a tracker picks.  What is behind `raddr` (the private address under a public one,
    RFC 8839, 5.1) is left out unless all may be known, and so are the defaults in `c=` and `m=`, as browsers do.
    """
    if policy == "all":
        return text
    kept: list[str] = []
    for line in text.splitlines():
        if line.startswith("a=candidate:"):
            candidate = _filtered_candidate(line, policy)
            if candidate is not None:
                kept.append(candidate)
        elif line.startswith("c="):
            kept.append("c=IN IP4 0.0.0.0")
        elif line.startswith("m="):
            media, _, rest = line[2:].split(" ", 2)
            kept.append(f"m={media} 9 {rest}")
        else:
            kept.append(line)
    return "\r\n".join(kept) + "\r\n"


def _filtered_candidate(line: str, policy: CandidatePolicy) -> str | None:
    # a=candidate:FOUNDATION COMPONENT TRANSPORT PRIORITY ADDRESS PORT typ TYPE [raddr ADDRESS rport PORT] ...
    words = line.split(" ")
    kind = words[7]
    if kind != "relay" and (policy == "relay" or not is_public(words[4])):
        return None
    for name, nothing in (("raddr", "0.0.0.0"), ("rport", "9")):  # noqa: S104 - what RFC 8828 puts in its place
        if name in words[8:]:
            words[words.index(name, 8) + 1] = nothing
    return " ".join(words)
