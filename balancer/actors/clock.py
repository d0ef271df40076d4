"""Asks the clock that an MPD names how far ours is off."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from shoal.transports.errors import TimedOut, TransportError
from shoal.transports.interface import Fetcher, FetchRequest

from ..errors import BalancerError
from ..formats.dash.clock import CLOCK_BYTES_MAX, Clock, told_us

__all__ = ["ask_clock"]

_TIMEOUT_US = 2_000_000  # the player waits for its MPD meanwhile, once
_SAME_US = 1_000_000  # a date of HTTP is half a second off, and the way to it takes some; ours is right then


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


def _off(us: int) -> int:
    return us if abs(us) >= _SAME_US else 0
