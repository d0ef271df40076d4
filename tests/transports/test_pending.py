"""An offer and an answer that wait, over a link of the test's."""

from __future__ import annotations

import asyncio

import pytest

from shoal.runtime.testing import run_virtual
from shoal.transports.errors import ConnectFailed
from shoal.transports.pending import PendingAnswer, PendingOffer

ANSWER = "v=0\r\nm=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n"


class Link:
    """Takes a second for a description, and notes what it is asked."""

    def __init__(self, *, refuses: bool = False) -> None:
        self.refuses = refuses
        self.asked: list[tuple[object, ...]] = []

    async def set_remote(self, description: str, kind: str, timeout_us: int) -> None:
        self.asked.append(("set_remote", description, kind, timeout_us))
        await asyncio.sleep(1)
        if self.refuses:
            raise ConnectFailed("no")

    async def opened(self, timeout_us: int, since_s: float) -> str:
        self.asked.append(("opened", timeout_us, asyncio.get_running_loop().time() - since_s))
        return "channel"

    async def close(self, detail: str) -> None:
        self.asked.append(("close", detail))


def test_the_time_to_connect_begins_when_the_answer_is_accepted() -> None:
    link = Link()
    assert run_virtual(PendingOffer(link, "ours", 5).accept(ANSWER)) == "channel"
    assert link.asked == [("set_remote", ANSWER, "answer", 5), ("opened", 5, 1.0)]


def test_the_time_to_connect_begins_when_the_channel_is_waited_for() -> None:
    link = Link()
    assert run_virtual(PendingAnswer(link, "ours", 5).channel()) == "channel"
    assert link.asked == [("opened", 5, 0.0)]


@pytest.mark.parametrize(("answer", "asked"), [("nonsense", []), (ANSWER, [("set_remote", ANSWER, "answer", 5)])])
def test_an_answer_that_cannot_be_used_ends_the_offer(answer: str, asked: list[tuple[object, ...]]) -> None:
    link = Link(refuses=True)
    with pytest.raises(ConnectFailed):
        run_virtual(PendingOffer(link, "ours", 5).accept(answer))
    assert link.asked == [*asked, ("close", "its answer could not be used")]


def test_what_is_not_wanted_any_more_is_closed_and_says_why() -> None:
    link = Link()
    run_virtual(PendingOffer(link, "ours", 5).close())
    run_virtual(PendingAnswer(link, "ours", 5).close())
    assert link.asked == [("close", "the offer was withdrawn"), ("close", "the answer was withdrawn")]
