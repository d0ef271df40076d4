"""Streams that are signed, over real sockets: by URLs that expire and are renewed with each refresh, and by cookies.

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
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp import web
from yarl import URL

from shoal.app.proxy import Proxy
from shoal.app.session import SessionOptions, open_session

pytestmark = pytest.mark.real

KEY = b"of the CDN"
VALID_S = 4.0  # as long as four segments: who used the URL of a much older playlist would be refused
SEGMENTS = 8
WINDOW = 4
BYTES = [random.Random(number).randbytes(50_000) for number in range(SEGMENTS)]
INIT = random.Random(99).randbytes(700)


def signed(name: str, valid_s: float = VALID_S) -> str:
    expires = f"{time.monotonic() + valid_s:.3f}"
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
        return web.Response(body=self.body(name))

    def body(self, name: str) -> bytes:
        return INIT if name == "init.mp4" else BYTES[int(name.removesuffix(".m4s"))]


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


@asynccontextmanager
async def served(*routes: web.RouteDef) -> AsyncIterator[str]:
    """The URL of a server with these routes."""
    app = web.Application()
    app.add_routes(routes)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def test_a_live_stream_of_signed_urls_plays_while_its_signatures_expire():
    async def main():
        origin = SigningOrigin()
        routes = [web.get("/live.m3u8", origin.playlist), web.get("/{name:.+\\.(mp4|m4s)}", origin.media)]
        async with served(*routes) as url:
            options = SessionOptions(url=f"{url}/live.m3u8", allow_private=True)
            async with open_session(options) as session, Proxy(session) as proxy:
                found = await play(proxy.url)
        hashes = [hashlib.sha256(body).hexdigest() for body in found.values()]
        assert sorted(hashes) == sorted(hashlib.sha256(body).hexdigest() for body in (INIT, *BYTES))
        assert origin.answers == {200: SEGMENTS + 1}
        assert not any("Signature" in uri for uri in found)  # a player, and whoever reads its log, needs none

    asyncio.run(main())


PARTS = 4  # of a segment
PART_S = 0.25


def part_body(number: int) -> bytes:
    return b"part %d" % number * 1000


class PartsOrigin(SigningOrigin):
    """The same in parts, of a low-latency stream, with a hint at the one that comes next."""

    async def playlist(self, _: web.Request) -> web.Response:
        newest = min(SEGMENTS * PARTS // 2, 1 + int((time.monotonic() - self.began_s) / PART_S))
        lines = ["#EXTM3U", "#EXT-X-VERSION:9", "#EXT-X-TARGETDURATION:1", f"#EXT-X-PART-INF:PART-TARGET={PART_S}"]
        for number in range(newest):
            lines.append(f'#EXT-X-PART:DURATION={PART_S},URI="{signed(f"{number}.part.m4s", 60.0)}"')
            if number % PARTS == PARTS - 1:
                lines += ["#EXTINF:1.0,", signed(f"{number // PARTS}.m4s")]
        if newest == SEGMENTS * PARTS // 2:
            lines.append("#EXT-X-ENDLIST")
        else:
            lines.append(f'#EXT-X-PRELOAD-HINT:TYPE=PART,URI="{signed(f"{newest}.part.m4s", 60.0)}"')
        return web.Response(text="\n".join([*lines, ""]), content_type="application/vnd.apple.mpegurl")

    def body(self, name: str) -> bytes:
        return part_body(int(name.removesuffix(".part.m4s")))


def test_parts_of_signed_urls_are_fetched_once_and_come_to_who_asked_for_them_by_a_hint():
    async def main():
        origin = PartsOrigin()
        routes = [web.get("/live.m3u8", origin.playlist), web.get("/{name:.+\\.m4s}", origin.media)]
        async with served(*routes) as url:
            options = SessionOptions(url=f"{url}/live.m3u8", allow_private=True)
            async with (
                open_session(options) as session,
                Proxy(session) as proxy,
                aiohttp.ClientSession() as client,
                asyncio.timeout(60),
            ):
                asked: dict[str, asyncio.Task[bytes]] = {}

                async def body(uri: str) -> bytes:
                    async with client.get(uri) as response:
                        assert response.status == 200, await response.text()
                        return await response.read()

                text = ""
                while "#EXT-X-ENDLIST" not in text:
                    async with client.get(proxy.url) as response:
                        text = await response.text()
                        for uri in re.findall(r'^#EXT-X-P(?:ART|RELOAD-HINT):.*URI="([^"]+)"', text, re.MULTILINE):
                            if uri not in asked:
                                asked[uri] = asyncio.create_task(body(str(response.url.join(URL(uri)))))
                    await asyncio.sleep(0.1)
                bodies = await asyncio.gather(*asked.values())
        assert bodies == [part_body(number) for number in range(SEGMENTS * PARTS // 2)]
        assert origin.answers == {200: len(bodies)}

    asyncio.run(main())


@pytest.mark.parametrize("cookies", [True, False], ids=["asked for", "not asked for"])
def test_a_stream_signed_by_a_cookie_plays_if_cookies_are_asked_for(cookies):
    async def playlist(_: web.Request) -> web.Response:
        lines = ["#EXTM3U", "#EXT-X-TARGETDURATION:1", "#EXTINF:1.0,", "0.m4s", "#EXT-X-ENDLIST", ""]
        answer = web.Response(text="\n".join(lines), content_type="application/vnd.apple.mpegurl")
        answer.set_cookie("CloudFront-Signature", signature("0.m4s", "never"))
        return answer

    async def media(request: web.Request) -> web.Response:
        is_signed = request.cookies.get("CloudFront-Signature") == signature("0.m4s", "never")
        return web.Response(body=BYTES[0]) if is_signed else web.Response(status=403)

    async def main():
        async with served(web.get("/vod.m3u8", playlist), web.get("/0.m4s", media)) as url:
            options = SessionOptions(url=f"{url}/vod.m3u8", allow_private=True, cookies=cookies)
            async with (
                open_session(options) as session,
                Proxy(session) as proxy,
                aiohttp.ClientSession() as client,
                client.get(proxy.url) as playlist_as_told,
            ):
                path = re.findall(r"^[^#].*", await playlist_as_told.text(), re.MULTILINE)[0]
                async with client.get(playlist_as_told.url.join(type(playlist_as_told.url)(path))) as response:
                    assert (response.status == 200) is cookies
                    assert (await response.read() == BYTES[0]) is cookies
                report = await session.report()
                reasons = " ".join(part.reason for segment in report.segments for part in segment.parts)
                assert ("status 403" in reasons) is not cookies

    asyncio.run(main())
