"""The lying peer changes one bit, and not in the first block."""

import pytest

from shoal.app.demo.polluter import tampered
from shoal.balancer.integrity import BLOCK_BYTES
from shoal.balancer.model import Kind, ResourceKey

KEY = ResourceKey(rendition=0, kind=Kind.MEDIA, number=3)


@pytest.mark.parametrize("size", [1, 100, BLOCK_BYTES, BLOCK_BYTES + 1, 3 * BLOCK_BYTES])
def test_one_bit_differs(size):
    data = bytes(size)
    wrong = [(at, each) for at, each in enumerate(tampered(KEY, data)) if each]
    assert wrong == [(min(BLOCK_BYTES + 100, size - 1), 1)]


def test_of_a_longer_segment_the_first_block_is_right():
    data = bytes(range(256)) * 1024
    assert tampered(KEY, data)[:BLOCK_BYTES] == data[:BLOCK_BYTES]
    assert tampered(KEY, data)[BLOCK_BYTES : 2 * BLOCK_BYTES] != data[BLOCK_BYTES : 2 * BLOCK_BYTES]


def test_of_nothing_nothing_is_made():
    assert tampered(KEY, b"") == b""
