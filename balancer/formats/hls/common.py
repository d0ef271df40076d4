"""What multivariant and media playlists share: absolute URIs, tags of both kinds, keys, references for the rewriter."""

from __future__ import annotations

import re
from collections.abc import Sequence
from urllib.parse import urljoin, urlsplit

from shoal.balancer.errors import PlaylistMalformed, PlaylistUnsupported
from shoal.balancer.model import ByteRange
from shoal.balancer.uris import encoded

from .attributes import Attribute, AttributeList, decimal_integer, duration_us
from .playlist import Key, Layout, Reference, Start, UnknownTag, UriKind
from .runs import Item
from .tokenizer import BLANKS, Limits, Line, shorten

__all__ = ["Common"]

# Kinds that we fetch: another scheme would have a player on this machine open, say, file:/etc/passwd for a stranger.
_FETCHED = frozenset(
    {
        UriKind.VARIANT,
        UriKind.RENDITION,
        UriKind.I_FRAMES,
        UriKind.SEGMENT,
        UriKind.MAP,
        UriKind.PART,
        UriKind.PRELOAD_HINT,
        UriKind.RENDITION_REPORT,
    },
)
# RFC 3986, 3.1: what makes a reference absolute.
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
# Nearly all URIs of a large playlist are one of these, for which urljoin() is known to add nothing or the folder;
# it and urlsplit() take most of the time otherwise.
_PLAIN_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.~-]*+")
_PLAIN_URL = re.compile(
    r"https?://[A-Za-z0-9-][A-Za-z0-9.-]*+(?::[0-9]{1,4})?/[A-Za-z0-9_./%~-]*+(?:\?[A-Za-z0-9_./%~&=+-]++)?"
)
# Named in tags that only the player understands, but relative to a URL that the player no longer sees.
_OTHER_URIS = {
    "EXT-X-DATERANGE": ("X-ASSET-URI", "X-ASSET-LIST"),
    "EXT-X-IMAGE-STREAM-INF": ("URI",),
}


