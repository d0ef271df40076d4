"""The command line: `shoal COMMAND --help` tells the rest.

Exit codes, the same for every command:

    0   it worked
    1   the run failed
    2   the command line, or a setting, makes no sense
    3   the network or an origin failed
    4   wrong bytes were delivered
    5   a package or a program that is needed is missing
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import logging
import os
import sys
import textwrap
import traceback
from collections.abc import Sequence
from typing import NoReturn

import shoal
from shoal.balancer.errors import BalancerError, ConfigurationError, WrongBytes
from shoal.transports.errors import TransportError, TransportMissing

from .console import Console
from .hints import sentence

__all__ = ["exit_code", "main"]

COMMANDS = {
    "demo": "a real stream over three CDNs and four peers, one of each kind bad, with figures at the end",
    "proxy": "a local HTTP server in front of a stream, for any player",
    "page": "a web page that plays a stream, with the balancer in it: served on loopback, or written for any server",
    "play": "play a stream through the proxy, without a window, and say how it went",
    "peer": "fetch a stream and serve it to other viewers",
    "tracker": "a WebTorrent tracker, for one machine or as one of several nodes",
    "steer": "a content steering server: which CDN players go to, changed while they play",
    "sim": "simulated swarms: policies against each other, and recorded sessions again",
    "new": "a small project of your own: an actor that runs natively and in a web page, with tests and a benchmark",
}


def main(arguments: Sequence[str] | None = None) -> int:
    parser = _parser()
    args = parser.parse_args(arguments)
    logging.basicConfig(
        stream=sys.stderr,
        level=logging.DEBUG if args.verbose else logging.ERROR,
        format="%(asctime)s %(name)s %(levelname)s %(message)s",
    )
    console = Console(json=args.json)
    try:
        return _run(args, console)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Whoever read our output has gone; there is nobody left to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:
        if args.debug:
            traceback.print_exc()
        while isinstance(error, ExceptionGroup) and len(error.exceptions) == 1:
            error = error.exceptions[0]  # of a task group, in which one task failed
        console.error(getattr(error, "reason", type(error).__name__), sentence(error))
        return exit_code(error)


def exit_code(error: BaseException) -> int:
    match error:
        case ConfigurationError():
            return 2
        case TransportMissing():
            return 5
        case WrongBytes():
            return 4
        case BalancerError() | TransportError():
            return 3
        case _:
            return 1


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """One line, where argparse would print its whole usage before it."""
        self.exit(2, f"shoal: {message}; see {self.prog} --help\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="shoal",
        description="Video segments from several CDNs and from peers, every block verified.",
        epilog=f"example:\n  shoal demo\n\n{__doc__.partition(chr(10) * 2)[2]}" if __doc__ else None,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"shoal {shoal.__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, text in COMMANDS.items():
        module = importlib.import_module(f".commands.{name}", __package__)
        command = commands.add_parser(
            name,
            help=text,
            description=f"{text[0].upper()}{text[1:]}.",
            epilog=f"example:\n{textwrap.indent(module.EXAMPLE, '  ')}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        module.add_arguments(command)
        command.add_argument("--json", action="store_true", help="JSON lines on stdout, for machines")
        command.add_argument("--verbose", action="store_true", help="log what happens to stderr")
        command.add_argument("--debug", action="store_true", help="show a traceback when something fails")
        command.set_defaults(run=module.run)
    return parser


def _run(args: argparse.Namespace, console: Console) -> int:
    coroutine = args.run(args, console)
    try:
        import uvloop
    except ImportError:
        return asyncio.run(coroutine)  # type: ignore[no-any-return]
    return uvloop.run(coroutine)  # type: ignore[no-any-return]


if __name__ == "__main__":
    raise SystemExit(main())
