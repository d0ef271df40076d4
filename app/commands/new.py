"""shoal new: a small project to begin with."""

from __future__ import annotations

import argparse
from pathlib import Path

from shoal.balancer.errors import ConfigurationError

from ..console import Console

EXAMPLE = "shoal new my-app && cd my-app && make test"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", help="of the project and of its folder: a-z, 0-9, hyphens")
    parser.add_argument("--folder", type=Path, default=Path(), metavar="DIR", help="where its folder is made (.)")
    parser.add_argument(
        "--build",
        type=Path,
        default=Path("build"),
        metavar="DIR",
        help="the folder that `make wasm` fills, for the page (build)",
    )


async def run(args: argparse.Namespace, console: Console) -> int:
    from ..new import write_project
    from ..page_files import page_files

    project = write_project(args.name, args.folder, build=args.build)
    try:
        page_files(args.build, {})
        lacks = None
    except ConfigurationError as error:
        lacks = str(error)
    console.event(
        "written",
        f"{project} is written; in it: make run, make web, make build, make test, make bench",
        folder=str(project),
        page_lacks=lacks,
    )
    if lacks is not None and not console.json:
        console.event("page", f"its page cannot be served yet; {lacks}")
    return 0
