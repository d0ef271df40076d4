"""What came instead of a playlist.

A server that fails often answers 200 with a page, and a wrong link often leads
to the media itself.  The first bytes tell, and a message that names the thing
saves its reader a look with a network tool.
"""

from __future__ import annotations

__all__ = ["what_instead"]

SNIFFED_BYTES = 512

# First match wins: (first bytes in lower case after white space, what it is, what to do).
_STARTS: tuple[tuple[bytes, str, str], ...] = (
    (b"\xef\xbb\xbf", "begins with a byte order mark (RFC 8216, 4.1 tells clients to refuse it)", "save it without"),
    (b"\xff\xfe", "is UTF-16 text", "save it as UTF-8 without a byte order mark"),
    (b"\xfe\xff", "is UTF-16 text", "save it as UTF-8 without a byte order mark"),
    (b"\x1f\x8b", "is still gzip-compressed", "have the server send it as it is"),
    (b"\x28\xb5\x2f\xfd", "is still zstd-compressed", "have the server send it as it is"),
    (b"<mpd", "is a DASH manifest", "open it with format dash (--format), or give the URL of the HLS playlist"),
    (b"<!doctype", "is an HTML page, such as an error or login page", "open the URL in a browser and read it"),
    (b"<html", "is an HTML page, such as an error or login page", "open the URL in a browser and read it"),
    (b"<?xml", "is an XML document, such as a storage error or a DASH manifest", "read it, and give an HLS playlist"),
    (b"<", "is markup", "open the URL in a browser and read it"),
    (b"{", "is JSON, such as an error of an API", "read it, and give the URL of a playlist"),
    (b"[", "is JSON or an INI file", "read it, and give the URL of a playlist"),
    (b"webvtt", "is a subtitle file (WebVTT)", "give the URL of the playlist that names it"),
    (b"id3", "is audio (ID3)", "give the URL of the playlist that names it"),
    (b"oggs", "is Ogg media", "give the URL of a playlist"),
    (b"\x1aE\xdf\xa3".lower(), "is a Matroska or WebM file", "give the URL of a playlist"),
    (b"#extm3u8", "begins with #EXTM3U8, which is no tag", "write #EXTM3U"),
)


def what_instead(data: bytes) -> tuple[str, str]:
    """What `data`, which does not begin with #EXTM3U, is, and what to do about it; both parts of a sentence."""
    if not data:
        return "is empty", "look at the server: it sent no byte of a body"
    head = data[:SNIFFED_BYTES]
    if head[4:8] in {b"ftyp", b"styp", b"moof", b"moov", b"sidx", b"emsg"}:
        return "is an MP4 file or fragment", "give the URL of the playlist that names it"
    if head[0] == 0x47 and (len(data) <= 188 or data[188] == 0x47):
        return "is an MPEG transport stream", "give the URL of the playlist that names it"
    start = head.lstrip().lower()
    if not start:
        return "is white space only", "look at the server"
    for prefix, what, then in _STARTS:
        if start.startswith(prefix):
            if prefix == b"<?xml" and b"<mpd" in start:
                return "is a DASH manifest", "open it with format dash (--format), or give the URL of the HLS playlist"
            return what, then
    if start.startswith(b"#extm3u"):
        return "has blank space before #EXTM3U", "make #EXTM3U the very first bytes (RFC 8216, 4.3.1.1)"
    if b"\x00" in head or any(byte < 9 for byte in head):
        return f"is binary ({head[:8].hex(' ')} ...)", "give the URL of a playlist"
    text = head[:60].decode("utf-8", "replace")
    return f"begins with {text!r} and not with #EXTM3U", "give the URL of an HLS playlist (RFC 8216, 4.3.1.1)"
