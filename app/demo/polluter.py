"""A peer that lies: it fetches a stream like any other and uploads it with one bit wrong.

    python -m shoal.app.demo.polluter URL --tracker ws://... --cdn NAME=URL ...

The bit is in the second 64 KiB block.  The first block is right, so whoever
checks block by block has taken some of the segment from here before it notices,
and must go on elsewhere in mid-segment.  With `--changed SHARE` it is the last bytes
of each segment, so many of them, and with `--kind KIND` one of those in pollution.py.
The other options are those of `shoal peer`.
"""

from __future__ import annotations

import argparse
import asyncio
import sys

from shoal.app.commands.signals import until_stopped
from shoal.app.console import Console
from shoal.app.follow import follow
from shoal.app.options import add_stream_options, stream_options
from shoal.app.session import StreamSession, open_session
from shoal.balancer.integrity import BLOCK_BYTES
from shoal.balancer.model import ResourceKey

from .pollution import POLLUTIONS, Tamper, changed, pollution

__all__ = ["main", "tampered"]

_AT = BLOCK_BYTES + 100


def tampered(_key: ResourceKey, data: bytes) -> bytes:
    """The segment with one bit flipped: in its second block, or at its end when it has only one."""
    if not data:
        return data
    at = min(_AT, len(data) - 1)
    return data[:at] + bytes([data[at] ^ 0x01]) + data[at + 1 :]


def _tamper(arguments: argparse.Namespace) -> Tamper:
    if arguments.kind is not None:
        return pollution(arguments.kind)
    return tampered if arguments.changed is None else changed(arguments.changed)


async def _run(arguments: argparse.Namespace, console: Console) -> None:
    options = stream_options(arguments)
    async with open_session(options, tamper=_tamper(arguments)) as session:
        await until_stopped(_serve(session, console))
        report = await session.report()
    sent = sum(source.sent_bytes for source in report.sources)
    console.event("ended", f"{sent} bytes were sent, some of them wrong", sent_bytes=sent)


async def _serve(session: StreamSession, console: Console) -> None:
    await session.playlist()
    console.event("ready", f"serving {session.options.url} with wrong bytes", url=session.options.url)
    await follow(session, console, every=False)
    await asyncio.Event().wait()


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m shoal.app.demo.polluter", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    add_stream_options(parser)
    parser.add_argument("--changed", type=float, metavar="SHARE", help="of each segment, at its end (one bit of it)")
    parser.add_argument("--kind", choices=tuple(POLLUTIONS), help="how each segment is wrong, other than that")
    parser.add_argument("--json", action="store_true", help="JSON lines on stdout")
    arguments = parser.parse_args(argv)
    asyncio.run(_run(arguments, Console(json=arguments.json)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
