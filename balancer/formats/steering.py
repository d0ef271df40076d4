"""Content steering manifests (draft-pantos-hls-rfc8216bis, 7.2; ETSI TS 103 998): bytes to values, within limits.

    {"VERSION": 1, "TTL": 300, "RELOAD-URI": "...", "PATHWAY-PRIORITY": ["a", "b"],
     "PATHWAY-CLONES": [{"BASE-ID": "a", "ID": "c", "URI-REPLACEMENT": {"HOST": "c.example", "PARAMS": {"k": "v"}}}]}

A steering server decides where bytes come from, so that what it says is held to
the grammar: one wrong value refuses the manifest, and the one before stays.
Fields that the draft does not name are let through, as it asks.

`cloned_uri` makes a clone's URI of its base's.
"""

from __future__ import annotations

import re
from typing import Annotated, TypeVar
from urllib.parse import quote, unquote_plus, urljoin, urlsplit

import msgspec

from shoal.balancer.errors import SteeringMalformed, SteeringTooLarge, SteeringUnsupported
from shoal.transports.sansio.nesting import is_nested_deeper

__all__ = ["MANIFEST_BYTES_MAX", "TTL_US", "Clone", "SteeringManifest", "cloned_uri", "parse_manifest"]

MANIFEST_BYTES_MAX = 256 * 1024  # a thousand URIs of 250 characters; most have some hundred bytes
TTL_US = 300_000_000  # what the draft names where nothing else is known
_TTL_US_MIN = 1_000_000  # a client that asked more often would do little else
_TTL_US_MAX = 86_400_000_000  # a session that lasts longer may as well ask once a day
_URI_CHARACTERS_MAX = 8_192  # what servers take as a request line

_HOST = re.compile(r"(?:\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?)(?::[1-9][0-9]{0,4})?")
_UNFIT = re.compile(r"[\x00-\x20\x7f\\]")  # URL parsers disagree about what they mean

# 7.2: what an id is made of; the length is ours, since it travels in each query.  \Z, since $ lets a newline through.
_PathwayId = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9._-]{1,64}\Z")]
_Uri = Annotated[str, msgspec.Meta(min_length=1, max_length=_URI_CHARACTERS_MAX)]
# Of variants or renditions: a large ladder in forty languages has 500.
_Uris = Annotated[dict[Annotated[str, msgspec.Meta(max_length=256)], _Uri], msgspec.Meta(max_length=1_000)]
# Each travels in the query of every playlist.
_Params = Annotated[
    dict[
        Annotated[str, msgspec.Meta(min_length=1, max_length=256)],
        Annotated[str, msgspec.Meta(max_length=2_048)],
    ],
    msgspec.Meta(max_length=32),
]


class Clone(msgspec.Struct, frozen=True):
    """A pathway that no playlist names: `base_id` with other URIs."""

    base_id: str
    id: str
    host: str | None = None  # with a port, perhaps
    params: dict[str, str] = {}
    variant_uris: dict[str, str] = {}  # STABLE-VARIANT-ID -> absolute URI
    rendition_uris: dict[str, str] = {}  # STABLE-RENDITION-ID -> absolute URI


class SteeringManifest(msgspec.Struct, frozen=True):
    ttl_us: int  # until it is to be asked for again
    priority: tuple[str, ...]  # pathway ids, the best first; each once
    reload_uri: str | None = None  # absolute; None: as before
    clones: tuple[Clone, ...] = ()


class _Replacement(msgspec.Struct, frozen=True, rename=lambda name: name.upper().replace("_", "-")):
    host: str | None = None
    params: _Params = {}
    per_variant_uris: _Uris = {}
    per_rendition_uris: _Uris = {}


class _Clone(msgspec.Struct, frozen=True, rename=lambda name: name.upper().replace("_", "-")):
    base_id: _PathwayId
    id: _PathwayId
    uri_replacement: _Replacement


class _Version(msgspec.Struct, frozen=True):
    VERSION: int


class _Manifest(msgspec.Struct, frozen=True, rename=lambda name: name.upper().replace("_", "-")):
    # 32 pathways are more CDNs than anybody has contracts with.
    pathway_priority: Annotated[tuple[_PathwayId, ...], msgspec.Meta(min_length=1, max_length=32)]
    ttl: Annotated[float, msgspec.Meta(ge=0)] = TTL_US / 1e6
    reload_uri: _Uri | None = None
    pathway_clones: Annotated[tuple[_Clone, ...], msgspec.Meta(max_length=32)] = ()


_T = TypeVar("_T")


