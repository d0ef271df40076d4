"""The same in a page in headless Chromium: the actor in Pyodide over the bridge, WebAssembly, and plain JavaScript."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from starter_app.benchmark import in_page, measured, natively
from starter_app.headless import open_page, what_is_missing
from starter_app.murmur3 import murmur3
from starter_app.server import write_site

VECTORS = json.loads(Path(__file__).with_name("vectors.json").read_text())
ALL_WAYS = """async (vectors) => {
  const found = [];
  for (const [hex, seed] of vectors) {
    const data = Uint8Array.from(hex.match(/../g) ?? [], (pair) => parseInt(pair, 16));
    const hashes = [await app.ask({ type: "Hash", data, seed }), app.wasm.hold(data)(seed), app.murmur3(data, seed)];
    found.push(hashes.map((hash) => hash.toString(16).padStart(8, "0")));
  }
  return found;
}"""
REFUSED = "(message) => app.ask(message).then(() => null, (error) => error.name)"


def test_the_page_does_what_the_native_program_does() -> None:
    missing = what_is_missing()
    if missing is not None:
        pytest.skip(missing)

    async def main() -> None:
        async with open_page() as page:
            expected = [[text] * 3 for _, _, text in VECTORS]
            assert await page.evaluate(ALL_WAYS, VECTORS) == expected  # actor, WebAssembly, JavaScript
            assert await page.text_content("#hash") == f"{murmur3(b'hello, world'):08x}"
            assert await page.evaluate("app.ask({ type: 'Count' })") == len(VECTORS) + 1
            assert await page.evaluate(REFUSED, {"type": "Hash", "data": "text"}) == "BadMessage"
            contenders = [in_page(page, key, key, 2) for key in ("wasm", "script", "actor")]
            await measured([natively("Python", murmur3, 2), *contenders])  # raises where a hash differs
            await page.evaluate("app.bridge.close()")

    asyncio.run(main())


@contextlib.contextmanager
def static_server(folder: Path) -> Iterator[str]:
    """Python's own, which knows nothing of us."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/"
        finally:
            server.shutdown()
            thread.join()


def test_the_page_as_files_works_from_any_static_server_below_any_path(tmp_path: Path) -> None:
    missing = what_is_missing()
    if missing is not None:
        pytest.skip(missing)
    write_site(tmp_path / "some" / "where")

    async def main(url: str) -> None:
        async with open_page(f"{url}some/where/") as page:
            assert await page.text_content("#hash") == f"{murmur3(b'hello, world'):08x}"
            await page.evaluate("app.bridge.close()")

    with static_server(tmp_path) as url:
        asyncio.run(main(url))
