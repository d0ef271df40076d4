"""Peers that make segments wrong in different ways, against hashes and against audits alone.

    make bench-polluters                                 all kinds, about 6 minutes
    make bench-polluters ARGS="--only odds"              what audits find, of many thousand, 20 seconds
    make bench-polluters ARGS="--kinds block byte"       some kinds

`odds`: segments of 500 kB that one peer sent whole, each changed in one of the ways of `app/demo/pollution.py` and
audited as a viewer of ours does (`balancer/audited_assembly.py`), at places of the system's randomness; how many were
found, beside 1 - (1 - f)^4 of `balancer/audit.py`, where f is the share of bytes that were changed.  Found are a little
more, since a range is longer than the byte at which it begins: `with their lengths` counts that too.

`swarm`: over real WebRTC, a polluter of that kind which holds the stream, and one viewer that plays it, once with a
sidecar and once without: wrong segments that its player was given, at which segments the polluter was caught, and
whether it was cut.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import secrets
from pathlib import Path

from harness import Claim, conclude
from swarm.runs import Result, swarm

from shoal.app.demo.pollution import POLLUTIONS, pollution
from shoal.balancer.assembly import Completed
from shoal.balancer.audit import SHARE_MAX, detection
from shoal.balancer.audited_assembly import AuditedAssembly
from shoal.balancer.config import BalancerConfig
from shoal.balancer.model import Kind, ResourceKey

LOGS = Path("out") / "bench-polluters"
LINES = ("odds", "swarm")
SIZE, TRIES = 500_000, 4000
SEGMENTS, SEGMENT_S = 20, 1.0
RANGES = BalancerConfig().audit_ranges
SURE = ("every", "other", "short")  # of these no segment passes an audit


def audited(data: bytes, right: bytes) -> tuple[bool, int]:
    """Whether an audit finds that a peer sent `data`, and how many bytes it looked at."""
    one = AuditedAssembly(segment_bytes_max=2 * SIZE, known_bytes=None, share=SHARE_MAX, ranges_max=RANGES)
    steps = [*one.begin("peer:p", len(data), None), *one.add("peer:p", data, 0), *one.end("peer:p")]
    ranges = one.audit([secrets.randbits(64) for _ in range(one.numbers_wanted)])
    answers = [right[piece.offset : piece.offset + piece.length] for piece in ranges]
    steps += one.audited(ranges, answers, len(right))
    return not any(isinstance(step, Completed) for step in steps), sum(piece.length for piece in ranges)


def measure_odds(kinds: list[str]) -> list[Claim]:
    claims = []
    stream = [random.Random(number).randbytes(SIZE) for number in range(8)]
    for kind in kinds:
        tamper = pollution(kind)
        sent = [tamper(ResourceKey(0, Kind.MEDIA, number), right) for number, right in enumerate(stream)]
        wrong = [1 - sum(a == b for a, b in zip(*pair, strict=False)) / SIZE for pair in zip(sent, stream, strict=True)]
        changed = sum(wrong) / len(wrong)
        found = looked_at = 0
        for place in range(TRIES):
            number = place % len(stream)
            is_found, byte_count = audited(sent[number], stream[number])
            found += is_found
            looked_at += byte_count
        stated = detection(changed, RANGES)
        # A change that lies together is met by each range that begins within it, or a range's length before it.
        longer = detection(min(1.0, changed + looked_at / TRIES / RANGES / SIZE), RANGES)
        print(
            f"{kind:6} {changed:9.6f} changed; an audit finds {found / TRIES:.4f} of {TRIES}, stated {stated:.6f}"
            f" ({longer:.4f} with their lengths); after 5 segments {1 - (1 - found / TRIES) ** 5:.3f},"
            f" after 20 {1 - (1 - found / TRIES) ** 20:.3f}",
            flush=True,
        )
        # Four standard deviations of a binomial: once in 30,000 runs a right figure falls below.
        least = stated - 4 * (stated * (1 - stated) / TRIES) ** 0.5
        if least > 0:  # of one byte nothing is promised
            claims.append(Claim(f"audit, {kind}: share found, at least as stated", found / TRIES, least, at_least=True))
    return claims


def cut(kind: str, result: Result) -> int:
    """How many were, for what they sent.  One that crashed, or went by itself, was not."""
    return result.banned + (result.cut if kind == "short" else 0)  # its lengths are wrong before its bytes are


async def play_beside(kind: str, hashes: str) -> Result:
    name = f"{kind}-{'audited' if hashes == 'none' else 'hashed'}"
    async with swarm(SEGMENTS, SEGMENT_S, SIZE, LOGS / name) as here:
        await here.polluter(kind)
        await here.ours("viewer", hashes=hashes)
        (result,) = await here.results()
        return result


async def measure_swarm(kinds: list[str]) -> list[Claim]:
    claims = []
    for kind in kinds:
        hashed, audited = await asyncio.gather(play_beside(kind, "auto"), play_beside(kind, "none"))
        for how, result in (("with a sidecar", hashed), ("audited", audited)):
            print(
                f"{kind:6} {how:14}: {result.wrong} of {SEGMENTS} segments wrong, {result.p2p / 1e6:.1f} MB of it,"
                f" caught at {result.caught}, {cut(kind, result)} cut, {result.stalled_s:.1f} s stalled",
                flush=True,
            )
        claims += [
            Claim(f"{kind}, with a sidecar: wrong segments", hashed.wrong, 0, at_least=False),
            Claim(f"{kind}, with a sidecar: polluters cut", cut(kind, hashed), 1, at_least=True),
        ]
        if kind in SURE:
            claims += [
                Claim(f"{kind}, audited: wrong segments", audited.wrong, 0, at_least=False),
                Claim(f"{kind}, audited: polluters cut", cut(kind, audited), 1, at_least=True),
            ]
    return claims


def measured(only: list[str] | tuple[str, ...] = LINES, kinds: list[str] | None = None) -> list[Claim]:
    kinds = list(POLLUTIONS) if kinds is None else kinds
    claims: list[Claim] = []
    if "odds" in only:
        claims += measure_odds(kinds)
    if "swarm" in only:
        claims += asyncio.run(measure_swarm(kinds))
    return claims


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*", choices=LINES, default=list(LINES))
    parser.add_argument("--kinds", nargs="*", choices=tuple(POLLUTIONS), default=list(POLLUTIONS))
    options = parser.parse_args()
    return conclude("polluters", measured(options.only, options.kinds))


if __name__ == "__main__":
    raise SystemExit(main())
