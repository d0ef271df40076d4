"""aiortc still keeps what we take from its private parts; when one of these fails, aiortc has changed."""

from __future__ import annotations

import asyncio
import functools
import gc
import inspect
import ipaddress
import socket
import tracemalloc
import types

import pytest
from aioice import ice
from aiortc import rtcdtlstransport, rtcsctptransport
from hypothesis import given
from hypothesis import strategies as st
from OpenSSL import SSL

from shoal.transports.native.aiortc_private import (
    arriving,
    association,
    bound_what_comes,
    bounds,
    datagrams,
    end_consent_when_closed,
    enlarge_receive_buffers,
    leaving,
    limit_gathering,
    peer_fingerprint,
    renew_names,
    selected_remote_end,
)
from shoal.transports.native.webrtc import WebRtcConnector

from .lone_sctp import lone_sctp, new_association

pytestmark = pytest.mark.real


def with_connection(check):
    async def main():
        offering, answering = WebRtcConnector(), WebRtcConnector()
        offer = await offering.offer("x")
        incoming = await answering.answer(offer.description)
        await asyncio.gather(offer.accept(incoming.description), incoming.channel())
        (link,) = offering._links
        try:
            check(link.connection)
        finally:
            await offering.aclose()
            await answering.aclose()

    asyncio.run(main())


def test_the_time_for_gathering_can_be_said():
    def check(connection):
        gatherer = connection.sctp.transport.transport._connection
        assert "timeout" in inspect.signature(type(gatherer).get_component_candidates).parameters
        assert "self.get_component_candidates(" in inspect.getsource(type(gatherer).gather_candidates)
        limit_gathering(connection, 0.25)
        assert gatherer.get_component_candidates.keywords["timeout"] == 0.25

    with_connection(check)


def test_no_consent_is_asked_for_on_a_connection_that_was_closed():
    def check(connection):
        connected = connection.sctp.transport.transport._connection
        assert "create_task(self.query_consent())" in inspect.getsource(type(connected).connect)
        vars(connected).pop("query_consent", None)
        end_consent_when_closed(connection)
        assert connected._closing is False
        connected._closing = True  # as in the moment in which it chose a pair
        asking = connected.query_consent()
        with pytest.raises(StopIteration):
            asking.send(None)
        connected._closing = False

    with_connection(check)


def test_the_receive_buffers_are_found_and_enlarged():
    def check(connection):
        assert enlarge_receive_buffers(connection) >= 1
        for protocol in connection.sctp.transport.transport._connection._protocols:
            sock = protocol.transport.get_extra_info("socket")
            assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) >= 212_992

    with_connection(check)


def with_names_for_addresses(description: str) -> str:
    """As a browser writes it; nobody can say whose names these are."""
    lines = description.splitlines()
    first = next(line for line in lines if line.startswith("a=candidate:")).split(" ")
    named = [" ".join([*first[:4], f"{name}.local", *first[5:]]) for name in ("one", "other")]
    kept = [line for line in lines if not line.startswith(("a=candidate:", "a=end-of-candidates"))]
    return "\r\n".join([*kept, *named, ""])


def test_a_peer_behind_names_that_nobody_knows_is_met_in_each_of_a_threads_loops():
    async def meet():
        offering, answering = WebRtcConnector(), WebRtcConnector()
        offer = await offering.offer("x")
        incoming = await answering.answer(with_names_for_addresses(offer.description))
        await asyncio.gather(offer.accept(incoming.description), incoming.channel())
        await offering.aclose()
        await answering.aclose()

    for _ in range(2):  # aioice alone refuses the second, see below
        asyncio.run(meet())


def test_aioice_still_keeps_the_lock_of_the_loop_before():
    async def ask_for_two():
        found = await asyncio.gather(*map(ice.get_or_create_mdns_protocol, "ab"), return_exceptions=True)
        for name in "ab":
            await ice.unref_mdns_protocol(name)
        return found

    async def ask_anew():
        renew_names()
        return await ask_for_two()

    asyncio.run(ask_anew())
    _, refused = asyncio.run(ask_for_two())
    assert isinstance(refused, RuntimeError)  # else renew_names is not needed any more
    one, other = asyncio.run(ask_anew())
    assert one is other


