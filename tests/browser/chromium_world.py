"""A page in headless Chromium whose transports native tests can use, as if they were their own.

    page = RemotePage(...)                 Chromium, Pyodide and the wheel, once for many tests
    page.make("fetcher", policy=...)       an object with the methods of the one in the page

Each call is a message to `remote.py` in the page.  Playwright runs on a thread and a
loop of its own, so that tests may have a loop each.
"""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
import shutil
import tempfile
import threading
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import msgspec
from aiohttp import web

from shoal.transports import errors

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
PYODIDE = ROOT / "build" / "browser" / "node_modules" / "pyodide"
WHEELS = ROOT / "build" / "browser" / "wheels"
DIST = ROOT / "build" / "wasm" / "dist"
COMPILED = "*-cp312-abi3-pyemscripten_2026_0_wasm32.whl"
FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-sync"),
    "--disable-features=WebRtcHideLocalIpsWithMdns",  # this machine resolves no names of the local network
)
JAVASCRIPT = ROOT / "transports" / "browser" / "javascript"
START = """
import { loadPyodide } from "./pyodide/pyodide.mjs";
async function start() {
  const pyodide = await loadPyodide();
  const extractDir = pyodide.runPython("import site; site.getsitepackages()[0]");
  for (const name of await (await fetch("./wheels")).json())
    pyodide.unpackArchive(await (await fetch("./wheels/" + name)).arrayBuffer(), "wheel", { extractDir });
  pyodide.runPython(await (await fetch("./remote.py")).text());
  return pyodide.globals.get("call");
}
"""
ON_THE_PAGE = f"""<!doctype html><title>shoal</title><script type="module">{START}
globalThis.call = await start();
document.title = "ready";
</script>"""
BESIDE_A_WORKER = """<!doctype html><title>shoal</title><script type="module">
import { lendConnections } from "./bridge/connections.js";
const worker = new Worker("./worker.mjs", { type: "module" });
const { port1, port2 } = new MessageChannel();
const waiting = new Map();
let last = 0;
lendConnections(port1);
worker.onmessage = ({ data: { id, text } }) => {
  if (id === 0) document.title = "ready";
  waiting.get(id)?.(text);
  waiting.delete(id);
};
globalThis.call = (text) => new Promise((resolve) => {
  waiting.set((last += 1), resolve);
  worker.postMessage({ id: last, text });
});
worker.postMessage({ connections: port2 }, [port2]);
</script>"""
WORKER = f"""{START}
import {{ borrowConnections }} from "./bridge/connections.js";
let call;
onmessage = async ({{ data: {{ connections, id, text }} }}) => {{
  if (connections === undefined) return postMessage({{ id, text: await call(text) }});
  self.RTCPeerConnection = borrowConnections(connections);
  call = await start();
  postMessage({{ id: 0 }});
}};
"""


def what_is_missing() -> str | None:
    """Why there can be no page here."""
    if shutil.which("chromium") is None:
        return "no chromium; run: tools/install-test-tools"
    if not PYODIDE.is_dir() or not list(DIST.glob(COMPILED)):
        return "no wheels for browsers; run: make wasm"
    return None


