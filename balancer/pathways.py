"""The pathways of a multivariant playlist, merged: what a player sees once, and where it lies on each.

    draft-pantos-hls-rfc8216bis, 4.4.6.2 (PATHWAY-ID) and 7.2 (PATHWAY-CLONES)

    https://a.example/v/hd.m3u8  PATHWAY-ID="a"      player:  hd          home:  a, since it comes first
    https://b.example/x/hd.m3u8  PATHWAY-ID="b"      CDNs:    a, b        on b:  https://a.example/v/ -> .../x/

`merge` takes the variants of all pathways but one out of the playlist, with the
renditions that only those use.  Whatever the rest names is named as on that one
pathway, *home*; `Routes` says where another has the same.  Playlists are found
exactly, and what they name by the folders in which they lie: both pathways must
keep it alike below them, as they do where one packager fills both.

A variant's counterpart has its STABLE-VARIANT-ID, or else the same attributes; a
rendition's has its STABLE-RENDITION-ID, or else the same name and language, in
the group that the counterpart of its variant uses.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar
from urllib.parse import urlsplit

import msgspec

from .formats.hls import Multivariant, Rendition, Variant
from .formats.steering import Clone, cloned_uri

__all__ = ["PATHWAYS_MAX", "Merged", "Pathways", "Routes", "Stream", "merge"]

# Each is a source of the decision, which looks at all of them; 16 are more CDNs than anybody has contracts with.
PATHWAYS_MAX = 16
_GROUPS = {"AUDIO": "audio", "VIDEO": "video", "SUBTITLES": "subtitles", "CLOSED-CAPTIONS": "closed_captions"}

T = TypeVar("T")


class Stream(msgspec.Struct, frozen=True):
    """One media playlist, and its URI on each pathway that has it."""

    uris: dict[str, str]  # by pathway id; the home's among them
    stable_id: str | None = None
    is_rendition: bool = False  # else a variant or its I-frames


class _Map(msgspec.Struct, frozen=True):
    exact: dict[str, str]
    folders: tuple[tuple[str, str], ...]  # the longest first

    def get(self, url: str) -> str | None:
        found = self.exact.get(url)
        if found is not None:
            return found
        head, mark, directives = url.partition("_HLS_")  # of a delta update; they come last in a query
        if mark and head[-1:] in {"?", "&"}:
            found = self.exact.get(head[:-1])
            if found is not None:
                return f"{found}{'&' if '?' in found else '?'}{mark}{directives}"
        for theirs, ours in self.folders:
            if url.startswith(theirs):
                return ours + url[len(theirs) :]
        return None


class Routes(msgspec.Struct, frozen=True):
    """Where one pathway has what a URL of any of them names."""

    home: _Map  # of any pathway's URL, that of the home
    there: _Map
    is_home: bool

    def translate(self, url: str) -> str | None:
        """The same resource on this pathway; None for what no pathway names."""
        return self.there.get(self.home.get(url) or url)


class Pathways(msgspec.Struct, frozen=True):
    home: str
    ids: tuple[str, ...]  # the home first, then in the order of the playlist, then clones
    streams: tuple[Stream, ...]

    def with_clone(self, clone: Clone) -> Pathways | None:
        """One pathway more; None where there are PATHWAYS_MAX, its base is not known, or it is there already."""
        if clone.id in self.ids or clone.base_id not in self.ids or len(self.ids) == PATHWAYS_MAX:
            return None
        streams = []
        for stream in self.streams:
            uris, base = stream.uris, stream.uris.get(clone.base_id)
            if base is not None:
                own = clone.rendition_uris if stream.is_rendition else clone.variant_uris
                uris = {**uris, clone.id: cloned_uri(clone, base, own, stream.stable_id)}
            streams.append(msgspec.structs.replace(stream, uris=uris))
        return Pathways(self.home, (*self.ids, clone.id), tuple(streams))

    def routes(self) -> dict[str, Routes]:
        """For each pathway.  Linear in pathways times streams."""
        home = _map((uri, stream.uris[self.home]) for stream in self.streams for uri in stream.uris.values())
        return {
            pathway: Routes(
                home,
                _map(
                    (stream.uris[self.home], stream.uris[pathway]) for stream in self.streams if pathway in stream.uris
                ),
                is_home=pathway == self.home,
            )
            for pathway in self.ids
        }

    def is_mirror(self, pathway: str, primary: str, base: str) -> bool:
        """Whether the pathway is just what lies below `primary`, at `base`."""
        return all(
            stream.uris[self.home].startswith(primary)
            and stream.uris.get(pathway) == base + stream.uris[self.home][len(primary) :]
            for stream in self.streams
        )

    def is_below(self, primary: str) -> bool:
        """Whether the home's streams all lie below `primary`."""
        return all(stream.uris[self.home].startswith(primary) for stream in self.streams)


class Merged(msgspec.Struct, frozen=True):
    playlist: Multivariant  # with the home's streams only
    left_out: frozenset[int]  # lines of tags that the player does not get, from 1; a variant's URI line goes with it
    pathways: Pathways
    beyond: int  # pathways above PATHWAYS_MAX, which are left out as if they were not there


