"""How many connected peers one machine serves with 1 Mbit/s each way at once, and what each gets when all 200 ask.

    make bench-crowd                                     both engines, about 8 minutes
    make bench-crowd ARGS="--engines webrtc"             one of them
    make bench-crowd ARGS="--peers 50 --seconds 3"       a look

A peer is somebody else's end of a WebRTC connection: ICE, DTLS and SCTP of its own, with one channel.  One process
holds all of them on one connector and one event loop, as an application does; another one is all the others, so 200
peers are 200 connections, and each byte is both sent and received on this machine.  A rate is each way at once: with
1 Mbit/s a peer is sent 1 Mbit/s and sends 1 Mbit/s, which is 2 in sum.

A load holds if 95 % of it arrive each way, and a timer of either loop is less than 50 ms late (p99), in one of two
tries.  With all peers connected, the number of those that hold 1 Mbit/s is searched for by halving, and then the rate
that all of them hold.  On two cores each side has one, so that more processes would have none to themselves; last comes
the rate with the connections in processes of their own (`native/apart.py`), which leave the application's loops alone.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from channel import End
from harness import Claim, conclude

CROWD = Path(__file__).resolve().parent / "channels" / "crowd.py"
MBIT = 125_000
PEERS = 200
GOAL_MBIT = 1.0
RATES = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.25, 1.5, 2.0)  # Mbit/s each way
STEP = 10  # peers: what the number that holds is known to
TRIES = 2  # of each load: one moment in which somebody else had the cores is not what this machine holds
AT_ONCE = 10  # connections made at once: more would measure how 20 handshakes share a core
LOOP_DELAY_MS_MAX = 50.0
ARRIVED_MIN = 0.95  # what is still under way when the time is up is the rest
ENGINES = ("webrtc", "webrtc-native")


class Bounds(NamedTuple):
    """What must hold on a machine of two cores that does nothing else."""

    peers: int  # with 1 Mbit/s each way
    rate_mbit: float  # of 200 peers


BOUNDS = {"webrtc": Bounds(160, 0.8), "webrtc-native": Bounds(160, 0.8)}
APART_MBIT, APART_MS_MAX = 0.4, 20.0  # four processes on two cores; the loops of two of them do little


class Held(NamedTuple):
    """A load that held, and how late a timer was then."""

    load: float
    late_ms: float


class Crowd:
    """Both sides, connected."""

    def __init__(self, engine: str) -> None:
        self._engine = engine
        self._ends = End(engine, CROWD), End(engine, CROWD)
        self.count = 0  # connected peers

    def connect(self, peers: int) -> None:
        one, other = self._ends
        asked = 0
        while asked < peers:
            more = min(AT_ONCE, peers - asked)
            offers = one.ask("offer", first=asked, count=more)["descriptions"]
            answers = other.ask("answer", descriptions=offers)["descriptions"]
            other.tell("opened")
            failed = one.ask("accept", descriptions=answers)["failed"]
            other.hear()
            asked += more
            self.count += more - failed
            if failed == more:
                break

    def run(self, peers: int, seconds: float, rate_mbit: float) -> list[dict[str, Any]]:
        for end in self._ends:
            end.tell("run", peers=peers, seconds=seconds, bytes_per_second=rate_mbit * MBIT)
        figures = [end.hear() for end in self._ends]
        for end in self._ends:
            end.tell("settle")
        for end in self._ends:
            end.hear()
        return figures

    def late_ms_at(self, peers: int, seconds: float, rate_mbit: float, *, tries: int = TRIES) -> float | None:
        """How late the loops are at a load; None if it does not hold."""
        for _ in range(tries):
            figures = self.run(peers, seconds, rate_mbit)
            share, late_ms = arrived(figures, peers, rate_mbit), latest_ms(figures)
            holds = share >= ARRIVED_MIN and late_ms < LOOP_DELAY_MS_MAX
            print(
                f"{self._engine:13}  {peers:3} peers, {rate_mbit:4} Mbit/s each way  {'holds' if holds else 'not  '}",
                f"{share:.2f} arrived, {late_ms:.1f} ms late, {cores(figures):.2f} cores",
                json.dumps(figures),
                flush=True,
            )
            if holds:
                return late_ms
        return None

    def quit(self) -> None:
        for end in self._ends:
            end.quit()


def arrived(figures: list[dict[str, Any]], peers: int, rate_mbit: float) -> float:
    """The smaller of both ways' shares that came of what should have."""
    return min(float(end["received_bytes"] / end["seconds"] / (peers * rate_mbit * MBIT)) for end in figures)


def latest_ms(figures: list[dict[str, Any]]) -> float:
    return max(float(end["loop_delay_p99_ms"]) for end in figures)


def cores(figures: list[dict[str, Any]]) -> float:
    return sum(float(end["cpu_s"] / end["seconds"]) for end in figures)


