"""One stream, put together: transports are resolved, actors are started, and a
handle comes back that a proxy, a player or a follower reads from.

    async with open_session(SessionOptions(url="https://cdn.example/live/stream.m3u8")) as session:
        playlist = await session.playlist()
        async for piece in session.read(key):
            ...

This is the only place where the three rooms below meet.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import re
import secrets
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, cast
from urllib.parse import urljoin, urlsplit

import msgspec

from shoal.balancer.actors import CdnSource, Session, SessionParts
from shoal.balancer.actors.messages import (
    AllowPeers,
    Delivered,
    FindResource,
    GetPlaylist,
    GetRefusal,
    GetReport,
    Open,
    Piece,
    PlaylistText,
    Read,
    Release,
)
from shoal.balancer.config import BalancerConfig
from shoal.balancer.errors import ConfigurationError
from shoal.balancer.formats.hls import NOTHING, Directives
from shoal.balancer.identity import scheme_named
from shoal.balancer.integrity import Sidecar
from shoal.balancer.model import ByteRange, ResourceKey
from shoal.balancer.recording import Recording
from shoal.balancer.report import SessionReport
from shoal.runtime import ActorRef, ActorSystem
from shoal.transports import registry
from shoal.transports.errors import ShelfError, TrackerRefused
from shoal.transports.interface import AddressPolicy, Connector, Fetcher, FetchRequest, Hasher, Shelf, Signaling
from shoal.transports.sansio.bodies import request_headers

from .cmcd import cmcd_options, collector
from .peering import PeerOptions, make_connector

__all__ = ["SIDECAR_NAME", "SessionOptions", "StreamSession", "Transports", "is_dash", "open_session"]

SIDECAR_NAME = "shoal-hashes.json"

# A read is answered when bytes come, or when the policy gives up, which it does
# long before this; the limit is there for our own mistakes.
READ_TIMEOUT_S = 120.0
PLAYLIST_TIMEOUT_S = 30.0
_RECORDING_BUFFER_BYTES = 256 * 1024  # a write to the disk every thousand events, and not one each
STORE_BYTES_MAX = 4 << 30  # some hours of HD video, and a small part of any disk
STOP_TIMEOUT_S = 5.0  # as ActorSystem's own: peers are told, and trackers

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # a token (RFC 9110, 5.6.2)


class SessionOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What to play and from where.

    `url` is a multivariant or media playlist, or an MPD (`format` says which; "auto" goes by
    its path, which ends in .mpd or does not).  `cdns` names where else the same
    stream lies: the URL of the same playlist there, or of its folder (with a
    slash at the end).  `hashes` is the URL of the sidecar, relative to `url`;
    "auto" looks for one beside the playlist, and "none" does without.
    """

    url: str
    format: str = "auto"  # auto, hls, dash
    cdns: Mapping[str, str] = {}
    weights: Mapping[str, float] = {}
    prices: Mapping[str, float] = {}  # per GB, in any one currency; 0 where none is given
    priorities: Mapping[str, int] = {}  # 0 where none is given; higher ones only while none below can be asked
    commits: Mapping[str, int] = {}  # bytes paid for already, of this viewer; free until then
    trackers: tuple[str, ...] = ()
    swarm_id: str | None = None
    swarm_scheme: str = "2.3"  # as identity.scheme_named has them: the version of p2p-media-loader that is met
    hashes: str = "auto"
    hashes_key: str | None = None  # of Ed25519, 64 hex digits: only a sidecar that is signed with it counts
    headers: tuple[tuple[str, str], ...] = ()
    allowed_hosts: frozenset[str] = frozenset()
    allow_private: bool = False
    cookies: bool = False  # what origins set is sent back to them, as long as the session lasts
    environment_proxies: bool = False  # HTTP_PROXY and friends; they resolve names then, and are trusted with it
    config: BalancerConfig = msgspec.field(default_factory=BalancerConfig)
    seed: int | None = None  # None: from the system's randomness
    peers: PeerOptions = PeerOptions()
    cmcd: str | None = None  # what CDNs are told with each request (CTA-5004-B): by query or header; None: nothing
    cmcd_report: str | None = None  # URL of a collector that is told of each response, whoever sent it; None: nobody
    cmcd_content: str | None = None  # what is played, for them; None: a hash of `url` without its query
    steering: bool = True  # a steering server that the playlist names is followed
    store: str | None = None  # a folder that sessions of this machine share; None: in memory alone
    store_bytes_max: int = STORE_BYTES_MAX  # in that folder; memory has config.store_bytes_max
    are_peers_allowed: bool = True  # at the beginning: without consent no tracker is asked and no address gathered
    record: str | None = None  # a file that all events and decisions are written to, for a replay


