"""Actors made per CPU-second, and resident bytes of one that idles.  The user's own object is stated apart."""

from __future__ import annotations

from harness import Claim
from measure import Figures, Stopwatch, idle_bytes, run_ours

from shoal.runtime import Actor, ActorSystem

ACTORS = 200_000  # as Erlang's
PEERS = ("erlang", "caf", "xoscar", "pykka", "thespian", "asyncio_queue", "threads")


class Idle(Actor[int]):
    __slots__ = ()

    def receive(self, message: int) -> None:
        pass


async def program(system: ActorSystem, actors: int) -> dict[str, float]:
    keep: list[object] = [None] * actors  # both lists are there before anything is measured
    objects: list[object] = [None] * actors
    before = idle_bytes()
    watch = Stopwatch().start()
    for i in range(actors):
        keep[i] = system.spawn(Idle)
    watch.stop()
    all_of_it = (idle_bytes() - before) / actors
    before = idle_bytes()  # only now: the collector would walk these during the spawns
    for i in range(actors):
        objects[i] = Idle.__new__(Idle)
    own = (idle_bytes() - before) / actors
    return {"per_cpu_s": watch.per_cpu_s(actors), "bytes": all_of_it - own, "bytes_of_users_object": own}


def claims(measured: Figures) -> list[Claim]:
    memory = measured.figure("shoal", "spawn", "bytes")
    own = measured.figure("shoal", "spawn", "bytes_of_users_object")
    apart = "" if own is None else f", and {own:.0f} of the user's"
    return [
        Claim("spawn, against Erlang", measured.ratio("spawn", "erlang"), 2.0, at_least=True, unit="x", goal=2.5),
        Claim(f"an idle actor{apart}", memory, 400, at_least=False, unit="bytes", goal=250),
    ]


if __name__ == "__main__":
    run_ours("spawn", ACTORS, program)
