"""The paths under which a local player finds a session's resources.

    /playlist/2/hd.m3u8          a media playlist: the rendition's number
    /media/2/17/hd_017.m4s       a segment: rendition, number
    /init/2/0/hd_init.mp4        likewise for the other kinds, parts among them
    /dash/2/n17.m4s              of an MPD: the rendition, and a name that formats/dash/names.py explains

The numbers name the resource; the last part is the origin's own file name, for
the sake of players that look at extensions and of people who read logs.  What no
playlist named has no path, which is why the proxy cannot be made to fetch it.
"""

from __future__ import annotations

import re
from urllib.parse import quote, urlsplit

from .model import Kind, ResourceKey

__all__ = ["MANIFEST", "MULTIVARIANT", "dash_of", "dash_path", "key_of", "path_of", "playlist_path", "rendition_of"]

MULTIVARIANT = "/stream.m3u8"
MANIFEST = "/stream.mpd"

# Six digits hold any rendition, and sixteen what players count to: some packagers number live segments by the
# microsecond.  None begins with a 0 that says nothing, so that a resource has one path.
_PLAYLIST = re.compile(r"/playlist/([0-9]{1,6})/[^/]*")
_RESOURCE = re.compile(r"/(media|part|init|key|data)/([0-9]{1,6})/(0|[1-9][0-9]{0,15})/[^/]*")
_DASH = re.compile(r"/dash/([0-9]{1,6})/([^/]{1,200})")
_KINDS = {kind.value: kind for kind in Kind}  # which Kind(...) finds as well, in three calls
_ESCAPED_SLASH = re.compile("%2f", re.IGNORECASE)
_NAME_CHARACTERS_MAX = 120  # a long signed path must not make a line that players refuse


def path_of(key: ResourceKey, uri: str) -> str:
    return f"/{key.kind.value}/{key.rendition}/{key.number}/{_name(uri)}"


def playlist_path(rendition: int, uri: str) -> str:
    return f"/playlist/{rendition}/{_name(uri)}"


def dash_path(rendition: int, file: str | None) -> str:
    """The base URL of a rendition of an MPD: its folder, or the file at the URL `file` where it is one."""
    return f"/dash/{rendition}/{'' if file is None else _name(file)}"


def dash_of(path: str) -> tuple[int, str] | None:
    """The rendition and the name that a player of an MPD asks for."""
    found = _DASH.fullmatch(path)
    return (int(found[1]), found[2]) if found else None


def key_of(path: str) -> ResourceKey | None:
    found = _RESOURCE.fullmatch(path)
    if found is None:
        return None
    return ResourceKey(rendition=int(found[2]), kind=_KINDS[found[1]], number=int(found[3]))


def rendition_of(path: str) -> int | None:
    found = _PLAYLIST.fullmatch(path)
    return int(found[1]) if found else None


def _name(uri: str) -> str:
    last = urlsplit(uri).path.rpartition("/")[2]
    # Servers decode a path before they look at it, and an escaped slash would be one more step of it.
    one_step = _ESCAPED_SLASH.sub("_", quote(last, safe="%"))
    return one_step[-_NAME_CHARACTERS_MAX:] or "resource"
