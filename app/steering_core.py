"""What a content steering server answers, without a socket: a configuration, a query and the time in, an answer out.

    GET /steering.json?_HLS_pathway=a&_HLS_throughput=5140000         (draft-pantos-hls-rfc8216bis, 7)

    {"VERSION": 1, "TTL": 30, "PATHWAY-PRIORITY": ["a", "b"], "RELOAD-URI": ..., "PATHWAY-CLONES": [...]}

The configuration says which pathways there are, the best first.  A player that is
slower on its pathway than `slow_bps` is sent to the next; the reload URI that it
gets remembers which were slow for it, so that nothing is kept here for each player
and none goes round in a circle: once all were slow, its own line is, and the
configured order holds again.  Peers may have a place among the pathways (`peers`):
shoal's viewers heed it, all other players know no such pathway and pass it over.  It
is never slow, since no player says that it is there.

DASH players ask with `_DASH_pathway` and `_DASH_throughput` (ETSI TS 103 998) and
read the same answer, without clones.

    410  the stream is not steered any more: players keep what they have, and ask no more
    429  too many ask: come back after Retry-After
    400  a query that no player sends
"""

from __future__ import annotations

import re
from typing import Annotated
from urllib.parse import parse_qsl, quote

import msgspec

from shoal.balancer.errors import ConfigurationError

__all__ = ["Answer", "Clone", "Steering", "SteeringConfig"]

_ID = r"[A-Za-z0-9._-]{1,64}"  # 7.2; the length is ours, since it travels in each query
_QUERY_CHARACTERS_MAX = 2048
_FIELDS_MAX = 16
_THROUGHPUT_DIGITS_MAX = 15  # a petabit

PathwayId = Annotated[str, msgspec.Meta(pattern=f"^{_ID}$")]


