"""The sidecar of hashes: written, read back, looked up, and refused when it is not what it should be."""

import hashlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.balancer.errors import ConfigurationError, SidecarError, SidecarMalformed, SidecarTooLarge
from shoal.balancer.integrity import Digests, Sidecar, SidecarLimits, sidecar
from shoal.balancer.model import ByteRange
from shoal.balancer.signed import sealed

URL = "https://cdn.example/show/hashes.json?sig=1"
KIB = 1024
HASH = "ab" * 32


def document(files=None, **changes):
    return json.dumps({"version": 1, "block_bytes": 65536, "files": files or {}} | changes).encode()


def refusal(data, kind=SidecarMalformed, **options):
    with pytest.raises(kind) as caught:
        Sidecar.parse(data, URL, **options)
    return str(caught.value)


def test_a_written_sidecar_gives_the_digests_of_what_was_written():
    files = {"hd/000.m4s": b"a" * 150_000, "init.mp4": b"i", "empty": b""}
    read = Sidecar.parse(sidecar(files.items()), URL)
    assert len(read) == 3
    assert read.has_blocks
    for name, data in files.items():
        assert read.digests(f"https://cdn.example/show/{name}") == Digests.of(data)


def test_the_format_is_the_documented_one():
    digest = hashlib.sha256(b"abc").hexdigest()
    assert json.loads(sidecar([("a.m4s", b"abc")])) == {
        "version": 1,
        "block_bytes": 65536,
        "files": {"a.m4s": {"bytes": 3, "sha256": digest, "blocks": [digest]}},
    }


def test_digests_are_of_the_whole_and_of_each_block():
    data = bytes(range(256)) * 160  # 40 KiB
    digests = Digests.of(data, block_bytes=16 * KIB)
    assert digests.byte_count == 40 * KIB
    assert digests.sha256 == hashlib.sha256(data).digest()
    assert digests.blocks == tuple(hashlib.sha256(data[at : at + 16 * KIB]).digest() for at in (0, 16 * KIB, 32 * KIB))


@given(st.lists(st.integers(0, 40_000), max_size=8))
def test_digests_do_not_depend_on_the_pieces(sizes):
    pieces = [bytes([n]) * size for n, size in enumerate(sizes)]
    assert Digests.of(pieces, block_bytes=16 * KIB) == Digests.of(b"".join(pieces), block_bytes=16 * KIB)
    assert len(Digests.of(pieces, block_bytes=16 * KIB).blocks) == -(-sum(sizes) // (16 * KIB))


def test_queries_count_for_nothing():
    read = Sidecar.parse(sidecar([("a.m4s", b"abc")]), URL)
    found = read.digests("https://cdn.example/show/a.m4s?sig=of-this-session")
    assert found is not None
    assert found == read.digests("https://cdn.example/show/a.m4s#t=1")


def test_a_byte_range_is_a_resource_of_its_own():
    read = Sidecar.parse(sidecar([("a.mp4@10+3", b"abc")]), URL)
    uri = "https://cdn.example/show/a.mp4"
    assert read.digests(uri, ByteRange(10, 3)) == Digests.of(b"abc")
    assert read.digests(uri) is None
    assert read.digests(uri, ByteRange(10, 4)) is None


def test_what_is_not_named_has_no_digests():
    read = Sidecar.parse(sidecar([("a.m4s", b"abc")]), URL)
    for uri in ("https://cdn.example/a.m4s", "https://other.example/show/a.m4s", "http://cdn.example/show/a.m4s"):
        assert read.digests(uri) is None


def test_blocks_may_be_left_out():
    read = Sidecar.parse(sidecar([("a.m4s", b"abc")], has_blocks=False), URL)
    assert not read.has_blocks
    assert read.digests("https://cdn.example/show/a.m4s") == Digests(3, hashlib.sha256(b"abc").digest())


def test_fields_that_a_later_version_may_add_are_ignored():
    files = {"a": {"bytes": 1, "sha256": HASH, "note": "x"}}
    assert len(Sidecar.parse(document(files, made_by="x"), URL)) == 1


NAMES = [
    ("/a", "not relative"),
    ("//evil.example/a", "not relative"),
    ("https://evil.example/a", "not relative"),
    ("../a", "'..'"),
    ("a/../../b", "'..'"),
    ("a/%2E%2e/b", "'..'"),
    ("a%2F..%2Fb", "'..'"),
    ("./a", "'.'"),
    ("a//b", "empty step"),
    ("a/", "empty step"),
    ("a\\b", "backslash"),
    ("a?x=1", "query"),
    ("a#x", "query"),
    ("a\nb", "control character"),
    (".\t./a", "control character"),
    (" a", "blank"),
    ("x" * 2000 + "@" * 49, "expected"),
    ("http://[", "URI"),
]


@pytest.mark.parametrize(("name", "words"), NAMES[:-2])
def test_a_name_that_leaves_the_folder_or_cannot_be_compared_is_refused(name, words):
    assert words in refusal(document({name: {"bytes": 1, "sha256": HASH}}))
    with pytest.raises(ConfigurationError, match="name"):
        sidecar([(name, b"x")])


@pytest.mark.parametrize("name", [name for name, _ in NAMES[-2:]])
def test_a_name_that_is_no_uri_or_too_long_is_refused(name):
    assert refusal(document({name: {"bytes": 1, "sha256": HASH}}))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "not JSON"),
        (b"<!doctype html><title>404", "'<!doctype html><title>404'"),
        (b"\xff\xfe{}", "not JSON"),
        (b"[]", "Expected `object`"),
        (b'{"x":' * 100_000, "not JSON"),
        (document(version=2), "$.version"),
        (document(block_bytes=65537), "power of two"),
        (document(block_bytes=8192), "power of two"),
        (document(block_bytes=8 * KIB * KIB), "power of two"),
        (document(block_bytes=-65536), "power of two"),
        (document({"": {"bytes": 1, "sha256": HASH}}), "length >= 1"),
        (document({"a": {"bytes": -1, "sha256": HASH}}), "bytes"),
        (document({"a": {"bytes": 2**63, "sha256": HASH}}), "bytes"),
        (document({"a": {"bytes": 1, "sha256": HASH[1:]}}), "sha256"),
        (document({"a": {"bytes": 1, "sha256": HASH + "\n"}}), "sha256"),
        (document({"a": {"bytes": 1, "sha256": "g" * 64}}), "sha256"),
        (document({"a": {"bytes": 1}}), "sha256"),
        (document({"a": {"bytes": 1, "sha256": HASH, "blocks": []}}), "0 blocks, and its 1 bytes make 1 of 65536"),
        (document({"a": {"bytes": 65536, "sha256": HASH, "blocks": [HASH] * 2}}), "make 1 of 65536"),
        (document({"a@0+5": {"bytes": 4, "sha256": HASH}}), "the range's length"),
    ],
)
def test_what_is_no_sidecar_is_refused_and_says_why(data, words):
    assert words in refusal(data)


