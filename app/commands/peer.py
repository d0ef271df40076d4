"""shoal peer: a viewer that watches nothing, and serves what it holds."""

from __future__ import annotations

import argparse
import asyncio

import msgspec

from shoal.balancer.errors import ConfigurationError

from ..console import Console
from ..follow import follow
from ..options import add_stream_options, stream_options
from ..session import StreamSession, open_session
from .consent import Wishes, hearing_consent
from .signals import until_stopped
from .totals import bytes_by_source

_LOOK_S = 1.0  # between two looks whether any tracker lets us in

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
    with Wishes() as wishes:
        return await _run(args, console, wishes)


async def _run(args: argparse.Namespace, console: Console, wishes: Wishes) -> int:
    options = stream_options(args)
    if not options.trackers:
        raise ConfigurationError("a peer needs --tracker URL to be found by others")
    # It fetches each rendition once and serves all of them on: none is watched in place of another.
    options = msgspec.structs.replace(options, config=msgspec.structs.replace(options.config, swarm_idle_us=None))
    async with open_session(options) as session, hearing_consent(session, console, wishes):
        await until_stopped(_serve(session, console, every=args.renditions == "all", lead_s=args.lead))
        report = await session.report()
    sent = sum(source.sent_bytes for source in report.sources)
    console.event(
        "ended",
        f"{sent} bytes were sent to {sum(1 for source in report.sources if source.sent_bytes)} peers",
        sent_bytes=sent,
        bytes_by_source=bytes_by_source(report),
    )
    return 0


async def _serve(session: StreamSession, console: Console, *, every: bool, lead_s: float | None) -> None:
    """Until it is cancelled: a stream that is held is served on.  TrackerRefused where nobody lets us in."""
    await session.playlist()
    console.event("ready", f"serving {session.options.url} to peers (Ctrl-C ends it)", url=session.options.url)
    async with asyncio.TaskGroup() as group:
        group.create_task(follow(session, console, every=every, lead_s=lead_s))
        group.create_task(_while_let_in(session))


async def _while_let_in(session: StreamSession) -> None:
    """A viewer plays on from CDNs; a peer that no tracker lets in is of no use, and nobody would notice."""
    while (refusal := await session.refusal()) is None:  # noqa: ASYNC110, the session is asked as others ask it
        await asyncio.sleep(_LOOK_S)
    raise refusal
