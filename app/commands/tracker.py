"""shoal tracker: who is in which swarm."""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path

from shoal.balancer.errors import ConfigurationError

from ..console import Console
from ..options import port_number
from ..tracker import Tracker
from ..tracker_core import TrackerLimits
from ..tracker_redis import RedisNodes
from ..tracker_tokens import Tokens
from .signals import until_stopped

EXAMPLE = "shoal tracker --port 8000"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (127.0.0.1)")
    parser.add_argument("--port", type=port_number, default=8000, help="port to listen on (8000; 0 for any free one)")
    parser.add_argument(
        "--metrics-port", type=port_number, metavar="PORT", help="serve figures for Prometheus there, on loopback"
    )
    parser.add_argument(
        "--token-keys",
        type=Path,
        metavar="FILE",
        help="let in only who has a signed token; a key in each line (app/tracker_tokens.py says how to sign)",
    )
    parser.add_argument(
        "--redis",
        metavar="URL",
        help="be one of several nodes, which meet at this Redis or Valkey: redis://HOST:PORT",
    )
    parser.add_argument(
        "--redis-prefix",
        default="shoal",
        metavar="NAME",
        help="before every key and channel there; nodes of one tracker have the same (%(default)s)",
    )
    parser.add_argument(
        "--sockets-per-address",
        type=_count,
        default=TrackerLimits().sockets_per_address_max,
        metavar="N",
        help="limit for each address, and for each /64 of IPv6 (%(default)s)",
    )
    parser.add_argument(
        "--trusted-proxy",
        action="append",
        default=[],
        metavar="NETWORK",
        help="an address or network, as 127.0.0.1 or 10.0.0.0/8, whose X-Forwarded-For says where clients come from; "
        "repeatable (app/tracker.py shows what nginx needs)",
    )


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= 1_000_000):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 to 1,000,000")
    return int(text)


async def run(args: argparse.Namespace, console: Console) -> int:
    limits = TrackerLimits(sockets_per_address_max=args.sockets_per_address)
    nodes = None if args.redis is None else RedisNodes(args.redis, prefix=args.redis_prefix)
    tracker = Tracker(limits, tokens=_tokens(args.token_keys), nodes=nodes, trusted_proxies=args.trusted_proxy)
    try:
        await until_stopped(_serve(tracker, args, console))
        peers = tracker.stats().peers
    finally:
        await tracker.aclose()
    console.event("ended", f"{peers} peers were here at the end", peers=peers)
    return 0


async def _serve(tracker: Tracker, args: argparse.Namespace, console: Console) -> None:
    """Until it is cancelled."""
    port = await tracker.start(args.host, args.port)
    url = f"ws://{args.host}:{port}"
    metrics_port = None
    if args.metrics_port is not None:
        metrics_port = await tracker.start_metrics("127.0.0.1", args.metrics_port)
    console.event("ready", f"tracker at {url} (Ctrl-C ends it)", url=url, port=port, metrics_port=metrics_port)
    await asyncio.Event().wait()


def _tokens(path: Path | None) -> Tokens | None:
    """The keys of a file, one in each line that is not empty; None where no file is given."""
    if path is None:
        return None
    try:
        rows = path.read_bytes().split(b"\n")
    except OSError as error:
        raise ConfigurationError(f"--token-keys {path} cannot be read: {error.strerror}") from error
    return Tokens(tuple(row.strip() for row in rows if row.strip()))
