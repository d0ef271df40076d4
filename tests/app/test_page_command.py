"""`shoal page`: what a page of one's own stream is told, and what is wrong."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest

from shoal.app import cli
from shoal.app.console import Console
from shoal.app.page_files import PYODIDE_FILES
from shoal.app.page_stream import PageOptions
from shoal.app.peering import PeerOptions, TurnServer
from shoal.app.player_site import PlayerSite

URL = "https://a.example/film/main.m3u8"


@pytest.fixture
def build(tmp_path: Path) -> Path:
    """As `make wasm` leaves it, by name."""
    folder = tmp_path / "build"
    modules = folder / "browser" / "node_modules"
    names = [modules / "pyodide" / name for name in PYODIDE_FILES]
    names += [modules / "hls.js" / "LICENSE", modules / "hls.js" / "dist" / "hls.min.js"]
    names += [folder / "browser" / "wheels" / "msgspec-1-py3.whl"]
    wheels = ("shoal-1-cp312-abi3-pyemscripten_2026_0_wasm32.whl", "shoal-1-py3-none-any.whl")
    names += [folder / "wasm" / "dist" / name for name in wheels]
    for path in names:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(path.name)
    return folder


def test_a_site_for_any_server_says_what_was_asked_for(tmp_path: Path, build: Path, capsys: pytest.CaptureFixture[str]):
    login = tmp_path / "login"
    login.write_text("name:word\n")
    site = tmp_path / "site"
    given = ("--cdn", "b=https://b.example/film/", "--tracker", "wss://t.example", "--no-peers", "--record")
    servers = ("--stun", "stun:s.example:3478", "--turn", "turn:r.example", "--turn-login", str(login))
    where = ("--folder", str(site), "--build", str(build), "--json")
    assert cli.main(("page", URL, *given, *servers, "--candidates", "relay", *where)) == 0
    assert json.loads(capsys.readouterr().out)["folder"] == str(site)
    told = json.loads((site / "options.json").read_text())
    assert msgspec.convert(told["options"], PageOptions) == PageOptions(
        url=URL,
        cdns={"b": "https://b.example/film/"},
        trackers=("wss://t.example",),
        are_peers_allowed=False,
        record=True,
        peers=PeerOptions(
            stun_servers=("stun:s.example:3478",),
            turn_servers=(TurnServer("turn:r.example", "name", "word"),),
            candidates="relay",
        ),
    )
    assert all((site / path.removeprefix("/")).is_file() for path in told["wheels"])
    assert [path.rpartition("-")[2] for path in told["wheels"][1:]] == ["pyemscripten_2026_0_wasm32.whl", "any.whl"]
    assert (site / "index.html").is_file()
    assert (site / "hls.LICENSE.txt").read_text() == "LICENSE"


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (("--stun", "s.example"), "STUN server 's.example' is not of the form"),
        (("--tracker", "https://t.example"), "is not a ws or wss URL"),
        (("--candidates", "relay"), "a TURN server is needed"),
        (("--cdn", "b"), "is not of the form NAME=VALUE"),
    ],
)
def test_what_a_page_could_not_use_is_refused_before_anything_is_written(
    tmp_path: Path, build: Path, capsys: pytest.CaptureFixture[str], given: tuple[str, ...], words: str
):
    site = tmp_path / "site"
    assert cli.main(("page", URL, *given, "--folder", str(site), "--build", str(build))) == 2
    assert words in capsys.readouterr().err
    assert not site.exists()


def test_without_what_pages_load_it_says_what_makes_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert cli.main(("page", URL, "--folder", str(tmp_path / "site"), "--build", str(tmp_path))) == 2
    assert "make wasm" in capsys.readouterr().err


class Address(Console):
    """Waits for the address that a command says it is ready at."""

    def __init__(self) -> None:
        super().__init__()
        self.said: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def event(self, event: str, text: str, /, **fields: Any) -> None:
        assert event == "ready"
        assert fields["url"] in text
        self.said.set_result(fields["url"])


def test_a_served_site_says_where_and_what_and_is_gone_when_it_is_cancelled(build: Path):
    async def main() -> dict[str, str]:
        console = Address()
        serving = asyncio.create_task(PlayerSite(PageOptions(url=URL), build).serve(0, console))
        url = await console.said
        kinds = {}
        async with aiohttp.ClientSession() as client:
            for path in ("", "options.json", "player.js", "pyodide/pyodide.mjs", "pyodide/pyodide.asm.wasm"):
                async with client.get(url + path) as response:
                    assert response.status == 200
                    kinds[path] = response.content_type
            async with client.get(url + "none") as response:
                assert response.status == 404
            serving.cancel()
            await asyncio.wait([serving])
            with pytest.raises(aiohttp.ClientConnectionError):
                await client.get(url)
        return kinds

    assert asyncio.run(main()) == {
        "": "text/html",
        "options.json": "application/json",
        "player.js": "text/javascript",
        "pyodide/pyodide.mjs": "text/javascript",
        "pyodide/pyodide.asm.wasm": "application/wasm",
    }
