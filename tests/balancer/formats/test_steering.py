"""Steering manifests: read as rfc8216bis, 7.2 has them, refused when they are not, and clones made of their bases."""

import json
from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.app.steering_core import Steering, SteeringConfig
from shoal.balancer.errors import SteeringError, SteeringMalformed, SteeringTooLarge, SteeringUnsupported
from shoal.balancer.formats.steering import (
    MANIFEST_BYTES_MAX,
    Clone,
    SteeringManifest,
    cloned_uri,
    parse_manifest,
)

URL = "https://steer.example/show/m.json?session=1"
SECOND_US = 1_000_000


def manifest(**fields):
    names = {name.replace("_", "-"): value for name, value in fields.items() if value is not None}
    return json.dumps({"VERSION": 1, "TTL": 30, "PATHWAY-PRIORITY": ["a", "b"]} | names).encode()


def with_clone(**fields):
    clone = {"BASE-ID": "a", "ID": "c", "URI-REPLACEMENT": {"HOST": "c.example"}} | fields
    return manifest(PATHWAY_CLONES=[clone])


def test_every_field_is_read():
    body = manifest(
        TTL=12.5,
        RELOAD_URI="next.json?slow=a",
        PATHWAY_CLONES=[
            {
                "BASE-ID": "a",
                "ID": "c",
                "URI-REPLACEMENT": {
                    "HOST": "c.example",
                    "PARAMS": {"token": "x"},
                    "PER-VARIANT-URIS": {"v1": "https://d.example/v1.m3u8"},
                    "PER-RENDITION-URIS": {"r1": "https://d.example/r1.m3u8"},
                },
            }
        ],
    )
    assert parse_manifest(body, URL) == SteeringManifest(
        ttl_us=12_500_000,
        priority=("a", "b"),
        reload_uri="https://steer.example/show/next.json?slow=a",
        clones=(
            Clone(
                base_id="a",
                id="c",
                host="c.example",
                params={"token": "x"},
                variant_uris={"v1": "https://d.example/v1.m3u8"},
                rendition_uris={"r1": "https://d.example/r1.m3u8"},
            ),
        ),
    )


def test_fields_that_the_draft_does_not_name_are_let_through():
    assert parse_manifest(manifest(X_OTHER={"deep": [1]}), URL).priority == ("a", "b")


@pytest.mark.parametrize(
    ("ttl", "seconds"), [(None, 300), (0, 1), (0.2, 1), (1, 1), (300, 300), (90_000, 86_400), (1e300, 86_400)]
)
def test_a_time_to_live_is_neither_nothing_nor_for_ever(ttl, seconds):
    body = {"VERSION": 1, "PATHWAY-PRIORITY": ["a"]} | ({} if ttl is None else {"TTL": ttl})
    assert parse_manifest(json.dumps(body).encode(), URL).ttl_us == seconds * SECOND_US


@pytest.mark.parametrize("version", [0, 2, 17])
def test_another_version_is_refused_as_such_whatever_else_it_holds(version):
    with pytest.raises(SteeringUnsupported, match=f"VERSION {version}"):
        parse_manifest(json.dumps({"VERSION": version, "PATHWAY-PRIORITY": 5}).encode(), URL)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"[]",
        b"null",
        b"<html>503</html>",
        b'{"VERSION": "1", "TTL": 3, "PATHWAY-PRIORITY": ["a"]}',
        b'{"VERSION": 1.5, "TTL": 3, "PATHWAY-PRIORITY": ["a"]}',
        b'{"VERSION": 1, "TTL": 3}',
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"X":' * 20_000,
        manifest(TTL=-1),
        manifest(TTL="30"),
        manifest(PATHWAY_PRIORITY=[]),
        manifest(PATHWAY_PRIORITY="a"),
        manifest(PATHWAY_PRIORITY=["a", ""]),
        manifest(PATHWAY_PRIORITY=["a", "b c"]),
        manifest(PATHWAY_PRIORITY=["a\n"]),
        manifest(PATHWAY_PRIORITY=["a", "b", "a"]),
        manifest(PATHWAY_PRIORITY=["x" * 65]),
        manifest(PATHWAY_PRIORITY=[f"p{n}" for n in range(33)]),
        manifest(RELOAD_URI=""),
        manifest(RELOAD_URI="http://steer.example/m.json"),  # it would leave https
        manifest(RELOAD_URI="ftp://steer.example/m.json"),
        manifest(RELOAD_URI="file:///etc/passwd"),
        manifest(RELOAD_URI="data:,{}"),
        manifest(RELOAD_URI="https://[::1/m.json"),
        manifest(RELOAD_URI="https://x.example:99999/m.json"),
        manifest(RELOAD_URI="https://x.example/a b"),
        manifest(RELOAD_URI="https://x.example\\@y.example/"),
        manifest(RELOAD_URI="https://x.example/" + "a" * 9_000),
        with_clone(**{"BASE-ID": "c"}),
        with_clone(ID="c/d"),
        with_clone(**{"URI-REPLACEMENT": None}),
        with_clone(**{"URI-REPLACEMENT": {"HOST": "c.example/path"}}),
        with_clone(**{"URI-REPLACEMENT": {"HOST": "user@c.example"}}),
        with_clone(**{"URI-REPLACEMENT": {"HOST": "c.example:0"}}),
        with_clone(**{"URI-REPLACEMENT": {"HOST": "c.example:99999"}}),
        with_clone(**{"URI-REPLACEMENT": {"HOST": "c.example\n"}}),
        with_clone(**{"URI-REPLACEMENT": {"HOST": ""}}),
        with_clone(**{"URI-REPLACEMENT": {"PARAMS": {"": "x"}}}),
        with_clone(**{"URI-REPLACEMENT": {"PARAMS": {"a": 1}}}),
        with_clone(**{"URI-REPLACEMENT": {"PARAMS": {f"p{n}": "x" for n in range(33)}}}),
        with_clone(**{"URI-REPLACEMENT": {"PER-VARIANT-URIS": {"v": "v.m3u8"}}}),
        with_clone(**{"URI-REPLACEMENT": {"PER-RENDITION-URIS": {"r": "file:///etc/passwd"}}}),
        manifest(PATHWAY_CLONES=[{"BASE-ID": "a", "ID": "c", "URI-REPLACEMENT": {"HOST": "c.example"}}] * 2),
        manifest(
            PATHWAY_CLONES=[
                {"BASE-ID": "a", "ID": f"c{n}", "URI-REPLACEMENT": {"HOST": "c.example"}} for n in range(33)
            ]
        ),
    ],
)
def test_what_breaks_the_grammar_is_refused(body):
    with pytest.raises(SteeringMalformed):
        parse_manifest(body, URL)


