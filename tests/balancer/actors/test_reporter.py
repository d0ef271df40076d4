"""What counts as a failover in the report, and what the report forgets."""

from __future__ import annotations

import pytest

from shoal.balancer.actors.reporter import (
    PARTS_MAX,
    PEERS_MAX,
    Accounts,
    GetReport,
    PartBegan,
    PartEnded,
    PartGrew,
    Polluted,
    Reporter,
)
from shoal.balancer.config import BalancerConfig
from shoal.balancer.model import Kind, ResourceKey, Segment
from shoal.balancer.report import SegmentStory, SessionReport, SourceState
from shoal.runtime import Actor, ActorSystem, MailboxSettings
from shoal.runtime.testing import run_virtual

SEGMENT = Segment(key=ResourceKey(0, Kind.MEDIA, 1), uri="http://one/s1.m4s")


class Session(Actor[list[object]]):
    """Tells a reporter what happened, and asks it for the report as the session does."""

    async def receive(self, message: list[object]) -> SessionReport:
        reporter = self.spawn(Reporter, BalancerConfig(), "http://one/", mailbox=MailboxSettings(messages_max=10_000))
        for event in message:
            reporter.tell(event)
        reply = self.take_reply()
        sources = [SourceState(name=name) for name in ("cdn:one", "peer:0", f"peer:{PEERS_MAX}")]
        reporter.tell(GetReport(sources, "blocks", False, self.now_us, reply))


async def report_of(*events: object) -> SessionReport:
    async with ActorSystem(loop_delay_interval_us=None) as system:
        return await system.spawn(Session).ask(list(events))


def moved(outcome: str, reason: str, *, to: str = "cdn:two", first_byte: int = 1000) -> SegmentStory:
    """One source sent 1000 bytes, ended so, and another transfer of the segment began."""
    story: list[SegmentStory] = []

    async def main() -> None:
        story.append(
            (
                await report_of(
                    PartBegan(1, SEGMENT, "cdn:one", 0, "start", 0),
                    PartGrew(1, 1000, 10),
                    PartEnded(1, outcome, reason, 20),
                    PartBegan(2, SEGMENT, to, first_byte, "failover", 30),
                )
            ).segments[0]
        )

    run_virtual(main())
    return story[0]


@pytest.mark.parametrize(
    ("outcome", "reason"), [("failed", "truncated"), ("cancelled", "stalled"), ("cancelled", "slow"), ("wrong", "")]
)
def test_another_source_that_goes_on_at_the_byte_reached_is_a_failover_in_the_body(outcome: str, reason: str) -> None:
    story = moved(outcome, reason)
    assert (story.failed_over, story.failed_over_in_body) == (True, True)


def test_another_source_that_begins_at_the_first_byte_is_a_failover_outside_the_body() -> None:
    story = moved("failed", "changed", first_byte=0)
    assert (story.failed_over, story.failed_over_in_body) == (True, False)


@pytest.mark.parametrize("reason", ["released", "gone"])
def test_what_nobody_wanted_for_a_while_has_not_failed_over(reason: str) -> None:
    story = moved("cancelled", reason, first_byte=0)
    assert (story.failed_over, story.failed_over_in_body) == (False, False)


def test_the_same_source_again_is_no_failover() -> None:
    story = moved("failed", "reset", to="cdn:one")
    assert (story.failed_over, story.failed_over_in_body) == (False, False)


def test_the_bytes_of_the_oldest_of_very_many_peers_are_forgotten_with_a_count_and_those_of_cdns_never() -> None:
    async def main() -> None:
        key = SEGMENT.key
        peers = [Accounts(key, {f"peer:{number}": (1, 2)}) for number in range(PEERS_MAX + 1)]
        report = await report_of(Accounts(key, {"cdn:one": (7, 8)}), *peers)
        assert [(state.used_bytes, state.wasted_bytes) for state in report.sources] == [(7, 8), (0, 0), (1, 2)]
        assert report.dropped == {"report_peer": 1}

    run_virtual(main())


def test_a_segment_that_is_tried_for_ever_keeps_its_last_transfers_and_counts_the_others() -> None:
    async def main() -> None:
        events: list[object] = []
        for number in range(PARTS_MAX + 5):
            events += [
                PartBegan(number, SEGMENT, "cdn:one", 0, "start", number),
                PartEnded(number, "failed", "connect", number),
            ]
        report = await report_of(*events)
        assert [part.started_us for part in report.segments[0].parts] == list(range(5, PARTS_MAX + 5))
        assert report.dropped["report_part"] == 5

    run_virtual(main())


@pytest.mark.parametrize("order", ["verdict first", "end first"])
def test_who_sent_wrong_bytes_is_told_whether_it_was_still_sending_or_not(order: str) -> None:
    async def main() -> None:
        verdict, end = Polluted(SEGMENT.key, "peer:0", 20), PartEnded(1, "cancelled", "wrong bytes", 20)
        after = [verdict, end] if order == "verdict first" else [end, verdict]
        (segment,) = (await report_of(PartBegan(1, SEGMENT, "peer:0", 0, "start", 0), *after)).segments
        assert segment.polluted
        assert [(part.outcome, part.reason, part.ended_us) for part in segment.parts] == [("wrong", "wrong bytes", 20)]

    run_virtual(main())