def merge(playlist: Multivariant) -> Merged | None:
    """None where there is one pathway and nobody steers."""
    ids = list(dict.fromkeys(variant.pathway_id for variant in playlist.variants))
    if not ids or (len(ids) == 1 and playlist.steering is None):
        return None
    wanted = playlist.steering.pathway_id if playlist.steering is not None else None
    home = wanted if wanted in ids else ids[0]
    served = sorted(ids, key=lambda pathway: pathway != home)[:PATHWAYS_MAX]
    mine = [variant for variant in playlist.variants if variant.pathway_id == home]
    used, elsewhere = _groups(mine), _groups(v for v in playlist.variants if v.pathway_id != home)
    renditions = [r for r in playlist.renditions if _group(r) in used or _group(r) not in elsewhere]
    i_frames = [s for s in playlist.i_frame_streams if s.pathway_id == home or s.pathway_id not in ids]
    kept = {row.line for rows in (mine, renditions, i_frames) for row in rows}
    every = {row.line for rows in (playlist.variants, playlist.renditions, playlist.i_frame_streams) for row in rows}
    return Merged(
        playlist=msgspec.structs.replace(
            playlist, variants=tuple(mine), renditions=tuple(renditions), i_frame_streams=tuple(i_frames)
        ),
        left_out=frozenset(every - kept),
        pathways=Pathways(home, tuple(served), tuple(_streams(playlist, renditions, home, served))),
        beyond=len(ids) - len(served),
    )


def _streams(
    playlist: Multivariant, renditions: Sequence[Rendition], home: str, ids: Sequence[str]
) -> Iterator[Stream]:
    variants = {
        pathway: _numbered((v for v in playlist.variants if v.pathway_id == pathway), _identity) for pathway in ids
    }
    groups: defaultdict[tuple[str, str], dict[str, str]] = defaultdict(dict)  # home's group -> pathway -> its group
    for key, variant in variants[home].items():
        counterparts = {pathway: variants[pathway][key] for pathway in ids if key in variants[pathway]}
        yield Stream({pathway: each.uri for pathway, each in counterparts.items()}, variant.stable_variant_id)
        for kind, field in _GROUPS.items():
            for pathway, each in counterparts.items():
                group, theirs = getattr(variant, field), getattr(each, field)
                if group is not None and theirs is not None:
                    groups[kind, group].setdefault(pathway, theirs)
    in_group: defaultdict[tuple[str, str], list[Rendition]] = defaultdict(list)
    for rendition in playlist.renditions:
        in_group[_group(rendition)].append(rendition)
    for group in dict.fromkeys(_group(rendition) for rendition in renditions):
        theirs_by_id = {
            pathway: _numbered(in_group[group[0], theirs], _rendition_identity)
            for pathway, theirs in {home: group[1], **groups[group]}.items()
        }
        for key, rendition in _numbered(in_group[group], _rendition_identity).items():
            uris = {pathway: rows[key].uri for pathway, rows in theirs_by_id.items() if key in rows}
            known = {pathway: uri for pathway, uri in uris.items() if uri is not None}
            if home in known:
                yield Stream(known, rendition.stable_rendition_id, is_rendition=True)
    frames = {
        pathway: _numbered(
            (s for s in playlist.i_frame_streams if s.pathway_id == pathway),
            lambda s: s.stable_variant_id or (s.bandwidth, s.codecs, s.resolution),
        )
        for pathway in ids
    }
    for key, stream in frames[home].items():
        yield Stream(
            {pathway: frames[pathway][key].uri for pathway in ids if key in frames[pathway]}, stream.stable_variant_id
        )


def _identity(variant: Variant) -> object:
    return variant.stable_variant_id or (
        variant.bandwidth,
        variant.codecs,
        variant.resolution,
        variant.frame_rate,
        variant.video_range,
        variant.hdcp_level,
    )


def _rendition_identity(rendition: Rendition) -> object:
    return rendition.stable_rendition_id or (rendition.name, rendition.language)


def _numbered(rows: Iterable[T], identity: Callable[[T], object]) -> dict[tuple[object, int], T]:
    """By identity, and by place among those of one identity: a ladder may have a variant twice, with other sound."""
    seen: Counter[object] = Counter()
    numbered = {}
    for row in rows:
        key = identity(row)
        numbered[key, seen[key]] = row
        seen[key] += 1
    return numbered


def _group(rendition: Rendition) -> tuple[str, str]:
    return rendition.type, rendition.group_id


def _groups(variants: Iterable[Variant]) -> set[tuple[str, str]]:
    return {
        (kind, group)
        for variant in variants
        for kind, field in _GROUPS.items()
        if (group := getattr(variant, field)) is not None
    }


def _map(pairs: Iterable[tuple[str, str]]) -> _Map:
    """From the first URI of each pair to the second, and from what lies below it to the same below the other."""
    rows = list(pairs)
    heads = [_heads(theirs, ours) for theirs, ours in rows]
    targets: defaultdict[str, set[str]] = defaultdict(set)
    for theirs, ours in heads:
        targets[theirs].add(ours)
    folders: dict[str, str] = {}
    for (theirs, ours), (head, other) in zip(rows, heads, strict=True):
        # Two streams of one host may go to two hosts: then only their own folders tell.
        is_clear = len(targets[head]) == 1
        folders.setdefault(head if is_clear else _folder(theirs), other if is_clear else _folder(ours))
    exact: dict[str, str] = {}
    for theirs, ours in rows:
        exact.setdefault(theirs, ours)
    return _Map(exact, tuple(sorted(folders.items(), key=lambda row: -len(row[0]))))


def _heads(theirs: str, ours: str) -> tuple[str, str]:
    """Both folders, without the end that they have in common: what lies beside them is kept alike as well."""
    one, two = urlsplit(theirs), urlsplit(ours)
    first, second = one.path.split("/")[:-1], two.path.split("/")[:-1]
    while len(first) > 1 and len(second) > 1 and first[-1] == second[-1]:
        first.pop()
        second.pop()
    return (
        f"{one.scheme}://{one.netloc}{'/'.join(first)}/",
        f"{two.scheme}://{two.netloc}{'/'.join(second)}/",
    )


def _folder(uri: str) -> str:
    parts = urlsplit(uri)
    return f"{parts.scheme}://{parts.netloc}{parts.path.rpartition('/')[0]}/"
