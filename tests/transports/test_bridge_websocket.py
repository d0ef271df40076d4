"""The bridge over a real WebSocket: JavaScript under Node, a page in Chromium, and those who may not come in."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import shutil
import subprocess
from collections.abc import Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest

from shoal.runtime import Actor, ActorSystem, HandlerFailed, handler
from shoal.transports.bridge import Bridge
from shoal.transports.errors import AddressRefused, BadMessage, ConnectFailed, MessageTooLarge, NotRegistered
from shoal.transports.native.bridge import BridgeServer
from shoal.transports.sansio.bridge_frames import BridgeLimits, Wire, join

from .contract import until
from .test_bridge import Account, Deposit, Overdrawn, Withdraw

pytestmark = pytest.mark.real

HERE = Path(__file__).resolve().parent
SCRIPT = HERE.parent.parent / "transports" / "browser" / "javascript" / "bridge.js"
RUN_TIMEOUT_S = 240.0
HELLO = '{"op":"hello","version":1}'
PAGE = """<!doctype html><title>loading</title><script type="module">
import { connect, webSocket } from "%(server)s/bridge.js";
const limits = { helloTimeoutMs: 60_000, askTimeoutMs: 60_000 }; // this machine may be busy
const bridge = await connect(webSocket("%(socket)s"), { token: "%(token)s", limits });
bridge.tell("account", { type: "Deposit", cents: 7 });
const { left, signature } = await bridge.ask("account", { type: "Withdraw", cents: 3 });
document.title = `left ${left}, ${new TextDecoder().decode(signature)}`;
</script>"""


class Never(msgspec.Struct):
    pass


class Hash(msgspec.Struct):
    data: bytes
    more: list[bytes]


class Number(msgspec.Struct):
    number: int


class Drive(msgspec.Struct):
    pass


class Draw(msgspec.Struct):
    points: list[int]


class Sum(msgspec.Struct):
    data: bytes
    more: list[bytes] = []


class Fail(msgspec.Struct):
    how: str


class Summed(msgspec.Struct):
    sum: int
    back: bytes
    more: list[int]


class Bank(Account):
    @handler
    def never(self, message: Never):
        self.take_reply()


class Hashing(Actor[Any]):
    def receive(self, message):
        digest = hashlib.sha256(message.data).digest()
        return {"digest": digest, "again": message.data, "more": message.more}


class Echo(Actor[Any]):
    def receive(self, message):
        return message.number


class Driver(Actor[Any]):
    """Asks JavaScript's actors all that they are made for."""

    chart: Any = None
    echo: Any = None

    async def receive(self, _):
        def ask(message, who=self.chart):
            return who.ask(message, timeout_s=60)

        tried: list[Any] = [await ask(Draw([1, 2])), await ask(Draw([3]))]
        data = bytes(range(256)) * 1000
        tried.append(await ask(Sum(data, [b"\1\2", b""])) == Summed(sum(data), data[::-1], [3, 0]))
        tried.append(await ask(Draw([5]), self.echo))
        for message, kind in (
            (Fail("custom"), Overdrawn),
            (Fail("plain"), HandlerFailed),
            (Fail("odd"), BadMessage),
            (Fail("big"), MessageTooLarge),
            (Never(), NotRegistered),
        ):
            try:
                tried.append(f"answered {await ask(message)}")
            except kind as error:
                tried.append(f"{type(error).__name__}: {error}")
        return tried


ACTORS = {
    "account": (Deposit, Withdraw, Never),
    "hash": (Hash,),
    "echo": (Number,),
    "driver": (Drive,),
}

PATIENT = BridgeLimits(ask_timeout_us=60_000_000, hello_timeout_us=60_000_000)  # this machine may be busy


@asynccontextmanager
async def bridge_server(**options: Any):
    async with ActorSystem() as system:
        system.spawn(Bank, name="account").tell(Deposit(100))
        system.spawn(Hashing, name="hash")
        system.spawn(Echo, name="echo")
        system.spawn(Driver, name="driver")
        server = BridgeServer(system, actors=ACTORS, errors=(Overdrawn,), **{"limits": PATIENT, **options})
        try:
            yield system, server, await server.start()
        finally:
            await server.aclose()


def run(main: Coroutine[Any, Any, Any]) -> Any:
    async def limited() -> Any:
        async with asyncio.timeout(RUN_TIMEOUT_S):
            return await main

    return asyncio.run(limited())


