"""The command line: one clear line for every mistake, exit codes that mean something, JSON for machines, orderly ends.

Each command is run as the program that users run, save where a run would end before it
begins: those cases are many, and call `main` instead.  The servers that are met live in this process.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
from aiohttp import web

from shoal.app import cli
from shoal.app.hints import sentence
from shoal.balancer.errors import ConfigurationError, NotAPlaylist, WrongBytes
from shoal.balancer.model import ByteRange, Kind, ResourceKey
from shoal.transports.errors import AddressRefused, ConnectFailed, StatusError, TimedOut, TransportMissing

pytestmark = pytest.mark.real

TIMEOUT_S = 180.0  # a start takes a second; nothing here waits for more than a few
MEDIA = "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1.0,\none.ts\n#EXT-X-ENDLIST\n"
PAGES: dict[str, bytes] = {
    "page.m3u8": b"<!doctype html><html><body>Log in first</body></html>",
    "movie.mp4": b"\x00\x00\x00\x18ftypmp42" + bytes(range(256)) * 20,
    "huge.m3u8": b"#EXTM3U\n" + b"# a comment that goes on\n" * (3 * 1024 * 1024 // 24),
    "cut.m3u8": b"#EXTM3U\n#EXT-X-TARG",
    "empty.m3u8": b"",
    "good.m3u8": MEDIA.encode(),
    "one.ts": b"\x47" * 1000,
}


@dataclass(frozen=True)
class Finished:
    code: int
    out: str
    err: str

    @property
    def events(self) -> list[dict]:
        """Every line of stdout; one that is no JSON object fails the test."""
        rows = [json.loads(line) for line in self.out.splitlines()]
        assert all(isinstance(row, dict) and row["event"] for row in rows)
        return rows


async def shoal(*arguments: str, signals: tuple[int, ...] = (), ready: str = "ready") -> Finished:
    """Run a command; `signals` are sent one by one, the first when it has told `ready` (this needs --json)."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "shoal.app.cli",
        *arguments,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "COLUMNS": "100"},
    )
    assert process.stdout is not None
    said = b""
    try:
        async with asyncio.timeout(TIMEOUT_S):
            if signals:
                async for line in process.stdout:
                    said += line
                    if json.loads(line)["event"] == ready:
                        break
                for number in signals:
                    process.send_signal(number)
            out, err = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode is not None
    return Finished(process.returncode, (said + out).decode(), err.decode())


def run(*arguments: str, **settings) -> Finished:
    return asyncio.run(shoal(*arguments, **settings))


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Callable[..., Finished]:
    """`main` as a function, in this process."""

    def call_main(*arguments: str) -> Finished:
        try:
            code = cli.main(arguments)
        except SystemExit as stopped:  # argparse's way out
            code = int(stopped.code or 0)
        said = capsys.readouterr()
        return Finished(code, said.out, said.err)

    return call_main


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    """The URL of a server of damaged playlists; it runs in a thread, so that tests may block."""

    async def serve(request: web.Request) -> web.StreamResponse:
        name = request.match_info["name"]
        if name == "half.m3u8":
            assert request.transport is not None
            request.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n#EXTM3U\n")
            request.transport.close()
            await asyncio.sleep(0)
        if name == "silent.m3u8":
            await asyncio.sleep(3600)
        if name not in PAGES:
            return web.Response(status=404, text="no such page\n")
        return web.Response(body=PAGES[name])

    loop = asyncio.new_event_loop()

    async def open_site() -> tuple[web.AppRunner, int]:
        application = web.Application()
        application.router.add_get("/{name}", serve)
        runner = web.AppRunner(application, access_log=None, handler_cancellation=True, shutdown_timeout=0.0)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        return runner, runner.addresses[0][1]

    with ThreadPoolExecutor(1) as thread:
        runner, port = loop.run_until_complete(open_site())
        running = thread.submit(loop.run_forever)
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(10)
            loop.call_soon_threadsafe(loop.stop)
            running.result(10)
            loop.close()


@contextlib.contextmanager
def taken_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def assert_one_line(done: Finished, code: int, *parts: str) -> None:
    """Nothing on stdout; on stderr one line of shoal's with all of `parts`."""
    assert (done.code, done.out) == (code, ""), done
    assert done.err.count("\n") == 1, done.err
    assert done.err.startswith("shoal: ")
    for part in parts:
        assert part in done.err


# -- playlists that are none


