"""What becomes of the viewer's wishes: signals that are really raised, and a session that may not hear."""

import asyncio
import contextlib
import json
import signal
from collections.abc import AsyncIterator, Iterator
from importlib import import_module
from typing import Any

import pytest

from shoal.app.cli import main
from shoal.app.commands.consent import Wishes, hearing_consent
from shoal.app.console import Console
from shoal.balancer.errors import ConfigurationError
from shoal.runtime import ActorStopped, AskTimedOut

TIMED_OUT, STOPPED = AskTimedOut("no answer within 5 s"), ActorStopped("the session has stopped")
GIVE, WITHDRAW = signal.SIGUSR2, signal.SIGUSR1


@pytest.fixture(autouse=True)
def _handlers_as_before() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in (GIVE, WITHDRAW)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


class Session:
    """Fails as it is told to, and hears the rest."""

    def __init__(self, *failures: Exception) -> None:
        self.failures = list(failures)
        self.asked: list[bool] = []
        self.has_heard = asyncio.Event()

    async def allow_peers(self, *, allowed: bool) -> None:
        self.asked.append(allowed)
        if self.failures:
            raise self.failures.pop(0)
        self.has_heard.set()


def events(capsys: pytest.CaptureFixture[str]) -> list[Any]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


@contextlib.asynccontextmanager
async def hearing(session: Any) -> AsyncIterator[None]:
    with Wishes() as wishes:
        async with hearing_consent(session, Console(json=True), wishes):
            yield


async def say(session: Any, *signals: signal.Signals) -> None:
    """Until the session has heard the last of them."""
    async with hearing(session):
        for number in signals:
            session.has_heard.clear()
            signal.raise_signal(number)
            await session.has_heard.wait()
        await asyncio.sleep(0)


def test_consent_is_withdrawn_and_given(capsys: pytest.CaptureFixture[str]) -> None:
    async def story() -> None:
        session = Session()
        await say(session, WITHDRAW, GIVE)
        assert session.asked == [False, True]

    asyncio.run(story())
    assert events(capsys) == [{"event": "consent", "allowed": allowed} for allowed in (False, True)]


@pytest.mark.parametrize("failure", [TIMED_OUT, STOPPED])
def test_a_withdrawal_that_was_not_heard_is_said_to_have_failed_and_told_again(
    failure: Exception, capsys: pytest.CaptureFixture[str]
) -> None:
    async def story() -> None:
        session = Session(failure)
        await say(session, WITHDRAW)
        assert session.asked == [False, False]

    asyncio.run(story())
    assert events(capsys) == [{"event": "consent", "failed": "withdrawn"}, {"event": "consent", "allowed": False}]


def test_a_session_that_never_hears_of_a_withdrawal_is_ended(capsys: pytest.CaptureFixture[str]) -> None:
    async def story() -> None:
        session = Session(*[TIMED_OUT] * 99)
        with pytest.raises(AskTimedOut):
            await say(session, WITHDRAW)
        assert session.asked == [False] * 3
        task = asyncio.current_task()
        assert task is not None
        assert not task.cancelling()

    asyncio.run(story())
    assert events(capsys) == [{"event": "consent", "failed": "withdrawn"}] * 3


def test_consent_that_was_not_heard_is_said_to_have_failed_and_the_session_goes_on(
    capsys: pytest.CaptureFixture[str],
) -> None:
    async def story() -> None:
        session: Any = Session(TIMED_OUT)
        async with hearing(session):
            signal.raise_signal(GIVE)
            while session.failures:
                await asyncio.sleep(0)
            signal.raise_signal(WITHDRAW)
            await session.has_heard.wait()
            await asyncio.sleep(0)
        assert session.asked == [True, False]

    asyncio.run(story())
    assert events(capsys) == [{"event": "consent", "failed": "given"}, {"event": "consent", "allowed": False}]


def test_of_what_was_wished_before_there_was_a_session_the_last_is_told_before_anything_else(
    capsys: pytest.CaptureFixture[str],
) -> None:
    async def story() -> None:
        session: Any = Session()
        with Wishes() as wishes:
            for number in (WITHDRAW, GIVE, WITHDRAW):
                signal.raise_signal(number)
            await asyncio.sleep(0)  # as a session is opened
            async with hearing_consent(session, Console(json=True), wishes):
                assert session.asked == [False]
            signal.raise_signal(GIVE)  # while it is closed
        assert session.asked == [False]

    asyncio.run(story())
    assert events(capsys) == [{"event": "consent", "allowed": False}]


@pytest.mark.parametrize("command", ["peer", "play", "proxy"])
def test_a_command_dies_of_neither_signal_from_its_beginning_to_its_end(
    command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = import_module(f"shoal.app.commands.{command}")
    handled: list[bool] = []

    @contextlib.asynccontextmanager
    async def open_session(_: object) -> AsyncIterator[None]:
        handled.extend(callable(signal.getsignal(number)) for number in (GIVE, WITHDRAW))
        raise ConfigurationError("that is enough")
        yield

    monkeypatch.setattr(module, "open_session", open_session)
    monkeypatch.setattr(module, "_require_libav", lambda: None, raising=False)
    signal.signal(GIVE, signal.SIG_DFL)
    signal.signal(WITHDRAW, signal.SIG_DFL)
    assert main([command, "https://a.example/stream.m3u8", "--tracker", "wss://tracker.example"]) == 2
    assert handled == [True, True]
    assert [signal.getsignal(number) for number in (GIVE, WITHDRAW)] == [signal.SIG_IGN] * 2
