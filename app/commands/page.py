"""shoal page: the player's page for a stream of yours."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..console import Console
from ..options import page_options, port_number
from ..player_site import PlayerSite, write_site
from .signals import until_stopped

EXAMPLE = "shoal page https://a.example/main.m3u8 --cdn b=https://b.example/main.m3u8 --folder site"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "url", metavar="URL", help="an HLS playlist, on a server that lets pages of yours read it (CORS)"
    )
    parser.add_argument("--folder", type=Path, metavar="DIR", help="write the site there, 16 MB, and serve nothing")
    parser.add_argument("--port", type=port_number, default=0, help="to serve it on, on loopback (any free one)")
    parser.add_argument(
        "--build", type=Path, default=Path("build"), metavar="DIR", help="what `make wasm` filled (build)"
    )
    parser.add_argument(
        "--cdn", action="append", default=[], metavar="NAME=URL", help="the same playlist elsewhere; may be repeated"
    )
    parser.add_argument("--tracker", action="append", default=[], metavar="URL", help="ws or wss; enables peers")
    parser.add_argument("--stun", action="append", default=[], metavar="URL", help="stun:HOST:PORT; may be repeated")
    parser.add_argument("--turn", action="append", default=[], metavar="URL", help="turn:HOST:PORT, a relay")
    parser.add_argument(
        "--turn-login", metavar="FILE", help="NAME:PASSWORD at the relays; every visitor of the page can read it"
    )
    parser.add_argument(
        "--candidates",
        default="auto",
        choices=("auto", "all", "relay"),
        help="what other viewers learn of a visitor: what the browser tells, or a relay's address alone (auto)",
    )
    parser.add_argument(
        "--no-peers", action="store_true", help="meet nobody until the visitor presses the button for it"
    )
    parser.add_argument("--record", action="store_true", help="write decisions down, for the visitor to save")
    parser.add_argument("--allow-private", action="store_true", help="fetch from loopback and private addresses too")
    parser.set_defaults(upload_max=None, webrtc=None)


async def run(args: argparse.Namespace, console: Console) -> int:
    options = page_options(args)
    if args.folder is not None:
        write_site(args.folder, options, args.build)
        console.event("written", f"{args.folder} is a site for any static server", folder=str(args.folder))
        return 0
    await until_stopped(PlayerSite(options, args.build).serve(args.port, console))
    return 0
