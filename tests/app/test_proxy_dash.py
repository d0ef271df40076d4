"""The proxy in front of an MPD: its paths, its ranges, and nothing else; over a session in virtual time."""

from __future__ import annotations

import re
from urllib.parse import unquote

import pytest

from shoal.app.proxy import Proxy
from shoal.runtime.testing import run_virtual
from shoal.transports.interface import ServerResponse

from ..balancer.actors.test_manifest import film, template, vod
from ..balancer.actors.world import World
from .test_proxy import body_of, request

URL = "http://one/v/main.mpd"


def of_film(world: World) -> bytes:
    data, first, length = film(world)
    for origin in world.origins.values():
        origin.files["film.mp4"] = data
    return vod(world, f'<BaseURL>film.mp4</BaseURL><SegmentBase indexRange="{first}-{first + length - 1}"/>')


def answered(path: str, *, is_film: bool = False, **more: str) -> tuple[ServerResponse, bytes, World]:
    async def main() -> tuple[ServerResponse, bytes, World]:
        async with World(hashes="none") as world:
            world.document("main.mpd", of_film(world) if is_film else template(world))
            async with world.viewer(url=URL) as session:
                response = await Proxy(session).handle(request(path, **more))
                return response, await body_of(response), world

    return run_virtual(main())


def test_the_mpd_is_where_the_proxy_says_it_is() -> None:
    response, body, _ = answered("/stream.mpd")
    assert response.status == 200
    assert response.headers["content-type"] == "application/dash+xml"
    assert response.headers["cache-control"] == "no-store"
    assert b"<BaseURL>/dash/0/</BaseURL>" in body


def test_a_name_of_the_mpd_leads_to_its_bytes() -> None:
    response, body, world = answered("/dash/0/n3.m4s")
    assert (response.status, response.headers["content-type"]) == (200, "video/iso.segment")
    assert body == world.stream.segments[3]


def test_a_range_of_a_segment_is_cut_from_it() -> None:
    response, body, world = answered("/dash/0/n3.m4s", range="bytes=10-19")
    assert response.status == 206
    assert response.headers["content-range"] == f"bytes 10-19/{len(world.stream.segments[3])}"
    assert body == world.stream.segments[3][10:20]


def test_a_range_of_a_file_is_that_range_and_no_more_is_fetched() -> None:
    response, body, world = answered("/dash/0/film.mp4", is_film=True, range="bytes=100-5099")
    assert response.status == 206
    assert response.headers["content-range"] == "bytes 100-5099/*"
    assert response.headers["content-length"] == "5000"
    assert body == film(world)[0][100:5100]
    asked = [one for origin in world.origins.values() for one in origin.asked if one.name == "film.mp4"]
    assert {one.first_byte for one in asked} <= {100, len(world.stream.init)}  # and the index


def test_the_whole_of_a_file_may_be_asked_for() -> None:
    _, body, world = answered("/dash/0/film.mp4", is_film=True)
    assert body == film(world)[0]


@pytest.mark.parametrize("name", ["index.mp4", "init.mp4", "t1.vtt", "n1.mp4", "n%31.mp4"])
def test_a_file_is_found_whatever_its_origin_calls_it(name: str) -> None:
    async def main() -> None:
        async with World(hashes="none") as world:
            data, first, length = film(world)
            for origin in world.origins.values():
                origin.files[unquote(name)] = data
            index = f'<SegmentBase indexRange="{first}-{first + length - 1}"/>'
            world.document("main.mpd", vod(world, f"<BaseURL>{name}</BaseURL>{index}"))
            async with world.viewer(url=URL) as session:
                proxy = Proxy(session)
                text = (await body_of(await proxy.handle(request("/stream.mpd")))).decode()
                (path,) = re.findall("<BaseURL>(.*)</BaseURL>", text)
                response = await proxy.handle(request(unquote(path), range="bytes=100-5099"))
                assert response.status == 206
                assert await body_of(response) == data[100:5100]

    run_virtual(main())


@pytest.mark.parametrize(
    "path",
    [
        *("/stream.m3u8", "/dash/0/", "/dash/0/n99.m4s", "/dash/1/n0.m4s", "/dash/999999/n0", "/dash/0/t1.m4s"),
        *("/dash/0/../x", "/dash/0/x/n0.m4s", "/dash/-1/n0", "/dash/0/s0.m4s", "/playlist/0/x", "/media/0/0/s0.m4s"),
        *("/dash/0/http:%2f%2fb.example%2fx", "/dash/0/" + "n" * 300, "/dash/0/n0.m4s/", "/dash/1234567/n0"),
    ],
)
def test_what_the_mpd_does_not_name_is_not_there(path: str) -> None:
    response, _, world = answered(path)
    assert response.status == 404
    assert not any(one.name.startswith("s") for origin in world.origins.values() for one in origin.segments_asked())


def test_a_segment_whose_name_has_blanks_is_played() -> None:
    async def main() -> None:
        async with World(hashes="none") as world:
            text = template(world).decode().replace('media="s$', 'media="my vidéo $').replace("init.mp4", "in it.mp4")
            world.document("main.mpd", text.encode())
            for origin in world.origins.values():
                origin.files = {"in it.mp4": world.stream.init}
                origin.files |= {f"my vidéo {place}.m4s": data for place, data in enumerate(world.stream.segments)}
            async with world.viewer(url=URL) as session:
                proxy = Proxy(session)
                assert await body_of(await proxy.handle(request("/dash/0/init.mp4"))) == world.stream.init
                for place, truth in enumerate(world.stream.segments):
                    assert await body_of(await proxy.handle(request(f"/dash/0/n{place}.m4s"))) == truth

    run_virtual(main())