def reach_page(bridge: Bridge) -> None:
    """The page's actors, for the driver."""
    Driver.chart = bridge.actor("chart", (Draw, Sum, Fail, Never), answers=int | Summed | None)
    Driver.echo = bridge.actor("echo", (Draw,), answers=dict[str, Any])


def node_with_a_websocket() -> tuple[str, ...]:
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is missing")
    version = subprocess.check_output([node, "--version"], text=True)
    if int(version[1:].partition(".")[0]) < 20:
        pytest.skip(f"node is {version.strip()}; 20 is the first with a WebSocket")
    return (node, "--experimental-websocket", "--no-warnings")


@pytest.fixture(scope="module")
def under_node() -> tuple[dict[str, Any], dict[str, Any], dict[str, int]]:
    """What JavaScript under Node found: while connected, after its end, and what the server dropped."""
    node = node_with_a_websocket()
    bridges: list[Bridge] = []

    def come(bridge: Bridge) -> None:
        bridges.append(bridge)
        reach_page(bridge)

    async def main():
        async with bridge_server(on_page=come) as (_, server, port):
            process = await asyncio.create_subprocess_exec(
                *(*node, HERE / "bridge_page.mjs", SCRIPT),
                f"ws://127.0.0.1:{port}/",
                stdout=subprocess.PIPE,
            )
            output, _ = await process.communicate()
            assert process.returncode == 0
            await until(lambda: not server.pages)
            return [json.loads(line) for line in output.splitlines()]

    results, end = run(main())
    return results, end, bridges[0].statistics().dropped


def test_javascript_tells_and_asks_in_order(under_node):
    results, _, _ = under_node
    assert results["asks"]["value"]["left"] == 97
    assert results["tells first"]["value"]["left"] == 104


@pytest.mark.parametrize(
    ("case", "name", "words"),
    [
        ("handler failed", "HandlerFailed", "account failed with KeyError; what it said stays there"),
        ("wrong field", "BadMessage", "Withdraw has no field 'cent'; it has cents"),
        ("wrong type", "BadMessage", "Expected `int`, got `str`"),
        ("unknown type", "NotRegistered", "account takes Deposit, Never, Withdraw from here, not 'Rob'"),
        ("unknown name", "NotRegistered", "no actor 'bank' may be reached from here"),
        ("no time", "AskTimedOut", ""),  # there, or here first
        ("refuses no message", "BadMessage", "a message is a plain object"),
        ("refuses no type", "BadMessage", "a message is a plain object"),
        ("refuses function", "BadMessage", "no plain value"),
        ("refuses not finite", "BadMessage", "Infinity at cents"),
        ("refuses a class", "BadMessage", "no plain value"),
        ("refuses bigint", "BadMessage", "no plain value"),
        ("refuses too much", "MessageTooLarge", "5242880 bytes in one frame; the limit is 4194304"),
    ],
)
def test_what_goes_wrong_in_python_or_before_it_is_a_typed_error_in_javascript(under_node, case, name, words):
    results, _, _ = under_node
    error = results[case]
    assert (error["name"], error["isTyped"]) == (name, True)
    assert words in error["message"]


def test_an_error_of_the_applications_own_is_of_its_class_in_javascript(under_node):
    results, _, _ = under_node
    assert results["knows the error"]["message"] == "by 895"
    assert results["knows its class"] is True


def test_bytes_cross_whole_in_both_directions(under_node):
    results, _, _ = under_node
    data = bytes(index * 7 % 251 for index in range(1 << 20))
    assert results["hashed"] == {"digest": hashlib.sha256(data).hexdigest(), "same": True, "more": [900, 0]}


def test_many_are_asked_at_once_and_beyond_the_limit_it_says_so(under_node):
    results, _, _ = under_node
    assert results["many"] is True
    assert results["overload"] == 300 - 256


def test_python_asks_javascripts_functions_and_objects(under_node):
    results, _, _ = under_node
    two, three, is_summed, echoed, *errors = results["python asks us"]["value"]
    assert (two, three, is_summed) == (2, 3, True)
    assert echoed == {"type": "Draw", "points": [5]}
    custom, plain, odd, big, never = errors
    assert custom == "Overdrawn: no ink"
    assert plain.startswith("HandlerFailed: JavaScript threw TypeError: Cannot read properties of undefined")
    assert odd == "BadMessage: what is at the top is no plain value, and no Uint8Array"
    assert big.startswith("MessageTooLarge: 5242880 bytes")
    assert never == "NotRegistered: chart takes no Never in JavaScript"


