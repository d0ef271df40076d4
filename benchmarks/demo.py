"""The main job, several times: every claim of the demo, as the median or the worst of its runs.

make bench-demo                   three runs
make bench-demo ARGS="--runs 5"
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from harness import Claim, conclude


def run_demo(number: int) -> dict[str, Any]:
    """One demo in a process of its own; the last line of its stdout, and how long all of it took."""
    out = Path("out") / f"bench-demo-{number}"
    began = time.monotonic()
    demo = subprocess.run(
        [sys.executable, "-m", "shoal.app.cli", "demo", "--json", "--out", str(out)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        check=False,
    )
    lines = demo.stdout.splitlines()
    result = json.loads(lines[-1]) if lines else {}
    return {**result, "exit_code": demo.returncode, "all_s": time.monotonic() - began}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=3)
    runs = []
    for number in range(parser.parse_args().runs):
        result = run_demo(number)
        runs.append(result)
        print(
            f"run {number + 1}: {json.dumps({k: v for k, v in result.items() if k != 'bytes_by_source'})}", flush=True
        )

    def figures(name: str) -> list[float]:
        """Of every run; empty when one of them has none, so that a broken run cannot hide."""
        values = [run.get(name) for run in runs]
        return [float(value) for value in values if value is not None] if None not in values else []

    def worst(name: str) -> float | None:
        return max(figures(name), default=None)

    def least(name: str) -> float | None:
        return min(figures(name), default=None)

    def middle(name: str) -> float | None:
        return statistics.median(figures(name)) if figures(name) else None

    return conclude(
        "demo",
        [
            Claim("exit code, worst", worst("exit_code"), 0, at_least=False),
            Claim("wrong bytes at the player, worst", worst("wrong_bytes"), 0, at_least=False),
            Claim("bytes judged, least", least("bytes_compared"), 1_000_000, at_least=True),
            Claim("rebuffering, worst", worst("rebuffer_s"), 0, at_least=False, unit="s"),
            Claim("bytes from peers, least", least("p2p_offload"), 0.5, at_least=True),
            Claim("polluted segments caught, least", least("polluted_segments_caught"), 1, at_least=True),
            Claim("segments failed over in their body, least", least("failed_over_in_body"), 1, at_least=True),
            Claim("start-up, median", middle("startup_ms"), 2_000, at_least=False, unit="ms"),
            Claim("loop delay p99, median", middle("loop_delay_p99_ms"), 20, at_least=False, unit="ms"),
            Claim("all of it, worst", worst("all_s"), 120, at_least=False, unit="s"),
        ],
    )


if __name__ == "__main__":
    raise SystemExit(main())
