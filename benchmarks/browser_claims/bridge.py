"""What crosses between Python and JavaScript: messages of a bridge, and bytes of a data channel.

The bridge is the page's own (`transports/browser/bridge.py`), between the actors of its tests and
JavaScript's.  Counted are proxies of Python in JavaScript and references the other way.

Bytes go from one RTCPeerConnection of the page to another of the same page: once through our
`BrowserConnector` on both ends, once as JavaScript alone does it, by turns, a pair of connections
for each turn.  Messages are as large as those of peers.  Of each round the time of both turns of the one side is held
against that of both of the other, so that a machine that becomes busier meets both; the median of the rounds counts.
Single rounds differ by a tenth on an idle machine (a packet lost, memory collected): three for each one asked for.

Every 50 ms of it a small message is sent behind the bulk, as a request or a cancellation would be, and how long it took
is held against what it takes behind JavaScript's.
"""

from __future__ import annotations

import statistics
from typing import Any

from harness import Claim

from .pyodide import CLAIMS, ROOT, chromium, files, site

__all__ = ["claims", "figures_of"]

MESSAGES = 10_000  # each way
BULK_BYTES = 64 * 1024 * 1024
MESSAGE_BYTES = 65_535  # ChannelLimits.message_bytes_max
BULK_MESSAGES = -(-BULK_BYTES // MESSAGE_BYTES)
ROUNDS = 3  # for one that was asked for
TURNS = ("plain", "ours", "ours", "plain")  # of a round, so that neither side always comes first
JAVASCRIPT = ROOT / "transports" / "browser" / "javascript"
CALL = "async ([name, ...given]) => (await import('./bridge_page.js'))[name](...given)"
LOAD = "async () => { await pyodide.runPythonAsync(await (await fetch('./channel_page.py')).text()); }"


async def seen_in_page(rounds: int) -> tuple[dict[str, Any], dict[str, list[dict[str, Any]]]]:
    """What `leaks` found, and each turn of each side."""
    served = files(ROOT / "tests" / "browser" / "bridge_actors.py")
    served |= {path.name: path for path in JAVASCRIPT.glob("*.js")}
    served |= {name: CLAIMS / name for name in ("bridge_page.js", "channel_page.py")}
    turns: dict[str, list[dict[str, Any]]] = {name: [] for name in TURNS}
    async with chromium() as browser, site(served) as url:
        page = await browser.new_page()
        await page.goto(url)
        await page.wait_for_function("document.title === 'ready'")
        leaks = dict(await page.evaluate(CALL, ["leaks", MESSAGES]))
        await page.evaluate(LOAD)
        for _ in range(rounds * ROUNDS):
            for name in TURNS:
                turns[name].append(await page.evaluate(CALL, [name, BULK_MESSAGES, MESSAGE_BYTES]))
    return leaks, turns


def rate_of(turns: dict[str, list[dict[str, Any]]]) -> float:
    """Ours, of plain JavaScript's: the median of the rounds."""
    each = TURNS.count("ours")
    rounds = [
        sum(turn["seconds"] for turn in turns["plain"][first : first + each])
        / sum(turn["seconds"] for turn in turns["ours"][first : first + each])
        for first in range(0, len(turns["ours"]), each)
    ]
    return statistics.median(rounds)


def behind_bulk_ms(turns: list[dict[str, Any]]) -> float:
    """How long a small message took, in the median."""
    return statistics.median(ms for turn in turns for ms in turn["small_ms"])


def figures_of(leaks: dict[str, Any], turns: dict[str, list[dict[str, Any]]]) -> list[Claim]:
    wrong = sum(BULK_MESSAGES - turn["right"] for found in turns.values() for turn in found)
    return [
        Claim("bridge: messages lost, of 10,000 each way", leaks["lost"], 0, at_least=False),
        Claim("bridge: proxies leaked by them", leaks["proxies"] + leaks["references"], 0, at_least=False),
        Claim("RTCPeerConnection, 64 MiB: messages out of order or torn", wrong, 0, at_least=False),
        Claim("RTCPeerConnection, 64 MiB: rate of plain JavaScript's", rate_of(turns), 0.95, True, "x"),
        Claim(
            "a small message behind them: time of plain JavaScript's",
            behind_bulk_ms(turns["ours"]) / behind_bulk_ms(turns["plain"]),
            0.8,
            False,
            "x",
        ),
    ]


async def claims(rounds: int) -> list[Claim]:
    leaks, turns = await seen_in_page(rounds)
    print(
        f"  a message to Python takes {leaks['usToPython']:.0f} us, one to JavaScript {leaks['usToJavaScript']:.0f} us "
        "(half of them asked)",
        flush=True,
    )
    for name, found in turns.items():
        rates = ", ".join(f"{BULK_BYTES / turn['seconds'] / 1e6:.1f}" for turn in found)
        small = behind_bulk_ms(found)
        print(f"  64 MiB, {name}: {rates} MB/s; a small message behind them takes {small:.0f} ms", flush=True)
    return figures_of(leaks, turns)
