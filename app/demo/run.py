"""The demo: three CDNs and four peers, one of each kind bad, one viewer, and a judge.

    good     a healthy CDN
    slow     150 kB/s a response, less than the video needs
    flaky    preferred, as a cheap one would be; healthy for 10 s, then 503s, then bodies that stop half way
    4 peers  hold the same video; the second one serves wrong bytes; after 20 s they leave
    viewer   a session and its proxy in this process; libav plays the proxy's URL through the judge

The peers leave so that the end of the video has to come from CDNs while one of
them fails: in a swarm this small nobody would ask a CDN any more.

Everything else is a process of its own.  The figures and the exit code follow from
what the player, the judge and the session say at the end (figures.py).
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import sys
import threading
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
from shoal.balancer.config import BalancerConfig
from shoal.balancer.report import SessionReport

from .children import Child, Children
from .figures import Figures, doubt_about, figures_of, verdict_on
from .origin import Fault, parse_fault
from .report_html import write_report
from .stream import Stream, StreamOptions, make_stream
from .table import LiveTable, PlainLog, View, open_view

__all__ = ["DemoOptions", "make_stream_of", "run_demo", "start_peers", "start_servers"]

_REFRESH_S = 0.25
_SETTLE_S = 2.0  # after the last peer is there: it finds the others, and holds some segments
_PATIENCE_S = 30.0  # beyond the video's length; a player that needs longer is stuck


@dataclass(frozen=True)
class DemoOptions:
    out: Path = Path("out")  # report.json, report.html and logs/ go here
    folder: Path | None = None  # where streams are kept; None: the user's cache folder
    json: bool = False
    seconds: int = 44  # long enough that the start and the end, which CDNs bring, are the smaller part
    peers: int = 4
    polluter: int = 1  # which of the peers lies, counted from 0
    peer_delay_s: float = 1.2  # between two peers' starts
    good_bytes_per_s: int = 3_000_000
    slow_bytes_per_s: int = 150_000
    flaky_faults: tuple[str, ...] = ("10:503", "28:truncate@*.m4s")
    flaky_weight: float = 3.0  # without a preference for it, it would hardly be asked and its failing not be seen
    leave_after_s: float = 20.0  # of playing
    # With the player's own 12 s this makes 18 s: the last 6 s of the video are still to come when the peers leave.
    prefetch_s: float = 6.0

    @property
    def faults(self) -> list[Fault]:
        return [parse_fault(text) for text in self.flaky_faults]


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
    """Run it all.  0: everything held; 1: something did not; 4: wrong bytes reached the player; 143: SIGTERM.

    Ctrl-C and SIGTERM end every process that was started before they end this one.
    """
    task = asyncio.current_task()
    assert task is not None
    loop = asyncio.get_running_loop()
    terminated = asyncio.Event()

    def terminate() -> None:
        terminated.set()
        task.cancel()

    with contextlib.suppress(NotImplementedError, ValueError):
        loop.add_signal_handler(signal.SIGTERM, terminate)
    # For machines stdout is the result's alone; for people the table is on it.
    screen = sys.stderr if options.json else sys.stdout
    try:
        with open_view(screen) as view:
            stage = _Stage(view)
            report, player, judge = await _run(options, stage)
    except asyncio.CancelledError:
        if not terminated.is_set():
            raise
        task.uncancel()
        return 128 + signal.SIGTERM
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
        stream = await make_stream_of(options)
    async with Children(options.out / "logs") as children:
        async with stage.phase("origins", "starting three CDNs and a tracker"):
            cdns, tracker = await start_servers(children, stream, options)
        playlists = {name: f"{url}/{stream.playlist}" for name, url in cdns.items()}
        async with stage.phase("peers", f"{options.peers} peers join, one of them a liar"):
            peers = await start_peers(children, playlists, tracker, options)
        settings = SessionOptions(
            url=playlists["good"],
            cdns=playlists,
            weights={"flaky": options.flaky_weight},
            trackers=(tracker,),
            allow_private=True,
            # The other viewers are ours, and the report's moments name them as its tables do.
            config=BalancerConfig(prefetch_us=int(options.prefetch_s * 1e6), log_viewers=True),
        )
        async with stage.phase("viewer", "playing"), open_session(settings) as session, Proxy(session) as proxy:
            player, judge = await _start_viewer(children, proxy, stream, stage)
            await asyncio.to_thread(_start_clocks, list(cdns.values()))
            story = asyncio.create_task(_tell_story(peers, options, stage))
            try:
                await _watch(player, session, options, stage)
            finally:
                story.cancel()
                await asyncio.gather(story, return_exceptions=True)
            # One that is stuck is ended here, and its last words then lack "ok".
            player_said = await player.end()
            report = await session.report()
            judge_said = await judge.end()
            stage.shown.phase = "the end"
            stage.show(report)
    return report, _last_words(player_said), _last_words(judge_said)


async def make_stream_of(options: DemoOptions) -> Stream:
    unwanted = threading.Event()
    try:
        wanted = StreamOptions(seconds=options.seconds)
        return await asyncio.to_thread(make_stream, wanted, options.folder, is_unwanted=unwanted.is_set)
    finally:
        unwanted.set()  # the loop waits for its threads at the end, so one that goes on would hold up a Ctrl-C


async def start_servers(children: Children, stream: Stream, options: DemoOptions) -> tuple[dict[str, str], str]:
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


async def start_peers(children: Children, playlists: dict[str, str], tracker: str, options: DemoOptions) -> list[Child]:
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
    return peers


async def _start_viewer(children: Children, proxy: Proxy, stream: Stream, stage: _Stage) -> tuple[Child, Child]:
    """The player, with the judge between it and the proxy."""
    address, path = proxy.url.removeprefix("http://").split("/", 1)
    judge = await children.start("judge", "shoal.app.demo.judge", "--root", str(stream.folder), "--target", address)
    url = f"http://127.0.0.1:{(await judge.ready())['port']}/{path}"
    player = await children.start("player", "shoal.app.demo.player", url, "--json", hear=stage.hear_player)
    return player, judge


async def _watch(player: Child, session: StreamSession, options: DemoOptions, stage: _Stage) -> None:
    """Show the session until the player has ended, or should have."""
    deadline_s = time.monotonic() + options.seconds + _PATIENCE_S
    while player.exit_code is None and time.monotonic() < deadline_s:
        stage.show(await session.report())
        await asyncio.sleep(_REFRESH_S)


async def _tell_story(peers: list[Child], options: DemoOptions, stage: _Stage) -> None:
    """Say when a CDN begins to fail, and make the peers leave."""
    began_s = time.monotonic()
    moments = [(fault.at_s, f"playing: the third CDN has begun to fail ({fault.kind})") for fault in options.faults]
    moments.append((options.leave_after_s, "playing: the peers leave"))
    for at_s, text in sorted(moments):
        await asyncio.sleep(max(0.0, began_s + at_s - time.monotonic()))
        stage.shown.phase = text
        if at_s == options.leave_after_s:
            await asyncio.gather(*(peer.end() for peer in peers))


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
        ("phases", ", ".join(f"{name} {seconds:.1f} s" for name, seconds in result["phases_s"].items())),
        ("report", result["report"]),
    ]
    lines = [f"{name:>17}  {value}" for name, value in rows]
    lines += ["", "everything held" if result["ok"] else "what did not hold:"]
    lines += [f"  - {reason}" for reason in result["failed"]]
    if not result["ok"] and (doubt := doubt_about(figures)):
        lines += ["", doubt]
    screen.write("\n" + "\n".join(lines) + "\n")
    screen.flush()
