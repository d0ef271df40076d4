"""Equal traces: a seed gives the same events of actors, and the same decisions of a swarm, natively and in Pyodide."""

from __future__ import annotations

from collections import defaultdict

from harness import Claim

from .pyodide import ROOT, natively, under_node

__all__ = ["claims", "equal_seeds"]

# What each prints, in which word of a line the seed stands, and the wheel in which all of it is compiled.
SCRIPTS = {"events of actors": ("traces.py", 2, "compiled"), "decisions of a swarm": ("decisions.py", 1, "whole")}


def equal_seeds(here: str, there: str, place: int) -> int:
    """Of how many seeds all lines are the same."""
    sides: list[dict[str, list[str]]] = []
    for text in (here, there):
        lines: dict[str, list[str]] = defaultdict(list)
        for line in text.splitlines():
            lines[line.split()[place]].append(line)
        sides.append(lines)
    return sum(sides[1].get(seed) == lines for seed, lines in sides[0].items())


def claims(seeds: int) -> list[Claim]:
    found = []
    for what, (name, place, kind) in SCRIPTS.items():
        script = ROOT / "tests" / "browser" / name
        here, there = natively(script, str(seeds)), under_node(script, kind, str(seeds))
        equal = equal_seeds(here, there, place)
        found.append(Claim(f"seeds of {seeds} with equal traces: {what}", equal, seeds, at_least=True))
    return found
