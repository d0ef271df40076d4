"""What the rest of shoal may ask of a platform, and nothing about how.

    Fetcher      bytes of a URL: headers first, then the body in pieces; ranges; cancellation in mid-body
    Server       an HTTP server for local players
    Connector    data channels to peers, from two descriptions exchanged by somebody else
    Channel      one connected peer: whole messages, in order, with back-pressure
    Signaling    a text-message socket to a tracker
    Hasher       digests, never on the loop's own time
    Shelf        whole bodies on a disk, by their digest, never on the loop's own time

Everything that waits is a coroutine, since a browser has nothing else.  Errors
are those of `errors.py`.  Cancelling a task that waits here releases the socket
before the cancellation goes on, and leaves nothing running.  All times are
integer microseconds, all sizes bytes, all offsets count from 0.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Protocol, runtime_checkable

import msgspec

__all__ = [
    "AddressPolicy",
    "Channel",
    "Connector",
    "FetchRequest",
    "FetchResponse",
    "Fetcher",
    "Handler",
    "Hasher",
    "IncomingChannel",
    "OutgoingOffer",
    "ReadyBody",
    "Server",
    "ServerRequest",
    "ServerResponse",
    "Shelf",
    "Shelved",
    "Signaling",
    "TextSocket",
    "TurnServer",
]


class AddressPolicy(msgspec.Struct, frozen=True):
    """Whom a fetcher may talk to; checked on every hop, after the name was resolved.

    Names are compared in lower case; a port is part of a host only where given
    (`cdn.example:8443`).  Private means whatever `ipaddress` does not call global.
    """

    allowed_hosts: frozenset[str] = frozenset()  # empty: any public host
    allow_private: bool = False


class FetchRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One GET.  A range is asked for when `first_byte` is above 0 or `last_byte` is given (RFC 9110, 14)."""

    url: str
    headers: tuple[tuple[str, str], ...] = ()
    first_byte: int = 0
    last_byte: int | None = None  # inclusive, as on the wire
    if_range: str | None = None  # strong ETag: the answer is the rest of that representation, or BodyChanged
    connect_timeout_us: int = 5_000_000  # a TCP connection that took longer never got fast in our traces
    first_byte_timeout_us: int = 10_000_000
    stall_timeout_us: int = 10_000_000  # between two pieces of a body; the balancer gives up earlier
    body_bytes_max: int = 256 * 1024 * 1024  # a 60 s segment at 35 Mbit/s


@runtime_checkable
class FetchResponse(Protocol):
    """Headers have arrived; the body comes as it is iterated, once.

    Ending the iteration early needs `aclose()`.  A body that is not what was
    announced raises BodyTruncated or BodyTooLarge after its last good byte.
    """

    url: str  # after redirects
    status: int  # 200, or 206 for a range
    headers: Mapping[str, str]  # names in lower case, the last of equals
    first_byte: int  # offset of the body's first byte in the representation
    total_bytes: int | None  # of the whole representation; None if the server does not say
    etag: str | None  # strong validators only

    def __aiter__(self) -> AsyncIterator[bytes]: ...

    async def aclose(self) -> None: ...


@runtime_checkable
class Fetcher(Protocol):
    """Gets bytes over HTTP.  Content codings are neither asked for nor undone: offsets are those on the wire."""

    async def open(self, request: FetchRequest) -> FetchResponse:
        """Send the request and return once the headers are there.

        Any status but 200 and 206 raises StatusError; a 200 to a ranged request
        raises BodyChanged if `if_range` was given, and else is returned as it is,
        with `first_byte` 0.
        """
        ...

    async def aclose(self) -> None: ...


@runtime_checkable
class Poster(Protocol):
    """Sends something small over HTTP: what a Fetcher can do besides, where its platform lets it."""

    async def post(self, url: str, body: bytes, content_type: str, *, timeout_us: int) -> int:
        """The status of the answer, whatever it is; its body is not read, and redirects are not followed.

        `timeout_us` is for connecting, and for the answer once more.  Raises as Fetcher.open, but for the status.
        """
        ...


class ServerRequest(msgspec.Struct, frozen=True):
    """One request from a local player."""

    method: str
    path: str  # percent-decoded, always starts with /
    query: str  # as sent, without the ?
    headers: Mapping[str, str]  # names in lower case
    remote: str  # address of the client
    body: bytes = b""  # the in-memory network alone has one: nothing that is served here takes any


class ServerResponse(msgspec.Struct):
    """Status, headers, and a body that is whole or comes in pieces.

    A body in pieces whose iterator raises ends the connection short of its
    Content-Length, which is how HTTP tells a player that the rest is missing.
    """

    status: int
    headers: dict[str, str] = {}
    body: bytes | AsyncIterator[bytes | memoryview] = b""


class ReadyBody(Protocol):
    """What a body in pieces may offer besides, where they lie ready: to be taken without the price of waiting."""

    def take(self) -> bytes | memoryview | None:
        """The next piece; None at the end.  To ask for it says that the one before was taken."""
        ...

    def close(self) -> None:
        """No more is asked for; as `aclose`, without waiting.  Does nothing the second time."""
        ...


