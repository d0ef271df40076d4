"""An MPD for a local player: the same document with our URLs in place of its own.

Edited where it stands, so that everything else stays byte for byte: unknown elements,
attributes and comments, descriptors, events, licence boxes.  What changes:

- each Representation has one BaseURL, ours; those above it lead to us as well, and
  other alternatives are gone: choosing among CDNs is our work;
- templates and lists have the names of `names.py`; ranges of lists and initialization
  sections are resources of their own, and lose the range;
- relative URLs of clocks (UTCTiming) become absolute: a player asks them, and not us;
- periods that are announced without a start (early available periods) are left out, as they are here;
- where a clock tells the time itself (`direct`) it can tell a later one: `Rewritten.at`;
- what would have a player go around us, or ask for what is not served (`DROPPED`), is
  left out, and counted.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from xml.sax.saxutils import escape, quoteattr

import msgspec

from shoal.balancer.errors import ConfigurationError, PlaylistUnsupported

from .addressing import Addressing, AddressingKind
from .clock import scheme_of
from .mpd import Mpd, Representation
from .names import media_template, suffix
from .values import date_of, date_us, resolve
from .xml import HEAD, Element, shorten

__all__ = ["DROPPED", "Namer", "Rewritten", "rewrite"]

# Representation -> its base URL for the player: a folder with a slash at its end, or a file where it is one.
Namer = Callable[[Representation], str]

# Element -> why a player must not see it.
DROPPED = {
    "ContentSteering": "the player would choose among CDNs, which is our work",
    "Location": "we follow it: the player would load the next MPD from there, around us",
    "PatchLocation": "we follow it: the MPD that a player loads again is up to date",
}
_CLOCK_BY_HTTP = "urn:mpeg:dash:utc:http-"
_ATTRIBUTE = re.compile(rb"""(\s+)([^\s=]+)\s*=\s*("[^"]*+"|'[^']*+')""")
_NAMED = re.compile(rb"<([^\s/>]+)")
_UNFIT = re.compile(r"[^A-Za-z0-9/._~%:-]|\A\Z")


class Rewritten(msgspec.Struct, frozen=True):
    data: bytes
    dropped: dict[str, int]  # element or attribute -> how often
    told: tuple[tuple[int, int], ...] = ()  # where in `data` it tells the time itself

    def at(self, utc_us: int) -> bytes:
        """`data` where it tells this time, in the place of the one at which it was made."""
        pieces, place = [], 0
        for begin, end in self.told:
            pieces += [self.data[place:begin], date_of(utc_us).encode()]
            place = end
        return b"".join([*pieces, self.data[place:]])


def rewrite(mpd: Mpd, base_of: Namer, *, has_clock: bool = True) -> Rewritten:
    """The MPD with each representation at what `base_of` gives for it.  Linear in the MPD.

    Without its clocks (UTCTiming) if `has_clock` is not.

    ConfigurationError for a name with characters that need escaping in a URL.
    PlaylistUnsupported where representations count the segments of one list differently.
    """
    return _Rewriter(mpd, base_of, has_clock=has_clock).rewritten()