def test_the_peers_certificate_is_found():
    with_connection(lambda connection: None if len(peer_fingerprint(connection)) == 8 + 95 else pytest.fail("length"))


def test_the_selected_pair_is_found():
    def check(connection):
        address, is_relayed = selected_remote_end(connection)
        ipaddress.ip_address(address)
        assert not is_relayed
        (pair,) = connection.sctp.transport.transport._connection._nominated.values()
        pair.remote_candidate.type = "relay"
        assert selected_remote_end(connection) == (address, True)

    with_connection(check)


def test_the_association_is_as_we_take_it():
    def check(connection):
        sctp = connection.sctp
        assert all(hasattr(sctp, name) for name in (*association._NEEDED, *association._NEEDED_TO_SHORTEN, "_ssthresh"))
        ours = new_association(sctp)
        assert ours.is_hooked
        assert ours.is_empty
        assert ours.in_flight_bytes == ours.unacknowledged_bytes()  # of the channel's announcement, if anything
        chunk = rtcsctptransport.DataChunk()
        assert chunk.user_data == b""
        assert rtcsctptransport.USERDATA_MAX_LENGTH == leaving.PACKET_BYTES
        # Called by these names, with what we take and give back.
        source = {
            name: inspect.getsource(getattr(type(sctp), name))
            for name in (*association._WRAPPED, *association._SHORTENED)
        }
        assert "await self._send_sack()" in source["_handle_data"]
        assert "self._sack_needed = False" in source["_send_sack"]
        sack = source["_receive_sack_chunk"]
        assert sack.index("await self._data_channel_flush()") < sack.index("await self._transmit()")
        assert "if not self._t3_handle:" in source["_transmit"]
        assert "await self._transmit()" in source["_send"]
        assert "asyncio.ensure_future(self._transmit())" in source["_t3_expired"]
        ours.release()

    with_connection(check)


def test_an_association_is_left_as_it_was():
    def check(connection):
        new_association(connection.sctp).release()
        assert not {*association._WRAPPED, *association._SHORTENED, "_send_chunk"} & set(vars(connection.sctp))
        gatherer = connection.sctp.transport.transport._connection
        assert "data_received" not in vars(gatherer)

    with_connection(check)


def test_packets_in_order_are_marked_as_aiortc_marks_them():
    def check(connection):
        sctp = connection.sctp
        plain = type(sctp)._mark_received
        vars(sctp).pop("_mark_received")  # the channel's own wrap, so that ours calls what aiortc has
        ours = new_association(sctp)._arriving
        for tsns in ([1, 2, 3], [1, 3, 2, 4], [1, 1, 2], [2, 2, 1, 3], [2**32 - 1, 0, 1]):
            answers = []
            for mark in (functools.partial(plain, sctp), ours._mark_received):
                sctp._last_received_tsn = (tsns[0] if tsns[0] != 2 else 1) - 1
                sctp._sack_misordered, sctp._sack_duplicates = set(), []
                said = [mark(tsn) for tsn in tsns]
                answers.append((said, sctp._last_received_tsn, sctp._sack_misordered, sctp._sack_duplicates))
            assert answers[0] == answers[1]

    with_connection(check)