@pytest.mark.parametrize(
    ("page", "parts"),
    [
        ("page.m3u8", ["an HTML page", "open the URL in a browser"]),
        ("movie.mp4", ["is an MP4 file", "give the URL of the playlist"]),
        ("huge.m3u8", ["2097152 are allowed", "raise playlist_bytes_max", "--config"]),
        ("cut.m3u8", ["is it cut off"]),
        ("empty.m3u8", ["is empty"]),
        ("half.m3u8", ["8 bytes", "try again", "--cdn"]),
        ("silent.m3u8", ["127.0.0.1", "--cdn"]),
        ("missing.m3u8", ["404", "--cdn"]),
    ],
)
def test_what_is_no_playlist_is_told_in_one_line(site, page, parts):
    assert_one_line(run("proxy", f"{site}/{page}", "--allow-private"), 3, *parts)


def test_a_stream_that_cannot_be_had_ends_play_and_peer_too(site):
    url = f"{site}/page.m3u8"
    assert_one_line(run("play", url, "--allow-private"), 3, "an HTML page")
    tracker = f"ws://127.0.0.1:{closed_port()}"
    assert_one_line(run("peer", url, "--allow-private", "--tracker", tracker), 3, "an HTML page")


def test_another_cdn_with_the_playlist_is_enough(site):
    done = run(
        *("proxy", f"{site}/good.m3u8", "--cdn", f"dead=http://127.0.0.1:{closed_port()}/good.m3u8"),
        *("--allow-private", "--json"),
        signals=(signal.SIGTERM,),
    )
    assert (done.code, done.err) == (0, "")
    swapped = run(
        *("proxy", f"http://127.0.0.1:{closed_port()}/good.m3u8", "--cdn", f"live={site}/good.m3u8"),
        *("--allow-private", "--json"),
        signals=(signal.SIGTERM,),
    )
    assert (swapped.code, swapped.err) == (0, "")


# -- the network


def test_a_private_address_is_refused_and_the_option_named(site):
    assert_one_line(run("proxy", f"{site}/good.m3u8"), 3, "not public", "--allow-private")


def test_a_host_without_an_address_is_told():
    assert_one_line(run("proxy", "http://nowhere.invalid/stream.m3u8"), 3, "nowhere.invalid", "--cdn")


@pytest.mark.parametrize("host", ["MÜNCHEN.invalid", "a.invalid.", "A.invalid"])
def test_a_host_is_the_same_however_it_is_written(host):
    """Its look-up fails, which is to say that it was not refused as a host that nobody named."""
    done = run("proxy", f"http://{host}/stream.m3u8")
    assert_one_line(done, 3, "invalid", "--cdn")
    assert "--allow-host" not in done.err


def test_a_refused_connection_is_told():
    url = f"http://127.0.0.1:{closed_port()}/stream.m3u8"
    assert_one_line(run("proxy", url, "--allow-private"), 3, "127.0.0.1", "--cdn")


@pytest.mark.parametrize("command", ["proxy", "tracker"])
def test_a_port_in_use_is_told_with_what_to_use(site, command):
    with taken_port() as port:
        rest = [f"{site}/good.m3u8", "--allow-private"] if command == "proxy" else []
        assert_one_line(run(command, *rest, "--port", str(port)), 3, str(port), "--port")


# -- what is not installed


@pytest.mark.parametrize(("command", "package"), [("play", "av"), ("demo", "av"), ("peer", "aiortc")])
def test_a_missing_package_is_told_with_what_to_install(site, tmp_path: Path, monkeypatch, command, package):
    (tmp_path / f"{package}.py").write_text(f"raise ImportError('No module named {package}', name='{package}')")
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    arguments = {
        "play": [f"{site}/good.m3u8", "--allow-private"],
        "peer": [f"{site}/good.m3u8", "--allow-private", "--tracker", "ws://127.0.0.1:1"],
        "demo": ["--out", str(tmp_path / "out")],
    }[command]
    assert_one_line(run(command, *arguments), 5, "pip install")


