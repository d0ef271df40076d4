"""shoal play: libav plays the proxy's URL in real time, without a window."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from typing import Any

import msgspec

from shoal.balancer.errors import ConfigurationError
from shoal.transports.errors import TransportMissing

from ..console import Console
from ..options import add_stream_options, stream_options
from ..proxy import Proxy
from ..session import is_dash, open_session
from .consent import Wishes, hearing_consent
from .signals import until_stopped
from .totals import bytes_by_source

EXAMPLE = "shoal play https://a.example/hls/stream.m3u8 --cdn b=https://b.example/hls/stream.m3u8"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_stream_options(parser)


async def run(args: argparse.Namespace, console: Console) -> int:
    with Wishes() as wishes:
        return await _run(args, console, wishes)


async def _run(args: argparse.Namespace, console: Console, wishes: Wishes) -> int:
    options = stream_options(args)
    _require_libav()
    if is_dash(options):
        raise ConfigurationError("PyAV's libav reads no DASH; shoal proxy serves it to a player that does")
    async with open_session(options) as session, hearing_consent(session, console, wishes), Proxy(session) as proxy:
        await session.playlist()  # says what is wrong with the stream before a player does
        result: dict[str, Any] = {}
        await until_stopped(_play(proxy.url, console, result))
        report = await session.report()
    sources = bytes_by_source(report)
    console.event(
        "ended",
        f"start-up {result.get('startup_ms') or 0:.0f} ms, rebuffering {result.get('rebuffer_s', 0):.2f} s, "
        + ", ".join(f"{name} {count / 1e6:.1f} MB" for name, count in sources.items()),
        **result,
        bytes_by_source=sources,
        hashes=report.hashes,
    )
    if report.dropped.get("wrong_bytes_read"):
        return 4
    return 0 if result.get("ok") else 1


def _require_libav() -> None:
    try:
        import av  # noqa: F401
    except ImportError as error:
        raise TransportMissing('playing needs libav: pip install "shoal[media]"') from error


async def _play(url: str, console: Console, result: dict[str, Any]) -> None:
    """Run the player as a process of its own, pass on its progress, and put its last line into `result`."""
    player = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "shoal.app.demo.leash", str(os.getpid()), "shoal.app.demo.player", url, "--json"),
        stdout=asyncio.subprocess.PIPE,
        start_new_session=True,  # a Ctrl-C is meant for us, and we end it
    )
    try:
        assert player.stdout is not None
        async for line in player.stdout:
            try:
                said = msgspec.json.decode(line, type=dict[str, Any])
            except msgspec.DecodeError:
                continue
            said.pop("event", None)  # ours have names of their own
            result.clear()
            result.update(said)
            if "ok" not in said and "position_s" in said:
                console.event("playing", f"at {said['position_s']:.0f} s", **said)
        await player.wait()
    finally:
        if player.returncode is None:
            player.kill()
            await player.wait()