class RemotePage:
    def __init__(self, *, flags: tuple[str, ...] = (), in_worker: bool = False) -> None:
        """With `in_worker` the transports are in a worker of the page, which lends it its RTCPeerConnections."""
        self._flags = (*FLAGS, *flags)
        self._text = BESIDE_A_WORKER if in_worker else ON_THE_PAGE
        self._numbers = itertools.count(1)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="chromium", daemon=True)
        self._thread.start()
        self._folder = tempfile.TemporaryDirectory(prefix="shoal-page-")
        self._here(self._open(), 120)

    def close(self) -> None:
        self._here(self._shut(), 30)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._folder.cleanup()

    def make(self, kind: str, **fields: Any) -> Remote:
        """A transport of the page."""
        return self._told(self._here(self._say({"do": "make", "kind": kind, "fields": _encoded_all(fields)}), 30))

    def now(self, **request: Any) -> Any:
        """A call that is answered at once, without the caller's loop."""
        return self._told(self._here(self._say(request), 30))

    async def call(self, **request: Any) -> Any:
        """Cancelled, what runs in the page is cancelled, and has ended, first."""
        task = next(self._numbers)
        future = asyncio.wrap_future(asyncio.run_coroutine_threadsafe(self._say({**request, "task": task}), self._loop))
        try:
            return self._told(await asyncio.shield(future))
        except asyncio.CancelledError:
            self._here(self._say({"do": "cancel", "other": task}), 30)
            await asyncio.wait([future])
            raise

    def _here(self, coroutine: Coroutine[Any, Any, Any], seconds: float) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(seconds)

    async def _say(self, request: dict[str, Any]) -> Any:
        text = json.dumps({"task": next(self._numbers), **request})
        return json.loads(await self._page.evaluate("text => call(text)", text))

    def _told(self, answer: dict[str, Any]) -> Any:
        if "error" in answer:
            name = answer["error"]
            if name == "CancelledError":
                raise asyncio.CancelledError
            kind = getattr(errors, name, None) or {"ValueError": ValueError, "RuntimeError": RuntimeError}.get(name)
            assert kind is not None, f"{name} in the page: {answer['message']}"
            raise kind(answer["message"], **answer["fields"])
        value = answer["value"]
        if isinstance(value, dict) and "bytes" in value:
            return base64.b64decode(value["bytes"])
        if isinstance(value, dict) and "object" in value:
            return _kind_of(value["shown"])(self, value["object"], value["shown"])
        return value

    async def _open(self) -> None:
        from playwright.async_api import async_playwright

        wheels = {wheel.name: wheel for wheel in (*WHEELS.glob("msgspec-*.whl"), *DIST.glob(COMPILED))}

        async def text(_: web.Request) -> web.Response:
            return web.Response(text=self._text, content_type="text/html")

        async def worker(_: web.Request) -> web.Response:
            return web.Response(text=WORKER, content_type="text/javascript")

        async def names(_: web.Request) -> web.Response:
            return web.json_response(list(wheels))

        async def wheel(request: web.Request) -> web.FileResponse:
            return web.FileResponse(wheels[request.match_info["name"]])

        async def remote(_: web.Request) -> web.FileResponse:
            return web.FileResponse(HERE / "remote.py")

        application = web.Application()
        application.router.add_get("/", text)
        application.router.add_get("/worker.mjs", worker)
        application.router.add_static("/bridge", JAVASCRIPT)
        application.router.add_get("/wheels", names)
        application.router.add_get("/wheels/{name}", wheel)
        application.router.add_get("/remote.py", remote)
        application.router.add_static("/pyodide", PYODIDE)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.0)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self._playwright = await async_playwright().start()
        self._browser = await self._playwright.chromium.launch_persistent_context(
            self._folder.name, executable_path=shutil.which("chromium"), headless=True, args=list(self._flags)
        )
        self._page = await self._browser.new_page()
        self.origin = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        await self._page.goto(self.origin + "/")
        await self._page.wait_for_function("document.title === 'ready'", timeout=60_000)

    async def _shut(self) -> None:
        await self._browser.close()
        await self._playwright.stop()
        await self._runner.cleanup()


class Remote:
    """One object in the page; the methods of the interface are called there."""

    def __init__(self, page: RemotePage, number: int, shown: dict[str, Any]) -> None:
        self.page = page
        self.number = number
        for name, value in shown.items():
            setattr(self, name, value)

    def __getattr__(self, method: str) -> Any:
        if method.startswith("_"):
            raise AttributeError(method)

        async def call(*arguments: Any, **fields: Any) -> Any:
            return await self.page.call(
                do="call",
                object=self.number,
                method=method,
                arguments=[_encoded(value) for value in arguments],
                fields=_encoded_all(fields),
            )

        return call


class RemoteResponse(Remote):
    async def aclose(self) -> None:
        await self.page.call(do="call", object=self.number, method="aclose", arguments=[], fields={})

    async def __aiter__(self) -> Any:
        try:
            while (piece := await self.page.call(do="next", object=self.number)) is not None:
                yield piece
        except asyncio.CancelledError:
            await self.aclose()
            raise


class RemoteChannel(Remote):
    @property
    def buffered_bytes(self) -> int:
        return int(self.page.now(do="get", object=self.number, name="buffered_bytes"))


def _kind_of(shown: dict[str, Any]) -> type[Remote]:
    if "first_byte" in shown:
        return RemoteResponse
    return RemoteChannel if "max_message_bytes" in shown else Remote


def _encoded(value: Any) -> Any:
    if isinstance(value, bytes | bytearray | memoryview):
        return {"bytes": base64.b64encode(value).decode()}
    if isinstance(value, msgspec.Struct):
        return {"struct": type(value).__name__, "value": msgspec.to_builtins(value)}
    return value


def _encoded_all(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: _encoded(value) for name, value in fields.items() if value is not None}
