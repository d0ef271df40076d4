"""aiortc's SCTP by itself, without DTLS or a network: packets in, packets out."""

from __future__ import annotations

from aiortc import rtcsctptransport

from shoal.transports.native.aiortc_private import Association


class Wire:
    """In place of DTLS, for an SCTP by itself."""

    state = "connected"

    async def _send_data(self, data):
        pass


class Taker:
    """A channel at the end of SCTP, as far as that knows."""

    def __init__(self):
        self.messages = []

    def emit(self, event, message):
        self.messages.append(message)


def lone_sctp():
    sctp = rtcsctptransport.RTCSctpTransport(Wire())
    sctp._local_verification_tag, sctp._last_received_tsn = 7, 0
    sctp._association_state = sctp.State.ESTABLISHED
    sctp._remote_port, sctp._data_channels = 5000, {1: Taker()}
    return sctp


def new_association(sctp, **callbacks):
    nothing = {"on_progress": lambda: None, "on_round_trip": lambda _: None, "on_unreadable": lambda _: None}
    return Association(sctp, **(nothing | callbacks))
