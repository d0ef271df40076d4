"""shoal demo: the main job, end to end."""

from __future__ import annotations

import argparse
from pathlib import Path

from shoal.transports.errors import TransportMissing

from ..console import Console

EXAMPLE = "shoal demo --out out"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--out", type=Path, default=Path("out"), help="folder for report.json, report.html and logs (out)"
    )
    parser.add_argument("--folder", type=Path, help="where the video is kept (the user's cache folder)")
    parser.add_argument("--seconds", type=_seconds, default=44, help="length of the video (44)")


def _seconds(text: str) -> int:
    """For argparse: a length that has something to show, and that fits a cache folder."""
    if not (text.isascii() and text.isdigit() and 4 <= int(text) <= 3600):
        raise argparse.ArgumentTypeError(f"{text!r} is not a length of 4 to 3600 seconds")
    return int(text)


async def run(args: argparse.Namespace, console: Console) -> int:
    try:
        import aiortc  # noqa: F401
        import av  # noqa: F401
    except ImportError as error:
        raise TransportMissing('the demo needs libav and WebRTC: pip install "shoal[media,webrtc]"') from error
    from ..demo.run import DemoOptions, run_demo

    return await run_demo(DemoOptions(out=args.out, folder=args.folder, json=args.json, seconds=args.seconds))
