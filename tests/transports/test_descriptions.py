"""What of a stranger's session description reaches a WebRTC stack."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.transports.errors import ConnectFailed
from shoal.transports.sansio.addresses import is_public
from shoal.transports.sansio.descriptions import CANDIDATES_MAX, bounded_description, filtered_description

HEAD = "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n"
DATA = "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n"
CANDIDATE = "a=candidate:1 1 udp 1 192.0.2.1 {} typ host\r\n"


def test_a_data_channels_description_passes_unchanged():
    text = HEAD + DATA + CANDIDATE.format(5000)
    assert bounded_description(text) == text


def test_bare_line_feeds_are_mended():
    assert bounded_description((HEAD + DATA).replace("\r\n", "\n")) == HEAD + DATA


@pytest.mark.parametrize(
    "text",
    [
        "",
        HEAD,
        HEAD + DATA + DATA,
        HEAD + "m=audio 9 RTP/AVP 0\r\n",
        HEAD + DATA + "m=video 9 RTP/AVP 0\r\n",
        "x" * 70_000,
    ],
)
def test_anything_but_one_data_channel_is_refused(text):
    with pytest.raises(ConnectFailed, match="refused"):
        bounded_description(text)


@given(st.integers(0, 100))
def test_candidates_are_bounded_and_the_first_ones_stay(count):
    candidates = [CANDIDATE.format(port) for port in range(count)]
    bounded = bounded_description(HEAD + DATA + "".join(candidates) + "a=end-of-candidates\r\n")
    assert bounded == HEAD + DATA + "".join(candidates[:CANDIDATES_MAX]) + "a=end-of-candidates\r\n"


OURS = (
    HEAD
    + "m=application 58531 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 192.168.1.7\r\n"
    + "a=candidate:1 1 udp 2130706431 192.168.1.7 58531 typ host\r\n"
    + "a=candidate:2 1 udp 2130706431 fd00::7 58532 typ host\r\n"
    + "a=candidate:3 1 udp 2130706431 2a00:1450::7 58532 typ host\r\n"
    + "a=candidate:4 1 udp 1694498815 8.8.4.4 58531 typ srflx raddr 192.168.1.7 rport 58531\r\n"
    + "a=candidate:5 1 udp 16777215 10.9.9.9 50000 typ relay raddr 8.8.4.4 rport 58531 generation 0\r\n"
    + "a=end-of-candidates\r\na=ice-ufrag:x\r\n"
)


def candidates(text: str) -> list[str]:
    return [line.split(" ")[4] for line in text.splitlines() if line.startswith("a=candidate:")]


def test_a_local_swarm_is_told_everything():
    assert filtered_description(OURS, "all") == OURS


def test_strangers_learn_public_addresses_and_relays_and_nothing_behind_them():
    text = filtered_description(OURS, "public")
    assert candidates(text) == ["2a00:1450::7", "8.8.4.4", "10.9.9.9"]
    assert "192.168" not in text
    assert "fd00" not in text
    assert "typ srflx raddr 0.0.0.0 rport 9\r\n" in text
    assert "generation 0" in text
    assert "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 0.0.0.0\r\n" in text


def test_behind_a_relay_no_address_of_ours_is_told():
    text = filtered_description(OURS, "relay")
    assert candidates(text) == ["10.9.9.9"]
    assert "8.8.4.4" not in text
    assert "192.168" not in text
    assert text.endswith("a=end-of-candidates\r\na=ice-ufrag:x\r\n")


@given(st.ip_addresses(), st.sampled_from(["host", "srflx", "prflx"]))
def test_no_private_address_ever_passes(address, kind):
    ours = HEAD + DATA + f"a=candidate:1 1 udp 1 {address} 5000 typ {kind}\r\n"
    shown = candidates(filtered_description(ours, "public"))
    assert shown == ([str(address)] if is_public(str(address)) else [])
