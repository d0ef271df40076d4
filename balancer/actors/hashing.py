"""Computes digests for the session, one block or held body after the other, off its time."""

from __future__ import annotations

from typing import Any

from shoal.runtime import Actor, ActorRef
from shoal.transports.interface import Hasher

from .messages import HashBlock, Hashed, HashHeld, HeldHashed

__all__ = ["Hashing"]


class Hashing(Actor[HashBlock | HashHeld]):
    def __init__(self, session: ActorRef[Any], hasher: Hasher) -> None:
        self._session = session
        self._hasher = hasher

    async def receive(self, message: HashBlock | HashHeld) -> None:
        match message:
            case HashBlock(key, assembly, job):
                digest = await self._hasher.sha256(job.data)
                await self._session.send(Hashed(key, assembly, job, digest))
            case HashHeld(check, data):
                await self._session.send(HeldHashed(check, await self._hasher.sha256(data)))
