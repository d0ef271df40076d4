"""The usual scenarios, by name: what `shoal sim` and the benchmarks play.

Each is made of a seed and the number of viewers; chance comes from `mixing.share`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..bandwidth import total
from ..mixing import share
from .scenario import Behaviour, CdnSpec, Fault, FaultKind, Scenario, StreamSpec, ViewerSpec
from .traces import Trace

__all__ = ["SCENARIOS", "crowd", "hostile", "live", "traced", "vod"]

_S = 1_000_000


def vod(seed: int, viewers: int) -> Scenario:
    """A LAN: 30 segments of 2 s, viewers 2 s apart, as p2p-media-loader was measured."""
    return Scenario(
        name="vod",
        seed=seed,
        viewers=tuple(ViewerSpec(arrives_us=place * 2 * _S) for place in range(viewers)),
        length_us=(viewers * 2 + 90) * _S,
    )


def live(seed: int, viewers: int) -> Scenario:
    """A LAN: a live stream of 2 s segments, two minutes of it."""
    return Scenario(
        name="live",
        seed=seed,
        stream=StreamSpec(is_live=True, segments=1_000_000),
        viewers=tuple(ViewerSpec(arrives_us=place * 2 * _S) for place in range(viewers)),
        length_us=120 * _S,
    )


def hostile(seed: int, viewers: int) -> Scenario:
    """The VOD, where one viewer in 50 sends wrong bytes and three in ten offer nothing."""
    polluters = max(1, viewers // 50)
    order = sorted(range(viewers), key=lambda place: share(seed, place, 11))
    bad = order[:polluters]
    riders = order[polluters : polluters + viewers * 3 // 10]

    def behaviour(place: int) -> Behaviour:
        if place in bad:
            return Behaviour.POLLUTER
        return Behaviour.FREE_RIDER if place in riders else Behaviour.HONEST

    return Scenario(
        name="hostile",
        seed=seed,
        viewers=tuple(ViewerSpec(arrives_us=p * 2 * _S, behaviour=behaviour(p)) for p in range(viewers)),
        length_us=(viewers * 2 + 90) * _S,
    )


def crowd(seed: int, viewers: int) -> Scenario:
    """All of them join a live stream within 30 s, on home lines: 20 Mbit/s down and 5 up.

    The CDN carries 10 Gbit/s, or twice what all of them play if that is more: a CDN has more than one machine, and what
    a full line does to those on it is another question than what a crowd does to a swarm.
    """
    stream = StreamSpec(is_live=True, segments=1_000_000)
    played_per_s = viewers * stream.bitrates[0] / 8
    return Scenario(
        name="crowd",
        seed=seed,
        stream=stream,
        viewers=tuple(
            ViewerSpec(
                arrives_us=int(share(seed, place, 13) * 30 * _S),
                down=2.5e6,
                up=0.625e6,
                rtt_us=5_000 + int(share(seed, place, 14) * 20_000),
            )
            for place in range(viewers)
        ),
        length_us=90 * _S,
        neighbours=10,
        cdns=(CdnSpec(name="a", capacity=max(1.25e9, 2 * played_per_s)),),
    )


def traced(seed: int, viewers: int, traces: Sequence[Trace] = ()) -> Scenario:
    """Real access lines (or 10 Mbit/s where no traces are given), three CDNs with prices, faults from the seed."""
    kinds = (FaultKind.ERROR, FaultKind.SILENT, FaultKind.HANG, FaultKind.SLOW, FaultKind.DEAD)
    cdns = []
    for place, (name, price) in enumerate((("a", 4.0), ("b", 2.0), ("c", 1.0))):
        begin_us = int((20 + share(seed, place, 17) * 160) * _S)
        fault = Fault(kinds[int(share(seed, place, 18) * len(kinds))], begin_us, begin_us + 20 * _S)
        rtt_us = 15_000 + int(share(seed, place, 19) * 30_000)
        cdns.append(CdnSpec(name=name, price_per_gb=price, rtt_us=rtt_us, capacity=1.25e9, faults=(fault,)))

    def viewer(place: int) -> ViewerSpec:
        trace = traces[int(share(seed, place, 20) * len(traces))] if traces else None
        mean = 1.25e6 if trace is None else total(trace.bytes_per_s) / len(trace.bytes_per_s)
        return ViewerSpec(
            arrives_us=int(share(seed, place, 21) * 60 * _S),
            down=mean,
            up=mean / 4,
            trace=trace,
            rtt_us=10_000 + int(share(seed, place, 22) * 40_000),
        )

    return Scenario(
        name="traced",
        seed=seed,
        stream=StreamSpec(segments=60, duration_us=4 * _S, bitrates=(300_000, 750_000, 1_500_000, 3_000_000)),
        cdns=tuple(cdns),
        viewers=tuple(viewer(place) for place in range(viewers)),
        length_us=330 * _S,
    )


SCENARIOS: dict[str, Callable[[int, int], Scenario]] = {
    "vod": vod,
    "live": live,
    "hostile": hostile,
    "crowd": crowd,
    "traced": traced,
}
