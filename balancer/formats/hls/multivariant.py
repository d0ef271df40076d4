"""Multivariant playlists (RFC 8216, 4.3.4; "master" there)."""

from __future__ import annotations

from collections.abc import Sized

from shoal.balancer.errors import PlaylistMalformed, PlaylistTooLarge

from .attributes import AttributeList
from .common import Common
from .playlist import ContentSteering, IFrameStream, Key, Multivariant, Rendition, SessionData, UriKind, Variant
from .runs import flatten
from .tokenizer import Line, shorten

__all__ = ["MULTIVARIANT_TAGS", "MultivariantParser"]

MULTIVARIANT_TAGS = frozenset(
    {
        "EXT-X-CONTENT-STEERING",
        "EXT-X-I-FRAME-STREAM-INF",
        "EXT-X-MEDIA",
        "EXT-X-SESSION-DATA",
        "EXT-X-SESSION-KEY",
        "EXT-X-STREAM-INF",
    }
)


class MultivariantParser:
    """Reads one playlist, once."""

    def __init__(self, common: Common, variables: dict[str, str]) -> None:
        self.common = common
        self.variables = variables
        self.variants: list[Variant] = []
        self.renditions: list[Rendition] = []
        self.i_frame_streams: list[IFrameStream] = []
        self.session_data: list[SessionData] = []
        self.session_keys: list[Key] = []
        self.steering: ContentSteering | None = None
        self._waiting: Line | None = None  # an EXT-X-STREAM-INF before its URI line

    def parse(self) -> Multivariant:
        for line in flatten(self.common.items):
            if line.is_uri:
                self._uri(line)
            elif line.name and not self.common.read(line):
                self._tag(line)
        self._nothing_waits()
        common = self.common
        return Multivariant(
            url=common.url,
            version=common.version,
            variants=tuple(self.variants),
            renditions=tuple(self.renditions),
            i_frame_streams=tuple(self.i_frame_streams),
            session_data=tuple(self.session_data),
            session_keys=tuple(self.session_keys),
            steering=self.steering,
            start=common.start,
            is_independent=common.is_independent,
            variables=self.variables,
            unknown_tags=tuple(common.unknown_tags),
            layout=common.layout(),
        )

    def _tag(self, line: Line) -> None:
        match line.name:
            case "EXT-X-STREAM-INF":
                self._nothing_waits()
                self._waiting = line
            case "EXT-X-MEDIA":
                self._room(line, self.renditions)
                self.renditions.append(self._rendition(self.common.attributes(line)))
            case "EXT-X-I-FRAME-STREAM-INF":
                self._room(line, self.i_frame_streams)
                self.i_frame_streams.append(self._i_frame_stream(self.common.attributes(line)))
            case "EXT-X-SESSION-DATA":
                self._room(line, self.session_data)
                self.session_data.append(self._session_data(self.common.attributes(line)))
            case "EXT-X-SESSION-KEY":
                self._room(line, self.session_keys)
                key = self.common.key(line, UriKind.SESSION_KEY)
                if key is None:
                    raise PlaylistMalformed("EXT-X-SESSION-KEY has METHOD=NONE; leave it out", line=line.number)
                self.session_keys.append(key)
            case "EXT-X-CONTENT-STEERING":
                self.common.once(line)
                self.steering = self._steering(self.common.attributes(line))
            case _:
                self.common.keep_unknown(line)

    def _uri(self, line: Line) -> None:
        if self._waiting is None:
            raise PlaylistMalformed(
                f"URI {shorten(line.text)} without an EXT-X-STREAM-INF before it; add the tag", line=line.number
            )
        attributes = self.common.attributes(self._waiting)
        self._room(line, self.variants)
        self._waiting = None
        uri = self.common.line_uri(line, UriKind.VARIANT)
        self.common.refer(line, UriKind.VARIANT, uri)
        self.variants.append(
            Variant(
                uri=uri,
                bandwidth=_bandwidth(attributes),
                average_bandwidth=attributes.integer("AVERAGE-BANDWIDTH"),
                codecs=attributes.text("CODECS"),
                supplemental_codecs=attributes.text("SUPPLEMENTAL-CODECS"),
                resolution=attributes.resolution("RESOLUTION"),
                frame_rate=attributes.number("FRAME-RATE"),
                video_range=attributes.word("VIDEO-RANGE"),
                hdcp_level=attributes.word("HDCP-LEVEL"),
                score=attributes.number("SCORE"),
                stable_variant_id=attributes.text("STABLE-VARIANT-ID"),
                pathway_id=attributes.text("PATHWAY-ID") or ".",
                audio=attributes.text("AUDIO"),
                video=attributes.text("VIDEO"),
                subtitles=attributes.text("SUBTITLES"),
                closed_captions=attributes.text_or_word("CLOSED-CAPTIONS"),
                line=attributes.line.number,
            )
        )

    def _rendition(self, attributes: AttributeList) -> Rendition:
        uri = None
        if "URI" in attributes:
            attributes.required_text("URI")
            uri = self.common.attribute_uri(attributes.line, attributes["URI"], UriKind.RENDITION)
        return Rendition(
            type=attributes["TYPE"].value,
            group_id=attributes.required_text("GROUP-ID"),
            name=attributes.required_text("NAME"),
            uri=uri,
            language=attributes.text("LANGUAGE"),
            assoc_language=attributes.text("ASSOC-LANGUAGE"),
            stable_rendition_id=attributes.text("STABLE-RENDITION-ID"),
            is_default=attributes.flag("DEFAULT"),
            is_autoselect=attributes.flag("AUTOSELECT"),
            is_forced=attributes.flag("FORCED"),
            instream_id=attributes.text("INSTREAM-ID"),
            characteristics=attributes.text("CHARACTERISTICS"),
            channels=attributes.text("CHANNELS"),
            line=attributes.line.number,
        )

    def _i_frame_stream(self, attributes: AttributeList) -> IFrameStream:
        attributes.required_text("URI")
        return IFrameStream(
            uri=self.common.attribute_uri(attributes.line, attributes["URI"], UriKind.I_FRAMES),
            bandwidth=_bandwidth(attributes),
            average_bandwidth=attributes.integer("AVERAGE-BANDWIDTH"),
            codecs=attributes.text("CODECS"),
            resolution=attributes.resolution("RESOLUTION"),
            video_range=attributes.word("VIDEO-RANGE"),
            hdcp_level=attributes.word("HDCP-LEVEL"),
            stable_variant_id=attributes.text("STABLE-VARIANT-ID"),
            pathway_id=attributes.text("PATHWAY-ID") or ".",
            video=attributes.text("VIDEO"),
            line=attributes.line.number,
        )

    def _steering(self, attributes: AttributeList) -> ContentSteering:
        attributes.required_text("SERVER-URI")
        return ContentSteering(
            server_uri=self.common.attribute_uri(attributes.line, attributes["SERVER-URI"], UriKind.STEERING),
            pathway_id=attributes.text("PATHWAY-ID"),
        )

    def _session_data(self, attributes: AttributeList) -> SessionData:
        uri = None
        if "URI" in attributes:
            attributes.required_text("URI")
            uri = self.common.attribute_uri(attributes.line, attributes["URI"], UriKind.SESSION_DATA)
        return SessionData(
            data_id=attributes.required_text("DATA-ID"),
            value=attributes.text("VALUE"),
            uri=uri,
            language=attributes.text("LANGUAGE"),
            line=attributes.line.number,
        )

    def _room(self, line: Line, collected: Sized) -> None:
        """Each kind has the limit to itself, which bounds their sum as well."""
        if len(collected) >= self.common.limits.streams_max:
            raise PlaylistTooLarge(
                f"names too many; raise streams_max above {self.common.limits.streams_max}", line=line.number
            )

    def _nothing_waits(self) -> None:
        if self._waiting is not None:
            raise PlaylistMalformed(
                "EXT-X-STREAM-INF has no URI line after it; is the playlist cut off?", line=self._waiting.number
            )


def _bandwidth(attributes: AttributeList) -> int:
    assert attributes["BANDWIDTH"]
    return attributes.integer("BANDWIDTH") or 0
