"""Run a program on one seed again, and show its trace.

    python -m shoal.runtime.simulation tests.bank:main --seed 17 --strategy pct

The program is a module-level `async def main(system)`; the current folder is on the path.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys

from .exploring import steps_of
from .running import simulate


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m shoal.runtime.simulation", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("program", metavar="MODULE:NAME")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--strategy", choices=("random", "pct"), default="random")
    parser.add_argument("--steps", type=int, help="choices that PCT spreads its changes over; as explore() printed it")
    chosen = parser.parse_args(arguments)
    module, _, name = chosen.program.partition(":")
    sys.path.insert(0, os.getcwd())  # noqa: PTH109, sys.path holds strings
    program = getattr(importlib.import_module(module), name)
    steps = chosen.steps if chosen.steps is not None else steps_of(program, chosen.strategy)
    run = simulate(program, seed=chosen.seed, strategy=chosen.strategy, steps_expected=steps)
    sys.stdout.write(run.trace)
    return 0


if __name__ == "__main__":
    sys.exit(main())
