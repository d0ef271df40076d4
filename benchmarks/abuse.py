"""What bad peers can do: each kind of them beside a viewer, changed frames by the million, and decoders under atheris.

    make bench-abuse                                  all three, about 3 minutes
    make bench-abuse ARGS="--only kinds"              20 kinds of bad peers, 15 seconds

What is run and what must hold are the tests' own.  A bad peer sits in a swarm in virtual time with one honest viewer,
and a newcomer plays beside both (`tests/balancer/actors/test_adversaries.py`): every segment right and in time, the bad
one named with its reason, what is held for it and sent to it within the limits, no actor failed, nothing left open.
Frames are conversations of p2p-media-loader that were recorded, changed at random.  Under atheris every decoder gets
ten seconds here, and ten minutes in `make soak`.  What a loud peer costs others in CPU, over WebRTC: `adversary.py`.
"""

from __future__ import annotations

import argparse
import random
import re
import subprocess
import sys
import traceback
from pathlib import Path

from harness import Claim, conclude

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.balancer.actors import test_adversaries as adversaries  # noqa: E402
from tests.balancer.test_mutated_frames import converse  # noqa: E402

LINES = ("kinds", "frames", "fuzz")
FRAMES = 1_000_000
CONVERSATIONS = 10  # parts of these, each from a seed of its own
FUZZ_S = 10  # for each decoder
FUZZ = ROOT / "tests" / "fuzz" / "run.py"
# Every kind that `impostor.py` knows has its place in one of these.
KINDS = {
    "silent": ("silent", "absent", "unended", "unclosed", "leaves"),
    "slow": ("slow",),
    "lying": ("wrong", "short", "boasting"),
    "flooding": ("flood", "chatter", "greedy", "asking", "beyond", "fickle"),
    "oversized": ("oversized", "endless"),
    "wrong protocol": ("noise", "handshake", "text"),
}
CHECKS = (
    adversaries.test_beside_a_bad_peer_all_is_right_and_in_time_and_the_honest_one_is_used,
    adversaries.test_the_report_names_a_bad_peer_and_says_why,
    adversaries.test_a_bad_peer_costs_no_more_than_the_limits_allow,
)


def is_held_off(kind: str) -> bool:
    """Whether all that the tests ask of a viewer beside this kind is so; what is not is printed."""
    try:
        for check in CHECKS:
            check(kind)
    except Exception:
        traceback.print_exc()
        return False
    here, state, alone = adversaries.cell(kind), adversaries.bad_one(kind), adversaries.cell(adversaries.NOBODY)
    more_kib = max(0, here.most_bytes - alone.most_bytes) / 1024
    print(
        f"{kind:9}  {state.state:8}  its errors {state.errors}; {here.shown.stall_us / 1e6:.1f} s stalled,"
        f" started in {here.shown.startup_us / 1e3:.0f} ms ({alone.shown.startup_us / 1e3:.0f} without it);"
        f" {more_kib:.0f} KiB more held at most, {state.sent_bytes} B sent to it",
        flush=True,
    )
    return True


def measure_kinds() -> list[Claim]:
    """For each sort of bad peer, how many of its kinds broke something."""
    assert {kind for kinds in KINDS.values() for kind in kinds} == set(adversaries.TABLE), "each kind has its place"
    return [
        Claim(
            f"bad peers, {sort}: of {len(kinds)}, how many broke something, or went beyond a limit",
            sum(not is_held_off(kind) for kind in kinds),
            0,
            at_least=False,
        )
        for sort, kinds in KINDS.items()
    ]


def measure_frames() -> list[Claim]:
    """Recorded conversations, changed at random; whatever is not a typed error, or beyond a limit, ends it."""
    taken = 0
    try:
        for seed in range(CONVERSATIONS):
            converse(FRAMES // CONVERSATIONS, random.Random(seed))
            taken += FRAMES // CONVERSATIONS
    except Exception:
        traceback.print_exc()
    return [Claim("changed frames taken without a crash, each within the limits", taken, FRAMES, at_least=True)]


def measure_fuzz() -> list[Claim]:
    """Every decoder for some seconds under atheris, as `make soak` does for ten minutes."""
    command = [sys.executable, str(FUZZ), "--seconds", str(FUZZ_S)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    print(done.stdout, end="", flush=True)
    if done.returncode:
        print(done.stderr, end="", file=sys.stderr, flush=True)
    claim = f"decoders under atheris, {FUZZ_S} s each (`make soak`: 10 minutes): those in which it found something"
    return [Claim(claim, found_in(done.stdout, done.returncode), 0, at_least=False)]


def found_in(told: str, exit_code: int) -> int | None:
    """Of what the fuzzer printed: how many decoders failed; None where none was run."""
    if exit_code == 3:
        return None
    judged = re.findall(r"inputs  (FOUND|nothing found)$", told, re.MULTILINE)
    failed = judged.count("FOUND")
    return failed if judged and bool(failed) == bool(exit_code) else max(1, failed)  # it broke down itself


def measured(only: tuple[str, ...] | list[str] = LINES) -> list[Claim]:
    """All that this file claims, measured now."""
    claims: list[Claim] = []
    if "kinds" in only:
        claims += measure_kinds()
    if "frames" in only:
        claims += measure_frames()
    if "fuzz" in only:
        claims += measure_fuzz()
    return claims


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*", choices=LINES, default=list(LINES))
    options = parser.parse_args()
    return conclude("abuse", measured(options.only))


if __name__ == "__main__":
    raise SystemExit(main())
