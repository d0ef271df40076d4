"""MurmurHash3 of 1 MiB, native, in WebAssembly and in JavaScript: what a project of `shoal new` measures at first.

Native and WebAssembly are the same C; whoever hashes takes turns with the others, and all must end with the same hash.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from harness import Claim

from shoal.app.new import write_project

from .pyodide import ROOT, RUN_S_MAX

__all__ = ["claim_of", "claims"]


def claim_of(rows: list[dict[str, Any]]) -> Claim:
    """Nothing is measured where there was no C compiler, or no page."""
    found = {row["name"]: row["seconds"] / row["rounds"] for row in rows}
    native, page = found.get("native (C)"), found.get("WebAssembly (C)")
    ratio = None if native is None or page is None else page / native
    return Claim("MurmurHash3 of 1 MiB in WebAssembly, of native", ratio, 4, at_least=False, unit="x")


def claims() -> list[Claim]:
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    with tempfile.TemporaryDirectory(prefix="shoal-murmur-") as folder:
        project = write_project("murmur-claim", Path(folder), build=ROOT / "build")
        subprocess.run(["make", "native"], cwd=project, env=environment, check=True, capture_output=True)
        command = [sys.executable, "-m", "murmur_claim.benchmark", "--json"]
        done = subprocess.run(
            command, cwd=project, env=environment, check=True, capture_output=True, text=True, timeout=RUN_S_MAX
        )
    rows = json.loads(done.stdout)
    for row in rows:
        mean, best = row["seconds"] / row["rounds"] * 1000, row["best"] * 1000
        print(f"  {row['name']}: {mean:.3f} ms a round of {row['rounds']}, {best:.3f} in its best turn", flush=True)
    return [claim_of(rows)]