def test_what_was_dropped_is_counted_on_both_sides(under_node):
    results, _, dropped = under_node
    assert dropped == {"bad_message": 2, "unknown_type": 1, "unknown_name": 1}
    here = results["statistics"]["dropped"]
    here.pop("late_answer", None)  # of the one that had no time
    assert here == {"too_large": 2, "overloaded": 300 - 256, "unknown_type": 1}
    assert results["statistics"]["asked"] == results["statistics"]["questions"] == 0


def test_after_the_end_javascript_says_so(under_node):
    _, end, _ = under_node
    assert end["why"] == "all was tried"
    assert end["ended"]["name"] == "BridgeClosed"


def test_carriers_that_open_late_or_never_or_break_leave_nothing_behind():
    node = node_with_a_websocket()
    command = [*node, HERE / "bridge_carriers.mjs", SCRIPT]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=RUN_TIMEOUT_S)
    assert (ended.returncode, ended.stdout) == (0, "carriers hold\n"), ended.stderr


def test_the_guides_javascript_prints_what_stands_below_it(tmp_path: Path):
    node = node_with_a_websocket()
    text = (HERE.parent.parent / "docs" / "guide" / "bridge.md").read_text("utf-8")
    (python,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    ((javascript, output),) = re.findall(r"```js\n(.*?)```\n\n```text\n(.*?)```", text, re.DOTALL)
    there: dict[str, Any] = {"__name__": "guide"}
    exec(compile(python, "guide", "exec", dont_inherit=True), there)
    printed: list[str] = []

    async def use(address: str) -> None:
        program = tmp_path / "page.mjs"
        program.write_text(
            f"const address = {json.dumps(address)};\n"
            + javascript.replace('"./bridge.js"', json.dumps(SCRIPT.as_uri()))
        )
        process = await asyncio.create_subprocess_exec(*node, program, stdout=subprocess.PIPE)
        printed.append((await process.communicate())[0].decode())

    run(there["main"](use))
    assert printed == [output]


def test_a_page_in_chromium_imports_it_from_the_server_and_talks_to_actors(tmp_path: Path):
    from ..app.chromium import page_in_chromium, page_server, skip_without_chromium

    skip_without_chromium()
    token = "a-token-of-24-characters"

    async def main():
        pages: dict[str, Path] = {}
        async with page_server("", pages) as site:
            origin = site.rstrip("/")
            async with bridge_server(origins=(origin,), token=token) as (_, _, port):
                address = {"server": f"http://127.0.0.1:{port}", "socket": f"ws://127.0.0.1:{port}/", "token": token}
                pages["page.html"] = tmp_path / "page.html"
                pages["page.html"].write_text(PAGE % address)
                async with page_in_chromium(f"{site}page.html", tmp_path / "profile") as page:
                    await page.wait_for_function("document.title !== 'loading'")
                    return await page.title()

    assert run(main()) == "left 104, signed"


async def say(
    port: int, *frames: str | bytes, first: str = "", headers: dict[str, str] | None = None
) -> tuple[list[Any], Any]:
    """What the server says to these frames until it closes, and why it does; with `first`, once it answered that."""
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(f"ws://127.0.0.1:{port}/", headers=headers, max_msg_size=0) as socket,
    ):
        heard = []
        if first:
            await socket.send_str(first)
            heard.append(json.loads(await socket.receive_str()))
        for frame in frames:
            await (socket.send_str(frame) if isinstance(frame, str) else socket.send_bytes(frame))
        heard += [json.loads(message.data) async for message in socket if message.type is aiohttp.WSMsgType.TEXT]
        return heard, socket.close_code


def refused(test: Callable[[BridgeServer, int], Coroutine[Any, Any, Any]], **options: Any) -> dict[str, int]:
    async def main():
        async with bridge_server(**options) as (_, server, port):
            await test(server, port)
            return server.refused

    return run(main())


@pytest.mark.parametrize(
    ("headers", "status", "reason"),
    [
        ({"Origin": "https://evil.example"}, 403, "origin"),
        ({"Origin": "null"}, 403, "origin"),
        ({"Origin": "https://shop.example.evil.example"}, 403, "origin"),
        ({"Origin": "http://shop.example"}, 403, "origin"),
        ({"Host": "evil.example"}, 421, "host"),
    ],
)
def test_a_page_that_was_not_named_does_not_come_in(headers, status, reason):
    async def test(_, port):
        with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
            await say(port, HELLO, headers=headers)
        assert caught.value.status == status
        async with aiohttp.ClientSession() as session:
            response = await session.get(f"http://127.0.0.1:{port}/bridge.js", headers=headers)
            assert response.status == status

    assert refused(test, origins=("https://shop.example",)) == {reason: 2}


