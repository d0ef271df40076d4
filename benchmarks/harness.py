"""Claims with figures and bounds: one table, one JSON line each, one exit code.

A figure is measured in the run that prints it.  `None` stands for what could not
be measured here (a peer that is not installed): it never counts as held, and the
run then exits with 3.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

__all__ = ["Claim", "conclude", "machine"]


@dataclass(frozen=True)
class Claim:
    claim: str
    figure: float | None
    bound: float
    at_least: bool  # else at most
    unit: str = ""
    goal: float | None = None  # what we are after; the bound is what must hold

    @property
    def holds(self) -> bool | None:
        if self.figure is None:
            return None
        return self.figure >= self.bound if self.at_least else self.figure <= self.bound

    @property
    def reaches(self) -> bool | None:
        """Whether the goal is reached; None where there is none."""
        if self.figure is None or self.goal is None:
            return None
        return self.figure >= self.goal if self.at_least else self.figure <= self.goal


def machine() -> dict[str, object]:
    """Where and on what this ran."""
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    model = ""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        rows = [line.partition(":")[2].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line]
        model = rows[0] if rows else ""
    return {
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "commit": commit.stdout.strip(),
        "python": platform.python_version(),
        "cpu": model,
        "cores": os.cpu_count(),
        "load": os.getloadavg()[0],
        "kernel": platform.release(),
    }


def conclude(name: str, claims: list[Claim]) -> int:
    """Print the table, append JSON lines to out/bench-NAME.jsonl, and return the exit code."""
    where = machine()
    print(f"\n{name} on {where['cores']} cores ({where['cpu']}), Python {where['python']}, load {where['load']:.1f}\n")
    rows = [("claim", "figure", "bound", "holds", "goal")]
    words = {True: "yes", False: "NO", None: "not measured"}
    for claim in claims:
        figure = "not measured" if claim.figure is None else f"{claim.figure:.4g} {claim.unit}".strip()
        bound = f"{'>=' if claim.at_least else '<='} {claim.bound:.4g} {claim.unit}".strip()
        goal = "" if claim.goal is None else f"{claim.goal:.4g} {'reached' if claim.reaches else 'not yet'}"
        rows.append((claim.claim, figure, bound, words[claim.holds], goal))
    if not any(claim.goal is not None for claim in claims):
        rows = [row[:4] for row in rows]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        print(" | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    out = Path("out")
    out.mkdir(exist_ok=True)
    with (out / f"bench-{name}.jsonl").open("a") as lines:
        for claim in claims:
            lines.write(json.dumps({**asdict(claim), "holds": claim.holds, **where}) + "\n")
    if any(claim.holds is False for claim in claims):
        return 1
    if any(claim.holds is None for claim in claims):
        print("\nsome claims could not be measured here", file=sys.stderr)
        return 3
    return 0
