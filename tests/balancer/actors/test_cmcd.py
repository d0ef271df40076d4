"""CDNs are told of each request, where that is asked for, and what they say of themselves is in the report."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs

import pytest

from shoal.app.cmcd import cmcd_options
from shoal.balancer.errors import ConfigurationError
from shoal.balancer.formats.cmcd import decode
from shoal.balancer.formats.cmsd import ServerData
from shoal.runtime.testing import run_virtual
from shoal.transports.interface import ServerRequest

from .world import World, play

MAIN = b'#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=400000,CODECS="avc1.4d401e"\nstream.m3u8\n'


def told(request: ServerRequest) -> dict[str, Any]:
    """What a request says of itself, by whichever way."""
    in_query = parse_qs(request.query).get("CMCD", [""])[0]
    in_headers = ",".join(value for name, value in request.headers.items() if name.startswith("cmcd-"))
    assert not (in_query and in_headers), "it goes by one way"
    return decode(in_query or in_headers)


def requests_of(mode: str | None, **options: Any) -> list[ServerRequest]:
    """What two origins are asked while somebody plays all of a stream."""
    found: list[ServerRequest] = []

    async def main() -> None:
        async with World() as world:
            world.document("main.m3u8", MAIN)
            async with world.viewer(url="http://one/v/main.m3u8", cmcd=mode, **options) as session:
                shown = await play(session, world.stream)
                assert shown.is_perfect
            for origin in world.origins.values():
                found.extend(origin.requests)

    run_virtual(main())
    return found


@pytest.mark.parametrize("mode", ["query", "header"])
def test_each_request_says_what_it_is_for(mode: str) -> None:
    requests = requests_of(mode)
    said = [told(request) for request in requests]
    assert len({(values["sid"], values["cid"], values["sf"], values["v"]) for values in said}) == 1
    by_name = {request.path.rpartition("/")[2]: values for request, values in zip(requests, said, strict=True)}
    assert by_name["main.m3u8"]["ot"] == by_name["stream.m3u8"]["ot"] == "m"
    assert by_name["shoal-hashes.json"]["ot"] == "o"
    media = by_name["s7.m4s"]
    assert media["ot"] == "v"
    assert media["br"] == {"v": 400}
    assert media["d"] == 4_000
    assert media["st"] == "v"
    assert media["dl"] > 0
    assert media["mtp"][""] > 1_000
    assert by_name["s6.m4s"]["nor"] == ["s7.m4s"]
    assert by_name["s0.m4s"]["su"] is True


def test_each_cdn_is_told_its_name_and_can_see_that_it_got_every_report() -> None:
    numbers: dict[str, list[int]] = {}
    for request in requests_of("query"):
        values = told(request)
        assert values["cdn"] == request.headers["host"]
        numbers.setdefault(values["cdn"], []).append(values["sn"])
    for seen in numbers.values():
        assert sorted(seen) == list(range(len(seen)))


def test_unless_it_is_asked_for_nothing_is_told() -> None:
    for request in requests_of(None):
        assert "CMCD" not in request.query
        assert not any(name.startswith("cmcd") for name in request.headers)


def test_two_sessions_have_two_names_and_one_content() -> None:
    first, second = (told(requests_of("query", name=name)[0]) for name in ("alice", "bob"))
    assert first["sid"] != second["sid"]
    assert first["cid"] == second["cid"]


def test_what_servers_say_of_themselves_is_in_the_report() -> None:
    async def main() -> None:
        async with World() as world:
            world.origins["one"].headers = {"CMSD-Dynamic": '"edge-7";etp=96;rtt=8', "CMSD-Static": "ot=v,br=400"}
            world.origins["two"].headers = {"CMSD-Dynamic": "not, (what it should be"}
            async with world.viewer() as session:
                await play(session, world.stream)
                report = await session.report()
            by_name = {source.name: source for source in report.sources}
            assert by_name["cdn:one"].cmsd == ServerData(
                static={"ot": "v", "br": 400}, dynamic={"etp": 96, "rtt": 8}, server="edge-7"
            )
            assert by_name["cdn:two"].cmsd is None

    run_virtual(main())


def options(**changes: Any) -> Any:
    given = {"mode": "query", "content": None, "url": "https://a.example/v/m.m3u8?sig=1", "is_dash": False}
    return cmcd_options(**(given | {"cdns": ["a"], "random_bytes": lambda count: b"\x07" * count} | changes))


def test_a_content_that_is_not_named_has_the_hash_of_its_url_without_the_query() -> None:
    assert options().content_id == options(url="https://a.example/v/m.m3u8?sig=2").content_id
    assert options().content_id != options(url="https://a.example/v/n.m3u8").content_id
    assert options(content="film").content_id == "film"
    assert options(is_dash=True).streaming_format == "d"
    assert options(mode=None) is None


@pytest.mark.parametrize("wrong", [{"mode": "json"}, {"content": "é"}, {"content": "x" * 129}, {"cdns": ["a", "Köln"]}])
def test_what_cannot_be_said_is_refused_at_once(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match="CMCD"):
        options(**wrong)
