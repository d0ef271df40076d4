"""URLs that are signed and expire, of a live stream and over real sockets: each refresh of the playlist renews them.

The origin answers 403 to what is not signed, and to a signature that has expired.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import random
import re
import time
from collections import Counter

import aiohttp
import pytest
from aiohttp import web

from shoal.app.proxy import Proxy
from shoal.app.session import SessionOptions, open_session

pytestmark = pytest.mark.real

KEY = b"of the CDN"
VALID_S = 4.0  # as long as four segments: who used the URL of a much older playlist would be refused
SEGMENTS = 8
WINDOW = 4
BYTES = [random.Random(number).randbytes(50_000) for number in range(SEGMENTS)]
INIT = random.Random(99).randbytes(700)


def signed(name: str) -> str:
    expires = f"{time.monotonic() + VALID_S:.3f}"
    return f"{name}?Expires={expires}&Signature={signature(name, expires)}&Key-Pair-Id=K%2F1"


def signature(name: str, expires: str) -> str:
    return hmac.new(KEY, f"{name} {expires}".encode(), "sha256").hexdigest()


class SigningOrigin:
    """A live playlist of a segment a second, whose every URL is signed anew each time that it is asked for."""

    def __init__(self) -> None:
        self.answers: Counter[int] = Counter()  # of what is signed, by status
        self.began_s = time.monotonic()

    async def playlist(self, _: web.Request) -> web.Response:
        newest = min(SEGMENTS, 2 + int(time.monotonic() - self.began_s))
        first = max(0, newest - WINDOW)
        lines = ["#EXTM3U", "#EXT-X-VERSION:7", "#EXT-X-TARGETDURATION:1", f"#EXT-X-MEDIA-SEQUENCE:{first}"]
        lines.append(f'#EXT-X-MAP:URI="{signed("init.mp4")}"')
        for number in range(first, newest):
            lines += ["#EXTINF:1.0,", signed(f"{number}.m4s")]
        if newest == SEGMENTS:
            lines.append("#EXT-X-ENDLIST")
        return web.Response(text="\n".join([*lines, ""]), content_type="application/vnd.apple.mpegurl")

    async def media(self, request: web.Request) -> web.Response:
        name, expires = request.match_info["name"], request.query.get("Expires", "0")
        is_right = hmac.compare_digest(request.query.get("Signature", ""), signature(name, expires))
        status = (
            200 if is_right and request.query["Key-Pair-Id"] == "K/1" and float(expires) > time.monotonic() else 403
        )
        self.answers[status] += 1
        if status != 200:
            return web.Response(status=status)
        return web.Response(body=INIT if name == "init.mp4" else BYTES[int(name.removesuffix(".m4s"))])


async def play(url: str) -> dict[str, bytes]:
    """Ask for the playlist twice a second, as a player would, and for all that it names."""
    found: dict[str, bytes] = {}
    async with aiohttp.ClientSession() as client, asyncio.timeout(60):
        while True:
            async with client.get(url) as response:
                text = await response.text()
                assert response.status == 200, text
            named = re.findall(r'URI="([^"]+)"', text) + [line for line in text.splitlines() if line and line[0] != "#"]
            for uri in named:
                if uri not in found:
                    async with client.get(response.url.join(type(response.url)(uri))) as media:
                        found[uri] = await media.read()
                        assert media.status == 200, uri
            if "#EXT-X-ENDLIST" in text:
                return found
            await asyncio.sleep(0.5)


def test_a_live_stream_of_signed_urls_plays_while_its_signatures_expire():
    async def main():
        origin = SigningOrigin()
        app = web.Application()
        app.add_routes([web.get("/live.m3u8", origin.playlist), web.get("/{name:.+\\.(mp4|m4s)}", origin.media)])
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = runner.addresses[0][1]
        try:
            options = SessionOptions(url=f"http://127.0.0.1:{port}/live.m3u8", allow_private=True)
            async with open_session(options) as session, Proxy(session) as proxy:
                found = await play(proxy.url)
        finally:
            await runner.cleanup()
        hashes = [hashlib.sha256(body).hexdigest() for body in found.values()]
        assert sorted(hashes) == sorted(hashlib.sha256(body).hexdigest() for body in (INIT, *BYTES))
        assert origin.answers == {200: SEGMENTS + 1}
        assert not any("Signature" in uri for uri in found)  # a player, and whoever reads its log, needs none

    asyncio.run(main())
