"""shoal tracker: who is in which swarm."""

from __future__ import annotations

import argparse

from ..console import Console
from ..tracker import Tracker
from .signals import until_stopped

EXAMPLE = "shoal tracker --port 8000"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (127.0.0.1)")
    parser.add_argument("--port", type=int, default=8000, help="port to listen on (8000; 0 for any free one)")


async def run(args: argparse.Namespace, console: Console) -> int:
    tracker = Tracker()
    port = await tracker.start(args.host, args.port)
    try:
        console.event(
            "ready",
            f"tracker at ws://{args.host}:{port} (Ctrl-C ends it)",
            url=f"ws://{args.host}:{port}",
            port=port,
        )
        await until_stopped()
    finally:
        await tracker.aclose()
    return 0
