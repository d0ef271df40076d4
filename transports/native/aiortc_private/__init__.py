"""The only place that touches what aiortc keeps to itself, each with what happens should it change.

    connection     of one RTCPeerConnection: how long servers are waited for, its UDP buffers, the names it asks for,
                   the certificate and the address at the other end, and what must end with it
    bounds         what a peer may have its SCTP hold, from the first packet on
    association    its SCTP: what it has under way, and a say in when it sends and acknowledges; made of
      datagrams        between SCTP's packets and UDP's datagrams
      arriving         packets with data: taking them in, and when they are acknowledged
      leaving          packets of ours, as acknowledgements let them go
      intake           what the packets of all connections may take of one step of the loop

aiortc's SCTP decides; what is here does the same in fewer steps for what comes all the time (a fragment in its order,
an acknowledgement of everything up to a packet), and leaves all else, loss above all, to aiortc.

`tests/transports/test_aiortc_private.py` and `test_aiortc_leaving.py` fail when something of it goes away or does
something else than aiortc; at run time nothing here raises, so that a new aiortc costs speed or a field in a report,
and not the connection.
"""

from __future__ import annotations

from .association import Association
from .bounds import bound_what_comes
from .connection import (
    RECEIVE_BUFFER_BYTES,
    end_consent_when_closed,
    enlarge_receive_buffers,
    limit_gathering,
    peer_fingerprint,
    renew_names,
    selected_remote_end,
)

__all__ = [
    "RECEIVE_BUFFER_BYTES",
    "Association",
    "bound_what_comes",
    "end_consent_when_closed",
    "enlarge_receive_buffers",
    "limit_gathering",
    "peer_fingerprint",
    "renew_names",
    "selected_remote_end",
]
