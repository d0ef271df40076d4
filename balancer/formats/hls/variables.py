"""Variables: EXT-X-DEFINE and `{$name}` (draft-pantos-hls-rfc8216bis, 4.3 and 4.4.2.3).

A definition counts from its line on.  It is substituted in URI lines and, in the
tags that we read, in quoted and hexadecimal values; an undefined name is an error
there.  In tags that we do not know, defined names are substituted wherever they
stand and others are left alone, because afterwards every EXT-X-DEFINE is taken out
of what the player gets: an IMPORT or QUERYPARAM would not resolve at a local URL.

What is put in is not looked at again, and must fit the line and the playlist:
256 doublings would otherwise make a playlist of any size out of a page.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from urllib.parse import unquote, urlsplit

from shoal.balancer.errors import PlaylistMalformed, PlaylistTooLarge

from .attributes import AttributeList
from .runs import Item, Run
from .tokenizer import Limits, Line, shorten

__all__ = ["ATTRIBUTE_TAGS", "resolve"]

# Tags that we know to hold an attribute list.
ATTRIBUTE_TAGS = frozenset(
    {
        "EXT-X-CONTENT-STEERING",
        "EXT-X-DATERANGE",
        "EXT-X-DEFINE",
        "EXT-X-I-FRAME-STREAM-INF",
        "EXT-X-IMAGE-STREAM-INF",
        "EXT-X-KEY",
        "EXT-X-MAP",
        "EXT-X-MEDIA",
        "EXT-X-PART",
        "EXT-X-PART-INF",
        "EXT-X-PRELOAD-HINT",
        "EXT-X-RENDITION-REPORT",
        "EXT-X-SERVER-CONTROL",
        "EXT-X-SESSION-DATA",
        "EXT-X-SESSION-KEY",
        "EXT-X-SKIP",
        "EXT-X-START",
        "EXT-X-STREAM-INF",
    }
)

# Tags whose value is neither: nothing is substituted in them.
_PLAIN_TAGS = frozenset({"EXTINF", "EXT-X-BYTERANGE", "EXT-X-PROGRAM-DATE-TIME"})
_REFERENCE = re.compile(r"\{\$([a-zA-Z0-9_-]+)\}")
_NAME = re.compile(r"[a-zA-Z0-9_-]+")
_UNSAFE = re.compile(r'[\x00-\x1f\x7f-\x9f"]')


def resolve(
    lines: Sequence[Item], url: str, imported: Mapping[str, str], limits: Limits
) -> tuple[list[Item], dict[str, str]]:
    """The lines with every variable substituted, and the variables defined in them; runs have none.

    `imported` are the multivariant playlist's.  PlaylistMalformed for what is
    undefined, defined twice or not to be imported; PlaylistTooLarge.
    """
    variables: dict[str, str] = {}
    resolved: list[Item] = []
    added_chars = 0
    for line in lines:
        if isinstance(line, Run):
            resolved.append(line)
            continue
        new = line
        if "{$" in line.text:
            new = _substituted(line, variables, limits)
            added_chars += len(new.text) - len(line.text)
            if len(new.text) > limits.line_chars_max or added_chars > limits.playlist_bytes_max:
                raise PlaylistTooLarge(
                    f"variables make the line {len(new.text)} characters long, and the playlist {added_chars} longer; "
                    "raise line_chars_max or playlist_bytes_max",
                    line=line.number,
                )
        if line.name == "EXT-X-DEFINE":
            _define(new, url, imported, variables, limits)
        resolved.append(new)
    return resolved, variables


def _define(line: Line, url: str, imported: Mapping[str, str], variables: dict[str, str], limits: Limits) -> None:
    attributes = AttributeList(line, limits)
    ways = [way for way in ("NAME", "IMPORT", "QUERYPARAM") if way in attributes]
    if len(ways) != 1:
        attributes.fail(f"has {' and '.join(ways) or 'none'} of NAME, IMPORT and QUERYPARAM; write exactly one")
    name = attributes.required_text(ways[0])
    if not _NAME.fullmatch(name):
        attributes.fail(f"{ways[0]} is {shorten(name)}; use letters, digits, '-' and '_'")
    if name in variables:
        attributes.fail(f"{shorten(name)} is defined already; remove one definition")
    if len(variables) == limits.variables_max:
        raise PlaylistTooLarge(f"defines too many; raise variables_max above {limits.variables_max}", line=line.number)
    if ways[0] == "NAME":
        variables[name] = attributes.required_text("VALUE")
    elif ways[0] == "IMPORT":
        if name not in imported:
            attributes.fail(f"{shorten(name)} is not defined by the multivariant playlist; define it there")
        variables[name] = imported[name]
    else:
        variables[name] = _query_parameter(name, url, attributes)


def _query_parameter(name: str, url: str, attributes: AttributeList) -> str:
    fields = [field.partition("=") for field in urlsplit(url).query.split("&")]
    values = [unquote(value) for key, _, value in fields if unquote(key) == name]
    if not values:
        attributes.fail(f"the playlist's URL has no query parameter {shorten(name)}; add it")
    if not values[0] or _UNSAFE.search(values[0]):  # it would end the quotes or the line that it is put into
        attributes.fail(f"query parameter {shorten(name)} is {shorten(values[0])}; give it a value without quotes")
    return values[0]


def _substituted(line: Line, variables: Mapping[str, str], limits: Limits) -> Line:
    def strict(match: re.Match[str]) -> str:
        if match[1] not in variables:
            raise PlaylistMalformed(
                f"variable {shorten(match[1])} is not defined above; add EXT-X-DEFINE before it", line=line.number
            )
        return variables[match[1]]

    def lenient(match: re.Match[str]) -> str:
        return variables.get(match[1], match[0])

    if line.is_uri:
        text = _REFERENCE.sub(_bounded(strict, limits, line), line.text)
    elif line.name in ATTRIBUTE_TAGS:
        text, done = "", 0
        replace = _bounded(strict, limits, line)
        for attribute in AttributeList(line, limits):
            text += line.text[done : attribute.start]
            text += _REFERENCE.sub(replace, attribute.value)
            done = attribute.stop
        text += line.text[done:]
    elif line.name and line.name not in _PLAIN_TAGS:
        text = _REFERENCE.sub(_bounded(lenient, limits, line), line.text)
    else:
        text = line.text
    return Line(line.number, text, line.ending, line.name)


def _bounded(replace: Callable[[re.Match[str]], str], limits: Limits, line: Line) -> Callable[[re.Match[str]], str]:
    """`replace`, until it has given as much as a line may have: the text is never built before it is refused."""
    given = 0

    def bounded(match: re.Match[str]) -> str:
        nonlocal given
        value = replace(match)
        given += len(value)
        if given > limits.line_chars_max:
            raise PlaylistTooLarge(
                f"variables give the line more than {limits.line_chars_max} characters; raise line_chars_max",
                line=line.number,
            )
        return value

    return bounded
