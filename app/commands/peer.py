"""shoal peer: a viewer that watches nothing, and serves what it holds."""

from __future__ import annotations

import argparse
import asyncio

from shoal.balancer.errors import ConfigurationError

from ..console import Console
from ..follow import follow
from ..options import add_stream_options, stream_options
from ..session import open_session
from .signals import until_stopped

EXAMPLE = "shoal peer https://a.example/hls/stream.m3u8 --tracker wss://tracker.example"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_stream_options(parser)
    peer = parser.add_argument_group("peer")
    peer.add_argument(
        "--renditions", default="best", choices=("best", "all"), help="which renditions to fetch and serve (best)"
    )
    peer.add_argument(
        "--lead",
        type=float,
        metavar="SECONDS",
        help="fetch at a viewer's pace, so far ahead (as fast as the sources give it)",
    )


async def run(args: argparse.Namespace, console: Console) -> int:
    options = stream_options(args)
    if not options.trackers:
        raise ConfigurationError("a peer needs --tracker URL to be found by others")
    async with open_session(options) as session:
        await session.playlist()
        console.event("ready", f"serving {options.url} to peers (Ctrl-C ends it)", url=options.url)
        follower = asyncio.create_task(follow(session, console, every=args.renditions == "all", lead_s=args.lead))
        stopper = asyncio.create_task(until_stopped())
        try:
            await asyncio.wait({follower, stopper}, return_when=asyncio.FIRST_COMPLETED)
            if follower.done():
                follower.result()  # it ended by itself: raises what went wrong
                await stopper
        finally:
            follower.cancel()
            stopper.cancel()
            await asyncio.gather(follower, stopper, return_exceptions=True)
        report = await session.report()
    sent = sum(source.sent_bytes for source in report.sources)
    console.event(
        "ended",
        f"{sent} bytes were sent to {sum(1 for source in report.sources if source.sent_bytes)} peers",
        sent_bytes=sent,
        bytes_by_source={source.name: source.used_bytes for source in report.sources if source.used_bytes},
    )
    return 0
