"""What type checkers must accept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, assert_type

from shoal.runtime import (
    Actor,
    ActorRef,
    ActorSystem,
    Backoff,
    Pool,
    Restart,
    RoundRobin,
    Router,
    Strategy,
    Supervision,
    Terminated,
    handler,
)


@dataclass
class Deposit:
    amount: int


@dataclass
class Withdraw:
    amount: int


class Account(Actor[Deposit | Withdraw | Terminated]):
    supervision = Supervision(strategy=Strategy.REST_FOR_ONE, backoff=Backoff(jitter=0.2, seed=7))

    @handler
    def deposit(self, message: Deposit) -> None: ...

    @handler(Withdraw)
    async def withdraw(self, message: Withdraw) -> int:
        return message.amount

    @handler
    def ended(self, message: Terminated) -> None:
        self.unhandled(message)


class Greeter(Actor[str]):
    def receive(self, message: str) -> str:
        self.become(self.tired)
        self.stash(message)
        return message

    def tired(self, message: str) -> None:
        self.unbecome()


class Short(Actor[str]):
    def receive(self, m: str) -> str:  # by whatever name
        return m


class Front(Actor[str]):
    def __init__(self, greeter: ActorRef[str]) -> None:
        self.greeter = greeter

    def receive(self, message: str) -> None:
        self.forward(self.greeter, message)
        self.start_timer("again", message, delay_us=5, fixed_delay_us=10)


async def main(system: ActorSystem) -> None:
    account = system.spawn(Account, restart=Restart.PERMANENT)
    assert_type(account, ActorRef[Deposit | Withdraw | Terminated])
    account.tell(Deposit(5))
    account.tell_urgent(Deposit(5))
    await system.spawn(Account, weight=0.5).ask_urgent(Withdraw(5))
    await account.ask(Withdraw(5))
    only_deposits: ActorRef[Deposit] = account  # who takes more may stand for who takes less
    only_deposits.tell(Deposit(1))
    greeter = system.spawn(Greeter)
    front = system.spawn(Front, greeter)
    await front.send("hello")
    assert_type(system.spawn(Router, [greeter, front], RoundRobin()), ActorRef[Any])
    assert_type(system.spawn(Pool, Greeter, size=4), ActorRef[Any])
    system.events.subscribe(Deposit, account)
    system.events.subscribe(Deposit, lambda event: event.amount)
