"""Serves the player's page on loopback: the page, hls.js, Pyodide, and the wheels that Pyodide loads.

What `make wasm` and npm made is taken from a build folder; nothing of it is in this repository.
Any static server can do the same with what `write_site` leaves in a folder: nothing is computed for a request.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Self

import msgspec
from aiohttp import web

from .console import Console
from .page_files import media_type, page_files
from .page_stream import PageOptions

__all__ = ["PlayerSite", "paths", "write_site"]

_PAGE = Path(__file__).resolve().parent / "page" / "player"


def paths(build: Path) -> dict[str, Path]:
    """URL path of the site -> file.  ConfigurationError names what is not there, and what makes it."""
    files = {f"/{path.name}": path for path in sorted(_PAGE.iterdir())}
    files["/"] = files.pop("/index.html")
    hls = build / "browser" / "node_modules" / "hls.js"
    files |= {
        "/hls.min.js": hls / "dist" / "hls.min.js",
        "/hls.LICENSE.txt": hls / "LICENSE",
    }  # whoever passes it on must
    return page_files(build, files)


def write_site(folder: Path, options: PageOptions, build: Path = Path("build")) -> None:
    """The whole site as files: 16 MB.  ConfigurationError as `paths`; OSError where the folder cannot be written."""
    files = paths(build)
    files["/index.html"] = files.pop("/")
    for path, file in files.items():
        place = folder / path.removeprefix("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, place)
    (folder / "options.json").write_bytes(_told(options, files))


def _told(options: PageOptions, files: Iterable[str]) -> bytes:
    """What the page asks for first."""
    wheels = [path for path in files if path.startswith("/wheels/")]
    return msgspec.json.encode({"options": options, "wheels": wheels})


class PlayerSite:
    """`async with PlayerSite(options, build) as site`; `site.url` is what a browser opens."""

    def __init__(self, options: PageOptions, build: Path = Path("build")) -> None:
        self._files = paths(build)
        self._told = _told(options, self._files)
        self._runner: web.AppRunner | None = None
        self.url = ""

    async def start(self, *, port: int = 0) -> str:
        application = web.Application()
        application.router.add_get("/options.json", self._tell)
        application.router.add_get("/{path:.*}", self._serve)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.0)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", port).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/"
        return self.url

    async def serve(self, port: int, console: Console) -> None:
        """Until cancelled, having told `console` the address.  OSError where the port is taken."""
        try:
            url = await self.start(port=port)
            console.event("ready", f"open {url} in a browser (Ctrl-C ends it)", url=url)
            await asyncio.Event().wait()
        finally:
            await self.aclose()

    async def aclose(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def _tell(self, _request: web.Request) -> web.Response:
        return web.Response(body=self._told, content_type="application/json")

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        path = self._files.get(request.path)
        if path is None:
            return web.Response(status=404, text=f"there is no {request.path[:200]} here\n")
        return web.FileResponse(path, headers={"Content-Type": media_type(path)})