class _Rewriter:
    def __init__(self, mpd: Mpd, base_of: Namer, *, has_clock: bool) -> None:
        self._mpd = mpd
        self._has_clock = has_clock
        self._base_of = base_of
        self._data = mpd.data
        self._edits: list[tuple[int, int, bytes]] = []  # from, to, what stands there instead
        self._told: set[int] = set()  # where edits begin that put there what was there: the time, as it is told
        self._dropped: Counter[str] = Counter()
        self._lists: dict[int, int] = {}  # begin of an element with segments -> number of its first

    def rewritten(self) -> Rewritten:
        mpd = self._mpd
        self._of_mpd()
        self._base_url(mpd.root, "/")
        for period in mpd.periods:
            self._base_url(period.element, "/")
            for adaptation_set in period.adaptation_sets:
                self._base_url(adaptation_set.element, "/")
                for representation in adaptation_set.representations:
                    self._representation(representation)
        pieces, place, length, told = [], 0, 0, []
        for start, stop, text in sorted(self._edits, key=lambda edit: edit[:2]):
            assert place <= start <= stop, "edits do not overlap"
            pieces += [self._data[place:start], text]
            length += start - place + len(text)
            if start in self._told:
                told.append((length - len(text), length))
            place = stop
        return Rewritten(b"".join([*pieces, self._data[place:]]), dict(self._dropped), tuple(told))

    def _of_mpd(self) -> None:
        begun = {period.element.begin for period in self._mpd.periods}
        for child in self._mpd.root.children:
            if child.name == "Period" and child.begin not in begun:
                self._cut(child)  # which is no loss: it comes with its start
            elif child.name in DROPPED or (child.name == "UTCTiming" and not self._has_clock):
                self._drop(child)
            elif child.name == "UTCTiming" and child.attributes.get("schemeIdUri", "").startswith(_CLOCK_BY_HTTP):
                urls = child.attributes.get("value", "").split()
                whole = " ".join(resolve(self._mpd.url, url, child.line) for url in urls)
                self._change(child, {"value": whole})
            elif child.name == "UTCTiming" and _tells_time(child):
                begin, end = self._span(child, "value")
                self._edits.append((begin, end, self._data[begin:end]))
                self._told.add(begin)

    # -- base URLs

    def _representation(self, representation: Representation) -> None:
        base = self._base_of(representation)
        if _UNFIT.search(base):
            raise ConfigurationError(f"{shorten(base)} cannot be the base URL of a representation; percent-encode it")
        element = representation.element
        if not self._base_url(element, base):
            self._insert(element, f"BaseURL>{base}</", "BaseURL")
        addressing = representation.addressing
        for each in addressing.elements:
            first = self._lists.get(each.begin)
            if first is None:
                self._lists[each.begin] = addressing.start_number
                self._segments(each, addressing)
            elif first != addressing.start_number and each.all("SegmentURL"):
                raise PlaylistUnsupported(
                    f"the SegmentList counts from {first} and, in another representation, from "
                    f"{addressing.start_number}; give each its own list",
                    line=each.line,
                )

    def _base_url(self, element: Element, base: str) -> bool:
        """Let the first BaseURL be ours, and take out the others; False where there is none."""
        rows = element.all("BaseURL")
        for row in rows[1:]:
            self._drop(row)
        if not rows:
            return False
        # What it says of time (availabilityTimeOffset) stays true of us.
        head = self._head(rows[0])
        changed = self._changed(rows[0], {"serviceLocation": None, "byteRange": None})
        name = self._name(rows[0])
        if head.endswith(b"/>"):
            text = changed[:-2].rstrip() + b">" + base.encode() + b"</" + name + b">"
            self._edits.append((rows[0].begin, rows[0].begin + len(head), text))
        else:
            self._edits.append((rows[0].begin, rows[0].stop, changed + base.encode()))
        return True

    def _insert(self, element: Element, text: str, name: str) -> None:
        """Put `<text name>` before the children that follow a BaseURL in the schema."""
        own = self._name(element)
        prefix = own.rpartition(b":")[0]
        prefix += b":" if prefix else b""
        whole = b"<" + prefix + text.encode() + prefix + name.encode() + b">"
        head = self._head(element)
        if head.endswith(b"/>"):
            whole = head[:-2].rstrip() + b">" + whole + b"</" + own + b">"
            self._edits.append((element.begin, element.begin + len(head), whole))
            return
        later = {"ExtendedBandwidth", "SubRepresentation", *AddressingKind}
        place = next((child.begin for child in element.children if child.name in later), element.stop)
        self._edits.append((place, place, whole))

    # -- segments

    def _segments(self, element: Element, addressing: Addressing) -> None:
        """One SegmentTemplate, SegmentList or SegmentBase."""
        changes: dict[str, str | None] = {}
        if element.name == AddressingKind.TEMPLATE:
            if "media" in element.attributes:
                changes["media"] = media_template(addressing)
            if "initialization" in element.attributes:
                changes["initialization"] = f"init{suffix(element.attributes['initialization'])}"
            for name in ("index", "bitstreamSwitching"):
                if name in element.attributes:
                    changes[name] = None
                    self._dropped[name] += 1
        if changes:
            self._change(element, changes)
        number = addressing.start_number
        for child in element.children:
            match child.name:
                case "SegmentURL":
                    media = f"n{number}{suffix(child.attributes.get('media'))}"
                    self._change(child, {"media": media, "mediaRange": None, "index": None, "indexRange": None})
                    number += 1
                case "Initialization" | "RepresentationIndex":
                    url = child.attributes.get("sourceURL")
                    if url is not None or element.name != AddressingKind.BASE:
                        what = "init" if child.name == "Initialization" else "index"
                        self._change(child, {"sourceURL": what + suffix(url), "range": None})
                case "BitstreamSwitching":
                    self._drop(child)

    # -- edits

    def _head(self, element: Element) -> bytes:
        """The start tag, `<` and `>` included."""
        found = HEAD.match(self._data, element.begin)
        assert found is not None, "it was read as XML"
        return found[0]

    def _span(self, element: Element, attribute: str) -> tuple[int, int]:
        """Where its value stands, without the quotes."""
        head, place = self._head(element), 1 + len(self._name(element))
        while found := _ATTRIBUTE.match(head, place):
            if found[2].decode() == attribute:
                return element.begin + found.start(3) + 1, element.begin + found.end(3) - 1
            place = found.end()
        raise AssertionError(f"{element.name} was read with {attribute}")

    def _name(self, element: Element) -> bytes:
        found = _NAMED.match(self._data, element.begin)
        assert found is not None, "it was read as XML"
        return found[1]

    def _drop(self, element: Element) -> None:
        self._dropped[element.name] += 1
        self._cut(element)

    def _cut(self, element: Element) -> None:
        head = self._head(element)
        is_empty = head.endswith(b"/>")
        stop = element.begin + len(head) if is_empty else self._data.index(b">", element.stop) + 1
        self._edits.append((element.begin, stop, b""))

    def _change(self, element: Element, changes: dict[str, str | None]) -> None:
        head = self._head(element)
        self._edits.append((element.begin, element.begin + len(head), self._changed(element, changes)))

    def _changed(self, element: Element, changes: dict[str, str | None]) -> bytes:
        """The start tag with other values of attributes; None takes one out, and one that is not there is added."""
        return b"".join(_pieces(self._head(element), self._name(element), dict(changes)))


def _tells_time(clock: Element) -> bool:
    scheme, value = (clock.attributes.get(name, "").strip() for name in ("schemeIdUri", "value"))
    return scheme_of(scheme) == "direct" and date_us(value) is not None


def _pieces(head: bytes, name: bytes, changes: dict[str, str | None]) -> Iterator[bytes]:
    place = 1 + len(name)
    yield head[:place]
    while found := _ATTRIBUTE.match(head, place):
        attribute = found[2].decode()
        if attribute not in changes:
            yield found[0]
        else:
            value = changes.pop(attribute)
            if value is not None:
                yield found[1] + found[2] + b"=" + quoteattr(value).encode()
        place = found.end()
    for attribute, value in changes.items():
        if value is not None:
            yield f" {escape(attribute)}={quoteattr(value)}".encode()
    yield head[place:]
