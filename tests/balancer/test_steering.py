"""The steering client: when it asks, whom, with what, and what an error costs; against a model of its rules."""

import base64
import json
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.balancer.errors import SteeringError, SteeringMalformed
from shoal.balancer.steering import SteeringClient

SERVER = "https://steer.example/show/m.json?session=1"
S = 1_000_000


def manifest(ttl=30, priority=("a", "b"), **fields):
    return json.dumps({"VERSION": 1, "TTL": ttl, "PATHWAY-PRIORITY": list(priority), **fields}).encode()


def asked(client, now_us, pathway="a", throughput_bps=5_140_000):
    url = client.due(now_us, pathway=pathway, throughput_bps=throughput_bps)
    assert url is not None, "it is due"
    return url


def test_it_is_asked_at_once_with_the_pathway_and_what_was_measured_on_it():
    url = asked(SteeringClient(SERVER), 0)
    assert url == "https://steer.example/show/m.json?session=1&_HLS_pathway=a&_HLS_throughput=5140000"


def test_what_was_not_measured_is_not_said():
    assert asked(SteeringClient(SERVER), 0, throughput_bps=None).endswith("?session=1&_HLS_pathway=a")
    assert asked(SteeringClient("https://s.example/m"), 0, pathway=None, throughput_bps=None) == "https://s.example/m"


def test_the_rest_of_a_query_stays_as_written_and_ours_is_said_once():
    url = asked(SteeringClient("https://s.example/m?sig=a%2fB+c&_HLS_pathway=z&x#part"), 0, pathway="b")
    assert url == "https://s.example/m?sig=a%2fB+c&x&_HLS_pathway=b&_HLS_throughput=5140000"


def test_a_server_of_a_dash_stream_is_asked_in_its_own_words():
    url = asked(SteeringClient(f"{SERVER}&_DASH_pathway=z", is_dash=True), 0, pathway="a")
    assert url.endswith("?session=1&_DASH_pathway=%22a%22&_DASH_throughput=5140000")


def test_while_it_is_asked_it_is_not_asked_again():
    client = SteeringClient(SERVER)
    asked(client, 0)
    assert client.due_us is None
    assert client.due(10**9, pathway="a", throughput_bps=None) is None


def test_a_manifest_holds_for_its_time_to_live():
    client = SteeringClient(SERVER)
    assert client.came(asked(client, 0), manifest(ttl=20), 3 * S).priority == ("a", "b")
    assert client.due_us == 23 * S
    assert client.due(23 * S - 1, pathway="a", throughput_bps=None) is None
    asked(client, 23 * S)


def test_the_reload_uri_is_asked_from_then_on_relative_to_where_the_manifest_was():
    client = SteeringClient(SERVER)
    client.came("https://landed.example/x/y.json", manifest(**{"RELOAD-URI": "z.json?i=2"}), 0)
    url = asked(client, 30 * S)
    assert url.startswith("https://landed.example/x/z.json?i=2&")
    client.came(url, manifest(), 30 * S)
    assert asked(client, 60 * S).startswith("https://landed.example/x/z.json?i=2&_HLS_pathway=a&")


def test_gone_ends_it_and_what_was_said_last_holds():
    client = SteeringClient(SERVER)
    client.came(asked(client, 0), manifest(priority=("b", "a")), 0)
    asked(client, 30 * S)
    client.failed(31 * S, status=410, retry_after_us=5 * S)
    assert client.has_ended
    assert client.due_us is None
    assert client.due(10**12, pathway="a", throughput_bps=None) is None
    assert client.manifest is not None
    assert client.manifest.priority == ("b", "a")


@pytest.mark.parametrize(
    ("retry_after_s", "waits_s"),
    [(7, 7), (0, 1), (4_000, 4_000), (10**6, 86_400), (None, 20)],
)
def test_too_many_requests_is_waited_out_and_then_it_goes_on(retry_after_s, waits_s):
    client = SteeringClient(SERVER)
    client.came(asked(client, 0), manifest(ttl=20), 0)
    asked(client, 20 * S)
    client.failed(21 * S, status=429, retry_after_us=None if retry_after_s is None else retry_after_s * S)
    then_us = (21 + waits_s) * S
    assert client.due_us == then_us
    assert client.came(asked(client, then_us), manifest(priority=("b",)), then_us).priority == ("b",)


