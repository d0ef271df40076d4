"""The bytes of an MPD to elements that know where they stand; XML is read by defusedxml.

Promises: nothing but PlaylistError for any bytes; a document type, an entity or an
external reference is refused before it is looked at (XXE, billion laughs); bytes,
elements, depth, attributes and the length of each value are limited.  Linear in the size.

Accepted: UTF-8, with or without a byte order mark.  XML allows other encodings, and no
packager writes them; places in the bytes are what `rewrite.py` edits at, and so the
bytes have to be what was read.

Elements of the root's own namespace have plain names, those of others `{namespace}name`:
they are kept and not read.  defusedxml is imported on first use: a page that plays HLS
does not load it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from shoal.balancer.errors import NotAPlaylist, PlaylistMalformed, PlaylistTooLarge, PlaylistUnsupported

from .limits import Limits

__all__ = ["HEAD", "Element", "read_xml", "shorten"]

# As written by the standard, by its first editions, and by those who left it out.
_NAMESPACES = {
    "MPD": frozenset({"urn:mpeg:dash:schema:mpd:2011", "urn:mpeg:DASH:schema:MPD:2011", ""}),
    "Patch": frozenset({"urn:mpeg:dash:schema:mpd-patch:2020", ""}),
}
# A start tag, `<` and `>` included.
HEAD = re.compile(rb"""<[^>"']*+(?:"[^"]*+"[^>"']*+|'[^']*+'[^>"']*+)*+>""")
XLINK = "{http://www.w3.org/1999/xlink}href"
_DECLARED = re.compile(rb"""<\?xml[^>]*?\sencoding\s*=\s*["']([A-Za-z0-9._-]{1,40})["']""")
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class Element:
    """One element.  Places are byte offsets: of its `<`, and of the `<` of its end tag (or of what follows `/>`)."""

    __slots__ = ("_by_name", "attributes", "begin", "children", "kept", "line", "name", "stop", "text")

    def __init__(self, name: str, attributes: dict[str, str], begin: int, line: int) -> None:
        self.name = name
        self.attributes = attributes
        self.begin = begin
        self.stop = begin
        self.line = line
        self.text = ""  # all of it that stands in no child
        self.children: list[Element] = []
        self.kept: Any = None  # what its reader made of it: representations share what stands above them
        self._by_name: dict[str, list[Element]] | None = None

    def all(self, name: str) -> Sequence[Element]:
        """The children of that name; to be asked once there are all of them.

        Each representation asks those above it, which may have any number of children.
        """
        if self._by_name is None:
            self._by_name = {}
            for child in self.children:
                self._by_name.setdefault(child.name, []).append(child)
        return self._by_name.get(name, ())

    def one(self, name: str) -> Element | None:
        """The child of that name; PlaylistMalformed for a second one."""
        found = self.all(name)
        if len(found) > 1:
            raise PlaylistMalformed(f"a second {name} in {self.name}; one is allowed", line=found[1].line)
        return found[0] if found else None


def shorten(value: str, chars_max: int = 80) -> str:
    """`value` quoted for a message, cut where it is long."""
    return repr(value) if len(value) <= chars_max else f"{value[:chars_max]!r}... ({len(value)} characters)"


def read_xml(data: bytes, limits: Limits, *, root: str = "MPD") -> Element:
    """The root element, an MPD or a Patch.  Raises PlaylistError."""
    _check_bytes(data, limits)
    try:
        from defusedxml.common import DefusedXmlException, DTDForbidden
        from defusedxml.ElementTree import DefusedXMLParser, ParseError
    except ImportError as error:
        raise PlaylistUnsupported(
            "it is a DASH manifest, and reading those needs defusedxml; pip install defusedxml"
        ) from error
    target = _Target(limits, root)
    parser = DefusedXMLParser(target=target, forbid_dtd=True)
    target.expat = parser.parser
    try:
        parser.feed(data)
        parser.close()
    except DefusedXmlException as error:
        what = "a document type" if isinstance(error, DTDForbidden) else "an entity or external reference"
        raise PlaylistUnsupported(
            f"it declares {what}, which can make any size out of a few bytes, or read files; remove it",
            line=target.line,
        ) from None
    except ParseError as error:
        line, column = error.position
        if target.root is None:
            raise NotAPlaylist(f"is no XML ({error}); give the URL of an MPD", line=line) from None
        raise PlaylistMalformed(f"is no XML from column {column} on ({error}); is it cut off?", line=line) from None
    except (LookupError, ValueError) as error:  # an encoding that expat leaves to Python's codecs
        raise PlaylistMalformed(f"cannot be read as XML ({error}); save it as UTF-8", line=1) from None
    found = target.root
    assert found is not None, "expat refuses a document without an element"
    return found


def _check_bytes(data: bytes, limits: Limits) -> None:
    if len(data) > limits.mpd_bytes_max:
        raise PlaylistTooLarge(
            f"has {len(data)} bytes, {limits.mpd_bytes_max} are allowed; is it an MPD?  Raise playlist_bytes_max if so"
        )
    if not data.strip():
        raise NotAPlaylist("is empty; look at the server: it sent no byte of a body", line=1)
    if data.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\x00" in data[:4]:
        raise PlaylistUnsupported("is not UTF-8 (it looks like UTF-16 or UTF-32); save it as UTF-8", line=1)
    declared = _DECLARED.match(data.removeprefix(_BYTE_ORDER_MARK))
    if declared and declared[1].lower() not in {b"utf-8", b"us-ascii", b"utf8"}:
        raise PlaylistUnsupported(f"is encoded as {declared[1].decode()!r}; save it as UTF-8", line=1)


class _Text:
    """That of an element, as it came: in a piece for each comment in it."""

    __slots__ = ("length", "pieces")

    def __init__(self) -> None:
        self.pieces: list[str] = []
        self.length = 0


class _Target:
    """What the parser calls; keeps the limits while the tree grows, and not after it has grown."""

    def __init__(self, limits: Limits, root: str) -> None:
        self.root: Element | None = None
        self._root_name = root
        self.expat: Any = None
        self._limits = limits
        self._open: list[Element] = []
        self._texts: dict[int, _Text] = {}  # of those that have some, by their place among the open ones
        self._elements = 0
        self._prefix = ""  # "{namespace}" of the root

    @property
    def line(self) -> int:
        return int(self.expat.CurrentLineNumber)

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        self._elements += 1
        limits = self._limits
        if self.root is None:
            namespace, _, name = tag.removeprefix("{").rpartition("}")
            wanted = self._root_name
            if name != wanted or namespace not in _NAMESPACES[wanted]:
                raise NotAPlaylist(
                    f"is XML, and its root is {shorten(tag)} and no {wanted}; give the URL of one", line=self.line
                )
            self._prefix = f"{{{namespace}}}" if namespace else ""
        if self._elements > limits.elements_max:
            raise self._too_large("elements", self._elements, limits.elements_max, "elements_max")
        if len(self._open) >= limits.depth_max:
            raise self._too_large("levels", len(self._open) + 1, limits.depth_max, "depth_max")
        if len(attributes) > limits.attributes_max:
            raise self._too_large("attributes in one element", len(attributes), limits.attributes_max, "attributes_max")
        longest = max(map(len, attributes.values()), default=0)
        if longest > limits.value_chars_max:
            raise self._too_large("characters in one value", longest, limits.value_chars_max, "value_chars_max")
        name = tag[len(self._prefix) :] if self._prefix and tag.startswith(self._prefix) else tag
        if XLINK in attributes and not name.startswith("{"):
            raise PlaylistUnsupported(
                f"{name} has xlink:href {shorten(attributes[XLINK])}: elements from elsewhere are not fetched, "
                "since whoever serves them could name anything; put them into the MPD",
                line=self.line,
            )
        element = Element(name, attributes, int(self.expat.CurrentByteIndex), self.line)
        if self._open:
            self._open[-1].children.append(element)
        else:
            self.root = element
        self._open.append(element)

    def _too_large(self, what: str, count: int, limit: int, field: str) -> PlaylistTooLarge:
        return PlaylistTooLarge(f"has {count} {what}, and {limit} are allowed ({field})", line=self.line)

    def end(self, _tag: str) -> None:
        text = self._texts.pop(len(self._open), None)
        element = self._open.pop()
        element.stop = int(self.expat.CurrentByteIndex)
        if text is not None:
            element.text = "".join(text.pieces)

    def data(self, text: str) -> None:
        if not self._open:
            return
        element = self._open[-1]
        if not element.children or not text.isspace():  # the indentation between children says nothing
            whole = self._texts.setdefault(len(self._open), _Text())
            whole.pieces.append(text)
            whole.length += len(text)
            if whole.length > self._limits.value_chars_max:
                raise self._too_large(
                    f"characters of text in one {element.name}",
                    whole.length,
                    self._limits.value_chars_max,
                    "value_chars_max",
                )

    def close(self) -> None:
        """Nothing is left to do at the end; the parser asks."""
