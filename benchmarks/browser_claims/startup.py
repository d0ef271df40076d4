"""Start-up: bytes and time of the interpreter and of the balancer on it; cold, cached, and from a snapshot.

By the code of the player's page (`interpreter.js`, `snapshots.js`).  A snapshot is the interpreter's memory after it
has started, kept by the page (Cache API) and laid over a fresh one.
"""

from __future__ import annotations

import json
import statistics
from typing import Any

from harness import Claim

from .pyodide import MSGSPEC, ROOT, chromium, site, wheel

__all__ = ["claims"]

PLAYER = ROOT / "app" / "page" / "player"
PAGE = """<!doctype html><meta charset="utf-8"><title>start-up</title><script type="module">
import { startInterpreter } from "./interpreter.js";
import { keepSnapshot, kept } from "./snapshots.js";
const began = performance.now();
const { pyodide, isFromSnapshot } = await startInterpreter();
pyodide.runPython("1 + 1");
const interpreter_ms = performance.now() - began;
const extractDir = pyodide.runPython("import site; site.getsitepackages()[0]");
for (const name of WHEELS)
  pyodide.unpackArchive(await (await fetch("./" + name)).arrayBuffer(), "wheel", { extractDir });
pyodide.runPython("import shoal.app.page_actor");
const all_ms = performance.now() - began;
const files = performance.getEntriesByType("resource");
globalThis.keep = async () => ((await keepSnapshot()) ? (await (await kept()).arrayBuffer()).byteLength : null);
globalThis.seen = {
  interpreter_ms, all_ms, isFromSnapshot,
  bytes: files.reduce((sum, one) => sum + one.decodedBodySize, 0),
  moved_bytes: files.reduce((sum, one) => sum + one.transferSize, 0),
};
</script>"""


async def loaded(browser: Any, url: str, *, keeps: bool = False) -> dict[str, Any]:
    """What one page saw; with `keeps` it leaves a snapshot to the next, of so many bytes."""
    page = await browser.new_page()
    try:
        await page.goto(url)
        await page.wait_for_function("globalThis.seen !== undefined")
        seen = dict(await page.evaluate("seen"))
        return {**seen, "snapshot_bytes": await page.evaluate("keep()") if keeps else None}
    finally:
        await page.close()


async def claims(rounds: int) -> list[Claim]:
    found = wheel("compiled")
    assert found is not None
    names = [MSGSPEC.name, found.name]
    files = {"": PAGE.replace("WHEELS", json.dumps(names)), names[0]: MSGSPEC, names[1]: found}
    files |= {path.name: path for path in PLAYER.glob("*.js")}
    async with site(files) as url, chromium() as browser:
        cold = await loaded(browser, url)
        warm = [await loaded(browser, url) for _ in range(rounds)]
        made = await loaded(browser, url, keeps=True)
        restored = [await loaded(browser, url) for _ in range(rounds)]
    print(
        f"  cold: interpreter {cold['interpreter_ms']:.0f} ms, all {cold['all_ms']:.0f} ms, {cold['bytes']:,} bytes "
        f"({cold['moved_bytes']:,} over the network)",
        flush=True,
    )
    for how, pages in (("warm cache", warm), ("snapshot", restored)):
        for seen in pages:
            print(f"  {how}: interpreter {seen['interpreter_ms']:.0f} ms, all {seen['all_ms']:.0f} ms", flush=True)
    print(f"  snapshot: {made['snapshot_bytes'] or 0:,} bytes", flush=True)
    if not all(seen["isFromSnapshot"] for seen in restored):
        raise RuntimeError("a page did not start from the snapshot that one before it had left")
    ready_ms = statistics.median(seen["interpreter_ms"] for seen in restored)
    return [Claim("interpreter ready from a snapshot, warm cache", ready_ms, 1000, False, "ms")]
