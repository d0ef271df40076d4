"""What of a stranger's session description reaches a WebRTC stack."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.transports.errors import ConnectFailed
from shoal.transports.sansio.descriptions import CANDIDATES_MAX, bounded_description

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