@given(st.permutations(range(12)), st.lists(st.integers(1, 4), min_size=12, max_size=12))
def test_fragments_in_any_order_make_the_messages_that_aiortc_makes(order, lengths):
    fragments = []
    for number, length in enumerate(lengths):
        for part in range(length):
            chunk = rtcsctptransport.DataChunk()
            chunk.flags = 2 * (part == 0) + (part == length - 1)
            chunk.tsn, chunk.stream_id, chunk.stream_seq, chunk.protocol = len(fragments) + 1, 1, number, 53
            chunk.user_data = bytes([number, part])
            fragments.append(chunk)
    streams = rtcsctptransport.InboundStream(), arriving.InboundStream()
    came = [[], []]
    for start in order:
        for chunk in fragments[start::12]:
            for stream, messages in zip(streams, came, strict=True):
                stream.add_chunk(chunk)
                messages.append(list(stream.pop_messages()))
    assert came[0] == came[1]
    assert sum(map(len, came[1])) == 12


def test_the_short_way_between_packets_and_datagrams_is_as_we_take_it():
    def check(connection):
        sctp = connection.sctp
        short_way = datagrams.Datagrams(sctp, lambda _: False)
        assert short_way.is_there
        pair = short_way._ice._nominated[1]
        assert callable(pair.protocol.transport.sendto)
        assert isinstance(pair.remote_addr, tuple)
        assert sctp.transport._data_receiver is sctp
        assert sctp.transport._state is rtcdtlstransport.State.CONNECTED
        assert "self.receiver.data_received(data," in inspect.getsource(ice.StunProtocol.datagram_received)
        assert "self._queue.put_nowait((data, component))" in inspect.getsource(ice.Connection.data_received)
        # What a packet that goes the short way leaves out.
        sends = inspect.getsource(rtcdtlstransport.RTCDtlsTransport._send_data)
        assert "self._ssl.send(data)\n        await self._write_ssl()" in sends
        receives = inspect.getsource(rtcdtlstransport.RTCDtlsTransport._recv_next)
        assert "await self._data_receiver._handle_data(data)" in receives
        assert "serialize_packet(" in inspect.getsource(type(sctp)._send_chunk)

    with_connection(check)


def packets_of(messages):
    tsn = 0
    for sequence, length in enumerate(messages):
        for part in range(length):
            chunk = rtcsctptransport.DataChunk()
            chunk.flags = 2 * (part == 0) + (part == length - 1)
            tsn += 1
            chunk.tsn, chunk.stream_id, chunk.stream_seq, chunk.protocol = tsn, 1, sequence, 53
            chunk.user_data = bytes([sequence, part]) * (2 + sequence % 3)  # some of them padded
            yield rtcsctptransport.serialize_packet(5000, 5000, 7, chunk)


@given(
    st.lists(st.integers(1, 6), min_size=1, max_size=6),
    st.lists(st.tuples(st.integers(0, 40), st.sampled_from(["swap", "twice", "spoil", "other tag"])), max_size=6),
)
def test_packets_that_go_the_short_way_do_what_they_do_at_aiortc(messages, faults):
    packets = list(packets_of(messages))
    for place, fault in faults:
        at = place % len(packets)
        match fault:
            case "swap":
                packets[at - 1], packets[at] = packets[at], packets[at - 1]
            case "twice":
                packets.append(packets[at])
            case "spoil":
                packets.insert(at, packets[at][:-1] + bytes([packets[at][-1] ^ 1]))
            case "other tag":
                packets.insert(at, packets[at][:4] + b"\0\0\0\x09" + packets[at][8:])

    async def main():
        plain, ours = lone_sctp(), lone_sctp()
        short_way = new_association(ours, on_unreadable=pytest.fail)
        short = 0
        for packet in packets:
            await plain._handle_data(packet)
            if short_way._arriving.take(packet):
                short += 1
            else:
                await ours._handle_data(packet)
            assert plain._data_channels[1].messages == ours._data_channels[1].messages
            assert plain._last_received_tsn == ours._last_received_tsn
            assert plain._advertised_rwnd == ours._advertised_rwnd
            assert plain._sack_misordered == ours._sack_misordered
        short_way.release()
        if not faults:
            assert short == sum(messages) - 1  # the first packet makes the stream, the long way

    asyncio.run(main())


