"""Prints a line for each simulated swarm: scenario, seed, events, and the hash of every event, time and action in it.

    PYTHONPATH=src python tests/browser/decisions.py SEEDS

Runs natively and in Pyodide, where the lines must be the same.
"""

import hashlib
import sys
from pathlib import Path

import msgspec

from shoal.balancer.config import BalancerConfig
from shoal.balancer.mixing import mix
from shoal.balancer.recording import RecordedPolicy, Recording
from shoal.balancer.sim import scenarios
from shoal.balancer.sim.traces import parse
from shoal.balancer.sim.world import run

REPO = Path("/repo") if sys.platform == "emscripten" else Path(__file__).resolve().parent.parent.parent
TRACES = [
    parse(path.read_text(), name=path.name) for path in sorted((REPO / "tests" / "data" / "traces").glob("*/*.txt"))
]
SWARMS = (
    *(scenarios.vod, scenarios.hostile, scenarios.live) * 3,
    lambda *given: scenarios.traced(*given, TRACES),
)
LENGTH_US = 60_000_000  # a hundred of them must not take minutes


def main(seeds):
    for seed in range(seeds):
        scenario = SWARMS[seed % len(SWARMS)](seed, 3)
        scenario = msgspec.structs.replace(scenario, length_us=min(LENGTH_US, scenario.length_us))
        digest, recordings = hashlib.sha256(), []

        def make(given, place, digest=digest, recordings=recordings):
            recordings.append(Recording(digest.update, salt=b"not for this"))
            return RecordedPolicy(BalancerConfig(), mix(given.seed, place), recordings[-1])

        outcome = run(scenario, "shoal", make)
        events = sum(recording.events for recording in recordings)
        print(scenario.name, seed, events, f"{outcome.offload:.6f}", digest.hexdigest())


main(int(sys.argv[1]))
