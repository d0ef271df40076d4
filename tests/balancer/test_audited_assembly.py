"""A segment without hashes, partly from peers: what readers see of it, and what an audit changes."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.balancer.assembly import AuditDue, Blamed, Completed, Discarded, Refused, Verified
from shoal.balancer.audit import HEAD_BYTES, budget_bytes
from shoal.balancer.audited_assembly import AuditedAssembly
from shoal.balancer.model import ByteRange

SIZE = 200_000
RIGHT = random.Random(1).randbytes(SIZE)
WRONG = bytes(byte ^ 1 for byte in RIGHT)


def segment(*, known_bytes: int | None = None, share: float = 0.02) -> AuditedAssembly:
    return AuditedAssembly(segment_bytes_max=1_000_000, known_bytes=known_bytes, share=share, ranges_max=4)


def deliver(assembly: AuditedAssembly, source: str, data: bytes, *, until: int | None = None, says: int = SIZE) -> list:
    """From the byte reached on, all or up to `until`, and the end if it is all; what is merely readable is left out."""
    at = assembly.end_bytes
    steps = assembly.begin(source, says, None) + assembly.add(source, data[at:until], at)
    steps += assembly.end(source) if until is None else []
    return [step for step in steps if not isinstance(step, Verified)]


def audit(assembly: AuditedAssembly, numbers: list[int], data: bytes = RIGHT, *, says: int = SIZE) -> list:
    ranges = assembly.audit(numbers)
    assert ranges
    return assembly.audited(ranges, [data[one.offset : one.offset + one.length] for one in ranges], says)


def test_what_a_peer_sent_is_read_by_nobody_before_it_was_audited() -> None:
    one = segment()
    assert deliver(one, "peer:p", RIGHT) == [AuditDue()]
    assert one.readable_bytes == 0
    assert one.total_bytes is None  # a peer's word on it is not passed on either
    assert one.read(0, SIZE) == b""
    assert audit(one, [1, 2, 3, 4]) == [Completed(SIZE, "audited")]
    assert one.read(0, SIZE) == RIGHT == one.take()


def test_what_only_cdns_sent_streams_and_is_not_audited() -> None:
    one = segment()
    assert deliver(one, "cdn:a", RIGHT, until=50_000) == []
    assert one.readable_bytes == 50_000
    assert deliver(one, "cdn:a", RIGHT) == [Completed(SIZE, "unverified")]


def test_the_leading_bytes_of_a_cdn_stream_though_a_peer_goes_on() -> None:
    one = segment()
    deliver(one, "cdn:a", RIGHT, until=50_000)
    assert deliver(one, "peer:p", WRONG) == [AuditDue()]
    assert one.read(0, SIZE) == RIGHT[:50_000]
    assert audit(one, [7]) == [Discarded(50_000, "peer:p", ("peer:p",), False)]
    assert deliver(one, "cdn:b", RIGHT) == [Completed(SIZE, "unverified")]
    assert one.take() == RIGHT


def test_only_who_sent_what_differs_is_blamed() -> None:
    one = segment()
    deliver(one, "peer:honest", RIGHT, until=100_000)
    assert deliver(one, "peer:liar", WRONG) == [AuditDue()]
    assert audit(one, [10, 150_000]) == [Discarded(0, "peer:liar", ("peer:honest", "peer:liar"), False)]


def test_two_liars_are_blamed_both() -> None:
    one = segment()
    deliver(one, "peer:first", WRONG, until=100_000)
    deliver(one, "peer:second", WRONG)
    steps = audit(one, [10, 150_000])
    assert steps == [Discarded(0, "peer:first", ("peer:first", "peer:second"), False), Blamed("peer:second", "audit")]


def test_after_wrong_bytes_the_segment_comes_from_cdns_alone() -> None:
    one = segment()
    deliver(one, "peer:liar", WRONG)
    audit(one, [10])
    assert one.begin("peer:honest", SIZE, None) == [Refused("peer:honest", "unhashed")]
    assert one.add("peer:honest", RIGHT[:100], 0) == [Refused("peer:honest", "unhashed")]
    assert one.end_bytes == 0
    assert deliver(one, "cdn:a", RIGHT) == [Completed(SIZE, "unverified")]


def test_a_segment_that_a_peer_cut_short_is_found_by_its_length() -> None:
    one = segment()
    assert deliver(one, "peer:p", RIGHT[:150_000], says=150_000) == [AuditDue()]
    assert audit(one, [5]) == [Discarded(0, "peer:p", ("peer:p",), False)]


def test_a_cdn_that_says_another_length_than_the_peer_before_it_is_believed() -> None:
    one = segment()
    deliver(one, "peer:p", RIGHT, until=100_000, says=SIZE + 5)
    assert one.begin("cdn:a", SIZE, None) == [Discarded(0, "peer:p", ("peer:p",), False)]
    assert deliver(one, "cdn:a", RIGHT) == [Completed(SIZE, "unverified")]


def test_a_peer_that_says_another_length_than_the_cdn_before_it_is_blamed() -> None:
    one = segment()
    deliver(one, "cdn:a", RIGHT, until=50_000)
    assert one.begin("peer:p", SIZE + 5, None) == [Blamed("peer:p", "length")]
    ranged = segment(known_bytes=SIZE)
    assert ranged.begin("peer:p", SIZE - 5, None) == [Blamed("peer:p", "length")]


def test_of_two_peers_that_contradict_each_other_none_is_blamed_before_a_cdn_tells() -> None:
    one = segment()
    deliver(one, "peer:liar", RIGHT, until=100_000, says=SIZE + 5)
    assert one.begin("peer:honest", SIZE, None) == [Refused("peer:honest", "changed")]
    assert one.begin("cdn:a", SIZE, None) == [Discarded(0, "peer:liar", ("peer:liar",), False)]


def test_a_cdn_that_never_says_a_length_and_sends_more_than_peers_claim_leaves_nobody_to_blame() -> None:
    one = segment()
    deliver(one, "peer:p", RIGHT, until=100_000, says=SIZE - 10_000)
    assert one.begin("cdn:a", None, None) == []
    assert one.add("cdn:a", RIGHT[100_000:], 100_000) == []
    assert one.end("cdn:a") == [Discarded(0, None, (), False)]


def test_where_no_cdn_tells_peers_bytes_go_and_nobody_is_blamed() -> None:
    one = segment()
    deliver(one, "peer:p", RIGHT)
    assert one.drop_peers() == [Discarded(0, None, (), False)]
    assert one.sources()["peer:p"].wasted_bytes == SIZE


def test_a_segment_too_small_to_be_audited_is_not_taken_from_peers() -> None:
    assert segment().begin("peer:p", 20_000, None) == [Refused("peer:p", "too_small")]


def test_what_a_failed_try_cost_is_missing_for_the_next_and_the_budget_holds() -> None:
    one = segment()
    deliver(one, "peer:p", RIGHT)
    budget = budget_bytes(SIZE, 0.02)
    first = one.audit([1, 2, 3, 4])
    came = first[0].length
    one.audit_failed(first, came)
    second = one.audit([1, 2, 3, 4])
    spent = len(first) * HEAD_BYTES + came + sum(HEAD_BYTES + one.length for one in second)
    assert second
    assert spent <= budget


@given(st.lists(st.tuples(st.floats(0, 1), st.lists(st.integers(0, 2**64 - 1), min_size=4, max_size=4)), max_size=30))
def test_however_many_tries_fail_they_cost_no_more_than_the_share(tries: list[tuple[float, list[int]]]) -> None:
    one = segment()
    deliver(one, "peer:p", RIGHT)
    spent = 0
    for share_that_came, numbers in tries:
        ranges = one.audit(numbers)
        came = int(share_that_came * sum(asked.length for asked in ranges))
        spent += len(ranges) * HEAD_BYTES + came
        one.audit_failed(ranges, came)
    assert spent <= 0.02 * SIZE


SOURCES = st.sampled_from(["cdn:a", "cdn:b", "peer:p", "peer:q", "peer:liar"])


@given(
    st.lists(st.tuples(SOURCES, st.integers(1, SIZE), st.booleans()), min_size=1, max_size=8),
    st.lists(st.integers(0, 2**64 - 1), min_size=12, max_size=12),
)
def test_nothing_is_readable_that_neither_came_from_a_cdn_nor_was_audited(
    parts: list[tuple[str, int, bool]], numbers: list[int]
) -> None:
    """Nor is anybody blamed that sent what is right, whoever sent what, in whatever order."""
    one, steps, lied = segment(), [], False
    for source, until, _ in [*parts, ("cdn:a", SIZE, True)]:
        data = WRONG if source == "peer:liar" else RIGHT
        before = one.end_bytes
        refused = one.begin(source, SIZE, None)
        steps += refused
        if not refused and until > before:
            steps += one.add(source, data[before:until], before)
            lied = lied or source == "peer:liar"
        readable = one.read(0, SIZE)
        assert readable == RIGHT[: len(readable)]
        if one.end_bytes == SIZE:
            steps += one.end(source)
            break
    if AuditDue() in steps:
        assert steps.count(AuditDue()) == 1
        ranges = one.audit(numbers)
        answers = [RIGHT[asked.offset : asked.offset + asked.length] for asked in ranges]
        # Of few bytes of peers an audit would cost too much: they go.
        steps += one.audited(ranges, answers, SIZE) if ranges else one.drop_peers()
    blamed = {step.blamed for step in steps if isinstance(step, Discarded)} | {
        step.source for step in steps if isinstance(step, Blamed)
    }
    assert blamed <= {"peer:liar", None}
    if one.completed:
        assert one.take() == RIGHT  # the liar changes all that it sends, and each piece is looked at
    assert not (lied and one.completed and one.verified == "audited")


@pytest.mark.parametrize("kind", ["peer", "cdn"])
def test_pieces_of_one_source_are_audited_as_it_is_a_peer_or_not(kind: str) -> None:
    one = segment()
    deliver(one, f"{kind}:x", RIGHT)
    assert one.verified == ("audited" if kind == "peer" else "unverified")
    assert one.audit([3])[0:1] == ((ByteRange(3, 3600),) if kind == "peer" else ())
