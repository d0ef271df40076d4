"""The nodes of one tracker, through Redis or Valkey (`pip install 'shoal[redis]'`): the connection of tracker_nodes.py.

    nodes = RedisNodes("redis://127.0.0.1:6379")
    tracker = Tracker(nodes=nodes)
    await tracker.start(...)            ConnectFailed if Redis is not there then

Two connections: one listens, one tells.  Redis may go away later: the tracker then goes on with the peers of its own
sockets, forgets the others at once, counts what it could not pass on and keeps none of it, and tries again, with a
pause that doubles up to RETRY_S_MAX.  Everything is told anew when it is back, so Redis need keep nothing on disk.  Any
other failure is logged, counted as `nodes_failed`, and tried again in the same way.

A text for another node's peer leaves at once; a swarm that changed is told with all else that changes within TOLD_S.
One Redis, or a primary with a standby behind one address; not a cluster, which has no use here.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import random
import secrets
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from shoal.balancer.errors import ConfigurationError
from shoal.transports.errors import ConnectFailed, TransportMissing

from .tracker_core import TrackerCore
from .tracker_messages import Far
from .tracker_nodes import (
    Action,
    Delete,
    Nodes,
    NodesLimits,
    NodesStatistics,
    Publish,
    Put,
    Subscribe,
    Unsubscribe,
)

if TYPE_CHECKING:
    from redis.asyncio import Redis

__all__ = ["RedisNodes"]

TOLD_S = 0.05  # a swarm that thousands join at once is told twenty times a second, and not a thousand times
REPLY_S = 3.0  # without a reply for so long, Redis is away
RETRY_S_MIN, RETRY_S_MAX = 0.2, 5.0
WAITING_MAX = 4096  # texts that wait for Redis, some 8 MiB of descriptions: a second of what 10,000 sockets say
COMMANDS_AT_ONCE = 500  # in one pipeline, so that neither side's buffer holds a tracker's all
NODES_KEPT_S = 3600.0  # in the set of nodes; by clocks that may be wrong by as much
NODES_READ_MAX = 256

_Post = Callable[[int, str], None]

log = logging.getLogger("shoal.tracker")


class RedisNodes:
    """One node's way to the others.  `nodes` decides; this carries."""

    def __init__(self, url: str, *, prefix: str = "shoal", limits: NodesLimits | None = None) -> None:
        """`url` as redis-py takes it: redis://, rediss:// or unix://.  `prefix` tells trackers on one Redis apart.

        TransportMissing without redis-py, ConfigurationError for a URL that is none.
        """
        try:
            import redis
            from redis.asyncio.connection import parse_url
        except ImportError as error:
            raise TransportMissing("nodes need redis-py, which is not installed: pip install 'shoal[redis]'") from error
        try:
            parse_url(url)
        except ValueError as error:
            raise ConfigurationError(f"the address of Redis makes no sense: {error}") from error
        self.nodes = Nodes(secrets.token_hex(8), prefix=prefix, limits=limits)
        self.woken = asyncio.Event()
        self._url = url
        self._random = random.Random()
        self._troubles = (redis.RedisError, OSError, TimeoutError)
        self._core: TrackerCore | None = None
        self._post: _Post | None = None
        self._relays: list[Publish] = []
        self._running: asyncio.Task[None] | None = None

    async def start(self, core: TrackerCore, post: _Post) -> None:
        """Join the others; `post` hands a text to a socket.  ConnectFailed if Redis does not answer now."""
        client = self._client()
        try:
            await client.ping()
        except self._troubles as error:
            message = f"redis at {self._place()} does not answer: {error}; start it, or leave --redis out"
            raise ConnectFailed(message) from error
        finally:
            await client.aclose()
        self._core, self._post = core, post
        self._running = asyncio.create_task(self._run())

    async def aclose(self) -> None:
        """Leave every swarm at the others, as far as they can be reached.  Does nothing the second time."""
        running, self._running = self._running, None
        if running is not None:
            running.cancel()
            # Whatever became of it, whoever closes has more to close.
            (ended,) = await asyncio.gather(running, return_exceptions=True)
            if isinstance(ended, Exception):
                log.error("the way to the other nodes had ended", exc_info=ended)

    def statistics(self) -> NodesStatistics:
        return self.nodes.statistics()

    def pass_on(self, far: Far, text: str) -> None:
        """Have a text delivered by another node; dropped, and counted, if Redis is away or slow."""
        action = self.nodes.pass_on(far, text)
        if action is None:
            return
        if len(self._relays) >= WAITING_MAX:
            self.nodes.dropped("nodes_too_slow")
            return
        self._relays.append(action)
        self.woken.set()

    async def _run(self) -> None:
        """Connect, again and again, until cancelled."""
        pause_s = RETRY_S_MIN
        while True:
            link = _Link(self._client(), self)
            try:
                await link.open()
                self._end_if_closed()
                pause_s = RETRY_S_MIN
                await link.run()
            except* self._troubles:
                self.nodes.dropped("redis_lost")
            except* Exception:
                # redis-py raises a RuntimeError too, where a connection went away at the wrong moment.  What is a
                # mistake of ours will be one the next time: not several of them a second, then.
                log.exception("the way to the other nodes failed, and is tried again")
                self.nodes.dropped("nodes_failed")
                pause_s = RETRY_S_MAX
            finally:
                await link.close(is_leaving=self._running is None)
                self.nodes.forget()
                self.nodes.dropped("nodes_away", len(self._relays))
                self._relays.clear()
            self._end_if_closed()
            self.core.take_changed()  # nobody is told, and it must not grow; all is told anew
            await asyncio.sleep(pause_s * self._random.uniform(0.5, 1.0))  # not all nodes in one moment
            pause_s = min(2 * pause_s, RETRY_S_MAX)

    def _end_if_closed(self) -> None:
        """See `_end_if_cancelled`, which is not for who has a TaskGroup: in 3.11 that leaves a cancellation behind."""
        if self._running is None:
            raise asyncio.CancelledError

    def _client(self) -> Redis:
        from redis.asyncio import Redis
        from redis.asyncio.retry import Retry
        from redis.backoff import NoBackoff

        return Redis.from_url(
            self._url,
            socket_timeout=REPLY_S,
            socket_connect_timeout=REPLY_S,
            retry=Retry(NoBackoff(), 0),  # ours is the other one, since all is told anew then
        )

    def _place(self) -> str:
        """Where Redis is, without the name and the password in its URL."""
        parts = urlsplit(self._url)
        return parts.path if parts.scheme == "unix" else f"{parts.hostname or 'localhost'}:{parts.port or 6379}"

    # --- for its link ------------------------------------------------------

    @property
    def core(self) -> TrackerCore:
        assert self._core is not None, "start() comes first"
        return self._core

    def take_relays(self) -> list[Action]:
        taken, self._relays = self._relays, []
        return list(taken)

    def take_changed(self) -> list[Action]:
        return self._updates(self.core.take_changed())

    def take_all(self) -> list[Action]:
        """Every swarm, changed or not, and those that are no more; and what others did not tell again is forgotten."""
        self.nodes.expire(_now_us())
        return self._updates(self.core.take_changed().union(self.core.swarms(), self.nodes.told()))

    def _updates(self, info_hashes: set[str]) -> list[Action]:
        shown_max = self.nodes.limits.peers_shown_max
        updates = (self.nodes.update(info_hash, self.core.shown(info_hash, shown_max)) for info_hash in info_hashes)
        return [action for update in updates for action in update]

    def take_heard(self, payload: bytes, remaining_us: int | None = None) -> None:
        relay = self.nodes.heard(payload, _now_us(), remaining_us)
        if relay is None or self._post is None:
            return
        socket = self.core.addressee(relay.info_hash, relay.peer_id)
        if socket is not None:
            self._post(socket, relay.text)


