"""The balancer's errors: one tree, one short reason each."""

import inspect

from shoal.balancer import errors
from shoal.balancer.errors import BalancerError, NoSource, PlaylistMalformed, WrongBytes
from shoal.balancer.model import ByteRange, Kind, ResourceKey

KEY = ResourceKey(0, Kind.MEDIA, 7)
TREE = [value for _, value in inspect.getmembers(errors, inspect.isclass) if issubclass(value, BalancerError)]


def test_every_error_is_public_drawn_in_the_tree_and_has_a_reason_of_its_own():
    assert {kind.__name__ for kind in TREE} == set(errors.__all__)
    assert all(kind.__name__ in (errors.__doc__ or "") for kind in TREE)
    assert len({kind.reason for kind in TREE}) == len(TREE)


def test_a_playlist_error_says_where():
    error = PlaylistMalformed("EXTINF is 'x'", line=7)
    assert str(error) == "line 7: EXTINF is 'x'"
    error.url = "https://cdn.example/main.m3u8"
    assert str(error) == "https://cdn.example/main.m3u8, line 7: EXTINF is 'x'"
    assert str(PlaylistMalformed("is empty")) == "is empty"


def test_errors_carry_what_their_reader_decides_by():
    left = NoSource("no source is left", key=KEY, reasons={"cdn:a": "timeout", "peer:b": "absent"})
    assert (left.key, left.reasons) == (KEY, {"cdn:a": "timeout", "peer:b": "absent"})
    wrong = WrongBytes("block 2 is wrong", key=KEY, source="peer:b", wrong=ByteRange(131072, 65536))
    assert (wrong.key, wrong.source, wrong.wrong.offset) == (KEY, "peer:b", 131072)
