"""Swarms of ours, of p2p-media-loader 2.3.1, and of both, over real WebRTC on this machine; and a channel by itself.

    make bench-peers                                  all lines, about 55 minutes
    make bench-peers ARGS="--only long polluter"      some lines
    make bench-peers ARGS="--rounds 1"                the ten peers, the riders and the channel once: 30 minutes

p2p-media-loader runs unmodified in Node (tools/install-test-tools); without it nothing is measured, and the exit
code is 3.  Offload is bytes from peers of all bytes used, over all peers of a line.  Viewers come in slots, two seconds
apart: all programs are loaded before, and each line says how far from its slot one came.  All have one CDN, one tracker
and loopback; nothing else limits a line but an upload cap where it is named.  What bad peers can do, a channel
by itself and a crowd of peers have files of their own, which say what their lines mean: `abuse.py`, `polluters.py`,
`adversary.py`, `channel.py` and `crowd.py`.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import abuse
import adversary
import channel
import crowd
import polluters
from harness import Claim, conclude
from swarm.pages import missing_for_pages
from swarm.runs import Result, arrivals, corrupting, film_swarm, off_s, offload, replacing, swarm
from tests.p2pml.counterparts import missing, on_air

LOGS = Path("out") / "bench-peers"
LINES = (
    "long",
    "polluter",
    "polluters",
    "mixed",
    "live",
    "riders",
    "ten",
    *abuse.LINES,
    "adversary",
    "channel",
    "crowd",
)
# 400 kbit/s in segments of 2 s, and a peer every 2 s: loopback carries that for ten, and theirs has time to prefetch.
SEGMENT_S, SEGMENT_BYTES, ARRIVAL_S = 2.0, 100_000, 2.0
KINDS = ("theirs", "ours")
# Every second to fourth rides free; a line uploads half as much again as one viewer takes.
RIDDEN_SLOTS, RIDDEN_BYTES_PER_S = "ooroorooro", 75_000
SLOT_S = 0.5  # a quarter of what is between two; a page's process takes that long where others compute
STALL_S = 0.25  # two ticks of a playhead; less is this machine, not the swarm
# Who holds the whole stream soon: theirs asks the CDN for what plays within its window, whatever the player wants.
AT_ONCE: dict[str, dict[str, Any]] = {
    "theirs": {"lead": 1e6, "core": {"highDemandTimeWindow": 1e6}},
    "ours": {"lead": 1e6},
}


def show(line: str, results: list[Result]) -> None:
    stalled = sum(result.stalled_s > STALL_S for result in results)
    cpu = statistics.fmean(result.cpu_s for result in results)
    each = " ".join(f"{result.offload:.2f}" for result in results)
    wrong = sum(result.wrong for result in results)
    print(
        f"{line}: offload {offload(results):.3f} ({each}), {stalled} stalled, {wrong} wrong, {cpu:.1f} CPU s each;"
        f" came {arrivals(results)}",
        flush=True,
    )


async def ten(kind: str, name: str, count: int = 10) -> list[Result]:
    """Ten viewers of a video of one minute, one every two seconds, of either kind at the same moments."""
    async with swarm(30, SEGMENT_S, SEGMENT_BYTES, LOGS / name) as here:
        await here.load(("o" if kind == "ours" else "t") * count)
        await here.arrive(ARRIVAL_S)
        return await here.results()


async def long(kind: str) -> list[Result]:
    """Somebody comes who could have all of 300 segments from one who holds them."""
    async with swarm(300, 0.5, SEGMENT_BYTES // 4, LOGS / f"long-{kind}") as here:
        add = here.ours if kind == "ours" else here.theirs
        await add("first", **AT_ONCE[kind])
        await here.holds("first")
        await add("second")
        return await here.results()


async def polluter(kind: str, *, is_audited: bool = False) -> list[Result]:
    """Two viewers, and for 14 s one peer that holds everything, wrong.

    With a sidecar one bit of each segment is; where there is none, every byte, as of another film.
    """
    name = f"polluter-{kind}-audited" if is_audited else f"polluter-{kind}"
    spoils = replacing if is_audited else corrupting
    async with swarm(30, SEGMENT_S, SEGMENT_BYTES, LOGS / name) as here, spoils(here.stream) as bad:
        liar = await here.theirs("polluter", origin=bad, is_judged=False, **AT_ONCE["theirs"])
        await asyncio.sleep(1.0)
        for number in range(2):
            if kind == "ours":
                await here.ours(f"{kind}-{number}", hashes="none" if is_audited else "auto")
            else:
                await here.theirs(f"{kind}-{number}")
        await asyncio.sleep(14.0)
        await liar.child.end()
        return await here.results()


async def mixed(slots: str, name: str) -> list[Result]:
    """A video of one minute; `slots` says who comes, one every two seconds: ours, theirs in Node, theirs in a page."""
    video = film_swarm(LOGS / name) if "p" in slots else swarm(30, SEGMENT_S, SEGMENT_BYTES, LOGS / name)
    async with video as here:
        await here.load(slots)
        await here.arrive(ARRIVAL_S)
        return await here.results()


async def watch_live(slots: str, name: str) -> list[Result]:
    """Four viewers of what is being made while they watch: 56 s of it, in a window of 28 s.

    Theirs asks the CDN for all that plays within 15 s: of a shorter window nothing would be left for its peers.
    """
    async with swarm(28, SEGMENT_S, SEGMENT_BYTES, LOGS / name) as here:
        await here.load(slots)
        async with on_air(here.stream, 14, SEGMENT_S):
            await here.arrive(ARRIVAL_S)
            return await here.results()


async def riding(slots: str, name: str) -> list[Result]:
    """Ten slots, in which ours come, and some that only take; nobody's line carries much more than the stream."""
    config = {"upload_bytes_per_s": RIDDEN_BYTES_PER_S}
    async with swarm(30, SEGMENT_S, SEGMENT_BYTES, LOGS / name) as here:
        # Without hashes, what it holds is vouched for by nothing, and it says that it has none.
        await here.load(slots, o={"config": config}, r={"config": config, "hashes": "none"})
        await here.arrive(ARRIVAL_S)
        return await here.results()


