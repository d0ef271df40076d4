"""URIs as they are fetched: printable ASCII and no blank, whatever a manifest has.

    encoded("https://cdn.example/my video/é.ts")     https://cdn.example/my%20video/%C3%A9.ts

RFC 3986 wants them so, and browsers make them so (URL Standard, 4.4): people who name files do not know of it.
"""

from __future__ import annotations

import re
from urllib.parse import quote

__all__ = ["encoded"]

_AUTHORITY = re.compile(r"(?:[A-Za-z][A-Za-z0-9+.-]*:)?//[^/?#]*")
_UNFIT = re.compile(r"[^\x21-\x7e]+")


def encoded(uri: str) -> str:
    """`uri`, absolute or relative, with all else percent-encoded as UTF-8; but for its host, whose form is another."""
    if _UNFIT.search(uri) is None:
        return uri
    authority = _AUTHORITY.match(uri)
    place = 0 if authority is None else authority.end()
    return uri[:place] + _UNFIT.sub(lambda found: quote(found[0]), uri[place:])
