"""A hundred flooders, a hog with a long queue, and ten actors that only want to be heard.

Each flooder always has one message, the hog 200,000; each message is 50 us of computing.  Ten idle probes
get a message each 20 ms, 2 ms apart, at times fixed beforehand, so that a loop that starves is not flattered.

    hog share   what the hog got, in shares of 1/101
    Jain index  of the flooders' counts: 1 when all are equal
    probe       from posting to handling: in CPU time of the thread (what the runtime decides), and in wall time
    stall       CPU time of one round of the loop: what timers and sockets wait for at least
"""

from __future__ import annotations

import asyncio
import time

from harness import Claim
from measure import Figures, percentile, run_ours

from shoal.runtime import Actor, ActorSystem, MailboxSettings

FLOODERS = 100
BACKLOG = 200_000
WORK_US = 50
PROBES = 10
PROBE_EVERY_NS = 2_000_000
MILLISECONDS = 4_000
BUDGET_US = 250
PEERS = ("erlang",)


def spin(rounds: int) -> None:
    for _ in range(rounds):
        pass


def rounds_of_work() -> int:
    """Rounds of `spin` that take about WORK_US here."""
    took = []
    for _ in range(400):
        began = time.perf_counter_ns()
        spin(2000)
        took.append(time.perf_counter_ns() - began)
    return int(2000 * WORK_US * 1000 / percentile(took, 0.25))


class Contest:
    """What all of them share."""

    def __init__(self) -> None:
        self.rounds = rounds_of_work()
        self.until_ns = 0
        self.probes_cpu_ns: list[int] = []
        self.probes_wall_ns: list[int] = []
        self.stalls_ns: list[int] = []

    def is_over(self) -> bool:
        return time.perf_counter_ns() > self.until_ns


class Flooder(Actor[int]):
    def __init__(self, contest: Contest) -> None:
        self.contest = contest
        self.handled = 0
        self.me = self.ref

    def receive(self, message: int) -> None:
        if self.contest.is_over():
            return
        spin(self.contest.rounds)
        self.handled += 1
        self.me.tell(message)


class Hog(Flooder):
    def receive(self, message: int) -> None:
        if not self.contest.is_over():
            spin(self.contest.rounds)
            self.handled += 1


class Probe(Actor[tuple[int, int]]):
    def __init__(self, contest: Contest) -> None:
        self.contest = contest

    def receive(self, message: tuple[int, int]) -> None:
        due_ns, cpu_ns = message
        self.contest.probes_wall_ns.append(time.perf_counter_ns() - due_ns)
        self.contest.probes_cpu_ns.append(time.thread_time_ns() - cpu_ns)


async def program(system: ActorSystem, milliseconds: int) -> dict[str, float]:
    contest = Contest()
    loop = asyncio.get_running_loop()
    probes = [system.spawn(Probe, contest) for _ in range(PROBES)]
    flooders = [system.spawn(Flooder, contest) for _ in range(FLOODERS)]
    hog = system.spawn(Hog, contest, mailbox=MailboxSettings(messages_max=BACKLOG))
    players = [ref.cell.actor for ref in flooders]
    hog_player = hog.cell.actor
    for _ in range(BACKLOG):
        hog.tell(1)
    began_ns = time.perf_counter_ns()
    contest.until_ns = began_ns + milliseconds * 1_000_000
    for flooder in flooders:
        flooder.tell(1)

    last_cpu_ns = time.thread_time_ns()

    def tick() -> None:
        nonlocal last_cpu_ns
        now_ns = time.thread_time_ns()
        contest.stalls_ns.append(now_ns - last_cpu_ns)
        last_cpu_ns = now_ns
        if not contest.is_over():
            loop.call_soon(tick)

    loop.call_soon(tick)
    due_ns = began_ns + PROBE_EVERY_NS
    posted = 0
    while due_ns < contest.until_ns:
        await asyncio.sleep(max(0, due_ns - time.perf_counter_ns()) / 1e9)
        while due_ns < contest.until_ns and due_ns <= time.perf_counter_ns():
            probes[posted % PROBES].tell((due_ns, time.thread_time_ns()))
            posted += 1
            due_ns += PROBE_EVERY_NS
    await asyncio.sleep(0.3)
    counts = [player.handled for player in players]
    total = sum(counts) + hog_player.handled
    return {
        "jain": sum(counts) ** 2 / (FLOODERS * max(1, sum(c * c for c in counts))),
        "hog_share": hog_player.handled / total * (FLOODERS + 1),
        "probe_cpu_p50_us": percentile(contest.probes_cpu_ns, 0.5) / 1e3,
        "probe_cpu_p99_us": percentile(contest.probes_cpu_ns, 0.99) / 1e3,
        "probe_p99_us": percentile(contest.probes_wall_ns, 0.99) / 1e3,
        "stall_cpu_p99_us": percentile(contest.stalls_ns, 0.99) / 1e3,
    }


def claims(measured: Figures) -> list[Claim]:
    def ours(name: str) -> float | None:
        value: float | None = measured.figure("shoal", "fairness", name)
        return value

    wall = measured.ratio("fairness", "erlang", "probe_p99_us", "probe_p99_us")
    return [
        Claim("fairness: Jain index", ours("jain"), 0.999, at_least=True),
        Claim("fairness: the hog's share", ours("hog_share"), 1.05, at_least=False, unit="x"),
        Claim("fairness: probe p99, CPU", ours("probe_cpu_p99_us"), 300, at_least=False, unit="us", goal=100),
        Claim("fairness: probe p99, wall, of Erlang's", wall, 0.4, at_least=False, unit="x", goal=0.2),
        Claim(
            "fairness: loop stall p99, CPU",
            ours("stall_cpu_p99_us"),
            BUDGET_US + 2 * WORK_US,
            at_least=False,
            unit="us",
            goal=BUDGET_US + WORK_US,
        ),
    ]


if __name__ == "__main__":
    run_ours("fairness", MILLISECONDS, program)
