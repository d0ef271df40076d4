"""A worker that breaks, is started again, and is watched until it has broken once too often."""

import asyncio
import logging

from shoal.runtime import Actor, ActorRef, ActorSystem, Restart, Supervision, Terminated


class Divider(Actor[int]):
    def on_restart(self, error: BaseException) -> None:
        print(f"started again after {error!r}")

    def receive(self, message: int) -> None:
        print(f"60 / {message} = {60 // message}")


class Boss(Actor[int | Terminated]):
    supervision = Supervision(restarts_max=1, period_us=1_000_000)
    divider: ActorRef[int]

    def __init__(self, over: asyncio.Event) -> None:
        self.over = over

    def on_start(self) -> None:
        self.divider = self.spawn(Divider, name="divider", restart=Restart.TRANSIENT)
        self.watch(self.divider)

    def receive(self, message: int | Terminated) -> None:
        if isinstance(message, Terminated):
            print(f"{message.ref.path} has ended: {message.reason.value}")
            self.over.set()
        else:
            self.divider.tell(message)


async def main() -> None:
    logging.disable(logging.ERROR)  # the failures are meant
    over = asyncio.Event()
    async with ActorSystem() as system:
        system.failures.subscribe(lambda failure: print(f"{failure.path}: {failure.directive.value}"))
        boss = system.spawn(Boss, over)
        for divisor in (10, 0, 20, 0):
            boss.tell(divisor)
        await over.wait()


asyncio.run(main())
