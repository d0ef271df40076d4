"""Instructions of one message told, queued, scheduled and handled by a Python handler, under callgrind."""

from __future__ import annotations

import instructions
from harness import Claim
from measure import Figures, emit

PEERS = ()
RUNS_ONCE = True  # it hardly varies


def claims(measured: Figures) -> list[Claim]:
    hop = measured.figure("shoal", "hop", "instructions")
    return [Claim("instructions per hop", hop, 1_700, at_least=False, goal=1_440)]


if __name__ == "__main__":
    found = instructions.count("hop")
    if found is None:
        raise SystemExit(3)
    emit("shoal", "hop", instructions=found)
