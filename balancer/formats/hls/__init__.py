"""HLS playlists (RFC 8216, draft-pantos-hls-rfc8216bis): bytes to values and resources, and to what a player gets.

tokenizer     bytes to lines, within limits
attributes    attribute lists and the values in them
variables     EXT-X-DEFINE
delta         EXT-X-SKIP: an update and what was known before to a whole playlist
update        the way back: a whole playlist to the update that a player asks for
low_latency   parts, hints, reports
blocking      playlists that are answered when they have what was asked for
parser        `parse`: the whole way to a Multivariant or a MediaPlaylist (playlist.py)
catalogue     media playlists to the balancer's Segments, with numbers and times
runs          plain segments kept as text, and segments.py as values when they are looked at
rewrite       the same playlist with other URIs
reload        all of these for a live playlist, each time at the price of what is new in it
"""

from .blocking import NOTHING, Directives, Edge, edge_of, with_field
from .catalogue import Catalogue, Resources, resources
from .delta import skip_url
from .parser import parse
from .playlist import (
    ContentSteering,
    IFrameStream,
    InitSection,
    Key,
    MediaPlaylist,
    MediaSegment,
    Multivariant,
    Part,
    Playlist,
    PreloadHint,
    Rendition,
    RenditionReport,
    ServerControl,
    UriKind,
    Variant,
)
from .reload import Load, Reload, Update
from .rewrite import Namer, Rewritten, rewrite
from .tokenizer import Limits
from .update import update_of, wants_update

__all__ = [
    "NOTHING",
    "Catalogue",
    "ContentSteering",
    "Directives",
    "Edge",
    "IFrameStream",
    "InitSection",
    "Key",
    "Limits",
    "Load",
    "MediaPlaylist",
    "MediaSegment",
    "Multivariant",
    "Namer",
    "Part",
    "Playlist",
    "PreloadHint",
    "Reload",
    "Rendition",
    "RenditionReport",
    "Resources",
    "Rewritten",
    "ServerControl",
    "Update",
    "UriKind",
    "Variant",
    "edge_of",
    "parse",
    "resources",
    "rewrite",
    "skip_url",
    "update_of",
    "wants_update",
    "with_field",
]
