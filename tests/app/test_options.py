"""What the commands' options mean, and which argument is named when one is wrong."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

import pytest

from shoal.app.options import add_stream_options, stream_options
from shoal.app.peering import PeerOptions, TurnServer
from shoal.app.session import SessionOptions
from shoal.balancer.errors import ConfigurationError

URL = "https://one.example/v/stream.m3u8"


def parsed(*arguments: str) -> SessionOptions:
    parser = argparse.ArgumentParser()
    add_stream_options(parser)
    return stream_options(parser.parse_args([URL, *arguments]))


def test_a_url_alone_is_enough() -> None:
    options = parsed()
    assert options.url == URL
    assert options.hashes == "auto"
    assert options.cdns == options.weights == {}
    assert options.trackers == options.headers == ()
    assert not options.allow_private


def test_how_peers_are_met_finds_its_place(tmp_path: Path) -> None:
    login = tmp_path / "login"
    login.write_text("viewer:a:b\n")
    options = parsed(
        *("--stun", "stun:stun.example", "--stun", "stuns:[2001:db8::1]:5349"),
        *("--turn", "turn:relay.example:3478?transport=tcp", "--turn-login", str(login)),
        *("--candidates", "relay", "--upload-max", "4", "--webrtc", "webrtc-native"),
    ).peers
    assert options == PeerOptions(
        stun_servers=("stun:stun.example", "stuns:[2001:db8::1]:5349"),
        turn_servers=(TurnServer("turn:relay.example:3478?transport=tcp", "viewer", "a:b"),),
        candidates="relay",
        line_bytes_per_s=500_000,
        webrtc="webrtc-native",
    )
    assert parsed().peers == PeerOptions()
    assert parsed().peers.candidates == "auto"


def test_what_no_hash_vouches_for_is_offered_as_far_as_is_said() -> None:
    def said(*arguments: str) -> tuple[bool, bool]:
        config = parsed(*arguments).config
        return config.announce_audited, config.announce_unaudited

    assert said() == (False, False)
    assert said("--announce-audited") == (True, False)
    assert said("--announce-unaudited") == (False, True)


def test_cookies_and_the_proxies_of_the_environment_are_asked_for() -> None:
    assert not parsed().cookies
    assert not parsed().environment_proxies
    assert parsed("--cookies").cookies
    assert parsed("--environment-proxies").environment_proxies


def test_the_key_of_whoever_signs_the_hashes_finds_its_place() -> None:
    assert parsed("--hashes-key", "aB" * 32).hashes_key == "aB" * 32
    assert parsed().hashes_key is None
    with pytest.raises(ConfigurationError, match="--hashes-key has 63 characters"):
        parsed("--hashes-key", "a" * 63)


@pytest.mark.parametrize(
    ("text", "bytes_max"),
    [("1000000000", 10**9), ("500M", 500 << 20), ("20g", 20 << 30), ("1T", 1 << 40), ("64K", 65536)],
)
def test_how_large_a_store_may_become_finds_its_place(text: str, bytes_max: int) -> None:
    options = parsed("--store", "/var/cache/shoal", "--store-max", text)
    assert (options.store, options.store_bytes_max) == ("/var/cache/shoal", bytes_max)
    assert parsed().store is None


@pytest.mark.parametrize("text", ["", "G", "-1", "1.5G", "20 G", "1P", "9" * 20])
def test_a_size_that_is_none_is_named(text: str) -> None:
    with pytest.raises(ConfigurationError, match="--store-max"):
        parsed("--store", "/var/cache/shoal", f"--store-max={text}")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--stun", "stun.example:3478"), "'stun.example:3478' is not of the form stun:HOST"),
        (("--stun", "turn:stun.example"), "not of the form stun:HOST"),
        (("--stun", "stun:a b"), "not of the form stun:HOST"),
        (("--turn", "turn:relay.example"), "--turn needs --turn-login FILE"),
        (("--turn", "turn:relay.example", "--turn-login", "/nowhere/login"), "--turn-login /nowhere/login cannot be"),
        (("--candidates", "relay"), "a TURN server is needed"),
        (("--upload-max", "0"), "--upload-max '0' is not a number above 0"),
        (("--upload-max", "0.01"), "an upload of 1250 bytes/s is too little"),
        (("--stun", "stun:a.example") * 9, "9 STUN and TURN servers are given; at most 8"),
    ],
)
def test_how_peers_cannot_be_met_is_said(arguments: tuple[str, ...], message: str) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(message)):
        parsed(*arguments)


@pytest.mark.parametrize("text", ["viewer", ":x", "viewer:", ""])
def test_a_login_without_name_or_password_is_refused(tmp_path: Path, text: str) -> None:
    login = tmp_path / "login"
    login.write_text(text)
    with pytest.raises(ConfigurationError, match="NAME:PASSWORD"):
        parsed("--turn", "turn:relay.example", "--turn-login", str(login))


def test_each_option_finds_its_place() -> None:
    options = parsed(
        *("--cdn", "a=https://a.example/v/", "--cdn", "b=https://b.example/v/stream.m3u8?x=1=2"),
        *("--weight", "a=2", "--weight", "b=0.5"),
        *("--price", "a=3.5", "--priority", "b=1", "--commit", "a=0.5"),
        *("--tracker", "wss://t.example/announce", "--tracker", "ws://127.0.0.1:8000"),
        *("--swarm-id", "film", "--hashes", "none"),
        *("--header", "Authorization: Bearer a:b", "--header", "X-Empty:"),
        *("--allow-host", "Keys.Example", "--allow-private"),
    )
    assert options.cdns == {"a": "https://a.example/v/", "b": "https://b.example/v/stream.m3u8?x=1=2"}
    assert options.weights == {"a": 2.0, "b": 0.5}
    assert options.prices == {"a": 3.5}
    assert options.priorities == {"b": 1}
    assert options.commits == {"a": 500_000_000}
    assert options.trackers == ("wss://t.example/announce", "ws://127.0.0.1:8000")
    assert options.swarm_id == "film"
    assert options.hashes == "none"
    assert options.headers == (("Authorization", "Bearer a:b"), ("X-Empty", ""))
    assert options.allowed_hosts == {"keys.example"}
    assert options.allow_private


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--cdn", "https://a.example/"), "--cdn 'https://a.example/' is not of the form NAME=VALUE"),
        (("--cdn", "=https://a.example/"), "NAME=VALUE"),
        (("--cdn", "a="), "NAME=VALUE"),
        (("--cdn", "a=https://x/", "--cdn", "a=https://y/"), "--cdn a is given twice"),
        (("--weight", "a=much"), "--weight 'much' is not a number above 0"),
        (("--priority", "a=-1"), "--priority '-1' is not a whole number from 0 to 999"),
        (("--commit", "a=x"), "--commit 'x' is not a number above 0"),
        (("--weight", "a=0"), "not a number above 0"),
        (("--weight", "a=-1"), "not a number above 0"),
        (("--weight", "a=nan"), "not a number above 0"),
        (("--weight", "a=inf"), "not a number above 0"),
        (("--tracker", "https://t.example"), "--tracker 'https://t.example' is not a ws or wss URL"),
        (("--header", "no colon"), "--header 'no colon' is not of the form NAME:VALUE"),
        (("--header", ": x"), "NAME:VALUE"),
        (("--config", "/nowhere/at/all.toml"), "--config /nowhere/at/all.toml cannot be read"),
    ],
)
def test_a_wrong_argument_is_named_with_what_it_should_be(arguments: tuple[str, ...], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message.replace("(", r"\(")):
        parsed(*arguments)


@pytest.mark.parametrize(
    ("name", "text"), [("settings.toml", "peers_max = 4\n"), ("settings.json", '{"peers_max": 4}')]
)
def test_settings_come_from_toml_or_json(tmp_path: Path, name: str, text: str) -> None:
    path = tmp_path / name
    path.write_text(text)
    assert parsed("--config", str(path)).config.peers_max == 4


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.toml", "peer_max = 4\n", "the nearest is 'peers_max'"),
        ("a.toml", "peers_max = 0\n", "peers_max"),
        ("a.toml", 'peers_max = "4"\n', "peers_max"),
        ("a.toml", "peers_max = \n", "a.toml"),
        ("a.json", "{]", "a.json"),
        ("a.json", "[1, 2]", "a.json"),
        ("a.json", '"text"', "a.json"),
        ("a.toml", b"\xff\xfe", "a.toml"),
    ],
)
def test_settings_that_cannot_be_used_are_named_with_their_file(
    tmp_path: Path, name: str, text: str | bytes, message: str
) -> None:
    path = tmp_path / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    with pytest.raises(ConfigurationError, match=message):
        parsed("--config", str(path))
