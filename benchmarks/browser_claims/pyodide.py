"""What is built for browsers, and how a script is run in it: under Node, or on a page in headless Chromium."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import web

__all__ = [
    "CLAIMS",
    "MSGSPEC",
    "PYODIDE",
    "ROOT",
    "SMALLER",
    "chromium",
    "files",
    "missing",
    "natively",
    "site",
    "under_node",
    "wheel",
]

CLAIMS = Path(__file__).resolve().parent
ROOT = CLAIMS.parent.parent
PYODIDE = ROOT / "build" / "browser" / "node_modules" / "pyodide"
WHEELS = ROOT / "build" / "browser" / "wheels"
WASM = ROOT / "build" / "wasm"
SMALLER = "smaller"  # compiled with -Os: there after `make wasm ARGS=--compare`
KINDS = {
    "compiled": "dist/*_wasm32.whl",
    "plain": "dist/*-py3-none-any.whl",
    "whole": "whole/*_wasm32.whl",
    SMALLER: "Os/*_wasm32.whl",
}
RUN_S_MAX = 900  # a hundred simulated swarms take five minutes on a busy machine
PAGE_S_MAX = 120.0
FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--autoplay-policy=no-user-gesture-required"),
)
# The Python of a page that measures: `pyodide` with the wheels unpacked, and `ready` in the title.
LOADER = """<!doctype html><meta charset="utf-8"><title>loading</title><script type="module">
import { loadPyodide } from "./pyodide/pyodide.mjs";
globalThis.pyodide = await loadPyodide();
const extractDir = pyodide.runPython("import site; site.getsitepackages()[0]");
for (const name of WHEELS)
  pyodide.unpackArchive(await (await fetch("./" + name)).arrayBuffer(), "wheel", { extractDir });
await pyodide.runPythonAsync(await (await fetch("./script.py")).text());
document.title = "ready";
</script>"""


def missing() -> str | None:
    """What is not here, or None."""
    for name in ("node", "chromium"):
        if shutil.which(name) is None:
            return name
    if not PYODIDE.is_dir() or wheel("compiled") is None:
        return "the wheels for browsers (make wasm)"
    try:
        import playwright.async_api  # noqa: F401
    except ImportError:
        return "playwright"
    return None


def wheel(kind: str) -> Path | None:
    return next(iter(WASM.glob(KINDS[kind])), None)


MSGSPEC = next(iter(WHEELS.glob("msgspec-*.whl")), WHEELS / "msgspec.whl")


def under_node(script: Path, kind: str, *arguments: str) -> str:
    """What a script prints in Pyodide under Node; RuntimeError with what it said if it fails."""
    wheels = [*sorted(WHEELS.glob("*.whl")), *WASM.glob(KINDS[kind])]
    runner = ROOT / "tests" / "browser" / "run.mjs"
    return _printed("node", runner, PYODIDE, ROOT, script, *wheels, "--", *arguments)


def natively(script: Path, *arguments: str) -> str:
    return _printed(sys.executable, script, *arguments)


def _printed(*command: str | Path) -> str:
    done = subprocess.run(
        [str(word) for word in command],
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=RUN_S_MAX,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{command[0]} ended with {done.returncode}: {done.stderr[-2000:]}")
    return done.stdout


def files(script: Path, kind: str = "compiled") -> dict[str, str | Path]:
    """The files of a page that runs `script` in Pyodide with one of our wheels."""
    found = wheel(kind)
    assert found is not None
    names = [MSGSPEC.name, found.name]
    page = LOADER.replace("WHEELS", repr(names))
    return {"": page, "script.py": script, MSGSPEC.name: MSGSPEC, found.name: found}


@asynccontextmanager
async def site(files: dict[str, str | Path]) -> AsyncIterator[str]:
    """A web server on loopback: `files`, and Pyodide under pyodide/."""

    async def answer(request: web.Request) -> web.StreamResponse:
        what = files.get(request.match_info["name"])
        if what is None:
            return web.Response(status=404)
        return web.FileResponse(what) if isinstance(what, Path) else web.Response(text=what, content_type="text/html")

    application = web.Application()
    application.router.add_static("/pyodide", PYODIDE)
    application.router.add_get("/{name:.*}", answer)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.0)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def chromium() -> AsyncIterator[Any]:
    """A browser with a profile of its own, as playwright's context."""
    from playwright.async_api import async_playwright

    with tempfile.TemporaryDirectory(prefix="shoal-browser-", ignore_cleanup_errors=True) as profile:
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch_persistent_context(
                profile, executable_path=shutil.which("chromium"), headless=True, args=list(FLAGS)
            )
            browser.set_default_timeout(PAGE_S_MAX * 1000)
            try:
                yield browser
            finally:
                await browser.close()
