"""Who behind which NAT connects to whom, how fast, and when to give up on a peer: the table, from a lab of namespaces.

    make bench-nat                          every pair, without a relay and then with one; about 3 minutes
    make bench-nat ARGS="--tries 1"         a look

The lab (`nats/lab.py`) needs root, nftables and coturn; without them nothing is measured, and the exit code is 3.  The
way has no delay, so what is counted is what a connection costs beyond its round trips: gathering, checks that wait for
their turn, the handshakes.  A pair that meets without a relay is not tried again with one.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from harness import Claim, conclude
from nats.lab import KINDS, PASSWORD, RELAY_URL, SERVER, STUN_URL, USER, Lab, expected, missing

PEER = Path(__file__).resolve().parent / "nats" / "peer.py"
STUN = {"stun": [STUN_URL]}  # and the connector's own time-out
WITH_RELAY = {**STUN, "turn": [[RELAY_URL, USER, PASSWORD]]}


class Home:
    """A peer's process in one home."""

    def __init__(self, lab: Lab, side: str, options: dict[str, Any]) -> None:
        self._process = subprocess.Popen(
            [*lab.inside(side), sys.executable, "-W", "ignore", str(PEER), json.dumps(options)],
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
            raise RuntimeError("a peer in the lab went away; its own words are above")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def ask(self, do: str, **more: object) -> dict[str, Any]:
        self.tell(do, **more)
        return self.hear()

    def quit(self) -> None:
        with contextlib.suppress(OSError):
            self.tell("quit")
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            with contextlib.suppress(OSError):
                pipe.close()


def meet(one: Home, other: Home) -> dict[str, Any]:
    """One try: whether they met, after how long, and whether by a relay."""
    offer = one.ask("offer")
    answer = other.ask("answer", description=offer["description"])
    other.tell("meet")
    here = one.ask("meet", description=answer["description"])
    there = other.hear()
    one.ask("leave")
    other.ask("leave")
    met = "error" not in here and "error" not in there
    return {
        "met": met,
        "ms": here["ms"],
        "gathering_ms": max(offer["ms"], answer["ms"]),
        "relayed": SERVER in (here.get("address"), there.get("address")),
        "known_as_relayed": any(one.get("is_relayed", False) for one in (here, there)),
    }


def measure(lab: Lab, kinds: tuple[str, str], options: dict[str, Any], tries: int) -> list[dict[str, Any]]:
    with contextlib.ExitStack() as stack:
        for side, kind in zip("ab", kinds, strict=True):
            stack.enter_context(lab.home(side, kind))
        homes = [Home(lab, side, options) for side in "ab"]
        for home in homes:
            stack.callback(home.quit)
        found = []
        for number in range(tries):
            found.append(meet(*(homes if number % 2 == 0 else homes[::-1])))
            if not found[-1]["met"]:
                break  # the next ten seconds would be the same
        return found


def told(tries: list[dict[str, Any]]) -> str:
    if not all(one["met"] for one in tries):
        return "never"
    middle = statistics.median(one["ms"] for one in tries)
    return f"{middle:.0f} ms{' by relay' if any(one['relayed'] for one in tries) else ''}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tries", type=int, default=4, help="of each pair; who offers takes turns")
    options = parser.parse_args()
    if what := missing():
        print(what)
        return 3
    pairs = list(itertools.combinations_with_replacement(KINDS, 2))
    plain: dict[tuple[str, str], list[dict[str, Any]]] = {}
    relayed: dict[tuple[str, str], list[dict[str, Any]]] = {}
    with tempfile.TemporaryDirectory(prefix="shoal-nat-") as folder, Lab(Path(folder)) as lab:
        for pair in pairs:
            plain[pair] = measure(lab, pair, STUN, options.tries)
            words = told(plain[pair])
            if words == "never":
                relayed[pair] = measure(lab, pair, WITH_RELAY, options.tries)
                words += f"; with a relay {told(relayed[pair])}"
            print(f"{pair[0]:9}  {pair[1]:9}  {words}", flush=True)
    return conclude("nat", claims(plain, relayed))


def claims(plain: dict[tuple[str, str], list[dict[str, Any]]], relayed: dict[tuple[str, str], Any]) -> list[Claim]:
    def met(tries: list[dict[str, Any]]) -> bool:
        return all(one["met"] for one in tries)

    direct = [one["ms"] for tries in plain.values() if met(tries) for one in tries]
    through = [one["ms"] for tries in relayed.values() if met(tries) for one in tries]
    gathering = [one["gathering_ms"] for tries in plain.values() for one in tries]
    astray = [pair for pair, tries in plain.items() if met(tries) != expected(*pair)]
    needless = sum(one["relayed"] for tries in plain.values() for one in tries)
    given_up = [one["ms"] for tries in plain.values() for one in tries if not one["met"]]
    return [
        Claim(f"pairs of {len(plain)} that meet, or do not, against RFC 5128", len(astray), 0, at_least=False),
        Claim("pairs that need a relay, and meet by it", sum(map(met, relayed.values())), len(relayed), at_least=True),
        Claim("meetings by relay where none was given", needless, 0, at_least=False),
        # What comes later than this by ten round trips will not come: when to give up.
        Claim("longest to meet directly", max(direct, default=None), 2500, at_least=False, unit="ms"),
        Claim("longest to meet by a relay", max(through, default=None), 5000, at_least=False, unit="ms"),
        Claim("longest gathering", max(gathering, default=None), 2500, at_least=False, unit="ms"),
        Claim("who cannot be met is given up after", max(given_up, default=None), 10_000, at_least=False, unit="ms"),
    ]


if __name__ == "__main__":
    raise SystemExit(main())