class Clone(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A pathway that no playlist names: another one with its URIs changed (7.2, PATHWAY-CLONES)."""

    base: PathwayId
    id: PathwayId
    host: Annotated[str, msgspec.Meta(min_length=1, max_length=300)] | None = None  # in place of the base's
    params: dict[str, str] = {}  # added to each query
    variant_uris: dict[str, str] = {}  # STABLE-VARIANT-ID -> URI
    rendition_uris: dict[str, str] = {}  # STABLE-RENDITION-ID -> URI


class SteeringConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """As a TOML file has it; each field with its unit, its default and the reason for its range."""

    priority: Annotated[tuple[PathwayId, ...], msgspec.Meta(min_length=1, max_length=32)]
    clones: Annotated[tuple[Clone, ...], msgspec.Meta(max_length=32)] = ()
    # Below 1 s a player would do little else; the draft's own default is 300.
    ttl_s: Annotated[int, msgspec.Meta(ge=1, le=86_400)] = 300
    slow_bps: Annotated[int, msgspec.Meta(ge=0)] = 0  # bits a second as players measure them; 0: nobody is moved
    # What `priority` calls peers; as the balancer's own `peers_pathway` has it.
    peers: PathwayId = "PEERS"
    retired: bool = False
    # hls.js is never steered again after a 429, so that this is far above what a server with a sane TTL sees.
    requests_per_s_max: Annotated[int, msgspec.Meta(ge=1)] = 2_000

    @classmethod
    def of(cls, values: object) -> SteeringConfig:
        """From a parsed TOML or JSON document.  ConfigurationError."""
        try:
            config = msgspec.convert(values, cls)
        except msgspec.ValidationError as error:
            raise ConfigurationError(f"the steering configuration cannot be used: {error}") from error
        if len(set(config.priority)) < len(config.priority):
            raise ConfigurationError(f"a pathway is twice in priority {list(config.priority)}; remove one")
        ids = [clone.id for clone in config.clones]
        if len(set(ids)) < len(ids):
            raise ConfigurationError(f"two clones have one id, of {ids}; rename one")
        for clone in config.clones:
            if clone.id == clone.base or not (clone.host or clone.params or clone.variant_uris or clone.rendition_uris):
                raise ConfigurationError(f"clone {clone.id} is no other than its base; give it a host or params")
        return config


class Answer(msgspec.Struct, frozen=True):
    status: int
    headers: dict[str, str]
    body: bytes


class _Asked(msgspec.Struct, frozen=True):
    pathway: str | None = None
    throughput_bps: int | None = None
    slow: tuple[str, ...] = ()


class Steering:
    """One configuration, which may be replaced, and how many have asked in the last second."""

    def __init__(self, config: SteeringConfig) -> None:
        self.config = config
        self._tokens = float(config.requests_per_s_max)
        self._counted_us = 0
        self.answered = 0
        self.turned_away = 0

    def answer(self, query: str, now_us: int) -> Answer:
        """To a GET of the steering manifest with this query (without its question mark)."""
        config = self.config
        if not self._has_room(now_us):
            self.turned_away += 1
            return _plain(429, "too many ask; come again later", {"retry-after": str(config.ttl_s)})
        if config.retired:
            return _plain(410, "this stream is not steered any more")
        asked = _read(query)
        if asked is None:
            return _plain(400, "this is not what a player asks; see RFC 8216bis, 7.1")
        self.answered += 1
        return Answer(
            200,
            {"content-type": "application/json", "cache-control": "no-store"},
            msgspec.json.encode(self._manifest(asked)),
        )

    def _manifest(self, asked: _Asked) -> dict[str, object]:
        config = self.config
        slow = [pathway for pathway in config.priority if pathway in asked.slow]
        current = asked.pathway
        is_slow = asked.throughput_bps is not None and asked.throughput_bps < config.slow_bps
        if is_slow and current in config.priority and current not in slow:
            slow.append(current)
        if set(slow) >= set(config.priority) - {config.peers}:
            slow = []
        fast = [pathway for pathway in config.priority if pathway not in slow]
        manifest: dict[str, object] = {"VERSION": 1, "TTL": config.ttl_s}
        if config.slow_bps:
            manifest["RELOAD-URI"] = f"steering.json?slow={quote(','.join(slow), safe=',')}"
        manifest["PATHWAY-PRIORITY"] = fast + slow
        if config.clones:
            manifest["PATHWAY-CLONES"] = [_clone(clone) for clone in config.clones]
        return manifest

    def _has_room(self, now_us: int) -> bool:
        most = self.config.requests_per_s_max
        self._tokens = min(most, self._tokens + (now_us - self._counted_us) * most / 1_000_000)
        self._counted_us = now_us
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


def _clone(clone: Clone) -> dict[str, object]:
    replacement: dict[str, object] = {
        name: value
        for name, value in (
            ("HOST", clone.host),
            ("PARAMS", clone.params),
            ("PER-VARIANT-URIS", clone.variant_uris),
            ("PER-RENDITION-URIS", clone.rendition_uris),
        )
        if value
    }
    return {"BASE-ID": clone.base, "ID": clone.id, "URI-REPLACEMENT": replacement}


def _read(query: str) -> _Asked | None:
    """None for a query that is malformed; parameters of others are theirs, and let through."""
    if len(query) > _QUERY_CHARACTERS_MAX:
        return None
    try:
        fields = dict(parse_qsl(query, keep_blank_values=True, max_num_fields=_FIELDS_MAX, errors="strict"))
    except ValueError:
        return None
    pathway = _first(fields, "_HLS_pathway", "_DASH_pathway")
    throughput = _first(fields, "_HLS_throughput", "_DASH_throughput")
    slow = tuple(filter(None, fields.get("slow", "").split(",")))
    if any(re.fullmatch(_ID, each) is None for each in (*slow, *([] if pathway is None else [pathway]))):
        return None
    if throughput is not None and not (throughput.isascii() and throughput.isdigit()):
        return None
    if throughput is not None and len(throughput) > _THROUGHPUT_DIGITS_MAX:
        return None
    return _Asked(pathway, None if throughput is None else int(throughput), slow)


def _first(fields: dict[str, str], *names: str) -> str | None:
    """The first value under either name, without quotes: DASH gives a list, and some players quote.

    None where that is empty, as dash.js leaves the throughput of a service location it has not measured yet.
    """
    for name in names:
        if fields.get(name):
            return fields[name].strip('"').split(",")[0] or None
    return None


def _plain(status: int, line: str, headers: dict[str, str] | None = None) -> Answer:
    return Answer(
        status,
        {"content-type": "text/plain; charset=utf-8", "cache-control": "no-store", **(headers or {})},
        f"{line}\n".encode(),
    )