def highest(loads: list[float], late_ms_at: Callable[[float], float | None]) -> Held | None:
    """The highest of these rising loads that holds, by halving; the last is tried first, since it may be reached."""
    held: Held | None = None
    low, high, place = 0, len(loads), len(loads) - 1
    while low < high:
        late_ms = late_ms_at(loads[place])
        if late_ms is None:
            high = place
        else:
            held, low = Held(loads[place], late_ms), place + 1
        place = (low + high) // 2
    return held


def measure_engine(engine: str, peers: int, seconds: float) -> list[Claim]:
    if engine == "webrtc-native" and importlib.util.find_spec("wrtc") is None:
        return claims_of(engine, peers, Found())
    crowd = Crowd(engine)
    try:
        crowd.connect(peers)
        idle = crowd.run(peers, seconds, 0.0005)
        numbers = [float(number) for number in range(STEP, peers, STEP)] + [float(peers)]
        number = highest(numbers, lambda load: crowd.late_ms_at(int(load), seconds, GOAL_MBIT))
        if number is not None and number.load >= peers:
            higher = [rate for rate in RATES if rate > GOAL_MBIT]
            rate = highest(higher, lambda load: crowd.late_ms_at(peers, seconds, load))
            rate = rate or Held(GOAL_MBIT, number.late_ms)  # that one is known to hold
        else:
            lower = [rate for rate in RATES if rate < GOAL_MBIT]
            rate = highest(lower, lambda load: crowd.late_ms_at(peers, seconds, load))
    finally:
        crowd.quit()
    return claims_of(engine, peers, Found(crowd.count, number, rate, cores(idle)))


class Found(NamedTuple):
    """Of one engine; nothing where it is not there."""

    count: int | None = None  # connected peers
    number: Held | None = None  # of peers with 1 Mbit/s each way
    rate: Held | None = None  # of all
    idle_cores: float | None = None


def claims_of(engine: str, peers: int, found: Found) -> list[Claim]:
    bounds = BOUNDS[engine]

    def load(held: Held | None) -> float | None:
        """None held: 0, unless nothing was measured."""
        return held.load if held is not None else None if found.count is None else 0.0

    def late_ms(held: Held | None) -> float | None:
        return None if held is None else held.late_ms

    return [
        Claim(f"{engine}: peers connected", found.count, peers, at_least=True),
        Claim(
            f"{engine}: of them, how many 1 Mbit/s each way holds for",
            load(found.number),
            min(bounds.peers, peers),
            at_least=True,
            goal=peers,
        ),
        Claim(f"{engine}: loop delay p99 then", late_ms(found.number), LOOP_DELAY_MS_MAX, at_least=False, unit="ms"),
        Claim(
            f"{engine}: rate each way that holds for all {peers}",
            load(found.rate),
            bounds.rate_mbit,
            at_least=True,
            unit="Mbit/s",
            goal=GOAL_MBIT,
        ),
        Claim(f"{engine}: loop delay p99 then", late_ms(found.rate), LOOP_DELAY_MS_MAX, at_least=False, unit="ms"),
        Claim(
            f"{engine}: CPU of {peers} idle connections, both ends", found.idle_cores, 0.5, at_least=False, unit="cores"
        ),
    ]


def rate_apart(peers: int, seconds: float, rate_mbit_max: float) -> Held | None:
    """The rate that holds for all with the connections in processes of their own, up to one."""
    crowd = Crowd("webrtc-apart")
    try:
        crowd.connect(peers)
        rates = [rate for rate in RATES if rate <= rate_mbit_max]
        return highest(rates, lambda load: crowd.late_ms_at(peers, seconds, load))
    finally:
        crowd.quit()


def claims_apart(peers: int, held: Held | None) -> list[Claim]:
    words = "webrtc, in processes of their own"
    rate, late_ms = held or (0.0, None)
    return [
        Claim(f"{words}: rate each way that holds for all {peers}", rate, APART_MBIT, at_least=True, unit="Mbit/s"),
        Claim(f"{words}: the application's loop delay p99 then", late_ms, APART_MS_MAX, at_least=False, unit="ms"),
    ]


def measured(peers: int = PEERS, seconds: float = 5.0, engines: tuple[str, ...] | list[str] = ENGINES) -> list[Claim]:
    """All that this file claims, measured now: some minutes."""
    claims: list[Claim] = []
    for engine in engines:
        claims += measure_engine(engine, peers, seconds)
        held_mbit = claims[-3].figure
        if engine == "webrtc" and held_mbit:
            claims += claims_apart(peers, rate_apart(peers, seconds, held_mbit))
    return claims


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", type=int, default=PEERS)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--engines", nargs="*", choices=ENGINES, default=list(ENGINES))
    options = parser.parse_args()
    return conclude("crowd", measured(options.peers, options.seconds, options.engines))


if __name__ == "__main__":
    raise SystemExit(main())
