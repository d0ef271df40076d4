"""What may reach the player, who is blamed, and what is thrown away."""

from __future__ import annotations

import hashlib

import pytest

from shoal.balancer.assembly import Assembly, Blamed, Completed, Discarded, HashJob, Refused, Verified
from shoal.balancer.integrity import Digests

BLOCK = 8
RIGHT = bytes(range(30))  # three blocks and six bytes


def digests(data: bytes = RIGHT, *, blocks: bool = True) -> Digests:
    cut = tuple(hashlib.sha256(data[i : i + BLOCK]).digest() for i in range(0, len(data), BLOCK))
    return Digests(len(data), hashlib.sha256(data).digest(), BLOCK, cut if blocks else ())


def assembly(known: Digests | None, *, segment_bytes_max: int = 1000, hold_back_bytes: int = 4) -> Assembly:
    return Assembly(known, segment_bytes_max=segment_bytes_max, hold_back_bytes=hold_back_bytes)


def settle(resource: Assembly, steps: list) -> list:
    """Hash what is asked for, at once, and give all steps but the jobs."""
    seen = []
    queue = list(steps)
    while queue:
        step = queue.pop(0)
        if isinstance(step, HashJob):
            queue += resource.hashed(step, hashlib.sha256(step.data).digest())
        else:
            seen.append(step)
    return seen


def deliver(resource: Assembly, source: str, data: bytes, offset: int | None = None) -> list:
    return settle(resource, resource.add(source, data, resource.end_bytes if offset is None else offset))


def test_a_byte_is_readable_once_its_whole_block_is_right_whatever_its_source():
    resource = assembly(digests())
    assert deliver(resource, "peer:p", RIGHT[:7]) == []
    assert resource.readable_bytes == 0
    assert deliver(resource, "peer:p", RIGHT[7:9]) == [Verified(8)]
    assert resource.read(0, 100) == RIGHT[:8]


def test_the_last_right_block_completes_the_resource():
    resource = assembly(digests())
    assert deliver(resource, "cdn:a", RIGHT)[-1] == Completed(30, "blocks")
    assert resource.take() == RIGHT


def test_digests_may_arrive_in_any_order_and_readers_still_see_leading_bytes_only():
    resource = assembly(digests())
    jobs = resource.add("cdn:a", RIGHT, 0)
    assert len(jobs) == 4
    for number in (2, 1, 3):
        resource.hashed(jobs[number], hashlib.sha256(jobs[number].data).digest())
        assert resource.readable_bytes == 0
    steps = resource.hashed(jobs[0], hashlib.sha256(jobs[0].data).digest())
    assert steps == [Verified(30), Completed(30, "blocks")]


def test_a_wrong_block_of_one_source_blames_it_and_rolls_back_to_the_start_of_the_block():
    resource = assembly(digests())
    steps = deliver(resource, "peer:bad", RIGHT[:8] + b"x" * 9)
    assert steps == [Verified(8), Discarded(8, "peer:bad", ("peer:bad",), breaks_readers=False)]
    assert resource.end_bytes == 8
    account = resource.sources()["peer:bad"]
    assert (account.used_bytes, account.wasted_bytes) == (8, 9)


def test_a_wrong_block_of_several_sources_blames_nobody_until_the_right_one_is_known():
    resource = assembly(digests())
    deliver(resource, "cdn:a", RIGHT[:3])
    steps = deliver(resource, "peer:bad", b"xxxxx")
    assert steps == [Discarded(0, None, ("cdn:a", "peer:bad"), breaks_readers=False)]
    assert deliver(resource, "cdn:b", RIGHT[:8]) == [Blamed("peer:bad", "hash"), Verified(8)]


def test_a_source_is_blamed_once_however_many_of_its_blocks_were_wrong():
    resource = assembly(digests())
    jobs = [step for step in resource.add("peer:bad", b"x" * 16, 0) if isinstance(step, HashJob)]
    steps = resource.hashed(jobs[1], b"")
    assert steps == [Discarded(8, "peer:bad", ("peer:bad",), breaks_readers=False)]
    assert resource.hashed(jobs[0], b"") == [Discarded(0, None, ("peer:bad",), breaks_readers=False)]


