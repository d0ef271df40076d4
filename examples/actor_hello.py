"""The smallest program with an actor: ask it something, print the answer."""

import asyncio

from shoal.runtime import Actor, ActorSystem


class Greeter(Actor[str]):
    def receive(self, message: str) -> str:
        return f"hello {message}"


async def main() -> None:
    async with ActorSystem() as system:
        greeter = system.spawn(Greeter)
        print(await greeter.ask("world"))


asyncio.run(main())
