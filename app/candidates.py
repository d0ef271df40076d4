"""Which of our addresses other viewers learn, where nobody has said it: a rule on the trackers' URLs.

A description goes to whoever a tracker picks.  On the trackers of a local network those are neighbours, who meet by
private addresses and have no others of each other; on a public one they are strangers, whom our network is nothing to.

    candidates_for(setting, trackers)   what a connector is told
    Hidden                              a connector that says, once, when nobody can meet us because of that
"""

from __future__ import annotations

import contextlib
import ipaddress
import logging
from collections.abc import Iterable, Iterator
from typing import Literal
from urllib.parse import urlsplit

from shoal.transports.errors import NoAddress
from shoal.transports.interface import Connector, IncomingChannel, OutgoingOffer
from shoal.transports.sansio.descriptions import CandidatePolicy

__all__ = ["CandidateSetting", "Hidden", "candidates_for", "is_local"]

log = logging.getLogger("shoal.peers")

CandidateSetting = Literal["auto", "all", "public", "relay"]

# Loopback, link-local and private use (RFC 1122, 3927, 1918; RFC 4291, 4193).  Not 100.64.0.0/10: a provider's
# customers share it, and are strangers.
_LOCAL_V4 = ("127.0.0.0/8", "169.254.0.0/16", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")
_LOCAL_V6 = ("::1/128", "fe80::/10", "fc00::/7")
_LOCAL = tuple(map(ipaddress.ip_network, (*_LOCAL_V4, *_LOCAL_V6)))


def candidates_for(setting: CandidateSetting, trackers: Iterable[str]) -> CandidatePolicy:
    """As it is set; "auto" is all where every tracker is local, else public ones: one stranger is enough to tell."""
    if setting != "auto":
        return setting
    known = tuple(trackers)
    return "all" if known and all(map(is_local, known)) else "public"


def is_local(url: str) -> bool:
    """Whether a tracker's URL has a local address, as a literal or as `localhost`.

    Any other name is public: what it resolves to may change, and is not known before it is asked.
    """
    try:
        host = urlsplit(url).hostname or ""
        if host == "localhost":
            return True
        ip = ipaddress.ip_address(host)
    except ValueError:  # a name, or no URL
        return False
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is not None:
        ip = ip.ipv4_mapped
    return any(ip in network for network in _LOCAL)


class Hidden:
    """A Connector that keeps private addresses to itself by the rule above, and has no server to name a public one.

    A machine that has none of its own meets nobody then, which whoever runs it is told once, in the log; each offer
    and answer fails with the same words.
    """

    def __init__(self, connector: Connector) -> None:
        self._connector = connector
        self._is_said = False

    async def offer(self, label: str) -> OutgoingOffer:
        """As Connector.offer.  NoAddress."""
        with self._explained():
            return await self._connector.offer(label)

    async def answer(self, offer: str) -> IncomingChannel:
        """As Connector.answer.  NoAddress."""
        with self._explained():
            return await self._connector.answer(offer)

    async def aclose(self) -> None:
        await self._connector.aclose()

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except NoAddress as error:
            words = (
                "this machine has no public address, and private ones are not told to viewers"
                " that a public tracker picks; give --stun or --turn, or tell them all with --candidates all"
            )
            if not self._is_said:
                self._is_said = True
                # An error: peers were asked for, and there will be none.  Where it was raised says nothing more.
                log.error("no peer can connect: %s", words)  # noqa: TRY400
            raise NoAddress(words) from error
