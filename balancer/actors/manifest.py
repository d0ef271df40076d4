"""DASH manifests: loads the MPD, rewrites it for the player, and finds what the player means by a name.

    LoadPlaylist(None)    the MPD as a local player may have it
    LoadPlaylist(n)       the segments of rendition n
    Locate(n, name, range)  which resource that is; the session has been told of it by then

Loading, its fallbacks and the hashes are those of playlist.py.  What is its own:

- a rendition's segments are listed when somebody first asks for one of them: an MPD names
  hundreds of renditions, and a player plays two;
- of a live MPD they are listed anew when a name is asked for that is not among them, since
  counted segments come to be without the MPD changing; if that does not help and the MPD
  has aged, it is loaded again;
- the index of a SegmentBase is fetched with the first request for its file;
- where it says that the next one is elsewhere (Location), that is loaded, and where that fails what was
  loaded at first: servers of advertisements name each viewer's own MPD so;
- a live MPD that says where its patches are is brought up to date by them, and loaded whole
  where that fails;
- a live MPD that lists its segments one by one has to go on: where it stands still, the other CDNs are
  asked, and whose has gone on is taken;
- of a live MPD that names a clock (UTCTiming) that one's time counts, asked for once: its players
  go by it, and a machine's own may be minutes off.  Where the two differ, and other CDNs have that
  clock too, the time that most tell counts, and players are not sent to one that is wrong;
- an MPD that tells the time itself (UTCTiming, direct) tells it a player as late as it is by then:
  ours may be from a while ago.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from shoal.runtime import AskTimedOut
from shoal.transports.errors import TransportError
from shoal.transports.interface import Fetcher

from .. import identity
from ..base_urls import pathways_of
from ..errors import BalancerError, UnknownResource
from ..formats import dash
from ..formats.dash.clock import CLOCK_BYTES_MAX, Clock, clock_of, direct_us, told_us
from ..formats.dash.progress import goes_on_within_us, listed_until_us
from ..formats.hls import ContentSteering
from ..integrity import Sidecar
from ..model import ByteRange, Segment
from ..paths import dash_path
from ..pathways import PATHWAYS_MAX
from .clock import SAME_US, agreed, ask_clock
from .documents import Hashes
from .messages import (
    Document,
    FetchDocument,
    Listed,
    LoadPlaylist,
    Locate,
    Noted,
    PathwaysFound,
    PlaylistText,
    SteeringSettled,
)
from .playlist import OVERDUE_AFTER, Playlist

__all__ = ["Manifest"]

_FRESH_US_MIN = 500_000  # an MPD may say that it has to be asked for before every segment (minimumUpdatePeriod 0)
# Of update periods: an older MPD than the last is then taken to be of an encoder that began anew.
_RESTART_AFTER = 3.0
# A viewer who waits for a steering server longer than this would rather begin where the MPD says.
_START_WAIT_US = 2_000_000
_FOLLOWED = frozenset({"ContentSteering", "Location", "PatchLocation"})  # here, and so not lost to the viewer
_INDEX_BYTES_MAX = 512 * 1024  # 20,000 references of 12 bytes, and some room


class _Loaded(msgspec.Struct, frozen=True):
    mpd: dash.Mpd | None
    hashes: Hashes | None
    error: Exception | None
    clock: int | Exception | None = None  # how far ours is off, or why that is not known; None: it was not asked
    came_us: int = 0  # on our clock that nobody sets


class _Indexed(msgspec.Struct, frozen=True):
    rendition: int
    where: tuple[str, ByteRange]
    references: tuple[dash.Reference, ...] | None
    error: Exception | None


class _StartAnyway(msgspec.Struct, frozen=True):
    """From our timer: the steering server took too long."""


class Manifest(Playlist):
    """As Playlist, for an MPD; `utc_us` is this machine's time of day, since 1970."""

    def __init__(self, *arguments: Any, utc_us: Callable[[], int], fetcher: Fetcher, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self._our_utc_us = utc_us
        self._fetcher = fetcher
        self._is_clock_wrong = False  # the MPD's, as others tell the time
        self._clock_off_us: int | None = None  # until the MPD's clock, if it has one, was asked
        self._limits = dash.Limits(mpd_bytes_max=self._config.playlist_bytes_max)
        self._catalogue = dash.Catalogue(self._limits)
        self._mpd: dash.Mpd | None = None
        self._answer: PlaylistText | None = None
        self._rewritten: dash.Rewritten | None = None
        self._told: tuple[int, int] | None = None  # the time that the MPD tells itself, and when that came first
        self._loaded_us = 0
        self._went_on_us = 0
        self._is_loading = False
        self._asking: list[LoadPlaylist | Locate] = []  # those who wait for the load that is under way
        self._indexing: dict[int, list[LoadPlaylist | Locate]] = {}  # rendition -> those who wait for its index
        self._unindexed: set[int] = set()  # renditions whose index could not be read: their file is one segment
        self._listed: dict[int, Listed] = {}  # what the session was told last
        self._is_starting = False  # the steering server is asked before anything is given out

    def receive(self, message: Any) -> None:
        match message:
            case LoadPlaylist() | Locate():
                self._ask(message)
            case _Loaded():
                self._on_mpd(message)
            case _Indexed():
                self._on_indexed(message)
            case SteeringSettled() | _StartAnyway():
                self._start(is_late=isinstance(message, _StartAnyway))
            case _:
                super().receive(message)

    def _utc_us(self) -> int:
        return self._our_utc_us() + (self._clock_off_us or 0)

    def _listed_last(self) -> list[Listed]:
        return [*self._listed.values()]

    # -- answering

    def _start(self, *, is_late: bool) -> None:
        """Answer those who waited for the steering server."""
        if not self._is_starting:
            return
        self._is_starting = False
        if is_late:
            self._session.tell(Noted("the steering server is asked before the start, and did not answer in time"))
        waiting, self._asking = self._asking, []
        for message in waiting:
            self._ask(message)

    def _ask(self, message: LoadPlaylist | Locate) -> None:
        if self._is_starting:
            self._asking.append(message)
            return
        if self._mpd is None or (isinstance(message, LoadPlaylist) and not self._is_still_fresh()):
            self._wait_for_load(message)
            return
        try:
            self._serve_now(message)
        except BalancerError as error:
            message.reply.fail(error)

    def _serve_now(self, message: LoadPlaylist | Locate) -> None:
        assert self._answer is not None, "the MPD was loaded"
        rendition = message.rendition
        if rendition is None:
            message.reply.set(self._answer_now())
            return
        known = self._catalogue.renditions.get(rendition)
        if known is None:
            raise UnknownResource(f"the MPD has no rendition {rendition}; it may have left a live one")
        where = known.index
        if where is not None and known.references is None and rendition not in self._unindexed:
            self._wait_for_index(rendition, where, message)
            return
        if isinstance(message, LoadPlaylist):
            media = self._list(known)
            message.reply.set(
                PlaylistText(text="", is_live=self._answer.is_live, segments=media, renditions=self._answer.renditions)
            )
            return
        self._locate(known, message)

    def _answer_now(self) -> PlaylistText:
        assert self._answer is not None
        assert self._rewritten is not None, "there is an answer"
        if self._told is None:
            return self._answer
        said_us, came_us = self._told
        text = self._rewritten.at(said_us + self.now_us - came_us).decode()
        return msgspec.structs.replace(self._answer, text=text)

    def _locate(self, known: dash.Known, message: Locate) -> None:
        assert self._mpd is not None
        if known.number not in self._listed:
            self._list(known)
        name = dash.read_name(message.name)
        count = len(known.segments)
        found = self._catalogue.find(known.number, name, message.byte_range, self._utc_us())
        if found is None and self._mpd.is_live:
            self._list(known)
            count = len(known.segments)
            found = self._catalogue.find(known.number, name, message.byte_range, self._utc_us())
            if found is None and not self._is_still_fresh():
                self._wait_for_load(message)
                return
        if found is None:
            raise UnknownResource(f"rendition {known.number} has nothing called {message.name[:100]!r} now")
        if len(known.segments) != count:  # a range, or a segment beside the window, that nobody had asked for
            self._tell(known, is_restarted=False)
        message.reply.set(found.key)

    def _list(self, known: dash.Known) -> tuple[Any, ...]:
        resources = self._catalogue.resources(known.number, self._utc_us())
        self._tell(known, is_restarted=resources.is_restarted)
        return resources.media

    def _tell(self, known: dash.Known, *, is_restarted: bool) -> None:
        assert self._mpd is not None
        listed = Listed(
            rendition=known.number,
            segments=tuple(map(self._on_our_clock, known.segments.values())),
            is_live=self._mpd.is_live,
            is_restarted=is_restarted,
            info_hash=self._info_hash(known),
        )
        self._listed[known.number] = listed
        self._session.tell(listed)

    def _on_our_clock(self, segment: Segment) -> Segment:
        if not segment.grows_until_us:
            return segment
        left_us = segment.grows_until_us - self._utc_us()
        until_us, by_us = (self.now_us + left_us, segment.grows_by_us) if left_us > 0 else (0, 0)
        return msgspec.structs.replace(segment, grows_until_us=until_us, grows_by_us=by_us)

    def _info_hash(self, known: dash.Known) -> str | None:
        """The rendition's swarm; none where periods follow one another, since their renditions would share it."""
        assert self._mpd is not None
        if len(self._mpd.periods) > 1:
            return None
        of, scheme = known.representation, self._scheme
        is_video = known.adaptation_set.content_type == "video"
        stream = identity.Stream(
            bandwidth=of.bandwidth,
            codecs=of.codecs or "",
            width=of.width,
            height=of.height,
            language=known.adaptation_set.language or "",
            frame_rate=of.frame_rate,
            position=known.number,
        )
        swarm_id = self._swarm_id or identity.swarm_id_of_manifest(self._url)
        kind = identity.StreamType.MAIN if is_video else identity.StreamType.SECONDARY
        return scheme.info_hash(scheme.stream_swarm_id(swarm_id, kind, scheme.stream_index(stream)))

    # -- loading

    def _is_still_fresh(self) -> bool:
        if self._mpd is None or not self._mpd.is_live or self._mpd.minimum_update_us is None:
            return self._mpd is not None
        fresh_us = max(_FRESH_US_MIN, int(self._mpd.minimum_update_us * self._config.live_reload_share))
        return self.now_us - self._loaded_us < fresh_us

    def _wait_for_load(self, message: LoadPlaylist | Locate) -> None:
        self._asking.append(message)
        if not self._is_loading:
            self._is_loading = True
            self.start_task(self._load_mpd(), name="load-mpd")

    async def _load_mpd(self) -> None:
        """Fetch and parse; what became of it comes back as a message, so that state changes in one place."""
        last = self._mpd
        hashes: Hashes | None = None
        clock: int | Exception | None = None
        mpd: dash.Mpd | None = None
        failure: Exception | None = None
        came_us = 0
        try:
            found = mpd = await self._patched(last) or await self._whole_mpd(last)
            came_us, came_utc_us = self.now_us, self._our_utc_us()
            if not self._is_sidecar_settled or (self._has_sidecar and last is not None and last.is_live):
                hashes = await self._load_hashes(lambda sidecar: self._lacking(found, sidecar))
            if mpd.is_live and self._clock_off_us is None:
                clock = await self._asked_clock(mpd, came_utc_us)
        except (TransportError, BalancerError) as error:
            failure = error
        loaded = _Loaded(mpd, hashes, None, clock, came_us) if failure is None else _Loaded(None, None, failure)
        await self.ref.send(loaded)

    def _lacking(self, mpd: dash.Mpd, sidecar: Sidecar) -> int:
        """How many of the newest two segments of each rendition that is played its hashes do not know."""
        played = {known.representation.id for known in map(self._catalogue.renditions.get, self._listed) if known}
        lacks = 0
        for period in mpd.periods[-1:] if mpd.is_live else ():
            for representation in [each for one in period.adaptation_sets for each in one.representations]:
                if representation.id in played:
                    try:
                        segments = dash.segments_of(
                            mpd, period, representation, self._utc_us(), limits=self._limits, newest=2
                        )
                    except BalancerError:  # whoever asks for one of them is told
                        continue
                    lacks += sum(sidecar.digests(each.uri, each.byte_range) is None for each in segments)
        return lacks

    async def _asked_clock(self, mpd: dash.Mpd, came_utc_us: int) -> int | Exception:
        clock = clock_of(mpd)
        if clock is None:
            return 0
        try:
            # What the MPD tells itself was so when it came: its hashes have been waited for since.
            our_utc_us = self._our_utc_us if clock.said_us is None else lambda: came_utc_us
            off_us = await ask_clock(clock, self._fetcher, our_utc_us)
        except (TransportError, BalancerError) as error:
            return error
        if not off_us or not clock.urls:
            return off_us
        counts_us = agreed(await self._clocks(clock) or [off_us])
        if abs(counts_us - off_us) >= SAME_US:
            self._is_clock_wrong = counts_us == 0
            self._session.tell(
                Noted(f"the MPD's clock is {abs(off_us) / 1e6:.1f} s off, as others tell the time: it does not count")
            )
        return counts_us

    async def _clocks(self, clock: Clock) -> list[int]:
        """How far ours is off those of all CDNs that have this clock."""
        found = []
        for cdn in self._cdns:
            asked_us = self._our_utc_us()
            question = FetchDocument(clock.urls[0], CLOCK_BYTES_MAX, is_manifest=False)
            try:
                answer = await cdn.ask(question, timeout_s=self._config.document_timeout_us / 1e6)
                said_us = told_us(clock, answer.date, answer.body)
            except (AskTimedOut, TransportError, BalancerError):
                continue
            found.append(said_us - (asked_us + self._our_utc_us()) // 2)
        return found

    async def _whole_mpd(self, last: dash.Mpd | None) -> dash.Mpd:
        place = last.locations[0] if last is not None and last.locations else self._url
        try:
            found = await self._mpd_at(place, last)
        except (TransportError, BalancerError) as error:
            if place == self._url:
                raise
            self._session.tell(Noted(f"the MPD cannot be had from its Location, so it is loaded as at first: {error}"))
            return await self._mpd_at(self._url, last)
        if place != self._url and not self._is_new_enough(found, last):
            try:
                return max(found, await self._mpd_at(self._url, last), key=_newness)
            except (TransportError, BalancerError):
                pass  # whoever stands still is better than nobody
        return found

    async def _mpd_at(self, url: str, last: dash.Mpd | None) -> dash.Mpd:
        return await self._best(
            url,
            self._config.playlist_bytes_max,
            lambda document: dash.parse(document.body, document.url, limits=self._limits),
            lambda found: self._is_new_enough(found, last),
            _newness,
        )

    def _is_new_enough(self, found: dash.Mpd, last: dash.Mpd | None) -> bool:
        if last is None or _newness(found) > _newness(last):
            return True
        if _newness(found) < _newness(last):
            return False
        due_us = goes_on_within_us(last)
        return due_us is None or self.now_us - self._went_on_us <= due_us * OVERDUE_AFTER

    async def _patched(self, last: dash.Mpd | None) -> dash.Mpd | None:
        """What a patch makes of the last MPD; None where there is no patch of it, or none that fits."""
        place = _patch_of(last, self._utc_us())
        if last is None or place is None:
            return None

        def read(document: Document) -> dash.Mpd:
            whole = dash.patched(last, document.body, limits=self._limits)
            return dash.parse(whole, last.url, limits=self._limits)

        try:
            return await self._best(
                place,
                self._config.playlist_bytes_max,
                read,
                lambda found: _published(found) >= _published(last),
                _published,
            )
        except (TransportError, BalancerError) as error:
            self._session.tell(Noted(f"the MPD is loaded whole, since its patch cannot be used: {error}"))
            return None

    def _on_mpd(self, loaded: _Loaded) -> None:
        self._is_loading = False
        waiting, self._asking = self._asking, []
        if loaded.hashes is not None:
            if self._is_sidecar_settled:
                self._on_newer_hashes(loaded.hashes)
            else:
                self._is_sidecar_settled = True
                self._on_hashes(loaded.hashes)
        if loaded.clock is not None:
            self._on_clock(loaded.clock)
        failure = loaded.error
        if loaded.mpd is not None:
            try:
                self._take(loaded.mpd, loaded.came_us)
            except BalancerError as error:
                failure = error
        if failure is not None and self._answer is not None:
            self._session.tell(Noted(f"the MPD could not be loaded again: {failure}"))
        self._loaded_us = self.now_us  # of what is served, whether it came now or is served again
        if self._is_starting:
            self._asking = waiting
            return
        for message in waiting:
            try:
                if self._answer is None:
                    assert failure is not None
                    raise failure
                self._serve_now(message)
            except (TransportError, BalancerError) as error:
                message.reply.fail(error)

    def _on_clock(self, clock: int | Exception) -> None:
        """Not asked again if it failed: each load would wait for it."""
        if isinstance(clock, Exception):
            self._clock_off_us = 0
            self._session.tell(Noted(f"the MPD's clock did not tell the time, so this machine's counts: {clock}"))
            return
        self._clock_off_us = clock
        if clock:
            late = "behind" if clock > 0 else "ahead of"
            self._session.tell(
                Noted(f"this machine's clock is {abs(clock) / 1e6:.1f} s {late} the MPD's, which counts")
            )

    def _take(self, mpd: dash.Mpd, came_us: int) -> None:
        """Serve this MPD from now on, unless it is older than the one before."""
        last = self._mpd
        if last is not None and _newness(mpd) < _newness(last):
            patience_us = max(_FRESH_US_MIN, last.minimum_update_us or 0) * _RESTART_AFTER
            if self.now_us - self._went_on_us < patience_us:
                # A CDN that lags behind the one before must not turn the player's time back.
                self._session.tell(Noted("an MPD was older than the one before"))
                return
        catalogue_numbers: dict[int, int] = {}
        self._catalogue.update(mpd)
        for number, known in self._catalogue.renditions.items():
            catalogue_numbers[known.representation.element.begin] = number
        rewritten = dash.rewrite(
            mpd,
            lambda one: _path_of(catalogue_numbers[one.element.begin], one),
            # Whoever plays here has this machine's clock, which is then right.
            has_clock=not self._is_clock_wrong,
        )
        self._note_dropped({name: count for name, count in rewritten.dropped.items() if name not in _FOLLOWED})
        if last is None:
            self._find_pathways(mpd)
        if last is None or _newness(mpd) != _newness(last):
            self._went_on_us = self.now_us
        self._mpd = mpd
        said_us = direct_us(mpd) if rewritten.told else None
        if said_us is None:
            self._told = None
        elif self._told is None or self._told[0] != said_us:  # the same again is a copy, or a patch left it
            self._told = said_us, came_us
        self._rewritten = rewritten
        best = max(self._catalogue.renditions.values(), key=_rank, default=None)
        self._answer = PlaylistText(
            text=rewritten.data.decode(),
            is_live=mpd.is_live,
            segments=(),
            renditions=max(self._catalogue.renditions, default=-1) + 1,
            best=best.number if best is not None else 0,
            is_dash=True,
        )
        for number, listed in list(self._listed.items()):
            still = self._catalogue.renditions.get(number)
            if still is None:  # its period has left the window
                self._session.tell(msgspec.structs.replace(listed, segments=(), is_restarted=False))
                del self._listed[number]
            else:
                self._list(still)

    def _find_pathways(self, mpd: dash.Mpd) -> None:
        """Of the first MPD: later ones lead to the same CDNs."""
        found = pathways_of(mpd)
        if found is None:
            return
        pathways, beyond = found
        of, steering = mpd.steering, None
        if of is not None:
            steering = ContentSteering(server_uri=of.url, pathway_id=of.default_service_location)
            if of.is_queried_before_start:
                self._is_starting = True
                self.start_timer("start", _StartAnyway(), delay_us=_START_WAIT_US)
        self._session.tell(PathwaysFound(pathways, steering))
        if beyond:
            self._session.tell(Noted(f"{beyond} service locations are not used, since only {PATHWAYS_MAX} are"))

    # -- indexes

    def _wait_for_index(self, rendition: int, where: tuple[str, ByteRange], message: LoadPlaylist | Locate) -> None:
        is_first = rendition not in self._indexing
        self._indexing.setdefault(rendition, []).append(message)
        if is_first:
            self.start_task(self._load_index(rendition, where), name=f"index-{rendition}")

    async def _load_index(self, rendition: int, where: tuple[str, ByteRange]) -> None:
        url, part = where
        found: tuple[dash.Reference, ...] | None = None
        failure: Exception | None = None
        try:
            found = await self._best(
                url,
                _INDEX_BYTES_MAX,
                lambda document: dash.references(document.body, part.offset),
                is_enough=lambda _: True,
                rank=lambda _: 0,
                byte_range=part,
            )
        except (TransportError, BalancerError) as error:
            failure = error
        await self.ref.send(_Indexed(rendition, where, found, failure))

    def _on_indexed(self, indexed: _Indexed) -> None:
        known = self._catalogue.renditions.get(indexed.rendition)
        if isinstance(indexed.error, TransportError):  # it did not come; whoever asks next may find it
            for message in self._indexing.pop(indexed.rendition, []):
                message.reply.fail(indexed.error)
            return
        if indexed.references is None:
            self._unindexed.add(indexed.rendition)
            self._session.tell(Noted(f"the index of rendition {indexed.rendition} cannot be used: {indexed.error}"))
        elif known is not None and known.index == indexed.where:
            known.references = indexed.references
            self._listed.pop(indexed.rendition, None)
        for message in self._indexing.pop(indexed.rendition, []):
            self._ask(message)


def _patch_of(mpd: dash.Mpd | None, utc_us: int) -> str | None:
    """Where its patch is, if there is one still (5.15: for so long after it was published)."""
    if mpd is None or not mpd.is_live or mpd.publish_us is None or not mpd.patch_locations:
        return None
    place = mpd.patch_locations[0]
    is_over = place.ttl_us is not None and utc_us > mpd.publish_us + place.ttl_us
    return None if is_over else place.url


def _published(mpd: dash.Mpd) -> int:
    return mpd.publish_us or 0


def _newness(mpd: dash.Mpd) -> tuple[int, int]:
    """How far it is: some packagers leave the time of publication as it was, or out."""
    return _published(mpd), listed_until_us(mpd)


def _rank(known: dash.Known) -> tuple[bool, int]:
    return known.adaptation_set.content_type == "video", known.representation.bandwidth


def _path_of(number: int, representation: dash.Representation) -> str:
    """Where a player finds it: a file where it is one, and else a folder of segments."""
    is_file = representation.addressing.kind in {dash.AddressingKind.BASE, dash.AddressingKind.FILE}
    folder, mark, name = dash_path(number, representation.base_urls[0].url if is_file else None).rpartition("/")
    return f"{folder}{mark}{dash.file_name(name)}"
