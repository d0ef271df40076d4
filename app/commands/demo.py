"""shoal demo: the main job, end to end."""

from __future__ import annotations

import argparse
from pathlib import Path

from shoal.transports.errors import TransportMissing

from ..console import Console
from ..options import port_number
from .signals import until_stopped

EXAMPLE = "shoal demo --out out"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--out", type=Path, default=Path("out"), help="folder for report.json, report.html and logs (out)"
    )
    parser.add_argument("--folder", type=Path, help="where the video is kept (the user's cache folder)")
    parser.add_argument("--seconds", type=_seconds, default=44, help="length of the video (44)")
    parser.add_argument(
        "--browser", action="store_true", help="be watched: serve a page that plays the stream, until Ctrl-C"
    )
    parser.add_argument("--port", type=port_number, default=0, help="of the page (any free one)")
    parser.add_argument("--build", type=Path, default=Path("build"), help="where `make wasm` built (build)")


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

    options = DemoOptions(out=args.out, folder=args.folder, json=args.json, seconds=args.seconds)
    if args.browser:
        from ..demo.browser import serve_browser

        await until_stopped(serve_browser(options, console, build=args.build, port=args.port))
        return 0
    return await run_demo(options)
