"""Asks the clock that an MPD names how far ours is off, and where it is, others like it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from shoal.transports.errors import TimedOut, TransportError
from shoal.transports.interface import Fetcher, FetchRequest

from ..errors import BalancerError
from ..formats.dash.clock import CLOCK_BYTES_MAX, Clock, told_us

__all__ = ["SAME_US", "agreed", "ask_clock"]

_TIMEOUT_US = 2_000_000  # the player waits for its MPD meanwhile, once
SAME_US = 1_000_000  # a date of HTTP is half a second off, and the way to it takes some; ours is right then


async def ask_clock(clock: Clock, fetcher: Fetcher, utc_us: Callable[[], int]) -> int:
    """By how much its time is later than `utc_us`, 0 for less than a second.  TransportError or BalancerError."""
    if clock.said_us is not None:
        return _off(clock.said_us - utc_us())
    failure: Exception | None = None
    for url in clock.urls:
        try:
            async with asyncio.timeout(_TIMEOUT_US / 1e6):
                asked_us = utc_us()
                response = await fetcher.open(FetchRequest(url=url, body_bytes_max=CLOCK_BYTES_MAX))
                middle_us = (asked_us + utc_us()) // 2
                try:
                    body = b"" if clock.by_head else b"".join([piece async for piece in response])
                finally:
                    await response.aclose()
            return _off(told_us(clock, response.headers.get("date"), body) - middle_us)
        except TimeoutError:
            failure = failure or TimedOut(
                f"{url} told no time within {_TIMEOUT_US / 1e6:g} s", phase="first_byte", timeout_us=_TIMEOUT_US
            )
        except (TransportError, BalancerError) as error:
            failure = failure or error
    assert failure is not None, "a clock that says nothing itself has a URL"
    raise failure


def agreed(said_us: Sequence[int]) -> int:
    """Which of these offsets counts: the one that most agree with, our own clock (0) among them; else the first.

    A CDN whose clock is wrong does not so move the stream of who has another CDN and a clock that is right.
    """
    votes = [*said_us, 0]
    return _off(max(votes, key=lambda one: sum(abs(one - other) < 2 * SAME_US for other in votes)))


def _off(us: int) -> int:
    return us if abs(us) >= SAME_US else 0
