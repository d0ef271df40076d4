"""shoal tracker: who is in which swarm."""

from __future__ import annotations

import argparse
import asyncio

from ..console import Console
from ..options import port_number
from ..tracker import Tracker
from .signals import until_stopped

EXAMPLE = "shoal tracker --port 8000"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (127.0.0.1)")
    parser.add_argument("--port", type=port_number, default=8000, help="port to listen on (8000; 0 for any free one)")


async def run(args: argparse.Namespace, console: Console) -> int:
    tracker = Tracker()
    try:
        await until_stopped(_serve(tracker, args, console))
        peers = tracker.stats().peers
    finally:
        await tracker.aclose()
    console.event("ended", f"{peers} peers were here at the end", peers=peers)
    return 0


async def _serve(tracker: Tracker, args: argparse.Namespace, console: Console) -> None:
    """Until it is cancelled."""
    port = await tracker.start(args.host, args.port)
    url = f"ws://{args.host}:{port}"
    console.event("ready", f"tracker at {url} (Ctrl-C ends it)", url=url, port=port)
    await asyncio.Event().wait()
