"""What leaves by our short way is what aiortc would send, whatever the path does to it."""

from __future__ import annotations

import asyncio
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.transports.native.aiortc_private import leaving

from .lone_sctp import lone_sctp

pytestmark = pytest.mark.real


class Sender:
    """One SCTP that sends, and the packets that left; with `ours`, the short way."""

    def __init__(self, *, ours):
        self.packets = []
        self.sctp = lone_sctp()
        self.sctp._remote_verification_tag = 7
        self.sctp._local_tsn, self.sctp._last_sacked_tsn, self.sctp._advanced_peer_ack_tsn = 1, 0, 0
        self.sctp._ssthresh = 1024 * 1024
        self.sctp._RTCSctpTransport__transport._send_data = self._send_data
        self.took_short_way = 0
        self._leaving = None
        if ours:
            self._leaving = leaving.Leaving(
                self.sctp, self.packets.append, on_progress=lambda: None, on_round_trip=lambda _: None
            )
            self._leaving.wrap()
            self._leaving.shorten()
        else:
            self.sctp._cwnd = 10 * 1160

    async def _send_data(self, packet):
        self.packets.append(packet)

    async def take(self, packet):
        if self._leaving is not None and self._leaving.take(packet):
            self.took_short_way += 1
        else:
            await self.sctp._handle_data(packet)

    @property
    def state(self):
        sctp = self.sctp
        under_way = [(c.tsn, c._in_flight, c._retransmit, c._acked, c._sent_count) for c in sctp._sent_queue]
        congestion = (sctp._cwnd, sctp._ssthresh, sctp._partial_bytes_acked, sctp._fast_recovery_exit)
        return under_way, congestion, sctp._flight_size, len(sctp._outbound_queue), sctp._t3_handle is None


async def carry(sender, sizes, fates):
    """Send messages of these sizes to an aiortc; whatever happens on the way, and what its acknowledgements do."""
    receiver = lone_sctp()
    receiver._data_channels = {}
    came, back, fates, states = [], [], itertools.chain(fates, itertools.repeat("pass")), []
    receiver._remote_verification_tag = 7

    async def acknowledge(packet):
        back.append(packet)

    async def keep(_stream_id, _pp_id, data):
        came.append(data)

    receiver._RTCSctpTransport__transport._send_data = acknowledge
    receiver._receive = keep
    messages = [bytes([number]) * size for number, size in enumerate(sizes)]
    for message in messages:
        await sender.sctp._send(1, 53, message)
    sent, held = 0, []
    while len(came) < len(messages):
        if sent == len(sender.packets) and not held:
            sender.sctp._t3_expired()  # as after a second without an acknowledgement
            await asyncio.sleep(0)
        fresh, sent = held + sender.packets[sent:], len(sender.packets)
        held = []
        for packet in fresh:
            fate = next(fates)
            if fate == "hold":
                held.append(packet)
            elif fate != "lose":
                await receiver._handle_data(packet)
            if fate == "lose acknowledgement":
                back.clear()
        while back:
            await sender.take(back.pop(0))
            states.append(sender.state)
    assert came == messages
    return states


FATES = st.lists(st.sampled_from(["pass", "pass", "pass", "pass", "hold", "lose", "lose acknowledgement"]), max_size=60)


@given(st.lists(st.integers(1, 70_000), min_size=1, max_size=4), FATES)
def test_what_leaves_the_short_way_is_what_aiortc_sends_byte_for_byte(sizes, fates):
    async def main():
        ours, plain = Sender(ours=True), Sender(ours=False)
        states = await carry(ours, sizes, fates), await carry(plain, sizes, fates)
        assert states[0] == states[1]
        assert ours.packets == plain.packets
        if "lose" not in fates and "hold" not in fates:
            assert ours.took_short_way == len(states[0])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(leaving, "_BURST_BYTES", 4 * 1160)  # as aiortc's
        asyncio.run(main())


@given(st.lists(st.integers(1, 70_000), min_size=1, max_size=4), FATES)
def test_whatever_is_lost_every_message_arrives_in_its_order(sizes, fates):
    async def main():
        ours = Sender(ours=True)
        ours._leaving.in_groups = True
        await carry(ours, sizes, fates)

    asyncio.run(main())