class Transports(msgspec.Struct, kw_only=True):
    """The implementations that a session runs on.  Whoever makes one closes it."""

    fetcher: Fetcher
    hasher: Hasher
    connector: Connector | None = None
    signaling: Signaling | None = None
    shelf: Shelf | None = None


class StreamSession:
    """A running session.  Every method may be called from any task of the loop that opened it."""

    def __init__(self, ref: ActorRef[object], system: ActorSystem, options: SessionOptions) -> None:
        self._ref = ref
        self._readers = itertools.count(1)
        self.system = system
        self.options = options

    @property
    def is_running(self) -> bool:
        """False once its actors have stopped."""
        return self._ref.is_alive

    async def playlist(self, rendition: int | None = None, wanted: Directives = NOTHING) -> PlaylistText:
        """A playlist as a local player may have it; once it has what is `wanted`, where the origin can wait for that.

        BalancerError or TransportError when no CDN gives a good one.
        """
        question = GetPlaylist(rendition, wanted)
        return cast("PlaylistText", await self._ref.ask(question, timeout_s=PLAYLIST_TIMEOUT_S))

    @property
    def is_dash(self) -> bool:
        """Whether the stream is an MPD."""
        return is_dash(self.options)

    async def find(self, rendition: int, name: str, byte_range: ByteRange | None = None) -> ResourceKey:
        """What a player of our MPD means by a name below a rendition's base URL.  UnknownResource for nothing."""
        question = FindResource(rendition, name, byte_range)
        return cast("ResourceKey", await self._ref.ask(question, timeout_s=PLAYLIST_TIMEOUT_S))

    async def read(self, key: ResourceKey) -> AsyncGenerator[Piece, None]:
        """Verified bytes in order, from the first on; in one piece what lies in memory, which costs no copy.

        UnknownResource, NoSource, WrongBytes.
        """
        opened = await self.open(key)
        if isinstance(opened, Piece):
            yield opened
            return
        async with aclosing(opened):
            async for piece in opened:
                yield piece

    async def open(self, key: ResourceKey) -> Piece | AsyncGenerator[Piece, None]:
        """As `read`: the one piece itself of what lies in memory; else the pieces, of which the first is asked for now.

        A generator for one piece would cost a tenth of what a request does.
        """
        reader = next(self._readers)
        try:
            whole: Piece | None = await self._ref.ask(Open(key, reader), timeout_s=PLAYLIST_TIMEOUT_S)
        except BaseException:
            self._ref.tell(Release(key, reader))
            raise
        return self._pieces(key, reader) if whole is None else whole

    async def _pieces(self, key: ResourceKey, reader: int) -> AsyncGenerator[Piece, None]:
        """Must be begun: one that never was tells nobody that its reader has gone."""
        try:
            offset = 0
            while True:
                piece = cast("Piece", await self._ref.ask(Read(key, reader, offset), timeout_s=READ_TIMEOUT_S))
                offset += len(piece.data)
                yield piece
                if piece.is_last:
                    return
        finally:
            self._ref.tell(Release(key, reader))

    def delivered(self, key: ResourceKey, byte_count: int) -> None:
        """Bytes of `key` went to a player."""
        self._ref.tell(Delivered(key, byte_count))

    async def allow_peers(self, *, allowed: bool) -> None:
        """The viewer agrees to peers, or withdraws that.

        Returns when it holds: from then on nothing is asked of trackers and sent to
        peers, until the viewer agrees again.  What is under way goes on from a CDN.
        """
        await self._ref.ask(AllowPeers(allowed), timeout_s=5.0)

    async def refusal(self) -> TrackerRefused | None:
        """Why nobody can be met: every tracker has refused us for good, and no peer is here."""
        return cast("TrackerRefused | None", await self._ref.ask(GetRefusal(), timeout_s=5.0))

    async def report(self) -> SessionReport:
        return cast("SessionReport", await self._ref.ask(GetReport(), timeout_s=5.0))