def test_a_late_digest_of_bytes_thrown_away_since_is_ignored():
    resource = assembly(digests())
    jobs = resource.add("peer:bad", b"x" * 16, 0)
    resource.hashed(jobs[0], b"")
    assert resource.hashed(jobs[1], b"") == []
    again = resource.add("cdn:a", RIGHT[:16], 0)
    assert resource.hashed(jobs[1], b"") == []
    assert resource.hashed(again[1], hashlib.sha256(again[1].data).digest()) == []
    assert resource.hashed(again[0], hashlib.sha256(again[0].data).digest()) == [Verified(16)]


def test_a_digest_of_an_earlier_block_still_counts_after_a_roll_back_behind_it():
    resource = assembly(digests())
    jobs = resource.add("peer:bad", RIGHT[:8] + b"x" * 8, 0)
    resource.hashed(jobs[1], b"")
    assert resource.hashed(jobs[0], hashlib.sha256(RIGHT[:8]).digest()) == [Verified(8)]


@pytest.mark.parametrize("blocks", [True, False])
def test_a_length_that_contradicts_the_hashes_blames_the_source(blocks):
    resource = assembly(digests(blocks=blocks))
    assert resource.begin("cdn:a", 31, None) == [Blamed("cdn:a", "length")]
    assert resource.begin("cdn:a", 31, None) == [Refused("cdn:a", "changed")]
    assert resource.begin("cdn:b", 30, None) == []


@pytest.mark.parametrize("blocks", [True, False])
def test_more_bytes_than_the_hashes_cover_blame_the_source_and_are_dropped(blocks):
    resource = assembly(digests(blocks=blocks))
    assert resource.add("peer:p", RIGHT + b"x", 0) == [Blamed("peer:p", "length")]
    assert resource.end_bytes == 0


def test_with_a_whole_hash_a_single_cdn_streams_all_but_the_end():
    resource = assembly(digests(blocks=False))
    assert deliver(resource, "cdn:a", RIGHT[:20]) == [Verified(20)]
    assert resource.add("cdn:a", RIGHT[20:29], 20) == [Verified(26)]
    assert deliver(resource, "cdn:a", RIGHT[29:]) == [Completed(30, "segment")]
    assert resource.readable_bytes == 30


def test_with_a_whole_hash_bytes_of_a_peer_wait_for_it():
    resource = assembly(digests(blocks=False))
    deliver(resource, "peer:p", RIGHT[:29])
    assert resource.readable_bytes == 0
    assert deliver(resource, "peer:p", RIGHT[29:]) == [Completed(30, "segment")]
    assert resource.readable_bytes == 30


def test_with_a_whole_hash_only_the_first_cdns_bytes_are_readable_before_it():
    resource = assembly(digests(blocks=False))
    deliver(resource, "cdn:a", RIGHT[:10])
    deliver(resource, "cdn:b", RIGHT[10:29])
    assert resource.readable_bytes == 10


def test_a_wrong_whole_segment_breaks_readers_and_is_held_whole_the_second_time():
    resource = assembly(digests(blocks=False))
    deliver(resource, "cdn:a", b"x" * 20)
    assert resource.read(0, 100) == b"x" * 20
    steps = deliver(resource, "cdn:a", b"x" * 10)
    assert steps[-1] == Discarded(0, "cdn:a", ("cdn:a",), breaks_readers=True)
    deliver(resource, "cdn:b", RIGHT[:29])
    assert resource.readable_bytes == 0
    assert deliver(resource, "cdn:b", RIGHT[29:]) == [Completed(30, "segment")]


def test_a_wrong_whole_segment_of_several_sources_finds_its_culprit_by_comparison():
    resource = assembly(digests(blocks=False))
    deliver(resource, "cdn:a", RIGHT[:10])
    deliver(resource, "peer:bad", b"x" * 10)
    assert deliver(resource, "peer:good", RIGHT[20:])[0].blamed is None
    assert deliver(resource, "cdn:b", RIGHT) == [Blamed("peer:bad", "hash"), Completed(30, "segment")]


