"""Answers of the steering server, by the draft's section 7, without a socket."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.app.steering_core import Steering, SteeringConfig
from shoal.balancer.errors import ConfigurationError


def steering(**values: Any) -> Steering:
    return Steering(SteeringConfig.of({"priority": ["a", "b", "c"], **values}))


def manifest(server: Steering, query: str = "") -> dict[str, Any]:
    answer = server.answer(query, 0)
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/json"
    return dict(json.loads(answer.body))


def test_a_manifest_has_version_time_to_live_and_priority() -> None:
    assert manifest(steering(ttl_s=30)) == {"VERSION": 1, "TTL": 30, "PATHWAY-PRIORITY": ["a", "b", "c"]}


def test_clones_are_written_as_the_draft_has_them() -> None:
    clone = {
        "base": "a",
        "id": "d",
        "host": "d.example",
        "params": {"token": "1"},
        "variant_uris": {"v1": "https://d.example/v1"},
    }
    assert manifest(steering(clones=[clone]))["PATHWAY-CLONES"] == [
        {
            "BASE-ID": "a",
            "ID": "d",
            "URI-REPLACEMENT": {
                "HOST": "d.example",
                "PARAMS": {"token": "1"},
                "PER-VARIANT-URIS": {"v1": "https://d.example/v1"},
            },
        }
    ]


@pytest.mark.parametrize(
    ("query", "priority", "reload"),
    [
        ("", ["a", "b", "c"], "steering.json?slow="),
        ("_HLS_pathway=a&_HLS_throughput=5000000", ["a", "b", "c"], "steering.json?slow="),
        ("_HLS_pathway=a&_HLS_throughput=900000", ["b", "c", "a"], "steering.json?slow=a"),
        ("_HLS_pathway=%22a%22&_HLS_throughput=900000", ["b", "c", "a"], "steering.json?slow=a"),
        ("_DASH_pathway=%22a,b%22&_DASH_throughput=900000", ["b", "c", "a"], "steering.json?slow=a"),
        ("_DASH_pathway=%22a,b%22&_DASH_throughput=,47508000", ["a", "b", "c"], "steering.json?slow="),
        ("slow=a&_HLS_pathway=b&_HLS_throughput=900000", ["c", "a", "b"], "steering.json?slow=a,b"),
        ("slow=a&_HLS_pathway=b&_HLS_throughput=5000000", ["b", "c", "a"], "steering.json?slow=a"),
        ("slow=a,b&_HLS_pathway=c&_HLS_throughput=900000", ["a", "b", "c"], "steering.json?slow="),
        ("slow=a,gone&_HLS_pathway=clone&_HLS_throughput=1", ["b", "c", "a"], "steering.json?slow=a"),
        ("_HLS_pathway=a", ["a", "b", "c"], "steering.json?slow="),
        ("session=x%20y&_HLS_pathway=", ["a", "b", "c"], "steering.json?slow="),
    ],
)
def test_a_player_goes_from_a_slow_pathway_to_the_next_until_its_own_line_is_what_is_slow(
    query: str, priority: list[str], reload: str
) -> None:
    found = manifest(steering(slow_bps=1_000_000), query)
    assert found["PATHWAY-PRIORITY"] == priority
    assert found["RELOAD-URI"] == reload


def test_nobody_is_moved_where_nothing_is_slow_by_the_configuration() -> None:
    found = manifest(steering(), "_HLS_pathway=a&_HLS_throughput=1")
    assert found["PATHWAY-PRIORITY"] == ["a", "b", "c"]
    assert "RELOAD-URI" not in found


@pytest.mark.parametrize(
    "query",
    [
        "_HLS_pathway=a%20b",
        "_HLS_pathway=%00",
        "_HLS_pathway=" + "a" * 65,
        "_HLS_throughput=fast",
        "_HLS_throughput=-1",
        "_HLS_throughput=1e6",
        "_HLS_throughput=%D9%A1",
        "_HLS_throughput=" + "1" * 16,
        "slow=a,%22",
        "_HLS_pathway=%ff",
        "&".join(f"x{number}=1" for number in range(17)),
        "x=" + "y" * 3000,
    ],
)
def test_a_query_that_no_player_sends_is_a_bad_request(query: str) -> None:
    assert steering().answer(query, 0).status == 400


@given(st.text(max_size=80))
def test_no_query_is_worse_than_a_bad_request(query: str) -> None:
    assert steering(slow_bps=10).answer(query, 0).status in {200, 400}


def test_a_stream_that_is_not_steered_any_more_says_so_for_good() -> None:
    assert steering(retired=True).answer("", 0).status == 410


def test_too_many_are_told_when_to_come_again_and_room_is_made_by_time() -> None:
    server = steering(requests_per_s_max=2, ttl_s=45)
    assert [server.answer("", 0).status for _ in range(3)] == [200, 200, 429]
    assert server.answer("", 0).headers["retry-after"] == "45"
    assert server.answer("", 500_000).status == 200
    assert (server.answered, server.turned_away) == (3, 2)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, "priority"),
        ({"priority": []}, "length >= 1"),
        ({"priority": ["a b"]}, "regex"),
        ({"priority": ["a", "a"]}, "twice"),
        ({"priority": ["a"], "ttl_s": 0}, ">= 1"),
        ({"priority": ["a"], "tll_s": 5}, "tll_s"),
        ({"priority": ["a"], "clones": [{"base": "a", "id": "a", "host": "x"}]}, "no other than its base"),
        ({"priority": ["a"], "clones": [{"base": "a", "id": "b"}]}, "give it a host"),
        ({"priority": ["a"], "clones": [{"base": "a", "id": "b", "host": "x"}] * 2}, "one id"),
        (None, "object"),
    ],
)
def test_a_configuration_that_makes_no_sense_is_refused(values: object, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        SteeringConfig.of(values)


def test_peers_keep_their_place_and_are_never_what_is_slow() -> None:
    steering = Steering(SteeringConfig.of({"priority": ["a", "PEERS", "b"], "slow_bps": 1_000_000}))

    def order(query: str) -> list[str]:
        return list(json.loads(steering.answer(query, 0).body)["PATHWAY-PRIORITY"])

    assert order("_HLS_pathway=a&_HLS_throughput=5000000") == ["a", "PEERS", "b"]
    assert order("_HLS_pathway=a&_HLS_throughput=500000") == ["PEERS", "b", "a"]
    assert order("slow=a&_HLS_pathway=b&_HLS_throughput=500000") == ["a", "PEERS", "b"], "its own line is slow"
