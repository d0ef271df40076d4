"""What the page's channel does with what is sent, over a data channel of the test's.  Raises what does not hold."""

import asyncio

from js import Object
from pyodide.code import run_js
from pyodide.ffi import to_js

from shoal.transports.browser.datachannel import DataChannel
from shoal.transports.browser.page import proxies_alive
from shoal.transports.errors import ChannelClosed, MessageTooLarge
from shoal.transports.sansio.limits import ChannelLimits

# What a browser has, as far as it is asked; `drain` is the network.
RAW = run_js("""(class extends EventTarget {
  label = "talk";
  readyState = "open";
  bufferedAmount = 0;
  sent = [];
  broken = false;
  send(message) {
    if (this.readyState !== "open" || this.broken) throw new DOMException("not open", "InvalidStateError");
    this.bufferedAmount += message.byteLength;
    this.sent.push(message.slice()); // as a browser, which copies what it is given
  }
  drain(bytes, isTold) {
    const before = this.bufferedAmount;
    this.bufferedAmount = Math.max(0, before - bytes);
    const low = this.bufferedAmountLowThreshold;
    if (isTold && before > low && this.bufferedAmount <= low) this.dispatchEvent(new Event("bufferedamountlow"));
  }
  close() {
    this.readyState = "closed";
    this.dispatchEvent(new Event("close"));
  }
})""")
BULK = 60_000
LIMITS = ChannelLimits()


def made():
    raw, closing = RAW.new(), []

    def start_closing(detail, *, ours=False):
        closing.append(asyncio.ensure_future(channel.finish(detail, ours=ours)))
        return closing[0]

    channel = DataChannel(raw, LIMITS, start_closing)
    return raw, channel


def sent(raw):
    """The first byte of each message that the browser was given."""
    return [bytes(message.to_bytes())[:1] for message in raw.sent]


def numbered(count):
    return [bytes([number]) + bytes(BULK - 1) for number in range(count)]


async def settle():
    for _ in range(10):
        await asyncio.sleep(0)


async def until(condition):
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.01)


async def error_of(sending):
    try:
        await sending
    except (ChannelClosed, MessageTooLarge) as error:
        return error
    return None


async def send_all(channel, messages):
    for message in messages:
        await channel.send(message)


async def bulk_waits_and_what_is_urgent_does_not():
    raw, channel = made()
    messages = numbered(20)
    sending = asyncio.ensure_future(send_all(channel, messages))
    await settle()
    given = len(raw.sent)
    assert given == 3, f"{given} messages fill 128 KiB"
    assert channel.buffered_bytes == 6 * BULK, "as many again wait with us, and the sender with the next"
    await channel.send(b"!", urgent=True)
    assert sent(raw)[given:] == [b"!"]
    raw.drain(2 * BULK, True)
    assert len(raw.sent) > given + 1, "what waits is handed over within the event"
    while not sending.done():
        raw.drain(BULK, True)
        await settle()
    while raw.bufferedAmount:
        raw.drain(BULK, True)
    assert [first for first in sent(raw) if first != b"!"] == [message[:1] for message in messages]
    await channel.close()


async def an_event_that_did_not_come_is_not_waited_for():
    raw, channel = made()
    await send_all(channel, numbered(4))
    assert len(raw.sent) == 3
    raw.drain(10 * BULK, False)
    await until(lambda: len(raw.sent) == 4)
    await channel.close()


async def a_slow_peer_costs_no_more_than_said():
    _, channel = made()
    sending = [asyncio.ensure_future(channel.send(bytes(1000), urgent=True)) for _ in range(2000)]
    sending.append(asyncio.ensure_future(send_all(channel, numbered(20))))
    await settle()
    limit = 1024 * 1024 + 2 * LIMITS.buffered_bytes_high + 3 * BULK
    assert channel.buffered_bytes <= limit, f"{channel.buffered_bytes} bytes for a peer that takes nothing"
    ended = asyncio.gather(*sending, return_exceptions=True)
    await channel.close()
    assert {type(one) for one in await ended} == {type(None), ChannelClosed}


async def what_was_sent_is_its_senders_again():
    raw, channel = made()
    buffer = bytearray(BULK)
    for number in range(5):
        buffer[:] = bytes([number]) * BULK
        await channel.send(buffer)
        await channel.send(memoryview(bytes([number] * 7)), urgent=True)
    buffer[:] = bytes(BULK)
    await channel.close()
    whole = [bytes(message.to_bytes()) for message in raw.sent]
    assert [message for message in whole if len(message) > 7] == [bytes([number]) * BULK for number in range(5)]
    assert [message for message in whole if len(message) == 7] == [bytes([number] * 7) for number in range(5)]


async def what_one_event_takes_is_there_when_it_comes():
    raw, channel = made()
    sending = asyncio.ensure_future(send_all(channel, numbered(200)))
    await settle()
    for _ in range(3):  # it ran dry at once, so its marks grow
        raw.drain(100 * BULK, True)
        await settle()
    given = len(raw.sent)
    raw.drain(raw.bufferedAmount - raw.bufferedAmountLowThreshold, True)
    assert len(raw.sent) - given >= 512 * 1024 // BULK, "half of a megabyte, within the event"
    sending.cancel()
    await channel.close()


async def a_peer_that_takes_less_is_not_sent_more():
    raw, channel = made()
    channel.opened(to_js({"sctp": {"maxMessageSize": 1000}}, dict_converter=Object.fromEntries))
    error = await error_of(channel.send(bytes(1001)))
    assert isinstance(error, MessageTooLarge)
    assert "1000" in str(error)
    await channel.send(bytes(1000))
    assert len(raw.sent) == 1
    await channel.close()


async def closing_hands_over_what_was_sent():
    raw, channel = made()
    messages = numbered(6)
    await send_all(channel, messages)
    assert len(raw.sent) < 6
    await channel.close()
    assert sent(raw) == [message[:1] for message in messages]
    assert raw.readyState == "closed"


async def a_message_that_the_browser_refuses_ends_the_channel():
    raw, channel = made()
    raw.broken = True
    for _ in range(2):
        error = await error_of(channel.send(b"x"))
        assert isinstance(error, ChannelClosed), error
        assert "peer" in str(error)
    await channel.close()


async def main():
    for promise in (
        bulk_waits_and_what_is_urgent_does_not,
        an_event_that_did_not_come_is_not_waited_for,
        a_slow_peer_costs_no_more_than_said,
        what_was_sent_is_its_senders_again,
        what_one_event_takes_is_there_when_it_comes,
        a_peer_that_takes_less_is_not_sent_more,
        closing_hands_over_what_was_sent,
        a_message_that_the_browser_refuses_ends_the_channel,
    ):
        await promise()
        assert proxies_alive() == 0, promise.__name__
    print("channel holds")


await main()  # noqa: F704, PLE1142, Pyodide runs this file as one coroutine