async def measure_riders(rounds: int) -> list[Claim]:
    """The offload of who gives, with three in ten that do not, and in the same slots without them."""
    honest_alone: list[Result] = []
    honest_beside: list[Result] = []
    without = RIDDEN_SLOTS.replace("r", ".")
    for number in range(rounds):
        found = {}
        for slots in (without, RIDDEN_SLOTS) if number % 2 == 0 else (RIDDEN_SLOTS, without):
            found[slots] = await riding(slots, f"riders-{number}-{slots.count('r')}")
        beside = [result for result in found[RIDDEN_SLOTS] if not result.name.startswith("rider")]
        show(f"7 that give, in slots {without}", found[without])
        show(f"the same with 3 that only take, in slots {RIDDEN_SLOTS}", beside)
        show("those 3", [result for result in found[RIDDEN_SLOTS] if result.name.startswith("rider")])
        honest_beside += beside
        honest_alone += found[without]
    return [
        Claim(
            f"3 of 10 ride free: offload of the others, of that without, of {rounds} runs together",
            offload(honest_beside) / offload(honest_alone),
            0.9,
            at_least=True,
        ),
        Claim("the same: of the others, who stalled", stalls(honest_beside), 0, at_least=False),
        Claim("the same: their wrong segments", sum(r.wrong for r in honest_beside), 0, at_least=False),
        in_slots("the same", honest_alone + honest_beside),
    ]


def in_slots(what: str, results: list[Result]) -> Claim:
    """Whether what is compared came alike."""
    return Claim(f"{what}: how far from its slot one came", off_s(results), SLOT_S, at_least=False, unit="s")


def stalls(results: list[Result]) -> int:
    return sum(result.stalled_s > STALL_S for result in results)


async def measure_ten(rounds: int) -> list[Claim]:
    found: dict[str, list[list[Result]]] = {kind: [] for kind in KINDS}
    for number in range(rounds):
        for order in (KINDS, KINDS[::-1]):
            for kind in order:
                results = await ten(kind, f"ten-{number}-{kind}")
                show(f"10 peers, {kind}, after {'nobody' if kind == order[0] else order[0]}", results)
                found[kind].append(results)
    ours = [offload(results) for results in found["ours"]]
    theirs = [offload(results) for results in found["theirs"]]
    stalled = [sum(result.stalled_s > STALL_S for result in results) for results in found["ours"]]
    wrong = [sum(result.wrong for result in results) for results in found["ours"]]
    return [
        Claim("10 peers, 30 segments: our offload, the lowest of all runs", min(ours), 0.85, at_least=True),
        Claim("the same, more than theirs, the highest of all runs", min(ours) - max(theirs), 0.0, at_least=True),
        Claim("the same: our viewers that stalled, of all runs", sum(stalled), 0, at_least=False),
        Claim("the same: our wrong segments", sum(wrong), 0, at_least=False),
        in_slots("the same", [result for runs in found.values() for results in runs for result in results]),
    ]


async def measure_long() -> list[Claim]:
    ours, theirs = await asyncio.gather(long("ours"), long("theirs"))
    show("300 segments, ours", ours)
    show("300 segments, theirs", theirs)
    return [
        Claim("300 segments, 2 peers: the second's offload", ours[1].offload, 0.9, at_least=True),
        Claim("the same: theirs (they cannot read of 256)", theirs[1].offload, 0.1, at_least=False),
        Claim("the same: our stall", ours[1].stalled_s, STALL_S, at_least=False, unit="s"),
    ]


