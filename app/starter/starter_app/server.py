"""Serves the page on loopback: `python -m starter_app.server`.  With `--folder` it is written for any static server.

Pyodide and the wheels come from a folder that shoal's `make wasm` filled: `browser-files` in pyproject.toml,
or the environment's SHOAL_BROWSER_FILES.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import shutil
import tomllib
from collections.abc import AsyncIterator
from pathlib import Path

from aiohttp import web

from shoal.app.page_files import media_type, page_files
from shoal.balancer.errors import ConfigurationError

__all__ = ["browser_files", "files", "serving", "write_site"]

PACKAGE = Path(__file__).resolve().parent
PROJECT = PACKAGE.parent
MODULES = ("__init__.py", "actors.py", "murmur3.py", "page.py")  # what the page imports of ours
PAGE = ("index.html", "main.js", "murmur3.js", "murmur3.wasm")


def browser_files() -> Path:
    """The folder that `make wasm` filled; whether it did is for `page_files` to say."""
    given = os.environ.get("SHOAL_BROWSER_FILES")
    if given:
        return Path(given)
    settings = tomllib.loads((PROJECT / "pyproject.toml").read_text("utf-8"))
    return Path(settings["tool"]["starter-app"]["browser-files"])


def files() -> dict[str, Path]:
    """URL path -> file.  Nothing else is served."""
    ours = {f"/{name}": PROJECT / "web" / name for name in PAGE}
    ours["/"] = ours.pop("/index.html")
    ours |= {f"/{PACKAGE.name}/{name}": PACKAGE / name for name in MODULES}
    return page_files(browser_files(), ours)


def parts(known: dict[str, Path]) -> dict[str, list[str]]:
    """What the page asks for first: the paths of what it puts into Pyodide."""
    return {
        "wheels": [path for path in known if path.startswith("/wheels/")],
        "modules": [f"/{PACKAGE.name}/{name}" for name in MODULES],
    }


def write_site(folder: Path) -> None:
    """All that is served, as files: 15 MB.  ConfigurationError as `serving`; OSError where they cannot be written."""
    known = files()
    for path, source in known.items():
        place = folder / (path[1:] or "index.html")
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, place)
    (folder / "parts.json").write_text(json.dumps(parts(known)))


@contextlib.asynccontextmanager
async def serving(port: int = 0) -> AsyncIterator[str]:
    """The page's address, as long as this lasts.  ConfigurationError says what is missing."""
    known = files()

    async def tell(_: web.Request) -> web.Response:
        return web.json_response(parts(known))

    async def serve(request: web.Request) -> web.StreamResponse:
        path = known.get(request.path)
        if path is None:
            return web.Response(status=404, text="there is no such file here\n")
        return web.FileResponse(path, headers={"Content-Type": media_type(path), "Cache-Control": "no-cache"})

    application = web.Application()
    application.router.add_get("/parts.json", tell)
    application.router.add_get("/{path:.*}", serve)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.0)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/"
    finally:
        await runner.cleanup()


async def main(port: int) -> None:
    async with serving(port) as url:
        print(f"open {url} (Ctrl-C ends it)", flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m starter_app.server", description="Serve the page on loopback.")
    parser.add_argument("--port", type=int, default=8080, help="port to listen on (8080; 0 for any free one)")
    parser.add_argument("--folder", type=Path, metavar="DIR", help="write the page there, 15 MB, and serve nothing")
    options = parser.parse_args()
    try:
        if options.folder is not None:
            write_site(options.folder)
            print(f"{options.folder} is for any static server")
        else:
            asyncio.run(main(options.port))
    except (ConfigurationError, OSError) as error:
        raise SystemExit(f"starter-app: {error}") from None
    except KeyboardInterrupt:
        pass
