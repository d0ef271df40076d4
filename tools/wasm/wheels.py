"""Wheels as dictionaries of path and bytes, written so that the same content is the same file."""

from __future__ import annotations

import base64
import hashlib
import zipfile
from pathlib import Path

__all__ = ["read", "write"]

DATE = (2020, 1, 1, 0, 0, 0)


def read(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as wheel:
        return {name: wheel.read(name) for name in wheel.namelist() if not name.endswith("/")}


def write(content: dict[str, bytes], folder: Path, tag: str) -> Path:
    """The wheel of that content for one tag; WHEEL and RECORD are made anew.  Returns its path."""
    about = next(name.partition("/")[0] for name in content if name.endswith(".dist-info/METADATA"))
    files = {name: data for name, data in content.items() if name not in (f"{about}/RECORD", f"{about}/WHEEL")}
    is_pure = "true" if tag.endswith("-any") else "false"
    files[f"{about}/WHEEL"] = (
        f"Wheel-Version: 1.0\nGenerator: shoal tools/wasm\nRoot-Is-Purelib: {is_pure}\nTag: {tag}\n".encode()
    )
    rows = [f"{name},sha256={digest(data)},{len(data)}\n" for name, data in sorted(files.items())]
    files[f"{about}/RECORD"] = "".join([*rows, f"{about}/RECORD,,\n"]).encode()
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{about.removesuffix('.dist-info')}-{tag}.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        for name, data in sorted(files.items()):
            entry = zipfile.ZipInfo(name, DATE)
            entry.external_attr = 0o644 << 16
            wheel.writestr(entry, data, zipfile.ZIP_DEFLATED, 9)
    return path


def digest(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
