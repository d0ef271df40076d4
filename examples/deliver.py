"""Reads one segment of a stream from two CDNs, and tells which of them brought it.

python examples/deliver.py URL MIRROR_URL
"""

import asyncio
import sys

from shoal.app.session import SessionOptions, open_session


async def main(url: str, mirror: str) -> None:
    options = SessionOptions(url=url, cdns={"a": url, "b": mirror}, allow_private=True)
    async with open_session(options) as session:
        segments = (await session.playlist(0)).segments
        body = [piece.data async for piece in session.read(segments[0].key)]
        report = await session.report()
    used = {source.name: source.used_bytes for source in report.sources if source.used_bytes}
    print(f"{sum(map(len, body))} bytes, verified by {report.hashes}, from {used}")


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
