"""Our channel on aiortc against aiortc by itself, in the same run: rate, CPU, and what a request waits behind bulk.

    make bench-channel                                     three rounds, 5 minutes
    make bench-channel ARGS="--rounds 1 --seconds 2"       a look

Two processes for each pair, and a third for the link where there is delay (`channels/link.py`; it loses nothing).
Bare aiortc sends as its own example does, on uvloop.  A figure is the median of the rounds, a ratio that of the ratios
within each round.  CPU is that of both ends, per MB delivered.

The native engine over 20 ms and 100 Mbit/s is held against what no TCP can exceed there: the line filled with full
frames from the first moment to the last.  That is a rate of bulk, so it is taken over eight seconds, the engine's own
slow start in them.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import json
import signal
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from channels.link import Link
from harness import Claim, conclude

ENDS = Path(__file__).resolve().parent / "channels" / "ends.py"
STACKS = ("bare", "shoal")
HAS_NATIVE = importlib.util.find_spec("wrtc") is not None
LINE_BYTES_PER_SECOND = 12_500_000  # 100 Mbit/s
CAP_BYTES_PER_SECOND = 1_000_000  # of `capped` in ends.py
BULK_S = 8.0  # of the native engine over delay: long enough for a rate of bulk, with its start in it
NUMBERED = 20_000
TCP_SHARE = 1448 / 1538  # of a line, in full Ethernet frames: what TCP could carry at its very best


class End:
    """One process of `ends.py`, or of another script that speaks as it does."""

    def __init__(self, stack: str, script: Path = ENDS) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-W", "ignore", str(script), stack],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def tell(self, do: str, **more: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"do": do, **more}) + "\n")
        self._process.stdin.flush()

    def hear(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("an end of the measured pair went away; its own words are above")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def ask(self, do: str, **more: object) -> dict[str, Any]:
        self.tell(do, **more)
        return self.hear()

    def stop(self) -> None:
        """As a machine that lost its power: it says nothing more, and its ports stay open."""
        self._process.send_signal(signal.SIGSTOP)

    def quit(self) -> None:
        self._process.send_signal(signal.SIGCONT)
        with contextlib.suppress(OSError):
            self.tell("quit")
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def measure(
    stack: str, round_trip_ms: int, seconds: float, *, asking: bool = False, bytes_per_second: int | None = None
) -> dict[str, float]:
    """One pair, from nothing to its figures; `link_ms_per_mb` is what the link took of a core."""
    link = Link(delay_us=round_trip_ms * 500, bytes_per_second=bytes_per_second) if round_trip_ms else None
    with contextlib.ExitStack() as ends:
        sender, receiver = End(stack), End(stack)
        ends.callback(sender.quit)
        ends.callback(receiver.quit)
        offer = sender.ask("offer")["description"]
        if link is not None:
            answer = link.pass_answer(receiver.ask("answer", description=link.pass_offer(offer))["description"])
            ends.enter_context(link.running())
        else:
            answer = receiver.ask("answer", description=offer)["description"]
        receiver.tell("opened")
        connect_ms = sender.ask("accept", description=answer)["connect_ms"]
        receiver.hear()
        sent = sender.ask("send", seconds=seconds, asking=asking)
        figures = receiver.ask("figures")
        megabytes = figures["bytes"] / 1e6
        cpu_ms = (figures["cpu_s"] + sender.ask("figures")["cpu_s"]) * 1e3
        if link is not None and link.overflowed:
            print(f"the link's queue overflowed {link.overflowed} times", file=sys.stderr)
    return {
        "mb_per_s": megabytes / figures["seconds"],
        "cpu_ms_per_mb": cpu_ms / megabytes,
        "link_ms_per_mb": 0.0 if link is None else link.cpu_s * 1e3 / megabytes,
        "connect_ms": connect_ms,
        "request_ms": statistics.median(sent["request_ms"]) if sent["request_ms"] else float("nan"),
        "answered": len(sent["request_ms"]),
        "unanswered": sent["unanswered"],
    }


def misplaced_when_blocked(stack: str, count: int = NUMBERED) -> int:
    """Of so many messages, those that did not come in their place; each end's loop stands still for a second."""
    with contextlib.ExitStack() as ends:
        sender, receiver = End(stack), End(stack)
        ends.callback(sender.quit)
        ends.callback(receiver.quit)
        answer = receiver.ask("answer", description=sender.ask("offer")["description"])["description"]
        receiver.tell("opened")
        sender.ask("accept", description=answer)
        receiver.hear()
        receiver.ask("expect_numbered", count=count)
        sender.ask("send_numbered", count=count)
        return int(receiver.ask("await_numbered")["misplaced"])


def percent_off_cap(seconds: float) -> float:
    """How far what the line carried is from an upload cap of 1 MB/s, with all headers, over so many seconds."""
    with contextlib.ExitStack() as ends:
        sender, receiver = End("capped"), End("shoal")
        ends.callback(sender.quit)
        ends.callback(receiver.quit)
        link = Link(delay_us=10_000)
        offer = link.pass_offer(sender.ask("offer")["description"])
        answer = link.pass_answer(receiver.ask("answer", description=offer)["description"])
        ends.enter_context(link.running())
        receiver.tell("opened")
        sender.ask("accept", description=answer)
        receiver.hear()
        before, began = link.passed_bytes, time.monotonic()
        sender.ask("send", seconds=seconds, asking=False)
        rate = (link.passed_bytes - before) / (time.monotonic() - began)
        return abs(rate / CAP_BYTES_PER_SECOND - 1) * 100


