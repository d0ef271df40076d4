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
    """How many came in order and whole."""
    right = 0
    for number in range(messages):
        message = await channel.receive()
        right += len(message) == message_bytes and int.from_bytes(message[:4]) == number
    return right


async def bulk(messages, message_bytes):
    connectors = BrowserConnector(), BrowserConnector()
    try:
        sender, receiver = await pair(*connectors)
        body = bytes([7]) * (message_bytes - 4)
        began_ns = time.perf_counter_ns()
        taking = asyncio.ensure_future(taken(receiver, messages, message_bytes))
        for number in range(messages):
            await sender.send(number.to_bytes(4) + body)
        right = await taking
        seconds = (time.perf_counter_ns() - began_ns) / 1e9
        return json.dumps({"seconds": seconds, "right": right})
    finally:
        await asyncio.gather(*(connector.aclose() for connector in connectors))