# -- the command line itself


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        ([], ["COMMAND", "--help"]),
        (["frobnicate"], ["frobnicate", "proxy", "--help"]),
        (["proxy"], ["URL", "shoal proxy --help"]),
        (["proxy", "ftp://a.example/s.m3u8"], ["ftp://a.example/s.m3u8", "http or https"]),
        (["proxy", "stream.m3u8"], ["'stream.m3u8'", "full URL"]),
        (["proxy", ""], ["''", "full URL"]),
        (["proxy", "http://[::1/s.m3u8"], ["http://[::1/s.m3u8", "not a URL"]),
        (["proxy", "http://a.example:99999/s.m3u8"], ["not a URL", "0-65535"]),
        (["proxy", "http://.example/s.m3u8"], ["http://.example/s.m3u8", "not a URL"]),
        (["proxy", "https://a.example/s.m3u8", "--cdn", "b=http://[::1/"], ["--cdn b", "not a URL"]),
        (["proxy", "https://a.example/s.m3u8", "--cdn", "b=ftp://b.example/"], ["ftp://b.example/", "http or https"]),
        (["proxy", "https://a.example/s.m3u8", "--hashes", "http://[::1/"], ["--hashes", "not a URL"]),
        (["proxy", "https://a.example/s.m3u8", "--port", "many"], ["--port", "many"]),
        (["proxy", "https://a.example/s.m3u8", "--port", "99999"], ["--port", "'99999'", "0 to 65535"]),
        (["tracker", "--port", "-1"], ["--port", "'-1'", "0 to 65535"]),
        (["tracker", "--port", "0", "--token-keys", "/none"], ["--token-keys /none", "No such file"]),
        (["tracker", "--port", "0", "--token-keys", "/dev/null"], ["no key is given"]),
        (["tracker", "--port", "0", "--trusted-proxy", "10.0.0.1/8"], ["'10.0.0.1/8'", "host bits"]),
        (["tracker", "--port", "0", "--trusted-proxy", "::/0"], ["'::/0'", "everybody"]),
        (["tracker", "--sockets-per-address", "0"], ["--sockets-per-address", "'0'", "1 to 1,000,000"]),
        (["demo", "--seconds", "0"], ["--seconds", "'0'", "4 to 3600"]),
        (["proxy", "https://a.example/s.m3u8", "--host", "0.0.0.0"], ["--host 0.0.0.0", "loopback", "127.0.0.1"]),
        (["steer", "/none.toml"], ["/none.toml", "cannot be read"]),
        (["proxy", "https://a.example/s.m3u8", "--token-file", "/none"], ["--token-file /none", "No such file"]),
        (["proxy", "https://a.example/s.m3u8", "--token-file", "/dev/null"], ["0 characters", "16 or more"]),
        (["proxy", "https://a.example/s.m3u8", "--allow-origin", "tv.example"], ["'tv.example'", "https://tv.example"]),
        (["proxy", "https://a.example/s.m3u8", "--drain", "soon"], ["--drain", "'soon'", "0 to 3600"]),
        (["proxy", "https://a.example/s.m3u8", "--cdn", "b"], ["--cdn 'b'", "NAME=VALUE"]),
        (["proxy", "https://a.example/s.m3u8", "--weight", "c=2"], ["c", "origin"]),
        (["proxy", "https://a.example/s.m3u8", "--weight", "origin=-1"], ["--weight '-1'", "above 0"]),
        (["proxy", "https://a.example/s.m3u8", "--header", "X"], ["--header 'X'", "NAME:VALUE"]),
        (["proxy", "https://a.example/s.m3u8", "--header", "X: 1\r\nY: 2"], ["--header", "NAME:VALUE"]),
        (["proxy", "https://a.example/s.m3u8", "--header", "X Y: 1"], ["--header 'X Y: 1'", "NAME:VALUE"]),
        (["peer", "https://a.example/s.m3u8", "--swarm-scheme", "1.0"], ["'1.0'", "2.3, 2.2"]),
        (["peer", "https://a.example/s.m3u8", "--swarm-scheme", "v3:PM"], ["'PM'", "-PM0203-"]),
        (["peer", "https://a.example/s.m3u8"], ["--tracker"]),
        (["peer", "https://a.example/s.m3u8", "--tracker", "http://t.example"], ["http://t.example", "ws or wss"]),
        (["peer", "https://a.example/s.m3u8", "--tracker", "ws://[::1"], ["ws://[::1", "not a URL"]),
    ],
)
def test_a_mistake_on_the_command_line_is_told_in_one_line(call, arguments, parts):
    assert_one_line(call(*arguments), 2, *parts)


def test_a_mistake_is_the_program_s_exit_code_too():
    assert_one_line(run("proxy", "stream.m3u8"), 2, "full URL")
    assert_one_line(run("frobnicate"), 2, "frobnicate")


