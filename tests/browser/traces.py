"""Prints a line for each run of each scenario: its name, strategy, seed, virtual time, and the hash of its trace.

    PYTHONPATH=src python tests/browser/traces.py SEEDS

Runs natively and in Pyodide, where the lines must be the same.
"""

import hashlib
import sys
from pathlib import Path

REPO = Path("/repo") if sys.platform == "emscripten" else Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(REPO / "tests"))

from simulation.programs import PROGRAMS  # noqa: E402, found on the path above

from shoal.runtime.testing import simulate  # noqa: E402, as above

for seed in range(int(sys.argv[1])):
    for program in PROGRAMS:
        strategy = ("random", "pct")[seed % 2]
        run = simulate(program, seed=seed, strategy=strategy)
        digest = hashlib.sha256(run.trace.encode()).hexdigest()
        print(program.__name__, strategy, seed, run.duration_us, digest)
