"""Playlists: loads them from whichever CDN gives a good one, and rewrites them for the player.

A document that times out, fails, or is not a playlist at all is asked for from
the next CDN; the one that was good last is asked first.

A live playlist is loaded again when a player asks and the last load has aged:

    it goes on                      it is served; its CDN is asked first from now on
    it does not, and is overdue     the other CDNs are asked as well, and the newest counts
    it is older than the last one   the same, since a CDN may lag; the last one is served again
    nobody has had a newer one for
      RESTART_AFTER target durations  the encoder counts anew, and the old numbers are void
    nobody gives one                the last one is served again

What is served again is noted.

Hashes are loaded beside the first playlist.  Where they may be missing and did not
come for a reason that may pass (a time-out, a 5xx), they are asked for again, later
each time; what begins after they came is verified.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

from shoal.runtime import Actor, ActorRef, AskTimedOut, Reply
from shoal.transports.errors import StatusError, TimedOut, TransportError

from .. import identity
from ..config import BalancerConfig
from ..errors import BalancerError, PlaylistUnsupported, UnknownResource
from ..formats.hls import Limits, Load, Multivariant, Reload, UriKind, rewrite, skip_url
from ..integrity import Sidecar
from ..model import ByteRange, Kind, ResourceKey, Segment
from ..paths import path_of, playlist_path
from ..pathways import PATHWAYS_MAX, merge
from ..streams import media_of, streams_of
from .messages import (
    CdnsInOrder,
    Document,
    FetchDocument,
    HashesAbsent,
    HashesKnown,
    Listed,
    LoadPlaylist,
    Noted,
    PathwaysFound,
    PlaylistText,
)
from .renditions import KnownRendition, is_newer, may_pass, newness

__all__ = ["SESSION_RENDITION", "Playlist"]

T = TypeVar("T")

# Keys and data that the multivariant playlist itself names belong to no rendition.
SESSION_RENDITION = 999_999
# Of target durations.  A live playlist must change within 1.5 of them (RFC 8216, 6.2.1).
OVERDUE_AFTER = 1.5
RESTART_AFTER = 3.0  # long enough for a CDN's cache to have expired, and below a player's buffer
RENDITIONS_MAX = 1_000  # variants, renditions and I-frame lists: a large ladder in forty languages has 500


class _Hashes(msgspec.Struct, frozen=True):
    """From a loading task: the hashes, or why there are none."""

    sidecar: Sidecar | None
    error: Exception | None = None


class _Loaded(msgspec.Struct, frozen=True):
    """From a loading task: what came, or why nothing did.  `hashes` is None unless they were asked for as well."""

    rendition: int | None
    playlist: Load | Multivariant | None
    reload: Reload  # that has read it
    hashes: _Hashes | None
    error: Exception | None


class _HashesDue(msgspec.Struct, frozen=True):
    """From our timer: ask for the hashes again."""


class Playlist(Actor[Any]):
    def __init__(
        self,
        session: ActorRef[Any],
        cdns: tuple[ActorRef[Any], ...],
        config: BalancerConfig,
        *,
        url: str,
        swarm_id: str | None,
        scheme: identity.Scheme,
        sidecar_url: str | None,
        is_sidecar_required: bool,
    ) -> None:
        self._session = session
        self._cdns = cdns
        self._config = config
        self._url = url
        self._swarm_id = swarm_id
        self._scheme = scheme
        self._sidecar_url = sidecar_url
        self._is_sidecar_required = is_sidecar_required
        self._is_sidecar_settled = sidecar_url is None
        self._has_sidecar = False
        self._are_hashes_fresh = True
        self._sidecar_retry_us = config.sidecar_retry_us
        self._good_cdn = 0
        self._root: PlaylistText | None = None  # of a multivariant playlist
        self._renditions: list[KnownRendition] = []
        self._waiting: dict[int | None, list[Reply]] = {}
        self._early: list[LoadPlaylist] = []  # for renditions, before it is known which there are

    def on_start(self) -> None:
        if self._sidecar_url is None:
            self._session.tell(HashesAbsent())

    def receive(self, message: Any) -> None:
        match message:
            case CdnsInOrder(cdns):
                self._cdns, self._good_cdn = cdns, 0
            case LoadPlaylist(rendition, reply):
                self._serve(rendition, reply)
            case _Loaded():
                self._on_loaded(message)
            case _HashesDue():
                self.start_task(self._load_hashes_again(), name="hashes")
            case _Hashes():
                self._on_hashes_again(message)
            case _:
                raise TypeError(f"the playlist actor was sent {type(message).__name__}")

    # -- answering

    def _serve(self, rendition: int | None, reply: Reply) -> None:
        if rendition is not None and not self._renditions and self._root is None:
            self._early.append(LoadPlaylist(rendition, reply))
            if None not in self._waiting:
                self._begin_load(None)
            return
        if rendition is None and self._renditions and self._root is None:
            rendition = 0  # the session's URL is a media playlist
        if rendition is None:
            if self._root is not None:
                reply.set(self._root)
                return
        elif rendition >= len(self._renditions):
            reply.fail(UnknownResource(f"there is no rendition {rendition}; there are {len(self._renditions)}"))
            return
        else:
            known = self._renditions[rendition]
            if known.answer is not None and self._is_fresh(known):
                reply.set(known.answer)
                return
        if rendition not in self._waiting:
            self._begin_load(rendition)
        self._waiting[rendition].append(reply)

    def _begin_load(self, rendition: int | None) -> None:
        self._waiting[rendition] = []
        self.start_task(self._load(rendition), name=f"load-{rendition}")

    def _is_fresh(self, known: KnownRendition) -> bool:
        return known.fresh_us is None or self.now_us - known.loaded_us < known.fresh_us

    def _reply(self, asked: int | None, answer: PlaylistText | Exception) -> None:
        for reply in self._waiting.pop(asked, []):
            if isinstance(answer, Exception):
                reply.fail(answer)
            else:
                reply.set(answer)
        early, self._early = self._early, []
        for message in early:
            if isinstance(answer, Exception):
                message.reply.fail(answer)
            else:
                self._serve(message.rendition, message.reply)

    # -- loading

    async def _load(self, rendition: int | None) -> None:
        """Fetch and parse; what became of it comes back as a message, so that state changes in one place."""
        hashes: asyncio.Task[_Hashes] | None = None
        playlist: Load | Multivariant | None = None
        failure: Exception | None = None
        known = None if rendition is None else self._renditions[rendition]
        limits = Limits(playlist_bytes_max=self._config.playlist_bytes_max)
        reload = known.reload if known is not None else Reload(0, _path)
        before = known.skippable(self.now_us) if known is not None else None

        def read(document: Document) -> Load | Multivariant:
            variables = known.variables if known else {}
            return reload.read(document.body, document.url, variables=variables, limits=limits, before=before)

        def is_enough(loaded: Load | Multivariant) -> bool:
            if known is None or not known.is_live or not isinstance(loaded, Load) or not loaded.playlist.is_live:
                return True
            if loaded.end == known.end:
                return not known.is_overdue(self.now_us, OVERDUE_AFTER)
            return loaded.end > known.end

        url = self._url if known is None else known.url
        try:
            # Side by side, so that a CDN which hangs costs one time-out at the start and not two.
            async with asyncio.TaskGroup() as group:
                # A live stream's sidecar grows with it.
                if not self._is_sidecar_settled or (self._has_sidecar and known is not None and known.is_live):
                    hashes = group.create_task(self._load_hashes())
                found = group.create_task(self._whole(url, known if before is not None else None, read, is_enough))
            playlist = found.result()
            if hashes is not None and is_newer(playlist, hashes.result().sidecar):
                # The window slid between the two answers; once more, and the newest segment is hashed as well.
                hashes = asyncio.create_task(self._load_hashes())
                await hashes
        except* (TransportError, BalancerError) as failures:
            failure = failures.exceptions[0]
        await self.ref.send(
            _Loaded(
                rendition=rendition,
                playlist=playlist,
                reload=reload,
                hashes=hashes.result() if hashes is not None and failure is None else None,
                error=failure,
            )
        )

    async def _whole(
        self,
        url: str,
        skipping: KnownRendition | None,
        read: Callable[[Document], Load | Multivariant],
        is_enough: Callable[[Load | Multivariant], bool],
    ) -> Load | Multivariant:
        """The playlist; of `skipping` by a delta update, or else whole, as a server without updates gives it."""
        bytes_max = self._config.playlist_bytes_max
        if skipping is not None:
            try:
                return await self._best(skip_url(url), bytes_max, read, is_enough, newness)
            except (TransportError, BalancerError) as error:
                found = await self._best(url, bytes_max, read, is_enough, newness)
                if not isinstance(error, PlaylistUnsupported):  # which is one that only does not join
                    skipping.takes_skip = False
                    self._session.tell(Noted(f"delta updates are not asked for any more: {error}"))
                return found
        return await self._best(url, bytes_max, read, is_enough, newness)

    async def _best(
        self,
        url: str,
        bytes_max: int,
        read: Callable[[Document], T],
        is_enough: Callable[[T], bool],
        rank: Callable[[T], int],
        *,
        byte_range: ByteRange | None = None,
    ) -> T:
        """What `read` makes of the document at the first CDN where that `is_enough`, or else the highest in rank."""
        best: T | None = None
        failure: Exception | None = None
        bad: list[str] = []
        cdns, first = self._cdns, self._good_cdn
        for step in range(len(cdns)):
            place = (first + step) % len(cdns)
            try:
                document = await cdns[place].ask(
                    FetchDocument(url, bytes_max, byte_range, is_manifest=url != self._sidecar_url),
                    timeout_s=self._config.document_timeout_us / 1e6,
                )
                found = read(document)
            except AskTimedOut as error:
                failure = failure or TimedOut(
                    f"{url} did not come within {self._config.document_timeout_us / 1e6} s from any CDN",
                    phase="first_byte",
                    timeout_us=self._config.document_timeout_us,
                )
                failure.__cause__ = error
                bad.append(f"{cdns[place].name} timed out")
                continue
            except (TransportError, BalancerError) as error:
                # The first failure is the one to show: the others are often "elsewhere".
                failure = failure or error
                bad.append(f"{cdns[place].name}: {error}")
                continue
            if bad:  # none of it is an error to anybody now, and somebody should know
                self._session.tell(Noted(f"a document came from {cdns[place].name}, since {'; '.join(bad)}"))
                bad = []
            if best is None or rank(found) > rank(best):
                best = found
                if cdns is self._cdns:  # else another order was given meanwhile
                    self._good_cdn = place
            if is_enough(found):
                return found
        if best is None:
            assert failure is not None, "a session has at least one CDN"
            raise failure
        return best

    async def _load_hashes(self) -> _Hashes:
        """Raises only where a stream without hashes is refused."""
        assert self._sidecar_url is not None
        try:
            sidecar = await self._best(
                self._sidecar_url,
                self._config.sidecar_bytes_max,
                lambda document: Sidecar.parse(document.body, document.url),
                is_enough=lambda _: True,
                rank=lambda _: 0,
            )
        except (TransportError, BalancerError) as error:
            if self._is_sidecar_required and not self._is_sidecar_settled:
                raise
            return _Hashes(None, error)
        return _Hashes(sidecar)

    async def _load_hashes_again(self) -> None:
        await self.ref.send(await self._load_hashes())

    # -- what was loaded

    def _on_loaded(self, loaded: _Loaded) -> None:
        if loaded.error is not None:
            self._on_failed(loaded.rendition, loaded.error)
            return
        if loaded.hashes is not None:
            if self._is_sidecar_settled:
                self._on_newer_hashes(loaded.hashes)
            else:
                self._is_sidecar_settled = True
                self._on_hashes(loaded.hashes)
        try:
            match loaded.playlist:
                case Multivariant() if loaded.rendition is None:
                    self._root = self._on_multivariant(loaded.playlist)
                    self._reply(None, self._root)
                case Load():
                    if loaded.rendition is None:
                        only = self._rendition(0, self._url, identity.Stream(), {})
                        only.reload = loaded.reload
                        self._renditions = [only]
                    self._reply(loaded.rendition, self._on_media(loaded.rendition or 0, loaded.playlist))
                case _:
                    raise PlaylistUnsupported("a multivariant playlist stands where a media playlist should be")
        except BalancerError as error:
            self._reply(loaded.rendition, error)

    def _on_hashes(self, hashes: _Hashes) -> None:
        """The first answer about hashes; it comes before anything is listed."""
        error = hashes.error
        if hashes.sidecar is not None:
            self._know(hashes.sidecar)
        elif error is not None and may_pass(error):
            self._session.tell(Noted(f"hashes did not come, so nothing is verified until they do: {error}"))
            self._ask_again_for_hashes()
        elif isinstance(error, StatusError) and error.status in {403, 404, 410}:
            peers = "audited" if self._config.audit else "not used"
            self._session.tell(Noted(f"no hashes were found: bytes of CDNs are not verified, peers are {peers}"))
            self._session.tell(HashesAbsent())
        else:
            self._session.tell(Noted(f"hashes cannot be used, so nothing is verified: {error}"))
            self._session.tell(HashesAbsent())

    def _on_newer_hashes(self, hashes: _Hashes) -> None:
        """Those of a live stream, asked for with each playlist; old ones stay while none come."""
        if hashes.sidecar is not None:
            self._know(hashes.sidecar)
        elif self._are_hashes_fresh:  # said once, and not at each reload
            self._session.tell(Noted(f"newer hashes did not come, so new segments are not verified: {hashes.error}"))
        self._are_hashes_fresh = hashes.sidecar is not None

    def _know(self, sidecar: Sidecar) -> None:
        self._has_sidecar = True
        self._session.tell(HashesKnown(sidecar))

    def _on_hashes_again(self, hashes: _Hashes) -> None:
        error = hashes.error
        if hashes.sidecar is not None:
            self._know(hashes.sidecar)
            self._session.tell(Noted("hashes came: what begins from now on is verified"))
            self._list_again()
        elif error is not None and may_pass(error):
            self._ask_again_for_hashes()
        else:
            self._session.tell(Noted(f"hashes are not asked for any more: {error}"))
            self._session.tell(HashesAbsent())
            self._list_again()

    def _list_again(self) -> None:
        """Since it may be asked of peers now."""
        for known in self._renditions:
            if known.listed is not None:
                self._session.tell(msgspec.structs.replace(known.listed, is_restarted=False))

    def _ask_again_for_hashes(self) -> None:
        self.start_timer("hashes", _HashesDue(), delay_us=self._sidecar_retry_us)
        self._sidecar_retry_us = min(2 * self._sidecar_retry_us, self._config.sidecar_retry_us_max)

    def _on_failed(self, rendition: int | None, error: Exception) -> None:
        old = self._renditions[rendition].answer if rendition is not None else None
        if old is None:
            self._reply(rendition, error)
            return
        self._session.tell(Noted(f"the playlist of rendition {rendition} could not be loaded again: {error}"))
        self._reply(rendition, old)

    def _rendition(
        self,
        number: int,
        url: str,
        stream: identity.Stream,
        variables: dict[str, str],
        stream_type: identity.StreamType = identity.StreamType.MAIN,
    ) -> KnownRendition:
        return KnownRendition(
            url=url,
            stream=stream,
            stream_type=stream_type,
            reload=Reload(number, _path),
            variables=variables,
        )

    def _on_multivariant(self, whole: Multivariant) -> PlaylistText:
        merged = merge(whole)
        playlist = whole if merged is None else merged.playlist
        if merged is not None:
            self._session.tell(PathwaysFound(merged.pathways, playlist.steering))
            if merged.beyond:
                self._session.tell(Noted(f"{merged.beyond} pathways are not used, since only {PATHWAYS_MAX} are"))
        numbers: dict[str, int] = {}
        media = media_of(playlist)
        for url, stream, stream_type in streams_of(playlist):
            if url in numbers:
                continue
            # Those beyond the limit have a path as well, which leads nowhere: their own URL would lead around us.
            numbers[url] = len(numbers)
            if numbers[url] < RENDITIONS_MAX:
                known = self._rendition(numbers[url], url, stream, dict(playlist.variables), stream_type)
                known.medium = media[url]
                self._renditions.append(known)
        if len(numbers) > RENDITIONS_MAX:
            left_out = len(numbers) - RENDITIONS_MAX
            self._session.tell(
                Noted(f"{left_out} renditions are not served, since only the first {RENDITIONS_MAX} are")
            )
        named: dict[tuple[Kind, str], Segment] = {}

        def name(kind: UriKind, uri: str, _: ByteRange | None) -> str:
            if uri in numbers and kind in {UriKind.VARIANT, UriKind.RENDITION, UriKind.I_FRAMES}:
                return playlist_path(numbers[uri], uri)
            if kind not in {UriKind.SESSION_KEY, UriKind.SESSION_DATA}:
                return uri
            what = Kind.KEY if kind is UriKind.SESSION_KEY else Kind.DATA
            segment = named.setdefault(
                (what, uri), Segment(key=ResourceKey(SESSION_RENDITION, what, len(named)), uri=uri)
            )
            return path_of(segment.key, uri)

        rewritten = rewrite(playlist, name, left_out=frozenset() if merged is None else merged.left_out)
        # Steering is not lost to the viewer: it is followed here.
        self._note_dropped({tag: n for tag, n in rewritten.dropped.items() if tag != "EXT-X-CONTENT-STEERING"})
        if named:
            self._session.tell(Listed(SESSION_RENDITION, tuple(named.values()), is_live=False))
        best = max(playlist.variants, key=lambda variant: variant.bandwidth, default=None)
        return PlaylistText(
            text=rewritten.data.decode(),
            is_live=False,
            segments=(),
            renditions=len(self._renditions),
            best=numbers[best.uri] if best is not None else 0,
            uris=tuple(known.url for known in self._renditions),
        )

    def _on_media(self, rendition: int, loaded: Load) -> PlaylistText:
        known, playlist, end = self._renditions[rendition], loaded.playlist, loaded.end
        is_older = known.answer is not None and known.is_live and end < known.end
        if known.answer is not None and is_older and not known.is_overdue(self.now_us, RESTART_AFTER):
            # A CDN that lags behind the one before must not turn the player's time back.
            self._session.tell(Noted(f"a playlist of rendition {rendition} was older than the one before"))
            known.loaded_us = self.now_us
            return known.answer
        update = known.reload.take(loaded)
        if known.answer is None or end != known.end:
            known.went_on_us = self.now_us
        resources, rewritten = update.resources, update.rewritten
        every = (*resources.inits, *resources.keys, *resources.media)
        self._note_dropped(rewritten.dropped)
        swarm_id = self._swarm_id or identity.swarm_id_of_manifest(self._url)
        scheme = self._scheme
        known.listed = Listed(
            rendition=rendition,
            segments=every,
            is_live=playlist.is_live,
            is_restarted=resources.is_restarted,
            medium=known.medium,
            info_hash=scheme.info_hash(
                scheme.stream_swarm_id(swarm_id, known.stream_type, scheme.stream_index(known.stream))
            ),
        )
        self._session.tell(known.listed)
        known.loaded_us, known.end, known.is_live = self.now_us, end, playlist.is_live
        known.target_duration_us = playlist.target_duration_us
        known.before = playlist if playlist.is_live and playlist.server_control is not None else None
        share = self._config.live_reload_share
        known.fresh_us = int(playlist.target_duration_us * share) if playlist.is_live else None
        known.answer = PlaylistText(
            text=rewritten.data.decode(),
            is_live=playlist.is_live,
            segments=resources.media,
            renditions=len(self._renditions),
            others=(*resources.inits, *resources.keys),
        )
        return known.answer

    def _note_dropped(self, dropped: dict[str, int]) -> None:
        if dropped:
            tags = ", ".join(sorted(dropped))
            self._session.tell(Noted(f"the player does not see {tags}, which this proxy does not serve"))


def _path(segment: Segment) -> str:
    return path_of(segment.key, segment.uri)
