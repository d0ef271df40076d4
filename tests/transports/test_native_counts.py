"""What the counts of a native engine say of a peer that sends no messages."""

from __future__ import annotations

import asyncio
import json

import pytest

from shoal.transports.native.native_counts import CountedAssociation, counts_in

REPORT = [
    {"type": "transport", "id": "T", "packetsReceived": 99},
    {"type": "candidate-pair", "id": "A", "packetsReceived": 5, "requestsReceived": 2, "responsesReceived": 3, "x": {}},
    {"type": "candidate-pair", "id": "B"},
]


def test_packets_questions_and_answers_of_each_pair_count_and_nothing_else():
    assert counts_in(json.dumps(REPORT)) == {"A": 10, "B": 0}


def told(reports):
    """What is said at each look; the last one is asked for what to do if nothing came."""
    said = []

    async def main():
        left = list(reports)

        async def counts():
            await asyncio.sleep(0)
            report = left.pop(0)
            if report is None:
                raise TypeError("not as it was")
            return report

        one = CountedAssociation(counts, on_heard=lambda: said.append("heard"))
        while left:
            one.look((lambda: said.append("nothing")) if len(left) == 1 else None)
            one.look((lambda: said.append("nothing")) if len(left) == 1 else None)  # one at a time
            while one._looking is not None:
                await asyncio.sleep(0)
        said.append(one.tells_silence)
        one.release()

    asyncio.run(main())
    return said


@pytest.mark.parametrize(
    ("reports", "said"),
    [
        ([{"A": 1}, {"A": 1}], ["heard", "nothing", True]),
        ([{"A": 1}, {"A": 2}], ["heard", "heard", True]),
        ([{"A": 5, "B": 5}, {"A": 5}], ["heard", "nothing", True]),  # a pair is given up
        ([{"A": 5, "B": 5}, {"A": 5, "C": 1}], ["heard", "heard", True]),
        ([{"A": 5, "B": 5}, {"A": 6}], ["heard", "heard", True]),
        ([{}, {}], ["nothing", True]),
        ([{"A": 1}, None], ["heard", False]),  # then nobody is taken for dead by it
    ],
)
def test_a_peer_is_dead_only_if_a_last_look_finds_nothing_new(reports, said):
    assert told(reports) == said


def test_a_look_that_is_under_way_at_the_end_says_nothing_more():
    said = []

    async def main():
        async def counts():
            await asyncio.sleep(0.01)
            return {"A": 1}

        one = CountedAssociation(counts, on_heard=lambda: said.append("heard"))
        one.look()
        await asyncio.sleep(0)
        one.release()
        await asyncio.sleep(0.02)

    asyncio.run(main())
    assert said == []