async def measure_polluter() -> list[Claim]:
    ours, theirs, audited = await asyncio.gather(
        polluter("ours"), polluter("theirs"), polluter("ours", is_audited=True)
    )
    show("a polluter, ours", ours)
    show("a polluter, theirs", theirs)
    show("a polluter, and no sidecar, ours", audited)
    for name, results in (("with a sidecar", ours), ("audited", audited)):
        caught = [f"{len(result.caught)} ({result.caught}), {result.banned} banned" for result in results]
        print(f"a polluter, {name}: segments it was caught at, for each viewer: {'; '.join(caught)}", flush=True)
    return [
        *judged("a polluter for 14 s, with a sidecar", ours),
        Claim("the same: wrong segments at theirs, which do not look", sum(r.wrong for r in theirs), 1, at_least=True),
        Claim("the same: our viewers that stalled", sum(r.stalled_s > STALL_S for r in ours), 0, at_least=False),
        *judged("a polluter of every byte, and no sidecar", audited),
    ]


def judged(what: str, results: list[Result]) -> list[Claim]:
    """Nobody saw wrong bytes, and who gave them was cut after its first segment, by at least one who had asked it."""
    caught = [len(result.caught) for result in results]
    return [
        Claim(f"{what}: wrong segments at our viewers", sum(r.wrong for r in results), 0, at_least=False),
        Claim("the same: segments at which it was caught, the most at one viewer", max(caught), 1, at_least=False),
        Claim(
            "the same: our viewers that caught it and cut it",
            sum(bool(result.caught) and result.banned > 0 for result in results),
            1,
            at_least=True,
        ),
    ]


async def measure_mixed() -> list[Claim]:
    without = missing_for_pages()
    together_slots = "ototpotp" if without is None else "ototot"
    alone_slots = together_slots.replace("o", ".")  # theirs come at the same moments, whether ours do or not
    alone, together = await mixed(alone_slots, "mixed-alone"), await mixed(together_slots, "mixed")
    show(f"theirs alone, in slots {alone_slots}", alone)
    show(f"theirs and ours, in slots {together_slots}", together)
    theirs = [result for result in together if result.name.startswith("theirs")]
    in_pages = [result for result in together if "page" in result.name]
    if without is not None:
        print(f"no pages: {without} is missing; run: tools/install-test-tools")
    return [
        Claim("mixed, 3 and 3 in Node: wrong segments", sum(result.wrong for result in together), 0, at_least=False),
        Claim(
            "mixed, the 2 pages in Chromium besides: wrong segments",
            None if without is not None else sum(result.wrong for result in in_pages),
            0,
            at_least=False,
        ),
        Claim(
            "mixed: offload of theirs, against what they reach alone",
            offload(theirs) - offload(alone),
            0.0,
            at_least=True,
        ),
        in_slots("mixed", alone + together),
    ]


async def measure_live() -> list[Claim]:
    ours, theirs, both = await asyncio.gather(
        watch_live("oooo", "live-ours"), watch_live("tttt", "live-theirs"), watch_live("otot", "live-mixed")
    )
    show("live, 4 of ours", ours)
    show("live, 4 of theirs", theirs)
    show("live, 2 and 2", both)
    return [
        Claim("live, 4 of ours, and 2 and 2: wrong segments", sum(r.wrong for r in ours + both), 0, at_least=False),
        Claim("live: our offload, more than theirs", offload(ours) - offload(theirs), 0.0, at_least=True),
        Claim("live: our viewers that stalled", sum(r.stalled_s > STALL_S for r in ours), 0, at_least=False),
    ]


def parts(rounds: int) -> dict[str, Callable[[], list[Claim]]]:
    """What each line of the command's `--only` measures."""
    return {
        "long": lambda: asyncio.run(measure_long()),
        "polluter": lambda: asyncio.run(measure_polluter()),
        "polluters": polluters.measured,
        "mixed": lambda: asyncio.run(measure_mixed()),
        "live": lambda: asyncio.run(measure_live()),
        "riders": lambda: asyncio.run(measure_riders(rounds)),
        "ten": lambda: asyncio.run(measure_ten(rounds)),
        **{name: partial(abuse.measured, [name]) for name in abuse.LINES},
        "adversary": lambda: asyncio.run(adversary.measured()),
        "channel": lambda: channel.measured(rounds),
        "crowd": crowd.measured,
    }


def measured(name: str, measure: Callable[[], list[Claim]]) -> list[Claim]:
    """Its claims; one that does not hold if it broke down, so that the others are measured all the same."""
    try:
        return measure()
    except Exception:
        traceback.print_exc()
        return [Claim(f"{name}: measured to its end", 0, 1, at_least=True)]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--rounds", type=int, default=3, help="of ten peers and of riders, in both orders, and of the channel"
    )
    parser.add_argument("--only", nargs="*", choices=LINES, default=list(LINES))
    options = parser.parse_args()
    if what := missing():
        print(what)
        return 3
    claims: list[Claim] = []
    for name, measure in parts(options.rounds).items():
        if name in options.only:
            claims += measured(name, measure)
    return conclude("peers", claims)


if __name__ == "__main__":
    raise SystemExit(main())