def test_a_manifest_that_is_too_long_is_not_read():
    with pytest.raises(SteeringTooLarge, match=str(MANIFEST_BYTES_MAX)):
        parse_manifest(manifest(X="x" * MANIFEST_BYTES_MAX), URL)


@given(st.binary(max_size=300) | st.recursive(st.none() | st.integers() | st.text(), st.lists).map(str).map(str.encode))
def test_any_bytes_are_a_manifest_or_refused(body):
    try:
        assert parse_manifest(body, URL).priority
    except SteeringError:
        pass


def test_what_our_own_server_says_is_understood():
    config = SteeringConfig.of(
        {
            "priority": ["a", "b", "c"],
            "ttl_s": 7,
            "slow_bps": 1_000,
            "clones": [{"base": "a", "id": "c", "host": "c.example", "params": {"k": "v"}}],
        }
    )
    answer = Steering(config).answer("_HLS_pathway=a&_HLS_throughput=10", 0)
    read = parse_manifest(answer.body, "http://127.0.0.1:8000/steering.json?_HLS_pathway=a")
    assert read == SteeringManifest(
        ttl_us=7 * SECOND_US,
        priority=("b", "c", "a"),
        reload_uri="http://127.0.0.1:8000/steering.json?slow=a",
        clones=(Clone(base_id="a", id="c", host="c.example", params={"k": "v"}),),
    )


BASE = "https://a.example:8443/v/hd.m3u8?sig=a%2Fb&token=old"


@pytest.mark.parametrize(
    ("clone", "uris", "stable_id", "expected"),
    [
        ({"host": "c.example"}, {}, None, "https://c.example:8443/v/hd.m3u8?sig=a%2Fb&token=old"),
        ({"host": "c.example:81"}, {}, None, "https://c.example:81/v/hd.m3u8?sig=a%2Fb&token=old"),
        ({"host": "[2001:db8::1]"}, {}, None, "https://[2001:db8::1]:8443/v/hd.m3u8?sig=a%2Fb&token=old"),
        ({"params": {"token": "new"}}, {}, None, "https://a.example:8443/v/hd.m3u8?sig=a%2Fb&token=new"),
        (
            {"params": {"z": "1", "b": "x y&", "é": "1"}},
            {},
            None,
            "https://a.example:8443/v/hd.m3u8?sig=a%2Fb&token=old&b=x%20y%26&z=1&%C3%A9=1",
        ),
        ({"host": "c.example"}, {"s": "https://d.example/own.m3u8"}, "s", "https://d.example/own.m3u8"),
        (
            {"host": "c.example", "params": {"k": "v"}},
            {"s": "https://d.example/own.m3u8"},
            "s",
            "https://d.example/own.m3u8?k=v",
        ),
        (
            {"host": "c.example"},
            {"s": "https://d.example/own.m3u8"},
            "t",
            "https://c.example:8443/v/hd.m3u8?sig=a%2Fb&token=old",
        ),
        (
            {"host": "c.example"},
            {"s": "https://d.example/own.m3u8"},
            None,
            "https://c.example:8443/v/hd.m3u8?sig=a%2Fb&token=old",
        ),
    ],
)
def test_a_clone_has_the_uris_of_its_base_but_for_what_it_replaces(clone, uris, stable_id, expected):
    assert cloned_uri(Clone(base_id="a", id="c", **clone), BASE, uris, stable_id) == expected


@given(st.dictionaries(st.text(min_size=1, max_size=8), st.text(max_size=8), min_size=1, max_size=4))
def test_each_parameter_of_a_clone_is_in_its_query_once(params):
    made = cloned_uri(Clone(base_id="a", id="c", params=params), BASE, {}, None)
    fields = parse_qsl(urlsplit(made).query, keep_blank_values=True)
    assert {name: value for name, value in fields if name in params} == params
    assert len(fields) == len({name for name, _ in fields})
    assert cloned_uri(Clone(base_id="a", id="c", params=params), made, {}, None) == made