def parse_manifest(body: bytes, url: str) -> SteeringManifest:
    """The manifest that `url` gave.  Linear in the body.

    SteeringTooLarge above MANIFEST_BYTES_MAX; SteeringUnsupported for another
    VERSION than 1; SteeringMalformed for everything else that breaks the grammar,
    a RELOAD-URI that would leave https, and a clone that is its own base included.
    """
    if len(body) > MANIFEST_BYTES_MAX:
        raise SteeringTooLarge(f"a steering manifest of {len(body)} bytes; at most {MANIFEST_BYTES_MAX} are read")
    version = _decoded(body, _Version).VERSION
    if version != 1:
        raise SteeringUnsupported(f"a steering manifest of VERSION {version}; only 1 is understood")
    found = _decoded(body, _Manifest)
    _each_once("PATHWAY-PRIORITY", found.pathway_priority)
    _each_once("PATHWAY-CLONES", tuple(clone.id for clone in found.pathway_clones))
    return SteeringManifest(
        ttl_us=min(max(int(min(found.ttl, 1e6) * 1e6), _TTL_US_MIN), _TTL_US_MAX),
        priority=found.pathway_priority,
        reload_uri=None if found.reload_uri is None else _reload_uri(found.reload_uri, url),
        clones=tuple(_clone(clone) for clone in found.pathway_clones),
    )


def cloned_uri(clone: Clone, uri: str, uris: dict[str, str], stable_id: str | None) -> str:
    """The clone's URI for `uri` of its base; `uris` are the clone's own, of variants or of renditions.

    One of its own stands as it is, but for the parameters.  A parameter that is there
    already gets the new value; the rest of a query stays as written, since it may be signed.
    """
    own = None if stable_id is None else uris.get(stable_id)
    parts = urlsplit(uri if own is None else own)
    if own is None and clone.host is not None:
        port = "" if _port(clone.host) else _port(parts.netloc)
        parts = parts._replace(netloc=clone.host + port)
    if clone.params:
        kept = [field for field in parts.query.split("&") if field and _name(field) not in clone.params]
        new = [f"{quote(name, safe='')}={quote(clone.params[name], safe='')}" for name in sorted(clone.params)]
        parts = parts._replace(query="&".join(kept + new))
    return parts.geturl()


def _decoded(body: bytes, kind: type[_T]) -> _T:
    if is_nested_deeper(body):
        raise SteeringMalformed("what the steering server gave is no steering manifest: it is nested too deeply")
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise SteeringMalformed(f"what the steering server gave is no steering manifest: {error}") from error


def _each_once(what: str, ids: tuple[str, ...]) -> None:
    twice = next((each for place, each in enumerate(ids) if each in ids[:place]), None)
    if twice is not None:
        raise SteeringMalformed(f"{what} names {twice!r} twice; each pathway has one place")


def _clone(found: _Clone) -> Clone:
    given = found.uri_replacement
    if found.id == found.base_id:
        raise SteeringMalformed(f"pathway {found.id!r} is to be a clone of itself; give it another ID")
    if given.host is not None:
        if not _HOST.fullmatch(given.host):
            raise SteeringMalformed(f"HOST {given.host[:80]!r} of pathway {found.id!r} is no host name")
        _check_absolute(f"https://{given.host}/", f"HOST of pathway {found.id!r}")
    for uri in (*given.per_variant_uris.values(), *given.per_rendition_uris.values()):
        _check_absolute(uri, f"a URI of pathway {found.id!r}")
    return Clone(
        base_id=found.base_id,
        id=found.id,
        host=given.host,
        params=given.params,
        variant_uris=given.per_variant_uris,
        rendition_uris=given.per_rendition_uris,
    )


def _reload_uri(text: str, url: str) -> str:
    try:
        uri = urljoin(url, text) if not url.startswith("data:") else text
    except ValueError:
        uri = text
    _check_absolute(uri, "RELOAD-URI")
    if url.startswith("https:") and not uri.startswith("https:"):
        raise SteeringMalformed(f"RELOAD-URI {uri[:200]!r} would leave https")
    return uri


def _check_absolute(uri: str, what: str) -> None:
    try:
        parts = urlsplit(uri)
        is_right = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_right = False
    if not is_right or _UNFIT.search(uri):
        raise SteeringMalformed(f"{what} is {uri[:200]!r}; it must be an absolute http or https URI")


def _port(authority: str) -> str:
    """With its colon; empty where there is none."""
    _, colon, port = authority.rpartition("]")[2].rpartition("@")[2].partition(":")
    return colon + port


def _name(field: str) -> str:
    return unquote_plus(field.partition("=")[0])