def fragment(tsn, *, stream_id=1, data=b"x", flags=0):
    chunk = rtcsctptransport.DataChunk(flags=flags)
    chunk.tsn, chunk.stream_id, chunk.protocol, chunk.user_data = tsn, stream_id, 53, data
    return chunk


def bounded_sctp(said):
    sctp = lone_sctp()
    bound_what_comes(types.SimpleNamespace(sctp=sctp), said.append)
    return sctp


async def take(sctp, ours, chunk):
    packet = rtcsctptransport.serialize_packet(5000, 5000, 7, chunk)
    if not (ours and ours._arriving.take(packet)):
        await sctp._handle_data(packet)


@pytest.mark.parametrize("hooked", [True, False], ids=["of a channel", "before there is a channel"])
@pytest.mark.parametrize("size", [1, 1152])
def test_fragments_that_no_message_ends_are_bounded_by_what_they_take_and_not_by_their_data(size, hooked):
    async def main():
        said = []
        sctp = bounded_sctp(said)
        ours = new_association(sctp) if hooked else None
        tsn = 0
        while not said:
            tsn += 1
            await take(sctp, ours, fragment(tsn, data=bytes(size), flags=2 * (tsn == 1)))
            assert tsn < 20_000
        assert tsn * (size + bounds.FRAGMENT_BYTES) == pytest.approx(8 * 1024 * 1024, rel=0.001)
        assert "do not end" in said[0]
        held = len(sctp._inbound_streams[1].reassembly)
        for more in range(tsn + 1, tsn + 10):  # who goes on is told of, and nothing more is kept
            await take(sctp, ours, fragment(more, data=bytes(size)))
        assert len(sctp._inbound_streams[1].reassembly) == held
        assert len(said) == 10
        if ours:
            ours.release()

    asyncio.run(main())


def test_a_fragment_of_aiortcs_takes_no_more_than_it_counts_for():
    chunks = rtcsctptransport.serialize_packet(5000, 5000, 7, fragment(1_000_000, data=b"x"))
    tracemalloc.start()
    kept = [rtcsctptransport.parse_packet(chunks)[3][0] for _ in range(1000)]
    taken, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert taken / len(kept) <= bounds.FRAGMENT_BYTES


