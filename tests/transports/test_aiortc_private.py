"""aiortc still keeps what we take from its private parts; when one of these fails, aiortc has changed."""

from __future__ import annotations

import asyncio
import ipaddress
import socket

import pytest

from shoal.transports.native.aiortc_private import (
    enlarge_receive_buffers,
    peer_fingerprint,
    selected_remote_address,
)
from shoal.transports.native.webrtc import WebRtcConnector

pytestmark = pytest.mark.real


def with_connection(check):
    async def main():
        offering, answering = WebRtcConnector(), WebRtcConnector()
        offer = await offering.offer("x")
        incoming = await answering.answer(offer.description)
        await asyncio.gather(offer.accept(incoming.description), incoming.channel())
        (link,) = offering._links
        check(link.connection)
        await offering.aclose()
        await answering.aclose()

    asyncio.run(main())


def test_the_receive_buffers_are_found_and_enlarged():
    def check(connection):
        assert enlarge_receive_buffers(connection) >= 1
        for protocol in connection.sctp.transport.transport._connection._protocols:
            sock = protocol.transport.get_extra_info("socket")
            assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) >= 212_992

    with_connection(check)


def test_the_peers_certificate_is_found():
    with_connection(lambda connection: None if len(peer_fingerprint(connection)) == 8 + 95 else pytest.fail("length"))


def test_the_selected_pair_is_found():
    with_connection(lambda connection: ipaddress.ip_address(selected_remote_address(connection)))


def test_a_changed_aiortc_costs_a_field_and_not_the_connection():
    class Changed:
        sctp = object()

    assert enlarge_receive_buffers(Changed()) == 0
    assert peer_fingerprint(Changed()) is None
    assert selected_remote_address(Changed()) is None