def test_limits_hold_and_are_named():
    data = document({name: {"bytes": 1, "sha256": HASH} for name in "ab"})
    assert "sidecar_bytes_max" in refusal(data, SidecarTooLarge, limits=SidecarLimits(sidecar_bytes_max=10))
    assert "files_max" in refusal(data, SidecarTooLarge, limits=SidecarLimits(files_max=1))


def test_limits_are_on_by_default():
    assert "sidecar_bytes_max" in refusal(b" " * (16 * KIB * KIB + 1), SidecarTooLarge)


def test_wrong_arguments_are_refused_where_they_are_given():
    with pytest.raises(ConfigurationError, match="power of two"):
        Digests.of(b"", block_bytes=1000)
    with pytest.raises(ConfigurationError, match="power of two"):
        sidecar([], block_bytes=0)
    with pytest.raises(ConfigurationError, match="given twice"):
        sidecar([("a", b"1"), ("a", b"2")])
    with pytest.raises(ConfigurationError, match="bytes of the range"):
        sidecar([("a@0+5", b"1")])


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from(["", "a", "../a", "a@0+1", HASH]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["bytes", "sha256", "blocks", "a", "../a"]), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(st.binary(max_size=60) | st.builds(lambda files: document(files), json_values.filter(bool)))
def test_any_bytes_are_a_sidecar_or_a_sidecar_error(data):
    try:
        read = Sidecar.parse(data, URL)
    except SidecarError:
        return
    assert all(uri.startswith("https://cdn.example/show/") for uri, _ in read)


@given(st.dictionaries(st.text(min_size=1, max_size=12), st.binary(max_size=20), max_size=4), st.booleans())
def test_whatever_can_be_written_can_be_read_back(files, has_blocks):
    try:
        data = sidecar(files.items(), has_blocks=has_blocks)
    except ConfigurationError:
        return
    read = Sidecar.parse(data, URL)
    assert len(read) == len(files)
    assert {digests.sha256 for digests in (read.digests(*name) for name in read) if digests} == {
        hashlib.sha256(content).digest() for content in files.values()
    }


# --- PeerTube's -------------------------------------------------------------

SEGMENTS = "2f6c0d9e-720-fragmented.mp4"


