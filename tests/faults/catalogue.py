"""What can be wrong with an origin, with which of its resources, in which kind of stream; and what means nothing.

A *cell* is a fault, a resource and a kind of stream.  In each, one origin of two (or
the steering server, of which there is one) does that to that resource from the
beginning, and is preferred where there is a choice.  In a cell of peers both origins do
it to all media, and who has them is another viewer.  `matrix.py` runs a cell over the
in-memory network in virtual time, `real.py` the named ones on sockets.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = [
    "BURST",
    "CELLS",
    "FAULTS",
    "HARMLESS",
    "LATE",
    "PEER_CELLS",
    "RESOURCES",
    "RESUMED",
    "STREAMS",
    "Cell",
    "is_dash",
    "is_on_demand",
    "named",
    "why_no_peer",
    "why_nothing",
]

RESOURCES = ("playlist", "init", "media", "steering", "key", "sidecar")
STREAMS = ("vod", "live", "low-latency", "dash-vod", "dash-live")  # HLS, but for those that say DASH
DOCUMENTS = frozenset({"playlist", "steering", "sidecar"})  # read whole, and looked into
UNHASHED = frozenset({"playlist", "steering", "sidecar"})

# A fault -> what it is.
FAULTS = {
    # no connection
    "refused": "nobody listens",
    "dns": "the name does not resolve",
    "rebound": "the name resolves to a private address",
    "slow-accept": "the connection is not accepted in time",
    "tls-expired": "the certificate has expired",
    "tls-host": "the certificate is another host's",
    "tls-cut": "the connection ends in the handshake",
    # no answer, or another than the resource
    "hang": "no headers, ever",
    "reset-early": "the connection breaks before the headers",
    "header-bomb": "ten thousand headers",
    "401": "the status",
    "404": "the status",
    "410": "the status",
    "429": "the status, and Retry-After",
    "500": "the status",
    "503": "the status",
    "burst": "503 three times, then all is well",
    "skewed": "503, and a Retry-After by a clock that is a day ahead",
    "skewed-back": "503, and a Retry-After by a clock that is a day behind",
    "204": "the status",
    "206": "a part, though all was asked for",
    "loop": "a redirect to itself",
    "private": "a redirect to a private address",
    "scheme": "a redirect to a file of this machine",
    # a resume that is not one: the other origin breaks once in the middle, and this one is to go on
    "rangeless": "ranges are ignored: always all bytes",
    "wrong-range": "another range than the one asked for",
    # a body that breaks
    "reset": "the connection breaks in the middle",
    "cut": "it ends in the middle, and no length was announced",
    "truncated": "it ends in the middle, short of its Content-Length",
    "overlong": "more comes than its Content-Length",
    "stop": "silence from the middle on",
    "drip": "a byte a second from the middle on",
    "slow": "20 kB/s",
    # a body that is another
    "short": "a third is missing, and the length says so",
    "long": "something is behind it, and the length says so",
    "empty": "no bytes, and the length says so",
    "garbage": "an error page, with status 200",
    "type": "the right bytes, called text/html",
    "ahead": "the right bytes, by a clock that is a day ahead: Date, Last-Modified, Expires",
    "behind": "the right bytes, by a clock that is a day behind",
    "gzip": "compressed, though nobody asked for it",
    "bomb": "compressed, and a thousand times as long as it looks",
    "endless": "it begins well and does not end",
    "huge": "a Content-Length of ten gigabytes",
    "corrupt": "one bit is wrong",
    "other": "another body of the same length",
    "stale": "what was there before",
}

# Nobody need hear of these: every byte comes, and in time.
HARMLESS = frozenset({"type", "ahead", "behind"})

# To meet these, the other origin breaks once in the middle of each resource.
RESUMED = frozenset({"rangeless", "wrong-range"})
BURST = 3


class Cell(NamedTuple):
    fault: str
    resource: str
    stream: str
    healthy: str = "cdn"  # who has what the fault withholds: cdn, or peer where all CDNs are at fault

    def __str__(self) -> str:
        return "-".join(self if self.healthy != "cdn" else self[:-1])


def is_dash(stream: str) -> bool:
    return stream.startswith("dash")


def is_on_demand(stream: str) -> bool:
    return stream.endswith("vod")


def why_nothing(cell: Cell) -> str | None:
    """Why a cell is not run; None if it is."""
    fault, resource, stream, _ = cell
    if resource == "key" and is_dash(stream):
        return "an MPD names no file of a key: who protects DASH has a licence server, which players ask past us"
    if fault in RESUMED and resource in DOCUMENTS:
        return "what is read whole is asked for whole: there is nothing to resume"
    if fault == "slow" and resource != "media":
        return "it is a few kilobytes, and comes in time"
    if resource == "playlist" and fault in {"cut", "short"} and not is_dash(stream):  # XML says where it ends
        return "a list that ends early and does not say so is a shorter list: nothing tells them apart"
    if fault == "corrupt" and resource in UNHASHED:
        return "it has no hash, and one wrong letter makes another name, id or hash as good as any"
    if fault == "stale":
        if resource in {"init", "key"}:
            return "an older one under the same name is another body: see `other`"
        if resource == "steering":
            return "a manifest has no age: what it says holds"
        if resource in {"playlist", "sidecar"} and is_on_demand(stream):
            return "on demand it is loaded once, and never changes"
    return None


CELLS = tuple(
    cell
    for fault in FAULTS
    for resource in RESOURCES
    for stream in STREAMS
    if why_nothing(cell := Cell(fault, resource, stream)) is None
)


def why_no_peer(cell: Cell) -> str | None:
    """Why a cell of peers is not run; None if it is."""
    if cell.resource != "media":
        return "peers have media, and nothing else"
    if cell.stream == "low-latency":
        return "who plays by parts asks CDNs for them: peers have whole segments"
    if cell.fault in HARMLESS:
        return "every byte comes from the CDN that is asked"
    if cell.fault in RESUMED:
        return "a CDN that is asked for all of it gives all of it, and none breaks off here"
    return None


PEER_CELLS = tuple(
    cell
    for fault in FAULTS
    for resource in RESOURCES
    for stream in STREAMS
    if why_no_peer(cell := Cell(fault, resource, stream, "peer")) is None
)


# A fault -> what the report must say: of a source's errors, its transfers' reasons or the log, a pattern.
_STATUS = {fault: rf"(status|answered) {fault}" for fault in FAULTS if fault.isdigit()}
LATE = r"stalled|timed out|did not come|did not get past|no steering manifest came"
_NOT_A_DOCUMENT = r"not with #EXTM3U|no XML|no MPD|is empty|sidecar|steering manifest|NUL|character|line \d+"
_NAMED = {
    **_STATUS,
    "refused": r"nobody listens|refused",
    "dns": r"no such name|Name or service|not known|no address|resolve",
    "rebound": r"not public",
    "slow-accept": LATE,
    "tls-expired": r"certificate has expired",
    "tls-host": r"(?i)hostname mismatch|not valid for",
    "tls-cut": r"(?i)eof|handshake|reset|disconnected|ssl",
    "hang": LATE,
    "reset-early": r"before it answered",
    "header-bomb": r"not HTTP",
    "burst": r"(status|answered) 503",
    "skewed": r"(status|answered) 503",
    "skewed-back": r"(status|answered) 503",
    "loop": r"redirect too many|30[12378]",
    "private": r"not public|private",
    "scheme": r"scheme",
    "rangeless": r"truncated|goes on at byte",
    "wrong-range": r"was asked for bytes|body",
    "reset": r"broke off|truncated|before it answered",
    "cut": r"truncated|ended|no XML|sidecar|steering manifest",
    "truncated": r"broke off|truncated|ended after",
    "overlong": r"sent more than|changed|length|not HTTP",
    "stop": LATE,
    "drip": LATE,
    "slow": r"slow|stalled|measured at",
    "short": rf"changed|length|{_NOT_A_DOCUMENT}",
    "long": rf"changed|length|{_NOT_A_DOCUMENT}",
    "empty": rf"changed|length|{_NOT_A_DOCUMENT}",
    "garbage": rf"changed|length|{_NOT_A_DOCUMENT}",
    "gzip": rf"gzip-encoded|{_NOT_A_DOCUMENT}",
    "bomb": rf"gzip-encoded|{_NOT_A_DOCUMENT}",
    "endless": r"changed|length|sent more than|allowed|too large",
    "huge": r"changed|length|allowed",
    "corrupt": r"hash",
    "other": rf"hash|{_NOT_A_DOCUMENT}",
    "stale": r"hash|changed|length|older than|stands still|not verified",
}


def named(fault: str) -> str:
    """A pattern of what the report says when it names the fault."""
    return _NAMED[fault]