@pytest.mark.parametrize(
    ("name", "text", "parts"),
    [
        ("typo.toml", "prefetch_u = 1", ["'prefetch_u'", "nearest is 'prefetch_us'"]),
        ("range.toml", "prefetch_us = -1", ["prefetch_us"]),
        ("type.json", '{"prefetch_us": "long"}', ["prefetch_us"]),
        ("syntax.toml", "prefetch_us = ", ["syntax.toml"]),
        ("syntax.json", "[", ["syntax.json"]),
        ("list.json", "[]", ["list.json"]),
        (None, "", ["cannot be read"]),
    ],
)
def test_a_settings_file_that_makes_no_sense_is_told_in_one_line(call, tmp_path: Path, name, text, parts):
    path = tmp_path / (name or "absent.toml")
    if name:
        path.write_text(text)
    assert_one_line(call("proxy", "https://a.example/s.m3u8", "--config", str(path)), 2, str(path), *parts)


def test_only_debug_shows_a_traceback(site):
    shown = run("proxy", f"{site}/page.m3u8", "--allow-private", "--debug")
    assert shown.code == 3
    assert "Traceback" in shown.err
    assert "NotAPlaylist" in shown.err


# -- help


@pytest.mark.parametrize("command", ["", *cli.COMMANDS])
def test_every_help_shows_an_example(call, command):
    done = call(*command.split(), "--help")
    assert (done.code, done.err) == (0, "")
    assert "example:\n  shoal " in done.out


def test_help_names_every_exit_code(call):
    done = call("--help")
    for code in range(6):
        assert f"\n    {code}   " in done.out


# -- machines


def test_with_json_stdout_holds_json_lines_only(site):
    done = run("proxy", f"{site}/good.m3u8", "--allow-private", "--json", signals=(signal.SIGTERM,))
    assert [row["event"] for row in done.events] == ["ready", "ended"]
    assert done.events[0]["url"].startswith("http://127.0.0.1:")
    assert done.err == ""


def test_with_json_an_error_is_on_both_channels(site):
    done = run("proxy", f"{site}/page.m3u8", "--allow-private", "--json")
    assert done.code == 3
    (event,) = done.events
    assert (event["event"], event["reason"]) == ("error", "not_a_playlist")
    assert done.err == f"shoal: {event['message']}\n"


# -- ends


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("command", ["proxy", "peer", "tracker"])
def test_a_signal_ends_a_command_in_order(site, command, number):
    arguments = {
        "proxy": [f"{site}/good.m3u8", "--allow-private"],
        "peer": [f"{site}/good.m3u8", "--allow-private", "--tracker", f"ws://127.0.0.1:{closed_port()}"],
        "tracker": ["--port", "0", "--metrics-port", "0"],
    }[command]
    done = run(command, *arguments, "--json", signals=(number,))
    assert done.code == 0, done
    assert done.events[-1]["event"] == "ended"
    assert done.err == ""


# -- how errors become codes and sentences


KEY = ResourceKey(rendition=0, kind=Kind.MEDIA, number=3)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigurationError("x"), 2),
        (NotAPlaylist("x"), 3),
        (ConnectFailed("x"), 3),
        (WrongBytes("x", key=KEY, source="cdn:a", wrong=ByteRange(0, 1)), 4),
        (TransportMissing("x"), 5),
        (RuntimeError("x"), 1),
    ],
)
def test_each_kind_of_error_has_its_exit_code(error, code):
    assert cli.exit_code(error) == code


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ConnectFailed("a.example port 80 failed"), "--cdn NAME=URL"),
        (TimedOut("a.example said nothing", phase="first_byte", timeout_us=1), "--cdn NAME=URL"),
        (StatusError("a.example answered 503", status=503), "--cdn NAME=URL"),
        (AddressRefused("a is at ::1, which is not public; allow_private=True allows it"), "--allow-private"),
        (AddressRefused("host b:80 refused; it is not one of the allowed hosts"), "--allow-host"),
        (RuntimeError("no idea"), "--debug"),
    ],
)
def test_a_sentence_says_what_to_do_in_options(error, said):
    text = sentence(error)
    assert said in text
    assert "allow_private" not in text
    assert "\n" not in text


def test_advice_that_is_there_gets_no_other():
    assert sentence(ConnectFailed("port 80 is taken; use port 0 for a free one")).count(";") == 1
