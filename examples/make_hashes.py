"""Writes shoal-hashes.json beside a playlist: SHA-256 of each media file, and of each 64 KiB block of it.

python examples/make_hashes.py FOLDER [KEY.pem]

With a key (openssl genpkey -algorithm ed25519 -out KEY.pem) the hashes are signed, and viewers who are given the public
one as --hashes-key take no others.
"""

import sys
from pathlib import Path

from shoal.app.signatures import public_key_of, signed_sidecar
from shoal.balancer.integrity import sidecar

MEDIA = {".m4s", ".mp4", ".ts", ".aac", ".m4a", ".m4v", ".cmfv", ".cmfa"}


def main(folder: Path, key: Path | None = None) -> None:
    files = sorted(path for path in folder.rglob("*") if path.suffix in MEDIA)
    rows = ((path.relative_to(folder).as_posix(), path.read_bytes()) for path in files)
    hashes = sidecar(rows)
    (folder / "shoal-hashes.json").write_bytes(hashes if key is None else signed_sidecar(hashes, key))
    print(f"{len(files)} files hashed", "" if key is None else f"and signed: --hashes-key {public_key_of(key)}")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
