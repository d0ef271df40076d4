"""HLS with AES-128: what shapes.py has made, each segment encrypted, with another key after a discontinuity."""

from __future__ import annotations

import hashlib
import re
from dataclasses import replace
from pathlib import Path

from cryptography.hazmat.primitives import padding
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from .shapes import Shaped

__all__ = ["encrypted"]

_BLOCK_BITS = 128


def encrypted(stream: Shaped) -> Shaped:
    """In its own folder.  The first key of a playlist has an IV; later ones have none, which is a segment's number."""
    changed: dict[bytes, bytes] = {}
    for name in dict.fromkeys(re.findall(r"[a-z0-9_]+\.m3u8", (stream.folder / stream.manifest).read_text())):
        playlist = stream.folder / name
        playlist.write_text(_encrypt(playlist.read_text(), playlist, changed))
    return replace(stream, pieces={name: changed.get(data, data) for name, data in stream.pieces.items()})


def _encrypt(text: str, playlist: Path, changed: dict[bytes, bytes]) -> str:
    found = re.search(r"MEDIA-SEQUENCE:(\d+)", text)
    number = int(found[1]) if found else 0
    lines: list[str] = []
    keys = 0
    is_new = True
    for line in text.splitlines():
        if line == "#EXT-X-DISCONTINUITY":
            is_new = True
        if line.startswith("#EXTINF") and is_new:
            name = f"{playlist.stem}_{keys}.key"
            key = hashlib.sha256(name.encode()).digest()[:16]
            (playlist.parent / name).write_bytes(key)
            iv = bytes(range(100, 116)) if keys == 0 else None
            said = "" if iv is None else f",IV=0x{iv.hex()}"
            lines.append(f'#EXT-X-KEY:METHOD=AES-128,URI="{name}"{said}')
            keys, is_new = keys + 1, False
        if line and not line.startswith("#"):
            place = playlist.parent / line
            data = place.read_bytes()
            if data not in changed.values():  # two playlists may name one file
                changed[data] = _encrypted(data, key, iv or number.to_bytes(16, "big"))
                place.write_bytes(changed[data])
            number += 1
        lines.append(line)
    return "\n".join([*lines, ""])


def _encrypted(data: bytes, key: bytes, iv: bytes) -> bytes:
    padder = padding.PKCS7(_BLOCK_BITS).padder()
    cipher = Cipher(algorithms.AES(key), modes.CBC(iv)).encryptor()
    return cipher.update(padder.update(data) + padder.finalize()) + cipher.finalize()
