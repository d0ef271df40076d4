"""Bytes of a playlist to its values; the one entrance is `parse`.

    bytes -> tokenizer -> variables -> (delta) -> multivariant or media -> Multivariant | MediaPlaylist

Promises: nothing but PlaylistError is raised for anything a server can send, with
the line, the value and what to do; every limit of `Limits` holds; linear in the
size.  Which of the two it is, is told by its tags; a playlist with tags of both is
refused (RFC 8216, 4.1).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from urllib.parse import urlsplit

from shoal.balancer.errors import ConfigurationError, PlaylistError, PlaylistMalformed

from .common import Common
from .delta import SKIP, expand
from .media import MEDIA_TAGS, MediaParser
from .multivariant import MULTIVARIANT_TAGS, MultivariantParser
from .playlist import MediaPlaylist, Playlist
from .runs import Item, flatten, scan
from .tokenizer import Limits, Line, shorten
from .variables import resolve

__all__ = ["parse"]

_NO_VARIABLES: Mapping[str, str] = MappingProxyType({})


def parse(
    data: bytes,
    url: str,
    *,
    variables: Mapping[str, str] = _NO_VARIABLES,
    limits: Limits | None = None,
    before: MediaPlaylist | None = None,
) -> Playlist:
    """The playlist that `data` is.

    `url` is where it came from after redirects, http or https; URIs are resolved
    against it.  `variables` are those of the multivariant playlist that led here.
    `before` is the last load of this playlist: with it a delta update gives the whole
    playlist, and without it is PlaylistUnsupported.
    Raises PlaylistError, and ConfigurationError for the wrong `url`.
    """
    limits = limits or Limits()
    shown = _checked(url)
    try:
        items, defined = resolve(scan(data, limits), url, variables, limits)
        if any(isinstance(item, Line) and item.name == SKIP for item in items):
            items = [*expand(flatten(items), url, before, limits)]
        common = Common(items, url, limits)
        if _is_multivariant(items):
            return MultivariantParser(common, defined).parse()
        return MediaParser(common, defined).parse()
    except PlaylistError as error:
        error.url = shown
        raise


def _checked(url: str) -> str:
    """`url` without its query, for messages."""
    try:
        parts = urlsplit(url)
        is_right = parts.scheme in {"http", "https"} and bool(parts.hostname)
    except ValueError:
        is_right, parts = False, urlsplit("")
    if not is_right:
        raise ConfigurationError(f"playlist URL {shorten(url)} is not absolute http or https; give one that is")
    return parts._replace(query="", fragment="", netloc=parts.netloc.rpartition("@")[2]).geturl()


def _is_multivariant(items: Sequence[Item]) -> bool:
    lines = [item if isinstance(item, Line) else next(item.lines()) for item in items]
    of_multivariant = next((line for line in lines if line.name in MULTIVARIANT_TAGS), None)
    of_media = next((line for line in lines if line.name in MEDIA_TAGS), None)
    if of_multivariant and of_media:
        raise PlaylistMalformed(
            f"{of_media.name}, and {of_multivariant.name} in line {of_multivariant.number}: "
            "it is a media playlist or a multivariant playlist, not both; split it",
            line=of_media.number,
        )
    if not of_multivariant and not of_media:
        raise PlaylistMalformed("names neither variants nor segments; is it cut off, or a plain list of files?")
    return of_multivariant is not None
