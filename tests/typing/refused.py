"""What type checkers must refuse: a line that ends in `# E: code` has that error of mypy, and others have none."""

from __future__ import annotations

from dataclasses import dataclass

from shoal.runtime import Actor, ActorRef, ActorSystem, Supervision, handler


@dataclass
class Deposit:
    amount: int


@dataclass
class Withdraw:
    amount: int


class Account(Actor[Deposit | Withdraw]):
    @handler(Withdraw)  # E: arg-type
    def deposit(self, message: Deposit) -> None: ...

    @handler("Withdraw")  # E: call-overload, untyped-decorator
    def withdraw(self, message: Withdraw) -> None: ...


class Greeter(Actor[str]):
    def receive(self, message: str) -> str:
        self.become(self.count)  # E: arg-type
        self.stash(5)  # E: arg-type
        self.start_timer("k", 5, delay_us=1)  # E: arg-type
        return message

    def count(self, message: int) -> None: ...


class Wrong(Actor[str]):
    def receive(self, message: int) -> None: ...  # E: override


async def main(system: ActorSystem, greeter: ActorRef[str]) -> None:
    system.spawn(Account).tell("hello")  # E: arg-type
    system.spawn(Greeter).tell(5)  # E: arg-type
    greeter.ask(5)  # E: arg-type
    greeter.tell_urgent(5)  # E: arg-type
    greeter.ask_urgent(5)  # E: arg-type
    system.spawn(Greeter, weight="4")  # E: arg-type
    await greeter.send(None)  # E: arg-type
    anything: ActorRef[object] = greeter  # E: assignment
    anything.tell(5)
    system.spawn(Greeter(), name="x")  # E: arg-type
    system.events.subscribe(Deposit, greeter)  # E: arg-type
    Supervision(strategy="one_for_all")  # E: arg-type
