"""What of a stranger's session description we hand to a WebRTC stack.

A description decides what the stack allocates and whom it sends packets to, so
its size, its media and its candidates are bounded before a full parser sees it
(RFC 8866 for the lines, RFC 8841 for a data channel's media).
"""

from __future__ import annotations

from shoal.transports.errors import ConnectFailed

__all__ = ["CANDIDATES_MAX", "bounded_description"]

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
