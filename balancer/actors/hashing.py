"""Computes digests for the session, one block after the other, off its time."""

from __future__ import annotations

from typing import Any

from shoal.runtime import Actor, ActorRef
from shoal.transports.interface import Hasher

from .messages import HashBlock, Hashed

__all__ = ["Hashing"]


class Hashing(Actor[HashBlock]):
    def __init__(self, session: ActorRef[Any], hasher: Hasher) -> None:
        self._session = session
        self._hasher = hasher

    async def receive(self, message: HashBlock) -> None:
        digest = await self._hasher.sha256(message.job.data)
        await self._session.send(Hashed(message.key, message.assembly, message.job, digest))
