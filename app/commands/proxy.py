"""shoal proxy: one stream on a loopback port."""

from __future__ import annotations

import argparse
import asyncio

from shoal.balancer.errors import ConfigurationError

from ..console import Console
from ..options import add_stream_options, port_number, stream_options
from ..proxy import Proxy
from ..session import StreamSession, open_session
from .signals import until_stopped

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


async def run(args: argparse.Namespace, console: Console) -> int:
    options = stream_options(args)
    async with open_session(options) as session:
        await until_stopped(_serve(session, args, console))
        report = await session.report()
    console.event(
        "ended",
        f"{sum(segment.delivered_bytes for segment in report.segments)} bytes were delivered",
        delivered_bytes=sum(segment.delivered_bytes for segment in report.segments),
        bytes_by_source={source.name: source.used_bytes for source in report.sources if source.used_bytes},
    )
    return 0


async def _serve(session: StreamSession, args: argparse.Namespace, console: Console) -> None:
    """Until it is cancelled."""
    proxy = Proxy(session, allowed_origins=frozenset(args.allow_origin))
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
        await asyncio.Event().wait()
    finally:
        await proxy.aclose()
