"""Playlists: loads them from whichever CDN gives a good one, and rewrites them for the player.

A live playlist is loaded again when a player asks and the last load has aged:

    it goes on                      it is served; its CDN is asked first from now on
    it does not, and is overdue     the other CDNs are asked as well, and the newest counts
    it is older than the last one   the same, since a CDN may lag; the last one is served again
    nobody has had a newer one for
      RESTART_AFTER target durations  the encoder counts anew, and the old numbers are void
    nobody gives one                the last one is served again

What is served again is noted.

Who asks for more than there is (blocking reload) waits, if the origin says that it
can do so as well: it is asked the same question.  An origin that answers all the same,
or fails, is asked again for as long as the draft lets a player wait.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec
from msgspec.structs import replace

from shoal.runtime import ActorRef, Reply
from shoal.transports.errors import TransportError

from .. import identity
from ..config import BalancerConfig
from ..errors import BalancerError, DirectiveRefused, PlaylistUnsupported, UnknownResource
from ..formats.hls import (
    NOTHING,
    Directives,
    Limits,
    Load,
    MediaPlaylist,
    Multivariant,
    Reload,
    UriKind,
    rewrite,
    skip_url,
)
from ..integrity import Sidecar
from ..model import ByteRange, Kind, ResourceKey, Segment
from ..paths import path_of, playlist_path
from ..pathways import PATHWAYS_MAX, merge
from ..streams import media_of, streams_of
from .documents import Documents, Hashes, Newer
from .messages import Document, Listed, LoadPlaylist, Noted, PathwaysFound, PlaylistText
from .renditions import KnownRendition, knows_parts, lacking, newness
from .waiting import Waiting

__all__ = ["SESSION_RENDITION", "Playlist"]

# Keys and data that the multivariant playlist itself names belong to no rendition.
SESSION_RENDITION = 999_999
# Of target durations.  A live playlist must change within 1.5 of them (RFC 8216, 6.2.1).
OVERDUE_AFTER = 1.5
RESTART_AFTER = 3.0  # long enough for a CDN's cache to have expired, and below a player's buffer
# The draft has a server give up by then (6.2.5.2), and a player may ask anew.
BLOCKED_AT_MOST = 3.0
# A live playlist waits so long for the hashes that come with it: less than the least that a player keeps in its buffer.
HASHES_GRACE_S = 0.2
AGAIN_US_MIN = 100_000  # between two questions to origins that did not wait: no part is much shorter
RENDITIONS_MAX = 1_000  # variants, renditions and I-frame lists: a large ladder in forty languages has 500


class _Loaded(msgspec.Struct, frozen=True):
    """From a loading task: what came, or why nothing did.  `hashes` is None unless they were asked for as well."""

    rendition: int | None
    wanted: Directives
    reload: Reload  # that has read it
    playlist: Load | Multivariant | None = None
    came_us: int = 0  # when; it may have waited for hashes since
    hashes: Hashes | None = None
    are_hashes_late: bool = False  # they follow by themselves
    error: Exception | None = None


class _Again(msgspec.Struct, frozen=True):
    """From our timer: somebody waits for more of this rendition than came."""

    rendition: int | None


class Playlist(Documents):
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
        read_sidecar: Callable[[bytes, str], Sidecar],
    ) -> None:
        super().__init__(
            session,
            cdns,
            config,
            sidecar_url=sidecar_url,
            is_sidecar_required=is_sidecar_required,
            read_sidecar=read_sidecar,
        )
        self._url = url
        self._swarm_id = swarm_id
        self._scheme = scheme
        self._root: PlaylistText | None = None  # of a multivariant playlist
        self._renditions: list[KnownRendition] = []
        self._numbers: dict[str, int] = {}  # URL of a playlist, and the same without its query -> rendition
        self._are_parts_hashed = False  # of low latency
        self._waiting = Waiting()
        self._loading: set[int | None] = set()
        self._dropped: set[str] = set()  # tags that the player does not see, as was said
        self._early: list[LoadPlaylist] = []  # for renditions, before it is known which there are

    def receive(self, message: Any) -> None:
        match message:
            case LoadPlaylist(rendition, reply, wanted):
                self._serve(rendition, reply, wanted)
            case _Loaded():
                self._on_loaded(message)
            case _Again(rendition):
                if rendition in self._waiting:
                    self._begin_load(rendition)
            case _:
                super().receive(message)

    def _listed_last(self) -> list[Listed]:
        return [known.listed for known in self._renditions if known.listed is not None]

    # -- answering

    def _serve(self, rendition: int | None, reply: Reply, wanted: Directives) -> None:
        if rendition is not None and not self._renditions and self._root is None:
            self._early.append(LoadPlaylist(rendition, reply, wanted))
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
        elif self._is_answered(self._renditions[rendition], reply, wanted):
            return
        known = None if rendition is None else self._renditions[rendition]
        until_us = self.now_us + (0 if known is None else int(known.target_duration_us * BLOCKED_AT_MOST))
        self._waiting.add(rendition, reply, wanted, until_us)
        self._begin_load(rendition)

    def _is_answered(self, known: KnownRendition, reply: Reply, wanted: Directives) -> bool:
        """Whether the last load was enough to answer."""
        if known.answer is None:
            return False
        is_fresh = known.fresh_us is None or self.now_us - known.loaded_us < known.fresh_us
        is_enough = known.edge.has(wanted) if known.blocks and wanted.segment is not None else is_fresh
        # Of a rendition that nobody has asked for lately, only a new load can tell what is far ahead.
        if known.blocks and is_fresh and known.is_too_far(wanted):
            reply.fail(_too_far(wanted, known))
            return True
        if is_enough:
            reply.set(known.answer)
        return is_enough

    def _begin_load(self, rendition: int | None) -> None:
        if rendition in self._loading:
            return
        self._loading.add(rendition)
        known = None if rendition is None else self._renditions[rendition]
        wanted = self._waiting.least(rendition) if known is not None and known.blocks else NOTHING
        if known is not None and known.is_too_far(wanted):
            wanted = NOTHING
        self.start_task(self._load(rendition, wanted), name=f"load-{rendition}")

    def _reply(self, loaded: _Loaded, answer: PlaylistText | Exception) -> None:
        asked = loaded.rendition
        self._loading.discard(asked)
        known = None if asked is None else self._renditions[asked]
        edge = known.edge if known is not None and known.blocks and not isinstance(answer, Exception) else None
        for reply in self._waiting.take(asked, edge, self.now_us):
            if isinstance(answer, Exception):
                reply.fail(answer)
            else:
                reply.set(answer)
        if known is not None and edge is not None and loaded.error is None:
            for reply, wanted in self._waiting.refuse(asked, known.is_too_far):
                reply.fail(_too_far(wanted, known))
        if known is not None and edge is not None and asked in self._waiting:
            came = loaded.error is None and edge.has(loaded.wanted)
            pause_us = 0 if came else max(AGAIN_US_MIN, known.part_target_us or known.target_duration_us // 2)
            self.start_timer(f"again-{asked}", _Again(asked), delay_us=pause_us)
        early, self._early = self._early, []
        for message in early:
            if isinstance(answer, Exception):
                message.reply.fail(answer)
            else:
                self._serve(message.rendition, message.reply, message.wanted)

    # -- loading

    async def _load(self, rendition: int | None, wanted: Directives) -> None:
        """Fetch and parse; what became of it comes back as a message, so that state changes in one place."""
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
            if loaded.edge.place == known.edge.place:
                return not known.is_overdue(self.now_us, OVERDUE_AFTER, wanted)
            return loaded.edge.place > known.edge.place

        url = self._url if known is None else wanted.url(known.url)
        wait_us = 0 if known is None else known.wait_us(wanted, OVERDUE_AFTER)
        skipping = known if before is not None else None
        # A live stream's sidecar grows with it; what is asked for before it is there has no hash before that either.
        is_live = self._has_sidecar and known is not None and known.is_live
        is_ahead = wanted != NOTHING
        is_growing = is_live and (self._are_parts_hashed or not is_ahead)
        is_first = not self._is_sidecar_settled
        # Side by side, so that a CDN which hangs costs one time-out at the start and not two.
        found = asyncio.create_task(self._whole(url, wait_us, skipping, read, is_enough))
        hashes: asyncio.Task[Hashes] | None = None
        if is_first or (is_growing and not self._is_renewing):
            hashes = asyncio.create_task(self._hashes_of(found, is_ahead=is_ahead))
        try:
            loaded = _Loaded(rendition=rendition, wanted=wanted, reload=reload)
            try:
                playlist = await found
                came_us = self.now_us
                if hashes is not None:
                    await asyncio.wait([hashes], timeout=None if is_first else HASHES_GRACE_S)
                is_late = hashes is not None and not hashes.done()
                came = None if hashes is None or is_late else hashes.result()
                loaded = replace(loaded, playlist=playlist, came_us=came_us, hashes=came, are_hashes_late=is_late)
            except (TransportError, BalancerError) as error:
                loaded = replace(loaded, error=error)
            await self.ref.send(loaded)
            if loaded.are_hashes_late and hashes is not None:
                await self.ref.send(Newer(await hashes))
        finally:
            left: list[asyncio.Task[Any]] = [task for task in (found, hashes) if task is not None]
            for task in left:
                task.cancel()
            await asyncio.gather(*left, return_exceptions=True)

    async def _hashes_of(self, found: asyncio.Task[Load | Multivariant], *, is_ahead: bool) -> Hashes:
        """Those of the playlist that is being loaded: beside it, or behind it where it is not there yet."""
        if is_ahead:
            await asyncio.wait([found])
        hashes = await self._load_hashes()
        playlist = await found
        lacks = lacking(playlist, hashes.sidecar)
        if lacks == 1 or (lacks and self._are_hashes_fresh):
            # The window slid between the two answers, or the hashes of that CDN stand still.
            return await self._load_hashes(lambda sidecar: lacking(playlist, sidecar))
        return replace(hashes, is_behind=lacks > 0)

    async def _whole(
        self,
        url: str,
        wait_us: int,
        skipping: KnownRendition | None,
        read: Callable[[Document], Load | Multivariant],
        is_enough: Callable[[Load | Multivariant], bool],
    ) -> Load | Multivariant:
        """The playlist; of `skipping` by a delta update, or else whole, as a server without updates gives it."""

        async def best(url: str) -> Load | Multivariant:
            return await self._best(url, self._config.playlist_bytes_max, read, is_enough, newness, wait_us=wait_us)

        if skipping is not None:
            try:
                return await best(skip_url(url))
            except (TransportError, BalancerError) as error:
                found = await best(url)
                if not isinstance(error, PlaylistUnsupported):  # which is one that only does not join
                    skipping.takes_skip = False
                    self._session.tell(Noted(f"delta updates are not asked for any more: {error}"))
                return found
        return await best(url)

    # -- what was loaded

    def _on_loaded(self, loaded: _Loaded) -> None:
        if loaded.error is not None:
            self._on_failed(loaded, loaded.error)
            return
        self._is_renewing = self._is_renewing or loaded.are_hashes_late
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
                    self._reply(loaded, self._root)
                case Load():
                    if loaded.rendition is None:
                        self._numbers = {self._url: 0}
                        only = self._rendition(0, self._url, identity.Stream(), {})
                        only.reload = loaded.reload
                        self._renditions = [only]
                    self._are_parts_hashed |= knows_parts(loaded.playlist, self._sidecar)
                    before = self._renditions[loaded.rendition or 0].edge.segment
                    answer = self._on_media(loaded.rendition or 0, loaded.playlist, loaded.came_us)
                    self._reply(loaded, answer)
                    is_further = self._renditions[loaded.rendition or 0].edge.segment > before
                    if loaded.wanted != NOTHING and is_further and loaded.hashes is None:
                        whole = loaded.playlist
                        self._renew_hashes(lambda sidecar: lacking(whole, sidecar))
                case _:
                    raise PlaylistUnsupported("a multivariant playlist stands where a media playlist should be")
        except BalancerError as error:
            self._reply(loaded, error)

    def _on_failed(self, loaded: _Loaded, error: Exception) -> None:
        rendition = loaded.rendition
        old = self._renditions[rendition].answer if rendition is not None else None
        if old is None:
            self._reply(loaded, error)
            return
        self._session.tell(Noted(f"the playlist of rendition {rendition} could not be loaded again: {error}"))
        self._reply(loaded, old)

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
            reload=Reload(number, _path, self._path_of_rendition),
            variables=variables,
        )

    def _path_of_rendition(self, url: str) -> str | None:
        """Where a player finds the rendition whose playlist is at `url`, of which others report."""
        number = self._numbers.get(url, self._numbers.get(url.partition("?")[0]))
        return None if number is None else playlist_path(number, self._renditions[number].url)

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
        self._numbers = {known.url.partition("?")[0]: number for number, known in enumerate(self._renditions)}
        self._numbers |= {known.url: number for number, known in enumerate(self._renditions)}
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

    def _on_media(self, rendition: int, loaded: Load, came_us: int) -> PlaylistText:
        known, playlist, edge = self._renditions[rendition], loaded.playlist, loaded.edge
        is_older = known.answer is not None and known.is_live and edge.place < known.edge.place
        if known.answer is not None and is_older and not known.is_overdue(self.now_us, RESTART_AFTER):
            # A CDN that lags behind the one before must not turn the player's time back.
            self._session.tell(Noted(f"a playlist of rendition {rendition} was older than the one before"))
            known.loaded_us = came_us
            return known.answer
        update = known.reload.take(loaded)
        if known.answer is None or edge.place != known.edge.place:
            known.went_on_us = self.now_us
        resources, rewritten = update.resources, update.rewritten
        every = (*resources.inits, *resources.keys, *resources.parts, *resources.media)
        self._note_dropped(rewritten.dropped)
        swarm_id = self._swarm_id or identity.swarm_id_of_manifest(self._url)
        scheme = self._scheme
        known.listed = Listed(
            rendition=rendition,
            segments=every,
            is_live=playlist.is_live,
            is_restarted=resources.is_restarted,
            hinted=frozenset(hint.key for hint in resources.hinted),
            medium=known.medium,
            info_hash=scheme.info_hash(
                scheme.stream_swarm_id(swarm_id, known.stream_type, scheme.stream_index(known.stream))
            ),
        )
        self._session.tell(known.listed)
        if resources.is_restarted or is_older:
            known.went_back_us = self.now_us
        known.loaded_us, known.edge, known.is_live = came_us, edge, playlist.is_live
        known.target_duration_us, known.part_target_us = playlist.target_duration_us, playlist.part_target_us
        known.blocks = _blocks(playlist)
        known.before = loaded if playlist.is_live and playlist.server_control is not None else None
        # What changes with each part is old sooner than what changes with each segment.
        changes_us = playlist.part_target_us or playlist.target_duration_us
        known.fresh_us = int(changes_us * self._config.live_reload_share) if playlist.is_live else None
        known.answer = PlaylistText(
            text=rewritten.data.decode(),
            is_live=playlist.is_live,
            segments=resources.media,
            renditions=len(self._renditions),
            others=(*resources.inits, *resources.keys),
            skip_us=known.gives_skip_us(_skip_us(playlist), self.now_us),
        )
        return known.answer

    def _note_dropped(self, dropped: dict[str, int]) -> None:
        unsaid = set(dropped) - self._dropped  # once, and not at each reload
        if unsaid:
            self._dropped |= unsaid
            tags = ", ".join(sorted(unsaid))
            self._session.tell(Noted(f"the player does not see {tags}, which this proxy does not serve"))


def _blocks(playlist: MediaPlaylist) -> bool:
    """Whether its server waits with an answer until there is one."""
    return playlist.is_live and playlist.server_control is not None and playlist.server_control.can_block_reload


def _skip_us(playlist: MediaPlaylist) -> int | None:
    """The boundary of delta updates, where its server gives them."""
    control = playlist.server_control
    return None if control is None or not playlist.is_live else control.can_skip_until_us


def _too_far(wanted: Directives, known: KnownRendition) -> DirectiveRefused:
    return DirectiveRefused(f"{wanted} is far ahead of the stream, which is at {known.edge}")


def _path(segment: Segment) -> str:
    return path_of(segment.key, segment.uri)
