"""One code base, natively and in the browser: make bench-browser

    --only equal frames ...   some of the claims
    --seeds N                 how many seeds must give equal traces (100)
    --rounds N                how often what is timed is timed (3)

Runs what `make wasm` built: under Node, and in headless Chromium.  What is timed is timed by
turns with what it is held against, in the same run.  Exit code 0 only if every line holds.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import subprocess
import traceback
from collections.abc import Callable

import page
from browser_claims import bridge, equal, frames, murmur, playing, sending, startup, wheels
from browser_claims.pyodide import missing
from harness import Claim, conclude

__all__ = ["SUBJECTS", "main"]


SUBJECTS: dict[str, Callable[[argparse.Namespace], list[Claim]]] = {
    "equal": lambda options: equal.claims(options.seeds),
    "sending": lambda options: asyncio.run(sending.claims(options.rounds)),
    "frames": lambda options: asyncio.run(frames.claims(options.rounds)),
    "wheels": lambda _: wheels.claims(),
    "startup": lambda options: asyncio.run(startup.claims(options.rounds)),
    "playing": lambda _: asyncio.run(playing.claims()),
    "page": lambda options: asyncio.run(page.claims(options.rounds)),
    "murmur": lambda _: murmur.claims(),
    "bridge": lambda options: asyncio.run(bridge.claims(options.rounds)),
}


def measured(subject: str, options: argparse.Namespace) -> list[Claim]:
    """Its claims; one that does not hold where it ended with an error, so that the others are measured all the same."""
    try:
        return SUBJECTS[subject](options)
    except Exception:
        traceback.print_exc()
        return [Claim(f"{subject}: measured to the end", 0, 1, at_least=True)]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*", choices=SUBJECTS, default=list(SUBJECTS))
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    what = missing()
    if what is not None:
        print(f"{what} is missing")
        return 3
    version = subprocess.run(["chromium", "--version"], capture_output=True, text=True, check=False).stdout
    print(re.split(r" built on", version)[0].strip(), flush=True)
    claims: list[Claim] = []
    for subject in options.only:
        print(f"{subject}:", flush=True)
        claims += measured(subject, options)
    return conclude("browser", claims)


if __name__ == "__main__":
    raise SystemExit(main())