def test_without_hashes_peers_are_refused_and_cdns_stream_unverified():
    resource = assembly(None)
    assert resource.begin("peer:p", 30, None) == [Refused("peer:p", "unhashed")]
    assert resource.add("peer:p", b"x", 0) == [Refused("peer:p", "unhashed")]
    assert resource.begin("cdn:a", 30, "e1") == []
    assert deliver(resource, "cdn:a", RIGHT[:10]) == [Verified(10)]
    assert deliver(resource, "cdn:a", RIGHT[10:]) == [Verified(30), Completed(30, "unverified")]


@pytest.mark.parametrize(
    ("total_bytes", "etag", "refused"),
    [(30, "e1", False), (30, None, False), (None, None, False), (31, "e1", True), (30, "e2", True)],
)
def test_without_hashes_a_resume_needs_the_same_length_and_etag(total_bytes, etag, refused):
    resource = assembly(None)
    resource.begin("cdn:a", 30, "e1")
    resource.add("cdn:a", RIGHT[:10], 0)
    assert resource.begin("cdn:b", total_bytes, etag) == ([Refused("cdn:b", "changed")] if refused else [])


def test_without_hashes_what_was_announced_counts_only_while_its_bytes_are_held():
    resource = assembly(None)
    resource.begin("cdn:a", 99, "e1")
    assert resource.begin("cdn:b", 30, "e2") == []
    assert resource.total_bytes == 30


def test_with_hashes_etags_do_not_matter():
    resource = assembly(digests())
    resource.begin("cdn:a", 30, "e1")
    deliver(resource, "cdn:a", RIGHT[:10])
    assert resource.begin("cdn:b", 30, "e2") == []
    assert resource.etag is None


def test_without_any_length_the_end_of_the_transfer_is_the_end_of_the_resource():
    resource = assembly(None)
    resource.begin("cdn:a", None, None)
    deliver(resource, "cdn:a", RIGHT)
    assert resource.end("cdn:a") == [Completed(30, "unverified")]


def test_an_end_before_the_known_length_is_truncated():
    resource = assembly(digests())
    deliver(resource, "cdn:a", RIGHT[:10])
    assert resource.end("cdn:a") == [Refused("cdn:a", "truncated")]


@pytest.mark.parametrize("blocks", [True, False])
def test_an_empty_resource_completes_at_its_end(blocks):
    resource = assembly(digests(b"", blocks=blocks))
    resource.begin("cdn:a", 0, None)
    assert settle(resource, resource.end("cdn:a"))[-1] == Completed(0, "segment")


def test_no_more_than_the_limit_is_ever_held():
    resource = assembly(None, segment_bytes_max=20)
    assert resource.begin("cdn:a", 21, None) == [Refused("cdn:a", "too_large")]
    resource.begin("cdn:b", None, None)
    assert resource.add("cdn:b", b"x" * 21, 0) == [Refused("cdn:b", "too_large")]
    assert resource.end_bytes == 0
    assert assembly(digests(), segment_bytes_max=20).begin("cdn:a", 30, None) == [Refused("cdn:a", "too_large")]


def test_bytes_that_are_held_already_are_compared_counted_as_waste_and_dropped():
    resource = assembly(digests())
    deliver(resource, "cdn:a", RIGHT[:10])
    assert deliver(resource, "cdn:b", RIGHT[:16], 0) == [Verified(16)]
    assert resource.sources()["cdn:b"].wasted_bytes == 10
    assert resource.sources()["cdn:b"].used_bytes == 6


def test_bytes_that_contradict_verified_ones_blame_their_source_and_others_only_refuse_it():
    resource = assembly(digests())
    deliver(resource, "cdn:a", RIGHT[:12])
    assert deliver(resource, "peer:p", b"xx", 0) == [Blamed("peer:p", "hash")]
    assert deliver(resource, "cdn:b", b"xx", 9) == [Refused("cdn:b", "differs")]


def test_a_gap_is_the_callers_mistake():
    with pytest.raises(ValueError, match="resume from end_bytes"):
        assembly(digests()).add("cdn:a", b"x", 1)
