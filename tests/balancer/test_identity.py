"""The names that peers compute alike, against what p2p-media-loader computed."""

import contextlib
import json
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.balancer.errors import ConfigurationError
from shoal.balancer.identity import (
    PEER_ID_ALPHABET,
    SCHEMES,
    Scheme22,
    Scheme23,
    Stream,
    StreamType,
    scheme_named,
    stream_attributes,
    swarm_id_of_manifest,
)

DATA = Path(__file__).parents[1] / "data" / "p2pml"
VECTORS = json.loads((DATA / "identity_vectors.json").read_text("utf-8"))
LEGACY = json.loads((DATA / "legacy_2_2_2.json").read_text("utf-8"))


def stream_of(attributes: dict[str, Any]) -> Stream:
    frame_rate = attributes.get("frameRate")
    return Stream(
        bandwidth=attributes.get("bitrate") or 0,
        codecs=attributes.get("codecs") or "",
        width=attributes.get("width"),
        height=attributes.get("height"),
        language=attributes.get("language") or "",
        channels=attributes.get("channels") or "",
        name=attributes.get("name") or "",
        frame_rate=None if frame_rate is None else float(frame_rate),
        video_range=attributes.get("videoRange") or "",
    )


@pytest.mark.parametrize("vector", VECTORS["stream_short_ids"], ids=lambda vector: vector["stream_index"])
def test_a_stream_index_is_the_one_the_package_computed(vector: dict[str, Any]) -> None:
    assert Scheme23().stream_index(stream_of(vector["input"])) == vector["stream_index"]


@pytest.mark.parametrize("vector", VECTORS["stream_swarms"], ids=lambda vector: vector["info_hash_text"])
def test_swarm_id_and_info_hash_are_those_the_package_computed(vector: dict[str, Any]) -> None:
    scheme = Scheme23()
    swarm = scheme.stream_swarm_id(vector["swarm_id"], StreamType(vector["stream_type"]), vector["stream_index"])
    assert swarm == vector["stream_swarm_id"]
    assert scheme.info_hash(swarm) == vector["info_hash_text"]
    assert scheme.info_hash(swarm).encode("ascii").hex() == vector["info_hash_hex"]


def test_a_later_scheme_is_named_by_its_protocol_and_its_prefix() -> None:
    scheme = scheme_named("v3:-PM0300-")
    assert scheme.stream_swarm_id("film", StreamType.MAIN, "x") == "v3-film-main-x"
    assert scheme.peer_id(random.Random(1)).startswith("-PM0300-")
    assert len(scheme_named("v4:-PM-").peer_id(random.Random(1))) == 20
    same = scheme_named("v2:-PM0203-")
    swarm = same.stream_swarm_id("film", StreamType.MAIN, same.stream_index(Stream(bandwidth=7)))
    assert swarm == Scheme23().stream_swarm_id("film", StreamType.MAIN, Scheme23().stream_index(Stream(bandwidth=7)))
    assert same.info_hash(swarm) == Scheme23().info_hash(swarm)


@pytest.mark.parametrize("version", SCHEMES)
def test_a_known_scheme_is_named_by_its_version(version: str) -> None:
    assert scheme_named(version) is SCHEMES[version]


@given(st.text(max_size=40))
def test_whatever_a_scheme_is_called_its_peer_ids_have_20_characters_or_it_is_refused(name: str) -> None:
    with contextlib.suppress(ConfigurationError):
        scheme = scheme_named(name)
        assert len(scheme.peer_id(random.Random(1))) == 20
        assert scheme_named(scheme.version).peer_id(random.Random(1)) == scheme.peer_id(random.Random(1))


def test_the_older_scheme_counts_variants_and_meets_its_own_recording() -> None:
    scheme = Scheme22()
    index = scheme.stream_index(Stream(bandwidth=400_400, codecs="avc1.42c00c", position=1))
    swarm = scheme.stream_swarm_id("vector-swarm-1", StreamType.MAIN, index)
    assert swarm == LEGACY["stream_swarm_id"]
    assert scheme.info_hash(swarm) == LEGACY["info_hash_text"]


@pytest.mark.parametrize(
    ("stream", "attributes"),
    [
        (Stream(), "0--------"),
        (Stream(codecs=" MP4A.40.2 ,avc1.77.31"), "0-avc1.4d001f,mp4a.40.2-------"),
        (Stream(codecs="avc1.4d401f"), "0-avc1.4d401f-------"),
        (Stream(language="EN-us", channels="6/JOC", name=" Stereo\ufeff"), "0----en-6-stereo--"),
        (Stream(language="und"), "0--------"),
        (Stream(frame_rate=30.0, video_range=" sdr"), "0-------30-SDR"),
        (Stream(frame_rate=23.976), "0-------23.976-"),
        (Stream(frame_rate=float("inf")), "0--------"),
    ],
)
def test_attributes_are_normalised(stream: Stream, attributes: str) -> None:
    assert stream_attributes(stream) == attributes


def test_a_swarm_without_a_configured_id_is_named_by_its_manifest_without_the_query() -> None:
    assert swarm_id_of_manifest("https://cdn.example/a/master.m3u8?token=1?2") == "https://cdn.example/a/master.m3u8"


@pytest.mark.parametrize(("version", "prefix"), [("2.3", VECTORS["peer_id_prefix"]), ("2.2", "-PM0202-")])
def test_a_peer_id_names_the_version_and_follows_its_random_source(version: str, prefix: str) -> None:
    scheme = SCHEMES[version]
    peer_id = scheme.peer_id(random.Random(7))
    assert peer_id.startswith(prefix)
    assert len(peer_id) == 20
    assert set(peer_id[8:]) <= set(PEER_ID_ALPHABET)
    assert peer_id == scheme.peer_id(random.Random(7)) != scheme.peer_id(random.Random(8))


@given(st.text(), st.text(), st.text(), st.floats())
def test_whatever_a_playlist_says_gives_an_index(codecs: str, language: str, name: str, frame_rate: float) -> None:
    stream = Stream(codecs=codecs, language=language, name=name, frame_rate=frame_rate)
    assert len(Scheme23().stream_index(stream)) == 28
