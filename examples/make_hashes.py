"""Writes shoal-hashes.json beside a playlist: SHA-256 of each media file, and of each 64 KiB block of it.

python examples/make_hashes.py FOLDER
"""

import sys
from pathlib import Path

from shoal.balancer.integrity import sidecar

MEDIA = {".m4s", ".mp4", ".ts", ".aac", ".m4a", ".m4v", ".cmfv", ".cmfa"}


def main(folder: Path) -> None:
    files = sorted(path for path in folder.rglob("*") if path.suffix in MEDIA)
    rows = ((path.relative_to(folder).as_posix(), path.read_bytes()) for path in files)
    (folder / "shoal-hashes.json").write_bytes(sidecar(rows))
    print(f"{len(files)} files hashed")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