class Common:
    """Collects, line by line, what both kinds of playlist have."""

    def __init__(self, items: Sequence[Item], url: str, limits: Limits) -> None:
        self.items = items
        self.url = url
        self.limits = limits
        self.folder = urljoin(url, ".")
        self.version = 1
        self.start: Start | None = None
        self.is_independent = False
        self.unknown_tags: list[UnknownTag] = []
        self._references: list[Reference] = []
        self._seen: dict[str, int] = {}

    def layout(self) -> Layout:
        return Layout(tuple(self.items), tuple(self._references))

    def attributes(self, line: Line) -> AttributeList:
        return AttributeList(line, self.limits)

    def once(self, line: Line) -> None:
        """Refuse the second of a tag that may be there once (RFC 8216, 4.3.1.2 and 4.3.3)."""
        if line.name in self._seen:
            raise PlaylistMalformed(
                f"{line.name} is in line {self._seen[line.name]} already; remove one", line=line.number
            )
        self._seen[line.name] = line.number

    def read(self, line: Line) -> bool:
        """Take a tag that both kinds may have; False if it is none."""
        match line.name:
            case "EXTM3U":
                if line.number != 1:
                    raise PlaylistMalformed("a second EXTM3U: two playlists in one; split them", line=line.number)
            case "EXT-X-DEFINE":
                pass  # done by variables.py
            case "EXT-X-VERSION":
                self.once(line)
                self.version = decimal_integer(line.value, line, line.name)
            case "EXT-X-INDEPENDENT-SEGMENTS":
                self.is_independent = True
            case "EXT-X-START":
                self.once(line)
                attributes = self.attributes(line)
                offset = duration_us(attributes["TIME-OFFSET"].value, line, "TIME-OFFSET", signed=True)
                self.start = Start(offset, attributes.flag("PRECISE"))
            case _:
                return False
        return True

    def keep_unknown(self, line: Line) -> None:
        """Remember a tag that is not ours to read, and the URIs that we know to be in it."""
        if not line.name:
            return  # a comment
        self.unknown_tags.append(UnknownTag(line.name, line.value, line.number))
        names = [name for name in _OTHER_URIS.get(line.name, ()) if name in line.text]
        if names:  # else the list is the player's to read, and to refuse
            attributes = self.attributes(line)
            for name in names:
                if name in attributes:
                    self.attribute_uri(line, attributes[name], UriKind.OTHER)

    def key(self, line: Line, kind: UriKind) -> Key | None:
        """The key of EXT-X-KEY or EXT-X-SESSION-KEY; None for METHOD=NONE."""
        attributes = self.attributes(line)
        if attributes["METHOD"].value == "NONE":
            return None
        attributes.required_text("URI")
        return Key(
            method=attributes.word("METHOD") or "",
            uri=self.attribute_uri(line, attributes["URI"], kind),
            iv=attributes.hexadecimal("IV", digits_max=32),
            key_format=attributes.text("KEYFORMAT") or "identity",
            key_format_versions=attributes.text("KEYFORMATVERSIONS"),
        )

    def attribute_uri(
        self, line: Line, attribute: Attribute, kind: UriKind, byte_range: ByteRange | None = None
    ) -> str:
        """The absolute URI in an attribute, noted for the rewriter."""
        uri = self.attribute_target(line, attribute, kind)
        self.refer_attribute(line, attribute, kind, uri, byte_range)
        return uri

    def attribute_target(self, line: Line, attribute: Attribute, kind: UriKind) -> str:
        """The absolute URI in an attribute."""
        return self._absolute(line, attribute.value, kind)

    def refer_attribute(
        self, line: Line, attribute: Attribute, kind: UriKind, uri: str, byte_range: ByteRange | None
    ) -> None:
        """Note the URI in an attribute for the rewriter."""
        self._references.append(Reference(kind, uri, byte_range, line.number - 1, attribute.start, attribute.stop))

    def line_uri(self, line: Line, kind: UriKind) -> str:
        """The absolute URI of a URI line."""
        return self._absolute(line, line.text.strip(BLANKS), kind)

    def refer(self, line: Line, kind: UriKind, uri: str, byte_range: ByteRange | None = None) -> None:
        """Note the URI of a URI line for the rewriter."""
        text = line.text
        start, stop = len(text) - len(text.lstrip(BLANKS)), len(text.rstrip(BLANKS))
        self._references.append(Reference(kind, uri, byte_range, line.number - 1, start, stop))

    def _absolute(self, line: Line, text: str, kind: UriKind) -> str:
        """`text` resolved against the playlist's URL (RFC 3986, 5.2); of other schemes than http(s) as it is.

        Blanks and what is not ASCII are percent-encoded, which is how browsers fetch them.
        """
        text = text.strip(BLANKS)
        if _PLAIN_NAME.fullmatch(text):
            return self.folder + text
        if _PLAIN_URL.fullmatch(text):
            return text
        if not text:
            raise PlaylistMalformed(f"{line.name or 'the URI'} has an empty URI; give one", line=line.number)
        if "\t" in text:  # URL parsers drop it, each in its own way
            raise PlaylistMalformed(f"URI {shorten(text)} has a tab; write %09", line=line.number)
        scheme = _SCHEME.match(text)
        if scheme is not None and scheme[0].lower() not in {"http:", "https:"}:
            if kind in _FETCHED:
                raise PlaylistUnsupported(
                    f"URI {shorten(text)} of a {kind} has scheme {scheme[0]!r}; use http or https", line=line.number
                )
            return text
        try:
            uri = urljoin(self.url, text)
            parts = urlsplit(uri)
            is_right = bool(parts.hostname) and " " not in parts.netloc and parts.scheme in {"http", "https"}
        except ValueError as error:
            raise PlaylistMalformed(f"URI {shorten(text)} cannot be read ({error})", line=line.number) from None
        if not is_right:
            raise PlaylistMalformed(f"URI {shorten(text)} has no host; give one", line=line.number)
        return encoded(parts.scheme + uri[len(parts.scheme) :])  # in lower case