def test_messages_beyond_one_that_never_comes_are_bounded_though_each_is_whole():
    async def main():
        said = []
        sctp = bounded_sctp(said)
        sctp._mark_received(1)
        sctp._sack_misordered = set(range(3, 3 + 8 * 1024 * 1024 // bounds.FRAGMENT_BYTES + 1))
        await take(sctp, None, fragment(20_000, flags=3))
        assert len(said) == 1
        assert 20_000 not in sctp._sack_misordered

    asyncio.run(main())


@pytest.mark.parametrize("hooked", [True, False], ids=["of a channel", "before there is a channel"])
def test_a_fragment_without_data_is_not_kept_and_is_said(hooked):
    async def main():
        said = []
        sctp = bounded_sctp(said)
        ours = new_association(sctp) if hooked else None
        for tsn in range(1, 4):
            await take(sctp, ours, fragment(tsn, data=b"", flags=2 * (tsn == 1)))
        assert said == ["a fragment without data"] * 3
        assert not sctp._inbound_streams
        if ours:
            ours.release()

    asyncio.run(main())


def test_streams_are_bounded_whatever_makes_them():
    async def main():
        said = []
        sctp = bounded_sctp(said)
        for tsn in range(1, bounds.STREAMS_MAX + 1):
            await take(sctp, None, fragment(tsn, stream_id=tsn, flags=3))
        assert not said
        await take(sctp, None, fragment(tsn + 1, stream_id=1000, flags=3))
        assert len(said) == 1
        skip = rtcsctptransport.ForwardTsnChunk()
        skip.cumulative_tsn, skip.streams = tsn + 2, [(2000, 1), (2001, 1)]
        await take(sctp, None, skip)
        assert len(said) == 2
        assert "streams" in said[1]
        assert len(sctp._inbound_streams) == bounds.STREAMS_MAX

    asyncio.run(main())


def test_what_is_bounded_is_as_we_take_it():
    def check(connection):
        sctp = type(connection.sctp)(connection.sctp.transport)
        assert sctp._advertised_rwnd == bounds._ANNOUNCED_BYTES
        source = inspect.getsource(type(sctp)._receive_chunk)
        assert "await self._receive_data_chunk(chunk)" in source
        assert "await self._receive_forward_tsn_chunk(chunk)" in source
        assert {"_receive_data_chunk", "_receive_forward_tsn_chunk"} <= set(vars(connection.sctp))

    with_connection(check)


def test_what_would_wait_while_it_handles_a_packet_goes_on_as_a_task():
    async def main():
        done = asyncio.Event()

        async def handle():
            await asyncio.sleep(0)
            await asyncio.sleep(0.001)
            done.set()

        datagrams.run_now(handle())
        assert not done.is_set()
        await done.wait()

    asyncio.run(main())


def test_a_changed_aiortc_costs_a_field_and_not_the_connection():
    class Changed:
        sctp = object()

    async def associate():
        changed = new_association(Changed())
        assert not changed.is_hooked
        changed.release()

    asyncio.run(associate())
    bound_what_comes(Changed(), pytest.fail)
    limit_gathering(Changed(), 1.0)
    assert enlarge_receive_buffers(Changed()) == 0
    assert peer_fingerprint(Changed()) is None
    assert selected_remote_end(Changed()) is None


@pytest.mark.parametrize("in_groups", [False, True])
def test_what_comes_in_one_step_is_acknowledged_once_to_a_peer_that_lets_as_much_go(in_groups):
    async def main():
        sctp, sacks = lone_sctp(), []
        sctp._RTCSctpTransport__transport._send_data = record(sacks)
        ours = new_association(sctp)
        if in_groups:
            ours.acknowledge_in_groups()
        for packet in packets_of([20]):
            if not ours._arriving.take(packet):
                await sctp._handle_data(packet)
        assert len(sacks) == (0 if in_groups else 20)  # a path's beginning is acknowledged packet by packet
        while not sacks:
            await asyncio.sleep(0)
        assert int.from_bytes(sacks[-1][16:20], "big") == 20
        assert len(sacks) == (1 if in_groups else 20)
        ours.release()

    asyncio.run(main())


def record(packets):
    async def send(packet):
        packets.append(packet)

    return send


def test_what_aiortcs_timers_send_after_the_end_is_no_error_that_nobody_awaits():
    async def main():
        sctp = lone_sctp()

        async def refuse(_):
            raise SSL.Error([("SSL routines", "", "protocol is shutdown")])

        sctp._RTCSctpTransport__transport._send_data = refuse
        ours = new_association(sctp)
        sctp._reconfig_timer_start()
        sctp._reconfig_request = rtcsctptransport.StreamResetOutgoingParam(1, 1, 1, [1])
        sctp._reconfig_timer_expired()  # makes a task, and a timer
        ours.release()
        errors = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: errors.append(context))
        for _ in range(3):
            await asyncio.sleep(0)
        gc.collect()
        assert not errors
        assert sctp._reconfig_handle is None

    asyncio.run(main())


@pytest.mark.parametrize(
    ("cwnd", "ends_at", "then"),
    [(11_600, 2**20, 4 * 2**20), (11_600, 8 * 2**20, 8 * 2**20), (2**19, 2**19, 2**19), (11_600, None, None)],
)
def test_slow_start_goes_on_to_the_credit_window_unless_something_was_lost(cwnd, ends_at, then):
    async def main():
        sctp = types.SimpleNamespace(_cwnd=cwnd, _ssthresh=ends_at)
        leaving.Leaving(sctp, print, on_progress=print, on_round_trip=print).start_to(4 * 2**20)
        assert sctp._ssthresh == then

    asyncio.run(main())
