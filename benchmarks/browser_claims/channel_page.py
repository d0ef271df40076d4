"""In the page: `bulk(messages, message_bytes)` does with two of our connections what `bridge_page.js` does alone."""

import asyncio
import json
import time

from shoal.transports.browser.webrtc import BrowserConnector


async def pair(one, other):
    offer = await one.offer("bulk")
    answer = await other.answer(offer.description)
    return await asyncio.gather(offer.accept(answer.description), answer.channel())


async def taken(channel, messages, message_bytes):
    """How many came in order and whole, and the milliseconds that each small message took."""
    right = number = 0
    small_ms = []
    while number < messages:
        message = await channel.receive()
        if len(message) == 8:
            small_ms.append((time.perf_counter_ns() - int.from_bytes(message)) / 1e6)
            continue
        right += len(message) == message_bytes and int.from_bytes(message[:4]) == number
        number += 1
    return right, small_ms


async def small(channel, every_ms):
    while True:
        await asyncio.sleep(every_ms / 1000)
        await channel.send(time.perf_counter_ns().to_bytes(8), urgent=True)


async def bulk(messages, message_bytes, small_every_ms):
    connectors = BrowserConnector(), BrowserConnector()
    try:
        sender, receiver = await pair(*connectors)
        body = bytes([7]) * (message_bytes - 4)
        began_ns = time.perf_counter_ns()
        taking = asyncio.ensure_future(taken(receiver, messages, message_bytes))
        asking = asyncio.ensure_future(small(sender, small_every_ms))
        for number in range(messages):
            await sender.send(number.to_bytes(4) + body)
        asking.cancel()
        right, small_ms = await taking
        seconds = (time.perf_counter_ns() - began_ns) / 1e9
        return json.dumps({"seconds": seconds, "right": right, "small_ms": small_ms})
    finally:
        await asyncio.gather(*(connector.aclose() for connector in connectors))
