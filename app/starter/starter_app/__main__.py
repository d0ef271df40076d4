"""The native entry: `python -m starter_app TEXT...` hashes each text."""

from __future__ import annotations

import asyncio
import sys

from shoal.runtime import ActorSystem

from .actors import Count, Hash, Hasher


async def main(texts: list[str]) -> None:
    async with ActorSystem() as system:
        hasher = system.spawn(Hasher, name="hasher")
        for text in texts:
            print(f"{await hasher.ask(Hash(text.encode())):08x}  {text}")
        print(await hasher.ask(Count()), "hashed")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:] or ["hello, world"]))
