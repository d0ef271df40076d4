"""Start-up: bytes and time of the interpreter and of the balancer on it; cold, cached, and from a snapshot.

A snapshot is the interpreter's memory after it has started, kept by the page (Cache API) and
laid over a fresh one.  `_makeSnapshot` and `_loadSnapshot` are Pyodide's own, and not promised.
"""

from __future__ import annotations

import json
import statistics
from typing import Any

from harness import Claim

from .pyodide import MSGSPEC, chromium, site, wheel

__all__ = ["claims"]

PAGE = """<!doctype html><meta charset="utf-8"><title>start-up</title><script type="module">
import { loadPyodide } from "./pyodide/pyodide.mjs";
const how = new URLSearchParams(location.search).get("how");
const began = performance.now();
const kept = await caches.open("shoal");
const options = {};
if (how === "snapshot") options._loadSnapshot = await (await kept.match("/snapshot")).arrayBuffer();
if (how === "make") options._makeSnapshot = true;
const pyodide = await loadPyodide(options);
pyodide.runPython("1 + 1");
const interpreter_ms = performance.now() - began;
if (how === "make") {
  const snapshot = pyodide.makeMemorySnapshot();
  await kept.put("/snapshot", new Response(snapshot));
  globalThis.seen = { snapshot_bytes: snapshot.byteLength };
} else {
  const extractDir = pyodide.runPython("import site; site.getsitepackages()[0]");
  for (const name of WHEELS)
    pyodide.unpackArchive(await (await fetch("./" + name)).arrayBuffer(), "wheel", { extractDir });
  pyodide.runPython("import shoal.app.page_stream");
  const all_ms = performance.now() - began;
  const files = performance.getEntriesByType("resource");
  globalThis.seen = {
    interpreter_ms, all_ms,
    bytes: files.reduce((sum, one) => sum + one.decodedBodySize, 0),
    moved_bytes: files.reduce((sum, one) => sum + one.transferSize, 0),
  };
}
</script>"""


async def loaded(browser: Any, url: str, how: str) -> dict[str, Any]:
    page = await browser.new_page()
    try:
        await page.goto(f"{url}?how={how}")
        await page.wait_for_function("globalThis.seen !== undefined")
        return dict(await page.evaluate("seen"))
    finally:
        await page.close()


async def claims(rounds: int) -> list[Claim]:
    found = wheel("compiled")
    assert found is not None
    names = [MSGSPEC.name, found.name]
    files = {"": PAGE.replace("WHEELS", json.dumps(names)), names[0]: MSGSPEC, names[1]: found}
    ready: dict[str, list[float]] = {"warm": [], "snapshot": []}
    async with site(files) as url, chromium() as browser:
        cold = await loaded(browser, url, "cold")
        made = await loaded(browser, url, "make")
        for _ in range(rounds):
            for how, figures in ready.items():
                seen = await loaded(browser, url, how)
                figures.append(seen["interpreter_ms"])
                print(f"  {how}: interpreter {seen['interpreter_ms']:.0f} ms, all {seen['all_ms']:.0f} ms", flush=True)
    print(
        f"  cold: interpreter {cold['interpreter_ms']:.0f} ms, all {cold['all_ms']:.0f} ms, {cold['bytes']:,} bytes "
        f"({cold['moved_bytes']:,} over the network); snapshot {made['snapshot_bytes']:,} bytes",
        flush=True,
    )
    return [
        Claim("interpreter ready from a snapshot, warm cache", statistics.median(ready["snapshot"]), 1000, False, "ms")
    ]