class _Link:
    """Two connections to Redis, from their opening to the first trouble with either."""

    def __init__(self, client: Redis, owner: RedisNodes) -> None:
        self._client: Any = client  # its types do not tell what a pipeline and bytes come to
        self._owner = owner
        self._nodes = owner.nodes
        self._listening: Any = client.pubsub()
        self._subscribing: dict[bytes, str] = {}  # channel -> info hash, until Redis has confirmed it
        self._to_read: list[str] = []  # info hashes

    async def open(self) -> None:
        await self._listening.subscribe(self._nodes.channel)
        self._nodes.is_connected = True

    async def run(self) -> None:
        async with asyncio.TaskGroup() as both:
            both.create_task(self._listen())
            both.create_task(self._tell())

    async def close(self, *, is_leaving: bool) -> None:
        """`is_leaving`: for good, so that others need not wait for our time to be up."""
        with contextlib.suppress(Exception):  # whatever is wrong with it, it is of no use any more
            async with asyncio.timeout(REPLY_S):
                if is_leaving:
                    actions = self._nodes.leave()
                    await self._perform([action for action in actions if not isinstance(action, Unsubscribe)])
                    await self._client.zrem(self._nodes.nodes_key, self._nodes.name)
                await self._listening.aclose()
                await self._client.aclose()

    async def _listen(self) -> None:
        ttl_s = self._nodes.limits.ttl_s
        while True:
            _end_if_cancelled()
            message = await self._listening.get_message(timeout=ttl_s)
            if message is None:
                raise TimeoutError(f"nothing came from Redis for {ttl_s} s, not even an answer")
            if message["type"] == "message":
                self._owner.take_heard(message["data"])
            elif message["type"] == "subscribe" and message["channel"] in self._subscribing:
                self._to_read.append(self._subscribing.pop(message["channel"]))
                self._owner.woken.set()

    async def _tell(self) -> None:
        owner, refresh_s = self._owner, self._nodes.limits.refresh_s
        told_s = refreshed_s = -math.inf
        while True:
            now_s = time.monotonic()
            actions = owner.take_relays()
            if now_s >= refreshed_s + refresh_s:
                told_s = refreshed_s = now_s
                await self._enroll()
                actions += owner.take_all()
            elif now_s >= told_s + TOLD_S and owner.core.has_changed:
                told_s = now_s
                actions += owner.take_changed()
            await self._perform(actions)
            await self._read()
            _end_if_cancelled()
            next_s = min(refreshed_s + refresh_s, told_s + TOLD_S if owner.core.has_changed else math.inf)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(next_s - time.monotonic()):
                    await owner.woken.wait()
            owner.woken.clear()

    async def _enroll(self) -> None:
        """Say that this node is alive; and have the listening connection say something."""
        now_s = time.time()
        async with self._client.pipeline(transaction=False) as pipeline:
            pipeline.zadd(self._nodes.nodes_key, {self._nodes.name: now_s})
            pipeline.zremrangebyscore(self._nodes.nodes_key, "-inf", now_s - NODES_KEPT_S)
            await pipeline.execute()
        await self._listening.ping()

    async def _perform(self, actions: list[Action]) -> None:
        for start in range(0, len(actions), COMMANDS_AT_ONCE):
            async with self._client.pipeline(transaction=False) as pipeline:
                for action in actions[start : start + COMMANDS_AT_ONCE]:
                    match action:
                        case Subscribe(channel=channel, info_hash=info_hash):
                            self._subscribing[channel.encode()] = info_hash
                            await self._listening.subscribe(channel)
                        case Unsubscribe(channel=channel):
                            self._subscribing.pop(channel.encode(), None)
                            await self._listening.unsubscribe(channel)
                        case Put(key=key, payload=payload, ttl_s=ttl_s):
                            pipeline.set(key, payload, ex=ttl_s)
                        case Delete(key=key):
                            pipeline.delete(key)
                        case Publish(channel=channel, payload=payload):
                            pipeline.publish(channel, payload)
                await pipeline.execute()

    async def _read(self) -> None:
        """What the others told before we listened."""
        if not self._to_read:
            return
        info_hashes, self._to_read = self._to_read, []
        names = await self._client.zrange(self._nodes.nodes_key, -NODES_READ_MAX, -1)
        others = [name.decode("utf-8", "replace") for name in names if name != self._nodes.name.encode()]
        for info_hash in info_hashes if others else ():
            async with self._client.pipeline(transaction=False) as pipeline:
                for node in others:
                    key = self._nodes.key(info_hash, node)
                    pipeline.get(key).pttl(key)
                replies = await pipeline.execute()
            for payload, left_ms in zip(replies[::2], replies[1::2], strict=True):
                if payload is not None and left_ms > 0:
                    self._owner.take_heard(payload, left_ms * 1000)


def _end_if_cancelled() -> None:
    """redis-py waits for its socket with asyncio.wait_for, which in Python 3.11 swallows what cancels it at its end."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


def _now_us() -> int:
    return time.monotonic_ns() // 1000
