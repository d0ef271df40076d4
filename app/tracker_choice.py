"""Which peers of a swarm the offers of an announce go to.

    where there are no more peers than offers     to all of them
    from who has not everything                   one to a peer that has, if there is one
    from who has everything                       to those that have not, while there are enough of them
    half of them                                  to its own network, as far as there are peers in it
    the rest                                      to any, drawn at random, so that no network becomes a swarm of its own

Bytes within a network are mostly faster and cheaper than those between two.  What a network is, is guessed from the
address: the same 24 bits of IPv4 or 48 of IPv6, which is what one provider's customers in one place share.
"""

from __future__ import annotations

import ipaddress
import random
from collections.abc import Sequence
from typing import Protocol, TypeVar

__all__ = ["Candidate", "chosen", "network_of"]

_IPV4_BITS, _IPV6_BITS = 24, 48


class Candidate(Protocol):
    """What is known of a peer."""

    @property
    def network(self) -> str: ...  # empty where it is not known
    @property
    def is_complete(self) -> bool: ...


C = TypeVar("C", bound=Candidate)


def network_of(address: str) -> str:
    """A name for the network of an address; empty for what is no address."""
    try:
        read = ipaddress.ip_address(address)
    except ValueError:
        return ""
    if isinstance(read, ipaddress.IPv6Address) and read.ipv4_mapped is not None:
        read = read.ipv4_mapped
    bits = _IPV6_BITS if isinstance(read, ipaddress.IPv6Address) else _IPV4_BITS
    return f"{int(read) >> (read.max_prefixlen - bits):x}/{bits}"


def chosen(own: Candidate, others: Sequence[C], count: int, source: random.Random) -> list[C]:
    """Up to `count` of the others, each once, in any order.  Cost: some walks over them; none if all are chosen."""
    if count >= len(others):
        return source.sample(others, len(others))
    drawn: list[C] = []
    taken: set[int] = set()

    def draw(some: Sequence[C], most: int) -> None:
        wanted = min(most, count - len(drawn))
        if wanted > 0:  # as many more as may have been drawn before, which costs less than to leave those out first
            found = source.sample(some, min(len(some), wanted + len(drawn)))
            new = [one for one in found if id(one) not in taken][:wanted]
            drawn.extend(new)
            taken.update(map(id, new))

    complete = [one for one in others if one.is_complete]
    useful = others
    if complete and own.is_complete:
        useful = [one for one in others if not one.is_complete]
    elif complete:
        draw(complete, 1)
    network = own.network
    near = [one for one in useful if one.network == network] if network else []
    if len(near) < len(useful):  # else it makes no difference
        draw(near, (count + 1) // 2)
    draw(useful, count)
    draw(others, count)
    return drawn
