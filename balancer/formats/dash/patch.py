"""An MPD brought up to date by a patch (ISO/IEC 23009-1, 5.15), which says what changed since it was published.

    patched(mpd, data, url) -> bytes        of the whole new MPD, for `parse`

A patch is a list of operations of RFC 5261, each on what the ones before made of the MPD:

    <remove sel="/MPD/Period[1]/AdaptationSet[@id='1']/SegmentTemplate/SegmentTimeline/S[1]"/>
    <add sel="/MPD/Period[1]/.../SegmentTimeline"><S t="80" d="20"/></add>
    <replace sel="/MPD/@publishTime">2026-01-31T12:00:04Z</replace>

Selectors are the part of XPath that 5.15 allows: a path of names from the root, each with
a place or attributes in brackets, and an attribute at its end.  Everything that no
operation touches stays byte for byte.

What does not fit (another MPD, another publish time, a selector that finds nothing) is
PlaylistUnsupported or PlaylistMalformed: load the whole MPD then.  Linear in the MPD and in
what the operations look at, which `patch_visits_max` limits.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NoReturn, TypeAlias
from xml.sax.saxutils import quoteattr

from shoal.balancer.errors import PlaylistMalformed, PlaylistTooLarge, PlaylistUnsupported

from .limits import Limits
from .mpd import Mpd
from .values import Reader
from .xml import HEAD, Element, read_xml, shorten

__all__ = ["patched"]

_OPERATIONS = ("add", "remove", "replace")
# A name with or without a prefix, and what is said in brackets: a place, or an attribute's value.
_STEP = re.compile(
    r"""/(?:[A-Za-z_][\w.-]*+:)?([A-Za-z_][\w.-]*+)((?:\[(?:[0-9]{1,6}|@[\w:.-]+=(?:'[^']*+'|"[^"]*+"))\])*+)"""
)
_PREDICATE = re.compile(r"""\[(?:([0-9]+)|@([\w:.-]+)=(?:'([^']*+)'|"([^"]*+)"))\]""")
_ATTRIBUTE = re.compile(r"/@([A-Za-z_][\w:.-]*+)\Z")
_HEAD_BYTES = 16  # of a start tag, looked through as fast as one element
_IN_HEAD = r"""(\s+)%b\s*=\s*("[^"]*+"|'[^']*+')"""


class _Node:
    """An element as bytes: its start tag, what is in it, and its end tag."""

    __slots__ = ("attributes", "byte_count", "head", "inner", "local_name", "tail")

    def __init__(self, element: Element, data: bytes) -> None:
        found = HEAD.match(data, element.begin)
        assert found is not None, "it was read as XML"
        self.local_name = element.name.rpartition("}")[2]
        self.attributes = dict(element.attributes)
        self.head = found[0]
        self.inner: list[bytes | _Node] = []
        self.tail = b""
        self.byte_count = len(self.head)  # as it was read
        if self.head.endswith(b"/>"):
            return
        place = found.end()
        for child in element.children:
            node = _Node(child, data)
            self.inner += (data[place : child.begin], node)
            place = child.begin + node.byte_count
        self.inner.append(data[place : element.stop])
        self.tail = data[element.stop : data.index(b">", element.stop) + 1]
        self.byte_count = element.stop + len(self.tail) - element.begin

    @property
    def children(self) -> list[_Node]:
        return [piece for piece in self.inner if isinstance(piece, _Node)]

    def pieces(self) -> Iterator[bytes]:
        yield self.head
        for piece in self.inner:
            if isinstance(piece, bytes):
                yield piece
            else:
                yield from piece.pieces()
        yield self.tail

    def open(self) -> None:
        """Give it an end tag, so that something can be put into it."""
        if self.head.endswith(b"/>"):
            name = re.match(rb"<([^\s/>]+)", self.head)
            assert name is not None, "it was read as XML"
            self.head = self.head[:-2].rstrip() + b">"
            self.tail = b"</" + name[1] + b">"

    def set(self, attribute: str, value: str | None) -> None:
        """Change an attribute, add it, or (None) take it out."""
        pattern = re.compile(_IN_HEAD.replace("%b", re.escape(attribute)).encode())
        text = b"" if value is None else f" {attribute}={quoteattr(value)}".encode()
        if attribute in self.attributes:
            self.head = pattern.sub(lambda _: text, self.head, count=1)
        else:
            end = -2 if self.head.endswith(b"/>") else -1
            self.head = self.head[:end].rstrip() + text + self.head[end:]
        if value is None:
            self.attributes.pop(attribute, None)
        else:
            self.attributes[attribute] = value


class _Budget:
    """What the operations of one patch may look at."""

    def __init__(self, limits: Limits) -> None:
        self._max = self._left = limits.patch_visits_max

    def spend(self, operation: Element, visits: int) -> None:
        self._left -= visits
        if self._left < 0:
            raise PlaylistTooLarge(
                f"looks at over {self._max} elements of the MPD; raise patch_visits_max, or load the whole MPD",
                line=operation.line,
            )


_Found: TypeAlias = tuple[_Node | None, _Node, str | None]  # parent, element, attribute


def patched(mpd: Mpd, data: bytes, *, limits: Limits | None = None) -> bytes:
    """The MPD that `data`, a patch, makes of `mpd`.  Raises PlaylistError."""
    limits = limits or Limits()
    root = read_xml(data, limits, root="Patch")
    _check(root, mpd, limits)
    if len(root.children) > limits.operations_max:
        raise PlaylistTooLarge(f"has {len(root.children)} operations; raise operations_max, or load the whole MPD")
    tree = _Node(mpd.root, mpd.data)
    end = mpd.root.begin + tree.byte_count
    budget = _Budget(limits)
    for operation in root.children:
        _apply(operation, tree, data, budget)
    whole = b"".join((mpd.data[: mpd.root.begin], *tree.pieces(), mpd.data[end:]))
    if len(whole) > limits.mpd_bytes_max:
        raise PlaylistTooLarge(f"makes an MPD of {len(whole)} bytes, {limits.mpd_bytes_max} are allowed")
    return whole


def _check(root: Element, mpd: Mpd, limits: Limits) -> None:
    said = Reader(limits, root)
    if mpd.id is None or said.required("mpdId") != mpd.id:
        raise PlaylistUnsupported(f"is a patch of {said.text('mpdId')!r}, and the MPD is {mpd.id!r}", line=root.line)
    if said.date_us("originalPublishTime") != mpd.publish_us or mpd.publish_us is None:
        raise PlaylistUnsupported(
            f"is a patch of what was published at {said.text('originalPublishTime')}, and another one is known",
            line=root.line,
        )
    if mpd.root.begin < len(mpd.data) and b":" in (re.match(rb"<[^\s/>]+", mpd.data[mpd.root.begin :]) or [b""])[0]:
        raise PlaylistUnsupported(
            "the MPD's own elements have a prefix, and those of a patch have none", line=root.line
        )


def _apply(operation: Element, tree: _Node, data: bytes, budget: _Budget) -> None:
    if operation.name not in _OPERATIONS:
        _fail(operation, f"{shorten(operation.name)} is no operation; write add, replace or remove")
    parent, node, attribute = _find(operation, tree, budget)
    # What it changes is looked through once more, and moved.
    beside = 0 if parent is None else len(parent.inner)
    budget.spend(operation, beside + len(node.inner) + len(node.head) // _HEAD_BYTES)
    match operation.name:
        case "add":
            _add(operation, parent, node, data)
        case "replace" if attribute is not None:
            node.set(attribute, operation.text)
        case "remove" if attribute is not None:
            node.set(attribute, None)
        case _:
            if parent is None:
                _fail(operation, "would take the MPD itself away")
            place = next(at for at, piece in enumerate(parent.inner) if piece is node)
            new: list[bytes | _Node] = []
            if operation.name == "replace":
                new = [_Node(child, data) for child in operation.children]
                if len(new) != 1:
                    _fail(operation, f"replaces one element by {len(new)}; give it one")
            parent.inner[place : place + 1] = new


def _add(operation: Element, parent: _Node | None, node: _Node, data: bytes) -> None:
    kind, place = operation.attributes.get("type"), operation.attributes.get("pos")
    if kind is not None:
        if not kind.startswith("@") or not re.fullmatch(r"[A-Za-z_][\w:.-]*", kind[1:]):
            _fail(operation, f"type is {shorten(kind)}; only attributes can be added so, as in @name")
        node.set(kind[1:], operation.text)
        return
    new = [_Node(child, data) for child in operation.children]
    match place:
        case "before" | "after":
            if parent is None:
                _fail(operation, "would put something beside the MPD")
            at = next(at for at, piece in enumerate(parent.inner) if piece is node) + (place == "after")
            parent.inner[at:at] = new
        case "prepend":
            node.open()
            node.inner[:0] = new
        case None:
            node.open()
            node.inner += new
        case _:
            _fail(operation, f"pos is {shorten(place)}; it is before, after, prepend or not there")


def _find(operation: Element, tree: _Node, budget: _Budget) -> _Found:
    """What the selector leads to, which must be one (RFC 5261, 4.1)."""
    selector = operation.attributes.get("sel", "")
    attribute = _ATTRIBUTE.search(selector)
    path = selector[: attribute.start()] if attribute is not None else selector
    if not path:
        _fail(operation, f"sel is {shorten(selector)}; write a path, as in /MPD/Period[1]")
    if _STEP.sub("", path):
        raise PlaylistUnsupported(f"sel is {shorten(selector)}, which is more than a path", line=operation.line)
    parent: _Node | None = None
    found: list[_Node] = [tree]
    for step in _STEP.finditer(path):
        if step.start():
            parent, found = found[0], found[0].children
        found = _matching(operation, found, step, budget)
        if len(found) != 1:
            _fail(operation, f"sel is {shorten(selector)}, and finds {len(found)} elements; it is to find one")
    if attribute is not None and operation.name != "add" and attribute[1] not in found[0].attributes:
        _fail(operation, f"sel is {shorten(selector)}, and there is no such attribute")
    return parent, found[0], attribute[1] if attribute is not None else None


def _matching(operation: Element, nodes: list[_Node], step: re.Match[str], budget: _Budget) -> list[_Node]:
    name, predicates = step[1], step[2]
    budget.spend(operation, len(nodes))
    found = [node for node in nodes if node.local_name == name]
    for place, attribute, single, double in _PREDICATE.findall(predicates):
        if place:
            found = found[int(place) - 1 : int(place)] if int(place) else []
        else:
            budget.spend(operation, len(found))
            found = [node for node in found if node.attributes.get(attribute) == (single or double)]
    return found


def _fail(operation: Element, message: str) -> NoReturn:
    raise PlaylistMalformed(f"{operation.name}: {message}", line=operation.line)
