"""Programs to be measured, each in a process of its own: how each runtime's is run, and the line it prints."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

__all__ = ["HERE", "LONGEST_S", "compile_erlang", "erlang", "run"]

HERE = Path(__file__).resolve().parent
LONGEST_S = 120


def compile_erlang(into: Path) -> None:
    """All peers written in Erlang; nothing without its compiler."""
    if shutil.which("erlc") is not None:
        for source in sorted((HERE / "peers").glob("*.erl")):
            subprocess.run(["erlc", "-o", str(into), str(source)], check=True)


def erlang(module: str, work: str, ebin: Path) -> list[str] | None:
    """How to run a workload on Erlang with one scheduler; None when it is not installed."""
    if not (ebin / f"{module}.beam").exists():
        return None
    return ["erl", "+S", "1", "+sbwt", "none", "-noshell", "-pa", str(ebin), "-run", module, "main", work]


def run(arguments: list[str] | None, label: str) -> dict[str, float] | None:
    """The figures of one run; None when it could not run, and why on stderr."""
    if arguments is None:
        return None
    path = os.pathsep.join([str(HERE), os.environ.get("PYTHONPATH", "")])
    try:
        ended = subprocess.run(
            arguments,
            capture_output=True,
            text=True,
            check=False,
            timeout=LONGEST_S,
            env={**os.environ, "PYTHONPATH": path},
        )
    except subprocess.TimeoutExpired:
        print(f"{label} did not end in {LONGEST_S} s", file=sys.stderr)
        return None
    lines = [line for line in ended.stdout.splitlines() if line.startswith("{")]
    if not lines:
        print(f"{label} failed: {ended.stderr.strip()[-300:]}", file=sys.stderr)
        return None
    print(lines[-1], flush=True)
    row: dict[str, Any] = json.loads(lines[-1])
    return {name: value for name, value in row.items() if name not in ("runtime", "work")}
