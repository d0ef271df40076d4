"""The demo: three CDNs and four peers, one of each kind bad, one viewer, and a judge.

    good     a healthy CDN
    slow     150 kB/s a response, less than the video needs
    flaky    healthy for 10 s, then 503s, then bodies that stop half way
    4 peers  watch the same video some seconds ahead; the second one serves wrong bytes
    viewer   a session and its proxy in this process; libav plays the proxy's URL through the judge

Everything else is a process of its own.  The figures and the exit code follow from
what the player, the judge and the session say at the end (figures.py).
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import sys
import time
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import msgspec

from shoal.app.proxy import Proxy
from shoal.app.session import SessionOptions, StreamSession, open_session
from shoal.balancer.report import SessionReport

from .children import Child, Children
from .figures import Figures, figures_of, verdict_on
from .report_html import write_report
from .stream import Stream, StreamOptions, make_stream
from .table import LiveTable, PlainLog, View, open_view

__all__ = ["DemoOptions", "run_demo"]

_REFRESH_S = 0.25
_SETTLE_S = 2.0  # after the last peer is there: it finds the others, and holds some segments
_PATIENCE_S = 30.0  # beyond the video's length; a player that needs longer is stuck


@dataclass(frozen=True)
class DemoOptions:
    out: Path = Path("out")  # report.json, report.html and logs/ go here
    folder: Path | None = None  # where streams are kept; None: the user's cache folder
    json: bool = False
    seconds: int = 36
    peers: int = 4
    polluter: int = 1  # which of the peers lies, counted from 0
    peer_delay_s: float = 1.2  # between two peers' starts
    good_bytes_per_s: int = 3_000_000
    slow_bytes_per_s: int = 150_000
    flaky_faults: tuple[str, ...] = ("10:503", "14:truncate@*.m4s")


class _Stage:
    """What is on, for how long, and the view that shows it."""

    def __init__(self, view: LiveTable | PlainLog) -> None:
        self._view = view
        self._began_s = time.monotonic()
        self.shown = View()
        self.phases_s: dict[str, float] = {}

    @asynccontextmanager
    async def phase(self, name: str, text: str) -> AsyncIterator[None]:
        """Show `text` while the block runs, and remember how long it took."""
        began_s = time.monotonic()
        self.shown.phase = text
        self.show()
        try:
            yield
        finally:
            self.phases_s[name] = round(time.monotonic() - began_s, 2)

    def show(self, report: SessionReport | None = None) -> None:
        if report is not None:
            self.shown.report = report
        self.shown.elapsed_s = time.monotonic() - self._began_s
        self._view.show(self.shown)

    def hear_player(self, event: dict[str, Any]) -> None:
        self.shown.player |= event


async def run_demo(options: DemoOptions) -> int:
    """Run it all.  0: everything held; 1: something did not; 4: wrong bytes reached the player.

    Ctrl-C and SIGTERM end every process that was started before they end this one.
    """
    task = asyncio.current_task()
    assert task is not None
    loop = asyncio.get_running_loop()
    with contextlib.suppress(NotImplementedError, ValueError):
        loop.add_signal_handler(signal.SIGTERM, task.cancel)
    # For machines stdout is the result's alone; for people the table is on it.
    screen = sys.stderr if options.json else sys.stdout
    try:
        with open_view(screen) as view:
            stage = _Stage(view)
            report, player, judge = await _run(options, stage)
    finally:
        with contextlib.suppress(NotImplementedError, ValueError):
            loop.remove_signal_handler(signal.SIGTERM)
    figures = figures_of(report, player, judge)
    failed = verdict_on(figures, player, judge)
    result = {
        "event": "demo",
        "ok": not failed,
        **msgspec.to_builtins(figures),
        "failed": failed,
        "phases_s": stage.phases_s,
        "report": str(options.out / "report.html"),
    }
    write_report(options.out, report, result, player=player, judge=judge)
    _conclude(screen, figures, result)
    if options.json:
        sys.stdout.write(json.dumps(result) + "\n")
        sys.stdout.flush()
    if figures.wrong_bytes:
        return 4
    return 1 if failed else 0


async def _run(options: DemoOptions, stage: _Stage) -> tuple[SessionReport, dict[str, Any], dict[str, Any]]:
    async with stage.phase("stream", "making the video (kept for the next time)"):
        stream = await asyncio.to_thread(make_stream, StreamOptions(seconds=options.seconds), options.folder)
    async with Children(options.out / "logs") as children:
        async with stage.phase("origins", "starting three CDNs and a tracker"):
            cdns, tracker = await _start_servers(children, stream, options)
        playlists = {name: f"{url}/{stream.playlist}" for name, url in cdns.items()}
        async with stage.phase("peers", f"{options.peers} peers join, one of them a liar"):
            await _start_peers(children, playlists, tracker, options)
        settings = SessionOptions(url=playlists["good"], cdns=playlists, trackers=(tracker,), allow_private=True)
        async with stage.phase("viewer", "playing: the third CDN fails after 10 s"), open_session(settings) as session:
            await asyncio.to_thread(_start_clocks, list(cdns.values()))
            return await _watch(children, session, stream, options, stage)


async def _start_servers(children: Children, stream: Stream, options: DemoOptions) -> tuple[dict[str, str], str]:
    """URLs of the CDNs by name, and of the tracker."""
    faults = [word for fault in options.flaky_faults for word in ("--fault", fault)]
    special = {
        "good": ["--rate", str(options.good_bytes_per_s)],
        "slow": ["--rate", str(options.slow_bytes_per_s)],
        "flaky": ["--rate", str(options.good_bytes_per_s), *faults],
    }
    started: dict[str, Child] = {}
    for name, arguments in special.items():
        common = ["--root", str(stream.folder), "--name", name]
        started[name] = await children.start(name, "shoal.app.demo.origin", *common, *arguments)
    tracker = await children.start("tracker", "shoal.app.cli", "tracker", "--port", "0", "--json")
    urls = {name: str((await child.ready())["url"]) for name, child in started.items()}
    return urls, str((await tracker.ready())["url"])


async def _start_peers(children: Children, playlists: dict[str, str], tracker: str, options: DemoOptions) -> None:
    sources = [word for name, url in playlists.items() for word in ("--cdn", f"{name}={url}")]
    common = [playlists["good"], *sources, "--tracker", tracker, "--allow-private", "--json"]
    peers: list[Child] = []
    for number in range(options.peers):
        if number:
            await asyncio.sleep(options.peer_delay_s)
        if number == options.polluter:
            peers.append(await children.start(f"peer-{number}-liar", "shoal.app.demo.polluter", *common))
        else:
            peers.append(await children.start(f"peer-{number}", "shoal.app.cli", "peer", *common))
    for peer in peers:
        await peer.ready()
    await asyncio.sleep(_SETTLE_S)


async def _watch(
    children: Children, session: StreamSession, stream: Stream, options: DemoOptions, stage: _Stage
) -> tuple[SessionReport, dict[str, Any], dict[str, Any]]:
    """Play through proxy and judge until the player ends; what session, player and judge say then."""
    async with Proxy(session) as proxy:
        address, path = proxy.url.removeprefix("http://").split("/", 1)
        judge = await children.start("judge", "shoal.app.demo.judge", "--root", str(stream.folder), "--target", address)
        tap = (await judge.ready())["port"]
        player = await children.start(
            "player",
            "shoal.app.demo.player",
            f"http://127.0.0.1:{tap}/{path}",
            "--json",
            "--realtime",
            hear=stage.hear_player,
        )
        deadline_s = time.monotonic() + options.seconds + _PATIENCE_S
        while player.exit_code is None and time.monotonic() < deadline_s:
            stage.show(await session.report())
            await asyncio.sleep(_REFRESH_S)
        # One that is stuck is ended here, and its last words then lack "ok".
        player_said = await player.end()
        report = await session.report()
        judge_said = await judge.end()
        stage.shown.phase = "the end"
        stage.show(report)
    return report, _last_words(player_said), _last_words(judge_said)


def _last_words(event: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in event.items() if key != "event"} if event.get("event") == "end" else {}


def _start_clocks(origins: list[str]) -> None:
    """From now on the seconds of the origins' schedules count."""
    for origin in origins:
        request = urllib.request.Request(f"{origin}/_start", method="POST")  # noqa: S310 - our own origin's URL
        with urllib.request.urlopen(request, timeout=5):  # noqa: S310
            pass


