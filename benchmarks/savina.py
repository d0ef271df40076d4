"""Savina's micro set in both modes, beside Erlang: a table without bounds.

    make bench-savina                          three rounds, about a minute; `make bench-runtime` runs it too
    make bench-savina ARGS="--rounds 5 --only big chameneos"

What each program does: `savina_programs.py`; the same in Erlang: `peers/erlang_savina.erl`.  Operations per second of
CPU time, medians; the ratio is the median of those within each round.  Writes out/bench-savina.jsonl.  Exit codes: 0;
1, a program of ours did not come to its result; 3, there is no Erlang here.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

from harness import machine
from measure import Figures
from processes import HERE, compile_erlang, erlang, run
from savina_programs import PROGRAMS

__all__ = ["conclude", "measure"]

ROUNDS = 3
RUNTIMES = ("shoal", "shoal, threaded", "erlang")  # the first is cooperative
MODES = {"shoal": "cooperative", "shoal, threaded": "threaded"}


def measure(works: list[str], rounds: int) -> Figures:
    figures = Figures()
    with tempfile.TemporaryDirectory() as ebin:
        compile_erlang(Path(ebin))
        for _ in range(rounds):
            for work in works:
                for runtime in RUNTIMES:
                    if runtime in MODES:
                        program = str(HERE / "savina_programs.py")
                        command = [sys.executable, "-W", "ignore", program, work, MODES[runtime]]
                    else:
                        command = erlang("erlang_savina", work, Path(ebin))
                    figures.rows.setdefault((runtime, work), []).append(run(command, f"{runtime} {work}") or {})
    return figures


def conclude(figures: Figures) -> int:
    """Print the table, append JSON lines to out/bench-savina.jsonl, and return the exit code."""
    where = machine()
    print(f"\nSavina's micro set, per CPU-second, load {where['load']:.1f}\n")
    print(f"{'':22}{'cooperative':>14}{'threaded':>14}{'Erlang':>14}{'of Erlang':>12}")
    out = Path("out")
    out.mkdir(exist_ok=True)
    missing, is_broken = False, False
    with (out / "bench-savina.jsonl").open("a") as lines:
        for work in dict.fromkeys(work for _, work in figures.rows):
            found = [figures.figure(runtime, work) for runtime in RUNTIMES]
            ratio = figures.ratio(work, "erlang")
            is_broken |= None in found[:2]
            missing |= found[2] is None
            cells = "".join("  not measured" if rate is None else f"{rate:14,.0f}" for rate in found)
            print(f"{work:22}{cells}{'' if ratio is None else f'{ratio:10.2f} x'}")
            rates = dict(zip(("cooperative", "threaded", "erlang"), found, strict=True))
            lines.write(json.dumps({"work": work, **rates, "of_erlang": ratio, **where}) + "\n")
    return 1 if is_broken else 3 if missing else 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--only", nargs="*", choices=tuple(PROGRAMS), default=list(PROGRAMS))
    options = parser.parse_args()
    return conclude(measure(options.only, options.rounds))


if __name__ == "__main__":
    raise SystemExit(main())
