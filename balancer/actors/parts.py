"""What a session is made of; an application puts it together."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from shoal.transports.interface import Connector, Fetcher, Hasher, Poster, Shelf, Signaling

from ..config import BalancerConfig
from ..identity import Scheme, Scheme23
from ..integrity import Sidecar
from ..model import ResourceKey
from ..recording import Recording
from ..telemetry import CmcdOptions

__all__ = ["CdnSource", "Collector", "SessionParts"]


class CdnSource(msgspec.Struct, frozen=True):
    """`base_url` is the folder that holds there what the primary's folder holds."""

    name: str
    base_url: str
    weight: float = 1.0
    price_per_gb: float = 0.0
    priority: int = 0
    commit_bytes: int = 0


class Collector(msgspec.Struct, frozen=True):
    """Where reports of responses go (CMCD, event mode), and what is said of the session in them."""

    url: str
    poster: Poster
    options: CmcdOptions


class SessionParts(msgspec.Struct, frozen=True, kw_only=True):
    url: str
    primary_url: str  # folder of `url`; ends with a slash
    cdns: tuple[CdnSource, ...]
    config: BalancerConfig
    fetcher: Fetcher
    hasher: Hasher
    connector: Connector | None = None  # without connector, signaling or trackers there are no peers
    signaling: Signaling | None = None
    shelf: Shelf | None = None  # without one, the store is in memory alone
    trackers: tuple[str, ...] = ()
    are_peers_allowed: bool = True  # at the beginning; AllowPeers changes it
    swarm_id: str | None = None
    scheme: Scheme = msgspec.field(default_factory=Scheme23)  # how swarms and peers are named
    sidecar_url: str | None = None
    is_sidecar_required: bool = False
    read_sidecar: Callable[[bytes, str], Sidecar] = Sidecar.parse  # of its bytes and URL; SidecarError if it counts not
    is_dash: bool = False  # `url` is an MPD, and no HLS playlist
    utc_us: Callable[[], int] = lambda: 0  # the time of day since 1970; only live MPDs are read by it
    headers: tuple[tuple[str, str], ...] = ()
    seed: int = 0
    random_bytes: Callable[[int], bytes]
    tamper: Callable[[ResourceKey, bytes], bytes] | None = None
    recording: Recording | None = None  # every event and action is written down there
    cmcd: CmcdOptions | None = None  # what CDNs are told with each request; None: nothing
    collector: Collector | None = None  # who is told of each response; None: nobody
    is_steered: bool = True  # a steering server that the playlist names is followed
