"""Documents and hashes: what the actors that read playlists and MPDs have in common.

A document that times out, fails, is not what it should be, or stands still while it
should go on is asked for from the next CDN; the one that was good last is asked first.

Hashes are loaded beside the first playlist.  Where they may be missing and did not
come for a reason that may pass (a time-out, a 5xx), they are asked for again, later
each time; what begins after they came is verified.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

from shoal.runtime import Actor, ActorRef, AskTimedOut
from shoal.transports.errors import StatusError, TimedOut, TransportError

from ..config import BalancerConfig
from ..errors import BalancerError
from ..integrity import Sidecar
from ..model import ByteRange
from .messages import CdnsInOrder, Document, FetchDocument, HashesAbsent, HashesKnown, Listed, Noted
from .renditions import may_pass

__all__ = ["Documents", "Hashes", "Newer"]

T = TypeVar("T")


class Hashes(msgspec.Struct, frozen=True):
    """From a loading task: the hashes, or why there are none."""

    sidecar: Sidecar | None
    error: Exception | None = None
    is_behind: bool = False  # they do not know the newest segments


class _HashesDue(msgspec.Struct, frozen=True):
    """From our timer: ask for the hashes again."""


class Newer(msgspec.Struct, frozen=True):
    """From a loading task: hashes of a live stream, asked for since it went on."""

    hashes: Hashes


class Documents(Actor[Any]):
    """`receive` of who is derived from it passes on CdnsInOrder and all that it sends itself."""

    def __init__(
        self,
        session: ActorRef[Any],
        cdns: tuple[ActorRef[Any], ...],
        config: BalancerConfig,
        *,
        sidecar_url: str | None,
        is_sidecar_required: bool,
        read_sidecar: Callable[[bytes, str], Sidecar],
    ) -> None:
        self._session = session
        self._cdns = cdns
        self._config = config
        self._sidecar_url = sidecar_url
        self._is_sidecar_required = is_sidecar_required
        self._read_sidecar = read_sidecar
        self._is_sidecar_settled = sidecar_url is None
        self._has_sidecar = False
        self._are_hashes_fresh = True
        self._is_lag_said = False
        self._sidecar_retry_us = config.sidecar_retry_us
        self._good_cdn = 0
        self._is_renewing = False
        self._sidecar: Sidecar | None = None  # that came last

    def on_start(self) -> None:
        if self._sidecar_url is None:
            self._session.tell(HashesAbsent())

    def receive(self, message: Any) -> None:
        match message:
            case CdnsInOrder(cdns):
                self._cdns, self._good_cdn = cdns, 0
            case _HashesDue():
                self.start_task(self._load_hashes_again(), name="hashes")
            case Hashes():
                self._on_hashes_again(message)
            case Newer(hashes):
                self._is_renewing = False
                self._on_newer_hashes(hashes)
                self._list_again()
            case _:
                raise TypeError(f"{type(self).__name__} was sent {type(message).__name__}")

    def _listed_last(self) -> list[Listed]:
        """What the session was told of each rendition."""
        raise NotImplementedError

    # -- documents

    async def _best(
        self,
        url: str,
        bytes_max: int,
        read: Callable[[Document], T],
        is_enough: Callable[[T], bool],
        rank: Callable[[T], Any],
        *,
        byte_range: ByteRange | None = None,
        wait_us: int = 0,
    ) -> T:
        """What `read` makes of the document at the first CDN where that `is_enough`, or else the highest in rank.

        A server may take `wait_us` longer than usual, since it waits for what is asked for.
        """
        limit_us = self._config.document_timeout_us + wait_us
        best: T | None = None
        failure: Exception | None = None
        bad: list[str] = []
        behind: list[str] = []
        cdns, first = self._cdns, self._good_cdn
        for step in range(len(cdns)):
            place = (first + step) % len(cdns)
            try:
                document = await cdns[place].ask(
                    FetchDocument(url, bytes_max, byte_range, is_manifest=url != self._sidecar_url, limit_us=limit_us),
                    timeout_s=limit_us / 1e6,
                )
                found = read(document)
            except AskTimedOut as error:
                failure = failure or TimedOut(
                    f"{url} did not come within {limit_us / 1e6} s from any CDN",
                    phase="first_byte",
                    timeout_us=limit_us,
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
                if behind:
                    self._session.tell(
                        Noted(
                            f"a document came from {cdns[place].name}, since that of {', '.join(behind)} stands still"
                        )
                    )
                return found
            behind.append(cdns[place].name)
        if best is None:
            assert failure is not None, "a session has at least one CDN"
            raise failure
        return best

    # -- hashes

    async def _load_hashes(self, lacks: Callable[[Sidecar], int] = lambda _: 0) -> Hashes:
        """Those that lack the least of what they should know.  Raises only where a stream without hashes is refused.

        All CDNs are asked for what one lacks, but not if that was in vain the last time.
        """
        assert self._sidecar_url is not None
        are_all_asked = self._are_hashes_fresh
        try:
            sidecar = await self._best(
                self._sidecar_url,
                self._config.sidecar_bytes_max,
                lambda document: self._read_sidecar(document.body, document.url),
                is_enough=lambda sidecar: not (are_all_asked and lacks(sidecar)),
                rank=lambda sidecar: -lacks(sidecar),
            )
        except (TransportError, BalancerError) as error:
            if self._is_sidecar_required and not self._is_sidecar_settled:
                raise
            return Hashes(None, error)
        return Hashes(sidecar, is_behind=lacks(sidecar) > 0)

    async def _load_hashes_again(self) -> None:
        await self.ref.send(await self._load_hashes())

    def _renew_hashes(self, lacks: Callable[[Sidecar], int]) -> None:
        """A live stream has gone on, and its hashes with it; nobody waits for them."""
        if self._has_sidecar and not self._is_renewing:
            self._is_renewing = True
            self.start_task(self._load_newer_hashes(lacks), name="newer-hashes")

    async def _load_newer_hashes(self, lacks: Callable[[Sidecar], int]) -> None:
        await self.ref.send(Newer(await self._load_hashes(lacks)))

    def _on_hashes(self, hashes: Hashes) -> None:
        """The first answer about hashes; it comes before anything is listed."""
        error = hashes.error
        if hashes.sidecar is not None:
            self._know(hashes.sidecar)
        elif error is not None and may_pass(error):
            self._session.tell(Noted(f"hashes did not come, so nothing is verified until they do: {error}"))
            self._ask_again_for_hashes()
        elif isinstance(error, StatusError) and error.status in {403, 404, 410}:
            self._session.tell(
                Noted(f"no hashes were found: bytes of CDNs are not verified, peers are {self._peers_are}")
            )
            self._session.tell(HashesAbsent())
        else:
            self._session.tell(Noted(f"hashes cannot be used, so nothing is verified: {error}"))
            self._session.tell(HashesAbsent())

    def _on_newer_hashes(self, hashes: Hashes) -> None:
        """Those of a live stream, asked for with each playlist; old ones stay while none come."""
        if hashes.sidecar is not None:
            self._know(hashes.sidecar)
        are_fresh = hashes.sidecar is not None and not hashes.is_behind
        # Said once, and not at each reload; that they lag a little is what hashes of live streams do (peertube.py).
        if self._are_hashes_fresh and not are_fresh and not (hashes.is_behind and self._is_lag_said):
            self._is_lag_said = self._is_lag_said or hashes.is_behind
            why = hashes.error or "no CDN has those of the newest"
            self._session.tell(
                Noted(f"newer hashes did not come; of segments without one peers are {self._peers_are}: {why}")
            )
        self._are_hashes_fresh = are_fresh

    @property
    def _peers_are(self) -> str:
        """Where there is no hash."""
        return "audited" if self._config.audit else "not used"

    def _know(self, sidecar: Sidecar) -> None:
        self._has_sidecar = True
        self._sidecar = sidecar
        self._session.tell(HashesKnown(sidecar))

    def _on_hashes_again(self, hashes: Hashes) -> None:
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
        for listed in self._listed_last():
            self._session.tell(msgspec.structs.replace(listed, is_restarted=False))

    def _ask_again_for_hashes(self) -> None:
        self.start_timer("hashes", _HashesDue(), delay_us=self._sidecar_retry_us)
        self._sidecar_retry_us = min(2 * self._sidecar_retry_us, self._config.sidecar_retry_us_max)
