"""`shoal demo --browser`: the demo's CDNs, tracker and peers, and a page that plays their stream."""

from __future__ import annotations

from pathlib import Path

from shoal.app.console import Console
from shoal.app.page_stream import PageOptions
from shoal.app.player_site import PlayerSite, paths

from .children import Children
from .run import DemoOptions, make_stream_of, start_peers, start_servers

__all__ = ["serve_browser"]


async def serve_browser(options: DemoOptions, console: Console, *, build: Path, port: int) -> None:
    """Until cancelled.  ConfigurationError when what the page needs was not built."""
    paths(build)  # before anything is started
    console.event("stream", "making the video (kept for the next time)")
    stream = await make_stream_of(options)
    async with Children(options.out / "logs") as children:
        cdns, tracker = await start_servers(children, stream, options)
        playlists = {name: f"{url}/{stream.playlist}" for name, url in cdns.items()}
        console.event("peers", f"{options.peers} peers join, one of them a liar")
        await start_peers(children, playlists, tracker, options)
        wanted = PageOptions(url=playlists["good"], cdns=playlists, trackers=(tracker,), allow_private=True)
        await PlayerSite(wanted, build).serve(port, console)
