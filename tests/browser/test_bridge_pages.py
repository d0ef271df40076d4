"""The bridge between windows and workers in headless Chromium: who is listened to, and who is not."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path
from typing import Any

import pytest

from ..app.chromium import page_in_chromium, page_server
from .chromium_world import COMPILED, DIST, HERE, PYODIDE, ROOT, WHEELS, what_is_missing

pytestmark = [pytest.mark.real, pytest.mark.skipif(what_is_missing() is not None, reason=str(what_is_missing()))]

RUN_TIMEOUT_S = 180.0
JAVASCRIPT = ROOT / "transports" / "browser" / "javascript"
SCRIPTS = {path.name: path for path in JAVASCRIPT.glob("*.js")}
LIMITS = "{ limits: { askTimeoutMs: 120_000, helloTimeoutMs: 120_000 } }"  # this machine may be busy
WORKER = """
import { loadPyodide } from "./pyodide.mjs";
import { page, port, relay } from "./bridge.js";
const pyodide = await loadPyodide();
const extractDir = pyodide.runPython("import site; site.getsitepackages()[0]");
for (const name of %(wheels)s)
  pyodide.unpackArchive(await (await fetch("./" + name)).arrayBuffer(), "wheel", { extractDir });
pyodide.runPython(await (await fetch("./bridge_actors.py")).text());
const make = pyodide.globals.get("endpoint");
await relay(port(self), page(make()));
make.destroy();
"""
PAGE_WITH_WORKER = """<!doctype html><script type="module">
import { connect, port } from "./bridge.js";
const worker = new Worker("./worker.mjs", { type: "module" });
let noted = 0;
const chart = { Note: ({ number, data }) => ((noted += 1), data.length === 0 ? number : 1) };
globalThis.run = async () => {
  const bridge = await connect(port(worker), { actors: { chart }, ...%(limits)s });
  worker.postMessage("not of a bridge");
  bridge.tell("sum", { type: "Add", number: 2 });
  const data = new Uint8Array(4 * 1024 * 1024).fill(7);
  const digest = await bridge.ask("sum", { type: "Hash", data }, { transfer: true });
  const error = await bridge.ask("sum", { type: "Fail" }).catch((error) => `${error.name}: ${error.message}`);
  return {
    sum: await bridge.ask("sum", { type: "Add", number: 3 }),
    digest: Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join(""),
    left: data.length,
    error,
    driven: await bridge.ask("driver", { type: "Drive", count: 100 }),
    noted,
  };
};
</script>"""
HOST = """<!doctype html><script type="module">
import { connect, port } from "./bridge.js";
globalThis.run = async (good, bad) => {
  const frame = document.createElement("iframe");
  const hostile = document.createElement("iframe");
  frame.src = good;
  hostile.src = bad;
  document.body.append(frame);
  const origin = new URL(good).origin;
  const bridge = await connect(port(frame.contentWindow, { origin }), %(limits)s);
  const before = await bridge.ask("double", { type: "Number", number: 4 });
  document.body.append(hostile);
  await new Promise((resolve) => addEventListener("message", ({ data }) => data === "said it all" && resolve()));
  const after = await bridge.ask("double", { type: "Number", number: 5 });
  let unnamed = null;
  try {
    port(frame.contentWindow);
  } catch (error) {
    unnamed = error.name;
  }
  return { before, after, unnamed, dropped: bridge.statistics().dropped };
};
</script>"""
FRAME = """<!doctype html><script type="module">
import { connect, port } from "./bridge.js";
const double = ({ number }) => 2 * number;
const origin = new URLSearchParams(location.search).get("host");
await connect(port(parent, { origin }), { actors: { double }, ...%(limits)s });
</script>"""
HOSTILE = """<!doctype html><script>
const frame = { op: "answer", id: 2, body: 666 };
parent.postMessage({ bridge: 1, text: JSON.stringify(frame), parts: [] }, "*");
parent.postMessage({ bridge: 1, end: "for you" }, "*");
parent.postMessage("said it all", "*");
</script>"""


def run(main: Any) -> Any:
    async def limited() -> Any:
        async with asyncio.timeout(RUN_TIMEOUT_S):
            return await main

    return asyncio.run(limited())


def written(folder: Path, name: str, text: str) -> dict[str, Path]:
    path = folder / name
    path.write_text(text.replace("%(limits)s", LIMITS))
    return {name: path}


def test_a_page_talks_to_the_actors_of_its_worker(tmp_path: Path):
    wheels = {wheel.name: wheel for wheel in (*WHEELS.glob("msgspec-*.whl"), *DIST.glob(COMPILED))}
    scripts = SCRIPTS | wheels | {path.name: path for path in PYODIDE.iterdir() if path.is_file()}
    scripts["bridge_actors.py"] = HERE / "bridge_actors.py"
    scripts |= written(tmp_path, "worker.mjs", WORKER.replace("%(wheels)s", str(list(wheels))))

    async def main() -> Any:
        async with (
            page_server(PAGE_WITH_WORKER.replace("%(limits)s", LIMITS), scripts) as url,
            page_in_chromium(url, tmp_path / "profile") as page,
        ):
            return await page.evaluate("run()")

    digest = hashlib.sha256(bytes([7]) * 4 * 1024 * 1024).hexdigest()
    seen = run(main())
    assert (seen["sum"], seen["digest"], seen["error"]) == (5, digest, "Overdrawn: by 3")
    assert (seen["driven"], seen["noted"]) == (100, 200)
    assert seen["left"] == 0, "it was given away, not copied"


def test_a_window_of_the_named_origin_is_talked_to_and_another_is_not_listened_to(tmp_path: Path):
    frame = SCRIPTS | written(tmp_path, "frame.html", FRAME)
    hostile = written(tmp_path, "hostile.html", HOSTILE)

    async def main() -> Any:
        async with (
            page_server(HOST.replace("%(limits)s", LIMITS), SCRIPTS) as host,
            page_server("", frame) as good,
            page_server("", hostile) as bad,
            page_in_chromium(host, tmp_path / "profile") as page,
        ):
            return await page.evaluate(f"run('{good}frame.html?host={host.rstrip('/')}', '{bad}hostile.html')")

    seen = run(main())
    assert (seen["before"], seen["after"]) == (8, 10)
    assert seen["dropped"] == {"wrong_origin": 3}
    assert seen["unnamed"] == "BadMessage"
