"""Every limit and habit of the balancer, in one place.

Each field has its unit in its name, a default, a range and, in its comment, the
reason.  `load` makes a config of a mapping (a TOML table, JSON) and names the
nearest key when one is unknown; msgspec says what is wrong with a value.

Nothing here is read twice: parts take the config when they are made.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Annotated, Any

import msgspec

from .audit import SHARE_MAX

__all__ = ["BalancerConfig", "UnknownSetting", "load"]

_MS = 1_000
_S = 1_000_000
_KIB = 1024
_MIB = 1024 * 1024

Time = Annotated[int, msgspec.Meta(ge=1_000, le=3_600_000_000)]  # a millisecond to an hour
Size = Annotated[int, msgspec.Meta(ge=1, le=1 << 34)]
Count = Annotated[int, msgspec.Meta(ge=0, le=10_000)]
Some = Annotated[int, msgspec.Meta(ge=1, le=10_000)]
UploadRate = Annotated[int, msgspec.Meta(ge=8_000, le=1 << 34)]  # below, one packet takes a sixth of a second
# As steering manifests have them (rfc8216bis, 7.2).
PathwayId = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9._-]{1,64}\Z")]
Risk = Annotated[float, msgspec.Meta(ge=0.000_001, le=0.5)]
Share = Annotated[float, msgspec.Meta(ge=0.0, le=1.0)]
Gain = Annotated[float, msgspec.Meta(gt=0.0, le=1.0)]  # what is divided by
AuditShare = Annotated[float, msgspec.Meta(ge=0.0, le=SHARE_MAX)]
Ranges = Annotated[int, msgspec.Meta(ge=1, le=64)]


class UnknownSetting(ValueError):
    """A key that is not a setting; the message names the nearest one."""


class BalancerConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    # --- memory ---
    segment_bytes_max: Size = 64 * _MIB  # 15 s at 35 Mbit/s; a longer body is refused, whatever a source announces
    store_bytes_max: Size = 256 * _MIB  # some minutes of HD video; what a viewer can offer to peers
    store_seek_us: Time = 100 * _MS  # for a disk to say what others left there; then sources are asked
    store_read_limit_us: Time = 2 * _S  # for a disk to give a segment, or to say what it has; then a source is asked
    store_retry_us: Time = 10 * _S  # a full or failing disk is left alone this long: people make room by hand
    hold_back_bytes: Size = 64 * _KIB  # end of a segment that waits for its whole hash: a wrong one never completes

    # --- what to prefetch ---
    prefetch_us: Time = 20 * _S  # ahead of the newest request; players themselves keep 8 to 60 s
    prefetch_segments: Count = 8  # the same in pieces, for playlists of very short segments
    cdn_prefetch_deadline_us: Time = 6 * _S  # before that, peers are waited for: a CDN needs 1 or 2 s
    miss_share: Risk = 0.01  # deadlines that waiting for peers may cost at most; a player's own buffer hides more
    spread_turn_us: Time = 500 * _MS  # between viewers who would bring one segment in: announced and heard by then
    swarm_grace_us: Time = 3 * _S  # after joining a swarm peers are hoped for: tracker, ICE and DTLS take 1 or 2 s
    hold_us_max: Time = 5 * _S  # a request waits for peers; hls.js gives up after 10 s without an answer
    busy_share: Share = 0.5  # a line that media take more than this of has no time to wait for peers with
    surplus_share: Share = 0.3  # what plays later may slow down what plays earlier to this share of the time left
    yield_share: Share = 0.6  # and is stopped beyond this; the gap keeps it from being stopped and begun by turns
    cdn_transfers_max: Count = 2  # prefetching; urgent transfers are not counted, since somebody waits for each
    peer_transfers_max: Count = 3  # prefetching; each is with another peer
    rendition_idle_us: Time = 15 * _S  # a rendition not asked for this long has been switched away from
    released_share_kept: Share = 0.5  # a transfer nobody waits for goes on when more than this is there

    # --- when a transfer is moved to another source ---
    first_byte_limit_us: Time = 1 * _S  # no answer by then: ten times a usual answer, a fraction of a player's buffer
    first_byte_limit_us_min: Time = 300 * _MS  # however near the deadline: less is within a mobile round trip
    stall_limit_us: Time = 700 * _MS  # silence in a body: three lost TCP segments in a row take as long
    stall_bytes_min: Size = 2 * _KIB  # fewer within `stall_limit_us` count as silence (a byte a second is none)
    limit_us_max: Time = 10 * _S  # limits double at each move of a resource, up to this
    check_interval_us: Time = 250 * _MS  # how often a running urgent transfer's finish is projected anew
    move_gain: Gain = 0.7  # the other source must need less than this share of the time, or moves would flap
    retry_slow_us: Time = 10 * _S  # a CDN left for being slow is tried again, by who is late or would save; doubles
    retry_cheaper_us: Time = 2 * _S  # one that would save money is asked again after this, if there is time; doubles
    # A peer that was too slow is asked again ahead of time, with two tries of a CDN in hand; doubles with each in vain.
    # Who asked it beside us is over by then; much sooner, and who is slow indeed would be asked all the time.
    retry_peer_us: Time = 20 * _S
    switch_gain: Gain = 0.6  # of CDNs the one asked last stays unless it is this much worse, or they would take turns
    startup_patience_us: Time = 1 * _S  # stands for the deadline while nothing plays yet
    race_share: Share = 0.03  # of all bytes, what may come twice while two sources race; in all a twentieth may
    peer_margin_us: Time = 1 * _S  # a peer must be done this long before the deadline to be asked for an urgent one

    # --- retries ---
    attempts_max: Some = 12  # transfers for one urgent resource; then the waiting get an error and may ask again
    patience_us_max: Time = 60 * _S  # after this much waiting in vain the player is gone; no further source is tried
    prefetch_attempts_max: Some = 3  # for one nobody waits for; it is left until somebody does
    attempt_free_bytes: Size = 256 * _KIB  # a transfer that brought this much is not counted: it was progress
    retry_backoff_us: Time = 500 * _MS  # same source, same resource; doubles
    retry_backoff_us_max: Time = 8 * _S

    # --- a CDN's circuit breaker ---
    circuit_failures: Some = 2  # consecutive; one may be chance
    circuit_open_us: Time = 1 * _S  # first opening; doubles with each failed probe
    circuit_open_us_max: Time = 10 * _S  # a CDN that is well again is missed no longer than a usual buffer lasts
    circuit_blame_us: Time = 60 * _S  # wrong bytes are not a passing fault; doubles with each blame
    circuit_blame_us_max: Time = 600 * _S
    retry_after_us_max: Time = 300 * _S  # a server that says longer is asked again after this

    # --- estimates ---
    fast_half_life_us: Time = 2 * _S  # of transfer time, as in hls.js (3 and 9 s) but for shorter transfers
    slow_half_life_us: Time = 8 * _S
    error_half_life_us: Time = 30 * _S  # of clock time: an error is half forgiven after that
    estimate_half_life_us: Time = 30 * _S  # of clock time: then a measurement is worth as much as none
    unmeasured_bytes_per_s: Size = 1_000_000  # what an unknown CDN is taken for: better than a bad one, worse than good
    unmeasured_first_byte_us: Time = 300 * _MS
    segment_bytes_guess: Size = 1_000_000  # until a rendition's first segment is known: 4 s at 2 Mbit/s
    explore_slack_us: Time = 4 * _S  # an unmeasured CDN is tried when a second is no loss: so long takes the way back
    explore_after_us: Time = 60 * _S  # an estimate older than this counts as unmeasured for exploring

    # --- peers ---
    metered: bool = False  # the viewer pays for the line by volume: no peers, in neither direction
    upload: bool = True  # off: nothing is offered; what peers offer is still taken
    upload_bytes_per_s: UploadRate | None = None  # bytes of segments, to all peers together; None: no cap
    upload_times_max: Some = 3  # of a segment to one peer: once, again if it was lost or thrown away, and once more
    swarm_viewers_min: Count = 0  # peers only where the tracker counts so many viewers: fewer have little to share
    choke_wait_us_max: Time = 10 * _S  # a piece to who only takes waits so long for others: nobody waits for ever
    peers_pathway: PathwayId | None = "PEERS"  # what a steering server calls them to rank them; None: it never does
    peer_cooldown_us: Time = 5 * _S  # after a failure or a stall; doubles with each in a row
    peer_cooldown_us_max: Time = 60 * _S
    peer_failures_kept_us: Time = 600 * _S  # of one that left, in case it comes back: ten of the longest cool-downs
    # Who is cut since it broke the protocol, or flooded, is let in after this; doubles with each.  It may be honest,
    # and play another version of the stream: then it would be cut again at its first answer.
    violator_refused_us: Time = 30 * _S
    violator_refused_us_max: Time = 600 * _S
    peer_busy_us: Time = 2 * _S  # one that says it is busy is asked again after this, unless it says that it is free
    peer_send_limit_us: Time = 10 * _S  # for one message: 64 KiB on a line of 52 kbit/s; who takes longer reads nothing
    ban_records_max: Some = 4096  # ids and certificates remembered; the oldest are forgotten
    address_offenders_max: Some = 3  # distinct certificates banned at one public address before the address is

    # --- audit: peers where no hashes are (audit.py) ---
    audit: bool = True  # off: without hashes no peer is asked for anything
    announce_audited: bool = False  # to peers, which hold it against a CDN themselves, or (others') do not look at all
    # Also what came from CDNs alone: an operator's exception to offering nothing that nothing vouches for, for a seed
    # whose CDNs are trusted.  A swarm without hashes begins with one: its first peer has nothing else.
    announce_unaudited: bool = False
    audit_share: AuditShare = SHARE_MAX  # of what peers brought, in bytes of CDNs
    audit_ranges: Ranges = 4  # of one segment: a quarter of it changed is found with 0.68, and each costs a request
    audit_limit_us: Time = 1 * _S  # for all ranges together; then another CDN is asked
    audit_tries_max: Some = 2  # CDNs for one segment; then they bring what peers had brought

    # --- documents: playlists and sidecars ---
    document_timeout_us: Time = 2 * _S  # then another CDN is asked: a player gives a playlist about 10 s
    playlist_bytes_max: Size = 2 * _MIB  # 20,000 segments of 100 bytes
    sidecar_bytes_max: Size = 16 * _MIB  # 100,000 segments of 160 bytes, or a day with a hash per 64 KiB
    sidecar_retry_us: Time = 2 * _S  # hashes that did not come are asked for again after this; doubles
    sidecar_retry_us_max: Time = 60 * _S
    live_reload_share: Share = 0.5  # of the target duration: a playlist younger than that is not loaded again

    # --- what the actors hold ---
    piece_bytes_max: Size = 256 * _KIB  # what one read gets: few messages, and no slice over budget for a copy
    peers_max: Some = 32  # channels at once, of all renditions; each costs about 150 KiB and two tasks
    # A swarm is left when others were asked for so long and its rendition was not; None: never, as who serves several
    # has it.  p2p-media-loader leaves after 30 s; with twice that, who goes back finds its peers where they were.
    swarm_idle_us: Time | None = 60 * _S
    announce_delay_us: Time = 50 * _MS  # changes come in bursts, and an announcement replaces the one before
    report_segments_max: Some = 2_000  # stories kept: an hour of 2 s segments
    report_log_lines_max: Some = 500
    log_viewers: bool = False  # peer ids and addresses in logs, for whoever looks for a fault; else peer-1, peer-2

    # --- trackers ---
    offers_open_max: Count = 5  # per swarm: what p2p-media-loader sends, and a certificate each to make
    offer_lifetime_us: Time = 50 * _S  # as p2p-media-loader: nobody answers later
    tracker_retry_us: Time = 1 * _S  # after a failure; doubles
    tracker_retry_us_max: Time = 60 * _S


# Beyond each other they would take turns, or a limit would never be reached.
_IN_ORDER = (
    ("surplus_share", "yield_share"),
    ("switch_gain", "move_gain"),
    ("first_byte_limit_us_min", "first_byte_limit_us"),
    ("first_byte_limit_us", "limit_us_max"),
    ("stall_limit_us", "limit_us_max"),
    ("retry_backoff_us", "retry_backoff_us_max"),
    ("circuit_open_us", "circuit_open_us_max"),
    ("circuit_blame_us", "circuit_blame_us_max"),
    ("peer_cooldown_us", "peer_cooldown_us_max"),
    ("sidecar_retry_us", "sidecar_retry_us_max"),
    ("tracker_retry_us", "tracker_retry_us_max"),
)


def load(mapping: Mapping[str, Any]) -> BalancerConfig:
    """A config from plain values; settings left out keep their defaults.

    Raises UnknownSetting for a key that does not exist, and msgspec.ValidationError
    for a value of the wrong type or outside its range, or two that contradict each other.
    """
    known = BalancerConfig.__struct_fields__
    for name in mapping:
        if name not in known:
            near = difflib.get_close_matches(str(name), known, n=1, cutoff=0.0)
            raise UnknownSetting(f"{name!r} is not a setting; the nearest is {near[0]!r}")
    config = msgspec.convert(dict(mapping), BalancerConfig)
    for less, more in _IN_ORDER:
        if getattr(config, less) > getattr(config, more):
            raise msgspec.ValidationError(
                f"{less} is {getattr(config, less)}, more than {more}, which is {getattr(config, more)}: set both"
            )
    return config