def seconds_to_notice(*, connected: bool, stack: str = "shoal") -> float:
    """Until our side gave up a peer that stopped, while it was connected or before."""
    with contextlib.ExitStack() as ends:
        waiting, stopping = End(stack), End(stack)
        ends.callback(waiting.quit)
        ends.callback(stopping.quit)
        answer = stopping.ask("answer", description=waiting.ask("offer")["description"])["description"]
        if not connected:
            stopping.stop()
            accepted = waiting.ask("accept", description=answer)
            assert "TimedOut" in accepted["error"], accepted
            return float(accepted["connect_ms"]) / 1e3
        stopping.tell("opened")
        waiting.ask("accept", description=answer)
        stopping.hear()
        stopping.stop()
        ended = waiting.ask("await_end")
        assert "silent" in ended["detail"], ended
        return float(ended["seconds"])


RUNS = ((0, False), (20, False), (100, False), (0, True), (20, True))
Results = dict[tuple[str, int, bool], list[dict[str, float]]]


def claims(results: Results) -> list[Claim]:
    def ratio(what: str, of: tuple[int, bool], to: tuple[int, bool] | None = None) -> float:
        ours, bare = results["shoal", *of], results["bare", *(to or of)]
        return statistics.median(one[what] / other[what] for one, other in zip(ours, bare, strict=True))

    def of_own(what: str) -> float:
        asked, alone = results["shoal", 0, True], results["shoal", 0, False]
        return statistics.median(one[what] / other[what] for one, other in zip(asked, alone, strict=True))

    def middle(stack: str, what: str, of: tuple[int, bool]) -> float:
        return statistics.median(one[what] for one in results[stack, *of])

    rate, cpu, request = "mb_per_s", "cpu_ms_per_mb", "request_ms"
    native = {
        delay: statistics.median(figures[rate] for figures in results["native", delay, False]) if HAS_NATIVE else None
        for delay in (0, 20)
    }
    unit = middle("bare", rate, (0, False))
    waits = middle("bare", request, (0, True))
    return [
        Claim("rate, no delay, of bare aiortc's", ratio(rate, (0, False)), 0.95, at_least=True, unit="x"),
        Claim("rate, 20 ms, of bare aiortc's", ratio(rate, (20, False)), 3.0, at_least=True, unit="x"),
        Claim("rate, 100 ms, of bare aiortc's", ratio(rate, (100, False)), 2.0, at_least=True, unit="x"),
        *(
            Claim(f"CPU per MB, {words}, of bare aiortc's", ratio(cpu, (delay, False)), 1.15, at_least=False, unit="x")
            for delay, words in ((0, "no delay"), (20, "20 ms"), (100, "100 ms"))
        ),
        Claim(
            f"64 B request in bulk, median (bare: {waits:.0f} ms)",
            middle("shoal", request, (0, True)),
            20,
            at_least=False,
            unit="ms",
        ),
        Claim("rate meanwhile, of bare bulk alone", ratio(rate, (0, True), (0, False)), 0.8, at_least=True, unit="x"),
        Claim("rate meanwhile, of our own bulk alone", of_own(rate), 0.8, at_least=True, unit="x"),
        Claim(
            "the same over 20 ms, beyond the round trip",
            middle("shoal", request, (20, True)) - 20,
            40,
            at_least=False,
            unit="ms",
        ),
        Claim(
            "native engine: rate, no delay, of bare aiortc's",
            None if native[0] is None else native[0] / unit,
            3,
            at_least=True,
            unit="x",
        ),
        Claim(
            f"native engine: 20 ms, 100 Mbit/s, {BULK_S:.0f} s, of what TCP could carry at best",
            None if native[20] is None else native[20] * 1e6 / (LINE_BYTES_PER_SECOND * TCP_SHARE),
            0.5,
            at_least=True,
            unit="x",
        ),
        Claim(
            f"native engine: of {NUMBERED:,} messages lost or out of order, each loop blocked for 1 s",
            misplaced_when_blocked("native") if HAS_NATIVE else None,
            0,
            at_least=False,
        ),
        Claim("upload cap of 1 MB/s, off by", percent_off_cap(5.0), 5, at_least=False, unit="%"),
        Claim("a peer that vanished, noticed after", seconds_to_notice(connected=True), 5, at_least=False, unit="s"),
        Claim(
            "native engine: a peer that vanished, noticed after",
            seconds_to_notice(connected=True, stack="native") if HAS_NATIVE else None,
            5,
            at_least=False,
            unit="s",
        ),
        Claim("connecting given up after", seconds_to_notice(connected=False), 10, at_least=False, unit="s"),
    ]


def told(number: int, stack: str, delay: int, what: str, figures: dict[str, float]) -> None:
    words = "  ".join(f"{name} {value:.4g}" for name, value in figures.items())
    print(f"round {number + 1}  {stack:6}  {delay:3} ms  {what:13}  {words}", flush=True)


def measured(rounds: int = 3, seconds: float = 4.0) -> list[Claim]:
    """All that this file claims, measured now: more than a minute for each round."""
    results: Results = {(stack, *run): [] for stack in STACKS for run in RUNS}
    for number in range(rounds):
        order = STACKS if number % 2 == 0 else STACKS[::-1]
        for delay, asking in RUNS:
            for stack in order:
                figures = measure(stack, delay, seconds, asking=asking)
                results[stack, delay, asking].append(figures)
                told(number, stack, delay, "with requests" if asking else "bulk", figures)
        for delay, line, long_s in ((0, None, seconds), (20, LINE_BYTES_PER_SECOND, BULK_S)) if HAS_NATIVE else ():
            figures = measure("native", delay, long_s, bytes_per_second=line)
            results.setdefault(("native", delay, False), []).append(figures)
            told(number, "native", delay, "bulk", figures)
    return claims(results)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=4.0)
    options = parser.parse_args()
    return conclude("channel", measured(options.rounds, options.seconds))


if __name__ == "__main__":
    raise SystemExit(main())
