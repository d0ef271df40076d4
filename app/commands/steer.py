"""shoal steer: which CDN players go to, decided while they play."""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path

from shoal.balancer.errors import ConfigurationError

from ..console import Console
from ..options import port_number
from ..steering import PATH, SteeringServer
from .signals import until_stopped

EXAMPLE = (
    'shoal steer steering.toml --port 8090      with steering.toml:  priority = ["a", "b"]\n'
    "                                                                ttl_s = 30"
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("config", metavar="FILE", type=Path, help="pathways in order, and PEERS (TOML); may be changed")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (127.0.0.1)")
    parser.add_argument("--port", type=port_number, default=8090, help="port to listen on (8090; 0 for any free one)")
    parser.add_argument(
        "--name", action="append", default=[], metavar="HOST", help="also answer to this name (a reverse proxy's, say)"
    )


async def run(args: argparse.Namespace, console: Console) -> int:
    server = SteeringServer(args.config, host_names=frozenset({"localhost", *args.name}))

    def told(error: ConfigurationError | None) -> None:
        if error is not None:
            console.event("refused", f"the changed file is not used: {error}")
        else:
            console.event("reloaded", f"{args.config} was read again", priority=list(server.steering.config.priority))

    server.on_reloaded = told
    try:
        await until_stopped(_serve(server, args, console))
    finally:
        await server.aclose()
    steering = server.steering
    console.event(
        "ended",
        f"{steering.answered} requests were answered, {steering.turned_away} turned away",
        answered=steering.answered,
        turned_away=steering.turned_away,
    )
    return 0


async def _serve(server: SteeringServer, args: argparse.Namespace, console: Console) -> None:
    """Until it is cancelled."""
    port = await server.start(args.host, args.port)
    url = f"http://{args.host}:{port}{PATH}"
    console.event("ready", f'EXT-X-CONTENT-STEERING:SERVER-URI="{url}" (Ctrl-C ends it)', url=url, port=port)
    await asyncio.Event().wait()