@asynccontextmanager
async def open_session(
    options: SessionOptions,
    *,
    transports: Transports | None = None,
    system: ActorSystem | None = None,
    tamper: Callable[[ResourceKey, bytes], bytes] | None = None,
    random_bytes: Callable[[int], bytes] = secrets.token_bytes,
    utc_us: Callable[[], int] = lambda: time.time_ns() // 1_000,
    recording: Recording | None = None,
) -> AsyncIterator[StreamSession]:
    """Start the actors of one stream; leaving the block stops them and closes what was opened here.

    Nothing is fetched before the first read.  `tamper` changes what is uploaded to
    peers: it is how tests and the demo make a peer that serves wrong bytes.
    `random_bytes` and `options.seed` are all the randomness that a session uses: a
    simulation gives its own, and repeats.  `utc_us` is the time of day since 1970, by which
    live MPDs are read.  `recording` is told all events and decisions, as the file that
    `options.record` names would be; one of the two.
    ConfigurationError for options that make no sense, or a file or folder that cannot
    be written, TransportMissing for a transport whose package is not installed.
    """
    _check_headers(options)
    _check_store(options)
    options.peers.check()
    assert recording is None or options.record is None, "one recording of a session"
    cdns = _cdn_sources(options)
    hosts = {_host(options.url), *(_host(cdn.base_url) for cdn in cdns), *map(_compared, options.allowed_hosts)}
    if options.hashes not in {"auto", "none"}:
        hosts.add(_host(urljoin(options.url, options.hashes)))
    if options.cmcd_report is not None:
        hosts.add(_host(options.cmcd_report))
    async with AsyncExitStack() as stack:
        if transports is None:
            policy = AddressPolicy(allowed_hosts=frozenset(hosts), allow_private=options.allow_private)
            transports = await _resolve(stack, policy, options)
        told = cmcd_options(
            options.cmcd if options.cmcd_report is None else options.cmcd or "query",
            options.cmcd_content,
            url=options.url,
            is_dash=is_dash(options),
            cdns=[cdn.name for cdn in cdns],
            random_bytes=random_bytes,
        )
        if system is None:
            system = await stack.enter_async_context(ActorSystem())
        parts = SessionParts(
            url=options.url,
            primary_url=_folder(options.url),
            cdns=cdns,
            config=_with_upload_cap(options),
            fetcher=transports.fetcher,
            hasher=transports.hasher,
            connector=transports.connector,
            signaling=transports.signaling,
            shelf=transports.shelf,
            trackers=options.trackers,
            are_peers_allowed=options.are_peers_allowed,
            swarm_id=options.swarm_id,
            scheme=scheme_named(options.swarm_scheme),
            sidecar_url=None if options.hashes == "none" else urljoin(options.url, _sidecar(options)),
            is_sidecar_required=options.hashes not in {"auto", "none"},
            read_sidecar=_sidecar_reader(options),
            is_dash=is_dash(options),
            utc_us=utc_us,
            headers=options.headers,
            seed=secrets.randbits(63) if options.seed is None else options.seed,
            random_bytes=random_bytes,
            tamper=tamper,
            is_steered=options.steering,
            cmcd=None if options.cmcd is None else told,
            collector=None if told is None else collector(options.cmcd_report, transports.fetcher, told),
            recording=recording if options.record is None else stack.enter_context(_recording(options.record)),
        )
        # The name is for those who look into a system with one session, which is most.
        ref = system.spawn(Session, parts, name=None if system.find("session") else "session")
        try:
            yield StreamSession(ref, system, options)
        finally:
            await _stop(ref)


def _with_upload_cap(options: SessionOptions) -> BalancerConfig:
    """The line's cap, which the connector keeps, is the balancer's too: it cuts what it uploads by it."""
    config, cap = options.config, options.peers.line_bytes_per_s
    if cap is None or (config.upload_bytes_per_s is not None and config.upload_bytes_per_s <= cap):
        return config
    return msgspec.structs.replace(config, upload_bytes_per_s=cap)


@contextlib.contextmanager
def _recording(path: str) -> Iterator[Recording]:
    try:
        file = Path(path).open("wb", buffering=_RECORDING_BUFFER_BYTES)  # noqa: SIM115, closed below
    except OSError as error:
        raise ConfigurationError(f"--record {path} cannot be written: {error.strerror}") from error
    with file:
        recording = Recording(file.write, salt=secrets.token_bytes(16))
        try:
            yield recording
        finally:
            recording.end()


async def _stop(ref: ActorRef[Any]) -> None:
    """Stop the session and wait, since what it runs on may be closed as soon as we return."""
    ref.stop()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(STOP_TIMEOUT_S):
            await ref.wait_stopped()


def _fetcher(policy: AddressPolicy, options: SessionOptions) -> Fetcher:
    asked = {"cookies": options.cookies, "environment_proxies": options.environment_proxies}
    more = {name: True for name, is_asked in asked.items() if is_asked}
    try:
        return registry.resolve_fetcher()(policy, **more)
    except TypeError as error:
        if not more:
            raise
        raise ConfigurationError(f"this platform's fetcher has no {' and no '.join(more)}; leave it out") from error


