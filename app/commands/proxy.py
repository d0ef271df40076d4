"""shoal proxy: one stream on a loopback port."""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path

from shoal.balancer.errors import ConfigurationError

from ..console import Console
from ..options import add_stream_options, port_number, stream_options
from ..proxy import Proxy
from ..session import StreamSession, open_session
from .consent import Wishes, hearing_consent
from .signals import until_stopped
from .totals import bytes_by_source

DRAIN_S = 5.0  # a segment of 6 s that a player downloads faster than it plays is through by then
DRAIN_S_MAX = 3600.0
EXAMPLE = (
    "shoal proxy https://a.example/hls/stream.m3u8 --cdn b=https://b.example/hls/stream.m3u8 --port 8080\n"
    "  ffplay http://127.0.0.1:8080/stream.m3u8"
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_stream_options(parser)
    server = parser.add_argument_group("server")
    server.add_argument("--host", default="127.0.0.1", help="loopback address to listen on (127.0.0.1)")
    server.add_argument("--port", type=port_number, default=0, help="port to listen on (any free one)")
    server.add_argument(
        "--allow-origin",
        action="append",
        default=[],
        metavar="ORIGIN",
        help="let pages of this web origin read the stream",
    )
    server.add_argument(
        "--token-file",
        metavar="FILE",
        help="answer only requests with the token in this file (Authorization: Bearer TOKEN)",
    )
    server.add_argument(
        "--drain",
        type=_seconds,
        default=DRAIN_S,
        metavar="SECONDS",
        help=f"when told to end, how long responses under way may take ({DRAIN_S:g}); a second signal ends it at once",
    )


async def run(args: argparse.Namespace, console: Console) -> int:
    with Wishes() as wishes:
        return await _run(args, console, wishes)


async def _run(args: argparse.Namespace, console: Console, wishes: Wishes) -> int:
    options = stream_options(args)
    async with open_session(options) as session, hearing_consent(session, console, wishes):
        await until_stopped(_serve(session, args, console))
        report = await session.report()
    console.event(
        "ended",
        f"{sum(segment.delivered_bytes for segment in report.segments)} bytes were delivered",
        delivered_bytes=sum(segment.delivered_bytes for segment in report.segments),
        bytes_by_source=bytes_by_source(report),
    )
    return 0


async def _serve(session: StreamSession, args: argparse.Namespace, console: Console) -> None:
    """Until it is cancelled."""
    proxy = Proxy(session, allowed_origins=args.allow_origin, token=_token(args.token_file))
    try:
        await proxy.start(host=args.host, port=args.port)
    except ValueError as error:
        raise ConfigurationError(f"--host {args.host}: {error}") from error
    try:
        playlist = await session.playlist()
        console.event(
            "ready",
            f"{session.options.url} is served at {proxy.url} (Ctrl-C ends it)",
            url=proxy.url,
            renditions=playlist.renditions,
            is_live=playlist.is_live,
        )
        try:
            await asyncio.Event().wait()
        finally:
            if not await proxy.drain(args.drain):
                console.event("cut", f"responses were still under way after {args.drain:g} s, and are cut")
    finally:
        await proxy.aclose()


def _token(path: str | None) -> str | None:
    """From a file and not from the command line, which every user of the machine can read."""
    if path is None:
        return None
    try:
        return Path(path).read_text("ascii").strip()
    except (OSError, UnicodeError) as error:
        raise ConfigurationError(f"--token-file {path} cannot be read: {error}") from error


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= DRAIN_S_MAX:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds, 0 to {DRAIN_S_MAX:g}")
    return seconds