Handler = Callable[[ServerRequest], Awaitable[ServerResponse]]


@runtime_checkable
class Server(Protocol):
    """An HTTP server on one address.  A client that goes away cancels its handler's body."""

    async def start(self, handler: Handler, *, host: str, port: int) -> int:
        """Listen, and return the port (a free one when `port` is 0).  ConnectFailed if it is taken."""
        ...

    async def aclose(self) -> None: ...


@runtime_checkable
class Channel(Protocol):
    """One connected peer: binary messages, reliable and in order."""

    label: str
    fingerprint: str | None  # of the peer's certificate, "sha-256 AB:CD:..."; None where there is no TLS
    remote_address: str | None  # IP literal of the selected path; None where the platform hides it
    is_relayed: bool  # that is a TURN relay's, which strangers share; as the peer says, where nothing else tells
    max_message_bytes: int

    @property
    def buffered_bytes(self) -> int:
        """Handed over and not yet sent, as far as the platform tells."""
        ...

    async def send(self, message: bytes, *, urgent: bool = False) -> None:
        """Hand one message over; waits while too much is unsent.  ChannelClosed, MessageTooLarge.

        An urgent one does not wait for those that are not, and goes ahead of them where the platform lets it; among
        themselves urgent ones keep their order.
        """

    async def receive(self) -> bytes:
        """The next message.  ChannelClosed once the channel is closed and everything received was read."""
        ...

    async def close(self, detail: str = "done") -> None:
        """Deliver what was handed over (for at most a second), then close.  Does nothing the second time."""


@runtime_checkable
class OutgoingOffer(Protocol):
    """Our offer, waiting for somebody's answer."""

    description: str  # SDP, with all candidates

    async def accept(self, answer: str) -> Channel:
        """Connect to whoever answered.  ConnectFailed, TimedOut."""
        ...

    async def close(self) -> None: ...


@runtime_checkable
class IncomingChannel(Protocol):
    """Our answer to somebody's offer; the channel comes when they have read it."""

    description: str

    async def channel(self) -> Channel:
        """Wait for the offering side to connect.  ConnectFailed, TimedOut."""
        ...

    async def close(self) -> None: ...


class TurnServer(msgspec.Struct, frozen=True):
    """A relay (RFC 8656) and our account there."""

    url: str  # turn:host:port (RFC 7065)
    name: str
    password: str


@runtime_checkable
class Connector(Protocol):
    """Makes channels out of descriptions (SDP) that a tracker carries."""

    async def offer(self, label: str) -> OutgoingOffer: ...

    async def answer(self, offer: str) -> IncomingChannel:
        """Answer somebody's offer.  ConnectFailed when it is not a description we can use."""
        ...

    async def aclose(self) -> None:
        """Close every channel and every pending offer that came from here."""


@runtime_checkable
class TextSocket(Protocol):
    """A socket of text messages, in order."""

    async def send(self, text: str) -> None: ...

    async def receive(self) -> str:
        """The next message.  ChannelClosed when there will be none."""
        ...

    async def close(self) -> None: ...


@runtime_checkable
class Signaling(Protocol):
    """Opens sockets to trackers."""

    async def connect(self, url: str, *, message_bytes_max: int = 128 * 1024) -> TextSocket: ...

    async def aclose(self) -> None: ...


@runtime_checkable
class Hasher(Protocol):
    """Digests, computed where they hold up nobody else."""

    async def sha256(self, data: bytes) -> bytes:
        """32 bytes."""
        ...

    async def aclose(self) -> None: ...


class Shelved(msgspec.Struct, frozen=True):
    """A body lies on the shelf under `digest`; `gone` are those that had to go for it."""

    digest: bytes
    gone: tuple[bytes, ...]
    byte_count: int  # of all that is here now, of all processes together
    body_count: int


@runtime_checkable
class Shelf(Protocol):
    """Whole bodies by their SHA-256, within limits, for all processes that open the same one.  Errors are ShelfErrors.

    Reads and writes do not wait for each other.  Whatever is here may be gone at the next moment, since others need
    room as well: a digest that is not found is no error.
    """

    async def open(self) -> None:
        """Get ready, once, before anything else.  ShelfError says what is wrong with the place."""

    async def put(self, data: bytes, *, worth: int) -> Shelved:
        """Keep it; what has the lowest worth goes first when there is no room, of these what was used least lately."""
        ...

    async def read(self, digest: bytes) -> bytes | None:
        """All of it, and right; None if it is not here.  ShelfDamaged if it is here and wrong: then it is removed."""
        ...

    async def sizes(self, digests: Sequence[bytes]) -> dict[bytes, int]:
        """How many bytes each of these has that is here."""
        ...

    async def mark(self, worths: Mapping[bytes, int]) -> None:
        """What these are worth from now on; this counts as use."""

    async def aclose(self) -> None:
        """Finish what is under way, and drop what waits."""