def test_the_hashes_of_a_peertube_are_those_of_the_ranges_of_its_files():
    data = bytes(range(256)) * 8
    ranges = {
        f"{first}-{last}": hashlib.sha256(data[first : last + 1]).hexdigest()
        for first, last in ((100, 1099), (1100, 2047))
    }
    read = Sidecar.parse(json.dumps({SEGMENTS: ranges, "2f6c0d9e-0-fragmented.mp4": {"0-9": HASH}}).encode(), URL)
    assert len(read) == 3
    assert not read.has_blocks
    uri = f"https://cdn.example/show/{SEGMENTS}"
    assert read.digests(uri, ByteRange(1100, 948)) == Digests(948, hashlib.sha256(data[1100:]).digest())
    assert read.digests(uri, ByteRange(0, 100)) is None  # the initialisation segment
    assert read.digests(uri) is None


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ({"0-000001.ts": HASH, "../0-000002.ts": HASH}, "names"),
        ({"0-000001.ts": HASH, "0-000002.ts": HASH[:-1]}, "write it as"),
        ({SEGMENTS: {"100-99": HASH}}, "'100-99'"),
        ({SEGMENTS: {"0": HASH}}, "first and the last byte"),
        ({f"../{SEGMENTS}": {"0-9": HASH}}, "names"),
        ({SEGMENTS: {"0-9": HASH[:-1]}}, "write it as"),
        ({SEGMENTS: {"0-9": HASH}, "0-000001.ts": HASH}, "write it as"),
    ],
)
def test_what_a_peertube_would_not_publish_or_nobody_can_use_is_refused(document, words):
    assert words in refusal(json.dumps(document).encode())


@pytest.mark.parametrize("is_live", [True, False])
def test_what_a_peertube_names_counts_as_files(is_live):
    hashes = dict.fromkeys((f"0-{place:06}.ts" for place in range(5)), HASH)
    ranges = {SEGMENTS: {f"{place}-{place}": HASH for place in range(5)}}
    assert "names 5 files" in refusal(
        json.dumps(hashes if is_live else ranges).encode(), SidecarTooLarge, limits=SidecarLimits(files_max=4)
    )


def test_the_hashes_of_a_live_peertube_are_of_whole_files_whose_lengths_are_not_known():
    read = Sidecar.parse(json.dumps({"0-000001.ts": HASH}).encode(), URL)
    uri = "https://cdn.example/show/0-000001.ts"
    assert list(read) == [(uri, None)]
    assert read.sha256(f"{uri}?sig=2") == bytes.fromhex(HASH)
    assert read.digests(uri) is None
    assert read.sha256(uri, ByteRange(0, 10)) is None
    assert not read.has_blocks


def test_a_live_peertube_has_no_hashes_at_first():
    read = Sidecar.parse(b"{}", URL)
    assert len(read) == 0
    assert read.sha256("https://cdn.example/show/0-000001.ts") is None


def test_the_hash_of_the_whole_is_there_whoever_wrote_the_sidecar():
    files = {"a.m4s": b"abc"}
    read = Sidecar.parse(sidecar(files.items()), URL)
    assert read.sha256("https://cdn.example/show/a.m4s") == hashlib.sha256(b"abc").digest()


# --- signed -----------------------------------------------------------------

SIGNATURE = bytes(range(64))


def is_ours(signature, signed):
    return signature == SIGNATURE and b'"files"' in signed


def test_what_is_signed_is_read_with_its_key_and_without_one():
    plain = document({"a.m4s": {"bytes": 3, "sha256": HASH}})
    for verify in (None, is_ours):
        read = Sidecar.parse(sealed(plain, SIGNATURE), URL, verify=verify)
        assert list(read) == list(Sidecar.parse(plain, URL))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (document(), "is not signed"),
        (sealed(document(), bytes(64)), "another key"),
        (sealed(b'{"version": 1}', SIGNATURE), "another key"),
        (json.dumps({"signed": document().decode(), "signature": "00"}).encode(), "is not signed"),
        (b"no JSON", "is not signed"),
    ],
)
def test_who_has_a_key_takes_nothing_that_is_not_signed_with_it(data, words):
    assert words in refusal(data, verify=is_ours)


def test_what_is_signed_is_no_better_than_what_is_not():
    assert "write it as" in refusal(sealed(document({"a.m4s": {}}), SIGNATURE), verify=is_ours)
    assert "nested too deeply" in refusal(sealed(b"[" * 1000, SIGNATURE))


def test_a_name_is_found_however_its_blanks_are_written() -> None:
    for name in ("my video é.ts", "my%20video%20%C3%A9.ts"):
        found = Sidecar.parse(sidecar([(name, b"x")]), "https://cdn.example/v/hashes.json")
        for uri in ("my video é.ts", "my%20video%20%C3%A9.ts?t=1"):
            assert found.digests(f"https://cdn.example/v/{uri}") is not None
