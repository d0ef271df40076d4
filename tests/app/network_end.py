"""What runs in the namespaces of network.py: `origin FOLDER`, until its input ends, or `viewer GOOD BAD FOLDER [CUT]`.

The viewer plays: it begins with the first segment, and has BUFFER_S ahead at most.  It prints CUT when half of the
stream is there, and goes on when it gets a line; last what it saw, as JSON.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path

from shoal.app.demo.origin import Origin
from shoal.app.session import SessionOptions, open_session
from shoal.balancer.model import Kind

PORT = 8080
BUFFER_S = 3.0


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


async def origin(folder: str) -> None:
    serving = Origin(Path(folder))
    await serving.start(host="0.0.0.0", port=PORT)
    say("serving")
    await asyncio.to_thread(sys.stdin.read)
    await serving.aclose()


async def viewer(good: str, bad: str, folder: str, *, cuts: bool) -> None:
    options = SessionOptions(url=good, cdns={"good": good, "bad": bad}, weights={"bad": 9.0}, allow_private=True)
    right, stalled_s = 0, 0.0
    began_s: float | None = None  # when the first picture was shown, and later by as much as it has stood still
    async with open_session(options) as session:
        await session.playlist()
        media = [each for each in (await session.playlist(0)).segments if each.key.kind is Kind.MEDIA]
        for place, segment in enumerate(media):
            at_s = segment.start_us / 1e6
            if began_s is not None:
                await asyncio.sleep(max(0.0, began_s + at_s - BUFFER_S - time.monotonic()))
            if cuts and place == len(media) // 2:
                say("CUT")
                await asyncio.to_thread(sys.stdin.readline)
            came = b"".join([piece.data async for piece in session.read(segment.key)])
            now_s = time.monotonic()
            began_s = now_s - at_s if began_s is None else began_s
            late_s = max(0.0, now_s - began_s - at_s)
            began_s, stalled_s = began_s + late_s, stalled_s + late_s
            right += came == (Path(folder) / segment.uri.rpartition("/")[2]).read_bytes()
        report = await session.report()
    sources = {source.name: [source.used_bytes, source.errors] for source in report.sources}
    say(json.dumps({"right": right, "stalled_s": stalled_s, "sources": sources}))


if __name__ == "__main__":
    if sys.argv[1] == "origin":
        asyncio.run(origin(sys.argv[2]))
    else:
        asyncio.run(viewer(*sys.argv[2:5], cuts="CUT" in sys.argv))