async def _resolve(stack: AsyncExitStack, policy: AddressPolicy, options: SessionOptions) -> Transports:
    fetcher = _fetcher(policy, options)
    stack.push_async_callback(fetcher.aclose)
    hasher = registry.resolve_hasher()()
    stack.push_async_callback(hasher.aclose)
    transports = Transports(fetcher=fetcher, hasher=hasher)
    if options.store is not None:
        transports.shelf = await _shelf(stack, options.store, options.store_bytes_max)
    if options.trackers:
        transports.connector = make_connector(options.peers, options.trackers)
        stack.push_async_callback(transports.connector.aclose)
        transports.signaling = registry.resolve_signaling()()
        stack.push_async_callback(transports.signaling.aclose)
    return transports


async def _shelf(stack: AsyncExitStack, folder: str, bytes_max: int) -> Shelf:
    shelf = registry.resolve_shelf()(folder, bytes_max=bytes_max)
    stack.push_async_callback(shelf.aclose)
    try:
        await shelf.open()
    except ShelfError as error:
        raise ConfigurationError(f"--store {folder}: {error}") from error
    return shelf


def _check_store(options: SessionOptions) -> None:
    if options.store is not None and options.store_bytes_max < options.config.segment_bytes_max:
        raise ConfigurationError(
            f"a store of {options.store_bytes_max} bytes cannot hold one segment of segment_bytes_max"
            f" ({options.config.segment_bytes_max}); raise --store-max, or lower that"
        )


def _cdn_sources(options: SessionOptions) -> tuple[CdnSource, ...]:
    """The CDNs in the order given; the one that `url` names is added, first, unless it is among them."""
    primary = _folder(options.url)
    named = {name: _folder(urljoin(options.url, url)) for name, url in options.cdns.items()}
    if primary not in named.values():
        if "origin" in named:
            raise ConfigurationError(
                f"the CDN called origin is {named['origin']}, not where {options.url} lies; call it something else"
            )
        named = {"origin": primary, **named}
    given: dict[str, Mapping[str, float]] = {
        "weight": options.weights,
        "price": options.prices,
        "priority": options.priorities,
        "commit": options.commits,
    }
    for what, values in given.items():
        unknown = set(values) - set(named)
        if unknown:
            raise ConfigurationError(f"a {what} is given for {sorted(unknown)}, and the CDNs are {sorted(named)}")
    return tuple(
        CdnSource(
            name=name,
            base_url=base,
            weight=options.weights.get(name, 1.0),
            price_per_gb=options.prices.get(name, 0.0),
            priority=options.priorities.get(name, 0),
            commit_bytes=options.commits.get(name, 0),
        )
        for name, base in named.items()
    )


def _check_headers(options: SessionOptions) -> None:
    """Here, and not at each fetch: ConfigurationError for a header that no request could carry."""
    for name, value in options.headers:
        if not _HEADER_NAME.fullmatch(name) or any(character in value for character in "\r\n\0"):
            raise ConfigurationError(f"header {name!r} with value {value[:40]!r} cannot be sent; see RFC 9110, 5.1")
    try:
        request_headers(FetchRequest(url=options.url, headers=options.headers), "shoal")
    except ValueError as error:
        raise ConfigurationError(str(error)) from error


def is_dash(options: SessionOptions) -> bool:
    """Whether the stream is an MPD.  ConfigurationError for a format that is none."""
    if options.format not in {"auto", "hls", "dash"}:
        raise ConfigurationError(f"format {options.format[:40]!r} is not known; use auto, hls or dash")
    if options.format != "auto":
        return options.format == "dash"
    return urlsplit(options.url).path.lower().endswith(".mpd")


def _folder(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ConfigurationError(f"{url!r} is not an http or https URL; give the full URL of a playlist")
    return parts._replace(path=parts.path.rpartition("/")[0] + "/", query="", fragment="").geturl()


def _host(url: str) -> str:
    return _compared(urlsplit(url).hostname or "")


def _compared(host: str) -> str:
    """A host in the form in which fetchers compare it: lower case, IDNA, without a final dot."""
    name = host.lower().removesuffix(".")
    try:
        return name.encode("idna").decode()
    except UnicodeError:
        return name  # no name at all: connecting to it fails, and says so


def _sidecar_reader(options: SessionOptions) -> Callable[[bytes, str], Sidecar]:
    if options.hashes_key is None:
        return Sidecar.parse
    from .signatures import verifier  # a page has no use for it

    return partial(Sidecar.parse, verify=verifier(options.hashes_key))


def _sidecar(options: SessionOptions) -> str:
    return SIDECAR_NAME if options.hashes == "auto" else options.hashes