@pytest.mark.parametrize("status", [None, 400, 401, 404, 408, 500, 502, 503])
def test_an_error_is_waited_out_for_five_minutes_where_no_time_to_live_is_known(status):
    client = SteeringClient(SERVER)
    for number in range(4):
        asked(client, 300 * S * number)
        client.failed(300 * S * number, status=status)
    assert client.due_us == 1200 * S


def test_errors_in_a_row_are_waited_out_for_twice_as_long_each_up_to_five_minutes():
    client = SteeringClient(SERVER)
    client.came(asked(client, 0), manifest(ttl=20), 0)
    now_us, waits = 20 * S, []
    for _ in range(7):
        asked(client, now_us)
        client.failed(now_us, status=503)
        waits.append((client.due_us - now_us) // S)
        now_us = client.due_us
    assert waits == [20, 40, 80, 160, 300, 300, 300]
    client.came(asked(client, now_us), manifest(ttl=20), now_us)
    asked(client, now_us + 20 * S)
    client.failed(now_us + 20 * S)
    assert client.due_us == now_us + 40 * S, "a good answer forgives what was before"


def test_a_manifest_that_cannot_be_read_is_an_error_and_the_one_before_stays():
    client = SteeringClient(SERVER)
    client.came(asked(client, 0), manifest(ttl=10), 0)
    with pytest.raises(SteeringMalformed):
        client.came(asked(client, 10 * S), b"<html>", 10 * S)
    assert client.manifest is not None
    assert client.due_us == 20 * S


def test_a_retry_after_of_another_status_is_not_heeded():
    client = SteeringClient(SERVER)
    asked(client, 0)
    client.failed(0, status=503, retry_after_us=3 * S)
    assert client.due_us == 300 * S


@pytest.mark.parametrize("is_base64", [False, True])
def test_a_manifest_in_the_playlist_itself_is_read_and_leads_to_the_server_it_names(is_base64):
    body = manifest(**{"RELOAD-URI": "https://steer.example/next"})
    data = f";base64,{base64.b64encode(body).decode()}" if is_base64 else f",{body.decode().replace(' ', '%20')}"
    client = SteeringClient(f"data:application/json{data}")
    assert client.due(0, pathway="a", throughput_bps=None) is None
    assert client.inline is not None
    assert client.read_inline(5 * S).priority == ("a", "b")
    assert asked(client, 35 * S).startswith("https://steer.example/next?_HLS_pathway=a")


def test_a_manifest_in_the_playlist_without_a_server_is_the_last():
    client = SteeringClient("data:," + manifest().decode())
    client.read_inline(0)
    assert client.has_ended
    assert client.due_us is None


@pytest.mark.parametrize("uri", ["data:", "data:x", "data:,", "data:;base64,%%%", "data:;base64,e30", "data:,{}"])
def test_a_data_uri_that_holds_no_manifest_is_refused_and_ends_it(uri):
    client = SteeringClient(uri)
    with pytest.raises(SteeringError):
        client.read_inline(0)
    assert client.has_ended


ANSWERS = st.one_of(
    st.tuples(st.just("manifest"), st.integers(0, 100_000)),
    st.tuples(st.just("garbage"), st.just(0)),
    st.tuples(st.just("status"), st.sampled_from([None, 301, 400, 404, 410, 429, 500, 503])),
    st.tuples(st.just("too many"), st.none() | st.integers(0, 10**12)),
)


@given(st.lists(st.tuples(ANSWERS, st.integers(0, 10 * S)), max_size=20))
def test_it_asks_again_after_whatever_happens_but_never_soon_and_never_after_gone(history):
    client, now_us = SteeringClient(SERVER), 0
    for number, ((what, value), takes_us) in enumerate(history):
        url = asked(client, now_us)
        assert client.asked_count == number + 1
        assert parse_qs(urlsplit(url).query)["_HLS_pathway"] == ["a"]
        now_us += takes_us
        match what:
            case "manifest":
                client.came(url, manifest(ttl=value), now_us)
            case "garbage":
                with pytest.raises(SteeringError):
                    client.came(url, b"{", now_us)
            case "status":
                client.failed(now_us, status=value)
            case "too many":
                client.failed(now_us, status=429, retry_after_us=value)
        if (what, value) == ("status", 410):
            assert client.has_ended
            assert client.due_us is None
            return
        assert client.due_us is not None
        assert now_us + S <= client.due_us <= now_us + 86_400 * S
        now_us = client.due_us
