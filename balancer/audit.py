"""Samples of what peers sent, held against a CDN, for a stream whose hashes nobody publishes.

    ranges_of(pieces, budget_bytes, numbers, ranges_max)   which bytes to fetch from a CDN
    numbers_wanted(pieces, ranges_max)                     how many random numbers that takes
    budget_bytes(byte_count, share)                        what that may cost
    detection(changed_share, ranges)                       how likely a change is found, at least

Each range begins at a byte drawn anew from all that peers sent of the segment, after
it has come: nobody can know beforehand where.  A change of a share f of those bytes
is under the first byte of a range with the chance f, and k ranges find it with

    1 - (1 - f)^k          at least, wherever the changed bytes lie

Pieces in which none of them begins are looked at in one place more: who sends nothing
but wrong bytes is found at once, however little of a segment it was.  A range is longer
than a byte only because that costs nothing more; it finds changes that lie together a
little more often than stated.

    changed share of a segment    one segment, 4 ranges    after 5 segments    after 20
    all of it                     1.000                    1.000               1.000
    a half                        0.938                    1.000               1.000
    a quarter                     0.684                    0.997               1.000
    a tenth                       0.344                    0.878               1.000
    a hundredth                   0.039                    0.182               0.552
    64 bytes of 1 MB              0.0003                   0.0013              0.005

So an audit ends who pollutes, and lets a few bytes pass: what shows as damage in a
picture is a good part of a segment.  Whoever has to exclude the last line publishes
hashes.  What an audit says is worth as much as the CDN that was asked: CDNs have to
serve the same bytes, as they must without peers wherever a player changes between them.

Cost: bodies, and `HEAD_BYTES` for the head of each answer, together at most a share of
the peers' bytes.
"""

from __future__ import annotations

from collections.abc import Sequence

from .model import ByteRange

__all__ = [
    "HEAD_BYTES",
    "RANGE_BYTES_MAX",
    "RANGE_BYTES_MIN",
    "SHARE_MAX",
    "budget_bytes",
    "cost_of",
    "detection",
    "numbers_wanted",
    "ranges_of",
]

SHARE_MAX = 0.02  # of the peers' bytes; more than that, and hashes are the cheaper way
HEAD_BYTES = 400  # of an answer with status 206; the bytes of the question go the other way
RANGE_BYTES_MIN = 64  # below, an answer is nothing but its head
RANGE_BYTES_MAX = 4096  # above, a further range finds more


def budget_bytes(byte_count: int, share: float) -> int:
    """What the audit of so many bytes of peers may cost in all, failed tries included."""
    return int(byte_count * min(share, SHARE_MAX))


def numbers_wanted(pieces: Sequence[ByteRange], ranges_max: int) -> int:
    """How many numbers `ranges_of` may need."""
    return ranges_max + max(0, len(pieces) - 1)


def ranges_of(
    pieces: Sequence[ByteRange], budget_bytes: int, numbers: Sequence[int], ranges_max: int
) -> tuple[ByteRange, ...]:
    """Ranges within `pieces` (what one peer after another sent), for at most `budget_bytes` with their heads.

    `numbers` are random and of 64 bits, `numbers_wanted` of them.  Fewer than
    `ranges_max` ranges are drawn where the budget has no room for more, and there is
    none at all where it has no room for one in each piece.
    """
    total = sum(piece.length for piece in pieces)
    affordable = budget_bytes // (HEAD_BYTES + RANGE_BYTES_MIN)
    if total <= 0 or affordable < len(pieces):
        return ()
    # The first falls into one of the pieces, so that at most all the others are left without.
    drawn = min(ranges_max, affordable - len(pieces) + 1)
    begins = [_at(pieces, number % total) for number in numbers[:drawn]]
    seen = {number for number, _ in begins}
    left = (number for number in range(len(pieces)) if number not in seen)
    begins += [(piece, number % pieces[piece].length) for piece, number in zip(left, numbers[drawn:], strict=False)]
    length = min(RANGE_BYTES_MAX, budget_bytes // len(begins) - HEAD_BYTES)
    return tuple(
        ByteRange(pieces[piece].offset + place, min(length, pieces[piece].length - place)) for piece, place in begins
    )


def cost_of(ranges: Sequence[ByteRange]) -> int:
    """What these cost at most."""
    return sum(HEAD_BYTES + one.length for one in ranges)


def detection(changed_share: float, ranges: int, segments: int = 1) -> float:
    """The least chance that a peer is found that changed this share of each of so many segments."""
    return 1.0 - (1.0 - changed_share) ** (ranges * segments)


def _at(pieces: Sequence[ByteRange], place: int) -> tuple[int, int]:
    """The byte of that place among all of `pieces`: in which of them, and where there."""
    for number, piece in enumerate(pieces):
        if place < piece.length:
            return number, place
        place -= piece.length
    raise AssertionError("the place is below the sum of lengths")