def _conclude(screen: TextIO, figures: Figures, result: dict[str, Any]) -> None:
    by_source = ", ".join(f"{name} {count / 1e6:.2f} MB" for name, count in figures.bytes_by_source.items())
    rows = [
        ("start-up", "-" if figures.startup_ms is None else f"{figures.startup_ms:.0f} ms"),
        ("rebuffering", f"{figures.rebuffer_s:.2f} s"),
        ("from peers", f"{figures.p2p_offload:.1%}"),
        ("bytes", by_source or "none"),
        ("failed over", f"{figures.failed_over_segments} segments, {figures.failed_over_in_body} inside their body"),
        ("polluted, caught", f"{figures.polluted_segments_caught} segments"),
        (
            "wrong at player",
            f"{'?' if figures.wrong_bytes is None else figures.wrong_bytes} of {figures.bytes_compared} bytes",
        ),
        ("loop delay p99", f"{figures.loop_delay_p99_ms:.1f} ms"),
        ("report", result["report"]),
    ]
    lines = [f"{name:>17}  {value}" for name, value in rows]
    lines += ["", "everything held" if result["ok"] else "what did not hold:"]
    lines += [f"  - {reason}" for reason in result["failed"]]
    screen.write("\n" + "\n".join(lines) + "\n")
    screen.flush()