def test_a_page_that_was_named_comes_in():
    async def test(_, port):
        heard, _ = await say(port, HELLO, '{"op":"bye","why":"x"}', headers={"Origin": "https://shop.example"})
        assert heard == [{"op": "hello", "version": 1, "token": None}]

    assert refused(test, origins=("https://shop.example",)) == {}


def test_who_has_not_the_token_hears_why_and_reaches_nothing():
    async def test(server, port):
        tell = '{"op":"tell","to":"account","type":"Deposit","body":{"cents":1}}'
        heard, code = await say(port, '{"op":"hello","version":1,"token":"guess"}', tell)
        assert heard == [{"op": "bye", "why": "the token is missing or wrong"}]
        assert code == aiohttp.WSCloseCode.GOING_AWAY

    assert refused(test, token="a-token-of-24-characters") == {}


def test_bytes_before_a_hello_end_it_whatever_they_are():
    async def test(server, port):
        heard, _ = await say(port, b"no frame")
        assert heard == [{"op": "bye", "why": "the other side did not begin with hello"}]

    assert refused(test) == {}


def test_without_a_token_it_listens_on_loopback_only():
    async def main():
        async with ActorSystem() as system:
            with pytest.raises(AddressRefused, match="give a token"):
                await BridgeServer(system, actors={}).start("0.0.0.0")
            server = BridgeServer(system, actors={})
            port = await server.start()
            with pytest.raises(ConnectFailed):
                await BridgeServer(system, actors={}).start(port=port)
            await server.aclose()
            await server.aclose()
            with pytest.raises(ValueError, match="an origin is written as"):
                BridgeServer(system, actors={}, origins=("shop.example",))
            with pytest.raises(ValueError, match="the token has 6 characters"):
                BridgeServer(system, actors={}, token="guess!")

    run(main())


def test_bytes_that_are_no_frames_are_counted_and_one_beyond_all_limits_ends_it():
    async def main():
        bridges: list[Bridge] = []
        async with bridge_server(on_page=bridges.append, limits=BridgeLimits(bytes_max=100)) as (_, server, port):
            bad = (b"", b"\0\0\0\1", join(Wire("{}", (b"x" * 101,))), join(Wire("{}", (b"",) * 65)), "{}")
            heard, code = await say(port, *bad, b"x" * 2_000_000, first=HELLO)
            await until(lambda: not server.pages)
        return heard, code, bridges[0].statistics().dropped

    heard, code, dropped = run(main())
    assert [one["op"] for one in heard] == ["hello"]
    assert code == aiohttp.WSCloseCode.MESSAGE_TOO_BIG
    assert dropped == {"malformed": 3, "too_large": 2}


def test_pages_beyond_the_limit_are_turned_away():
    async def test(server, port):
        async with aiohttp.ClientSession() as session, session.ws_connect(f"ws://127.0.0.1:{port}/") as socket:
            await socket.send_str(HELLO)
            await socket.receive()
            with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
                await say(port, HELLO)
            assert caught.value.status == 503

    assert refused(test, connections_max=1) == {"full": 1}


def test_a_page_that_does_not_read_is_cut_and_the_server_stops_all_the_same():
    async def main():
        bridges: list[Bridge] = []

        def come(bridge: Bridge) -> None:
            bridges.append(bridge)
            reach_page(bridge)

        async with bridge_server(on_page=come) as (_, server, port):
            _, writer = await asyncio.open_connection("127.0.0.1", port, limit=1)
            key = "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n"
            writer.write(
                f"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n{key}\r\n".encode()
            )
            hello = HELLO.encode()
            writer.write(bytes([0x81, 0x80 | len(hello), 0, 0, 0, 0]) + hello)
            await until(lambda: bool(bridges))
            megabytes = bytes(1 << 20)
            for _ in range(64):  # beyond what sockets and the queue hold
                Driver.chart.tell(Sum(megabytes))
                await asyncio.sleep(0)
            await until(lambda: not server.pages)
            writer.close()
            return bridges[0].statistics().dropped

    assert run(main()).get("unread") == 1
