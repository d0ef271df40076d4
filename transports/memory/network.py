"""Hosts and the paths between them: what a packet meets on its way, as a few numbers and one random.

A path is one direction between two hosts.  Its bandwidth is shared by all
connections on it, first come, first served.  TCP and SCTP hide loss: what a
program sees of it is a stall, or in the end a broken connection, and those two
are what Conditions have.
"""

from __future__ import annotations

import asyncio
import random
import weakref
from collections.abc import Iterable
from typing import Any

import msgspec

__all__ = ["Conditions", "Host", "Network", "Path"]

_SECOND_US = 1_000_000


class Conditions(msgspec.Struct, frozen=True, kw_only=True):
    """One direction of a link.  Chances are per message or per 64 KiB piece of a body, from 0 to 1."""

    latency_us: int = 1_000
    jitter_us: int = 0  # added, evenly distributed; order is kept
    bytes_per_s: int | None = None
    stall_chance: float = 0.0
    stall_us: int = 200_000  # a retransmission time-out
    break_chance: float = 0.0  # the connection ends there
    refuse_chance: float = 0.0  # per attempt to connect


class Path:
    """From one host to another: conditions now, and whether anything passes."""

    def __init__(self, conditions: Conditions, rng: random.Random) -> None:
        self.conditions = conditions
        # Pipes on this path, to break and to wake them; in the order in which they were made, so that runs repeat.
        self._pipes: weakref.WeakValueDictionary[int, Any] = weakref.WeakValueDictionary()
        self._pipes_made = 0
        self._rng = rng
        self._free_at = 0.0  # when the link has sent what was given to it
        self._passing = asyncio.Event()
        self._passing.set()
        self._blocks: set[str] = set()

    @property
    def is_blocked(self) -> bool:
        return bool(self._blocks)

    async def passing(self) -> None:
        """Wait until nothing blocks the path."""
        await self._passing.wait()

    def block(self, reason: str) -> None:
        self._blocks.add(reason)
        self._passing.clear()

    def unblock(self, reason: str) -> None:
        self._blocks.discard(reason)
        if not self._blocks:
            self._passing.set()
            for pipe in self.pipes():
                pipe.wake()

    def add(self, pipe: Any) -> None:
        self._pipes_made += 1
        self._pipes[self._pipes_made] = pipe

    def pipes(self) -> list[Any]:
        """Those still in use that are not finished, oldest first."""
        return [pipe for pipe in self._pipes.values() if not pipe.is_finished]

    def latency_s(self) -> float:
        """One way, drawn anew."""
        jitter = self._rng.uniform(0, self.conditions.jitter_us) if self.conditions.jitter_us else 0
        return (self.conditions.latency_us + jitter) / _SECOND_US

    def schedule(self, size: int, now: float) -> tuple[float, float]:
        """When `size` bytes given to the link now have left, and when they arrive (loop time)."""
        conditions = self.conditions
        start = max(now, self._free_at)
        left = start + (size / conditions.bytes_per_s if conditions.bytes_per_s else 0.0)
        self._free_at = left
        stall = conditions.stall_us / _SECOND_US if self._happens(conditions.stall_chance) else 0.0
        return left, left + stall + self.latency_s()

    def breaks(self) -> bool:
        return self._happens(self.conditions.break_chance)

    def refuses(self) -> bool:
        return self._happens(self.conditions.refuse_chance)

    def _happens(self, chance: float) -> bool:
        # No draw for what cannot happen: turning one fault on leaves the others' sequence as it was.
        return chance > 0 and self._rng.random() < chance


class Network:
    """Everything that the hosts of one simulation share.

    The same seed, conditions and order of calls give the same network.
    """

    def __init__(self, *, seed: int = 0, conditions: Conditions | None = None) -> None:
        """`conditions` hold between two hosts until `set_conditions` says otherwise; a host reaches itself freely."""
        self.hosts: dict[str, Host] = {}
        self.listeners: dict[tuple[str, int], Any] = {}  # (host name, port) to a server or a text listener
        self.pending: dict[str, Any] = {}  # descriptions of the connectors, until used or closed
        self._default = conditions or Conditions()
        self._seed = seed
        self._paths: dict[tuple[str, str], Path] = {}
        self._groups: dict[str, int] = {}
        self._next_id = 0

    def host(self, name: str, *, address: str | None = None) -> Host:
        """The host of that name, made when new.  Its address is shown to others, and judged by address policies."""
        key = name.lower()
        if key not in self.hosts:
            number = len(self.hosts) + 1
            self.hosts[key] = Host(self, key, address or f"11.0.{number // 250}.{number % 250 + 1}")
        return self.hosts[key]

    def path(self, source: str, target: str) -> Path:
        key = source, target = source.lower(), target.lower()
        if key not in self._paths:
            conditions = Conditions(latency_us=0) if source == target else self._default
            # One random per path: traffic elsewhere does not change what happens here.
            self._paths[key] = Path(conditions, random.Random(f"{self._seed} {source} {target}"))
            if self._is_split(source, target):
                self._paths[key].block("partition")
        return self._paths[key]

    def set_conditions(self, source: str, target: str, conditions: Conditions, *, both_ways: bool = True) -> None:
        """From now on; what is on its way keeps its times."""
        self.path(source, target).conditions = conditions
        if both_ways:
            self.path(target, source).conditions = conditions

    def partition(self, *groups: Iterable[str]) -> None:
        """Nothing passes between hosts of different groups; hosts in no group reach everybody.  Nobody is told."""
        self.heal()
        self._groups = {name.lower(): number for number, group in enumerate(groups) for name in group}
        for (source, target), path in self._paths.items():
            if self._is_split(source, target):
                path.block("partition")

    def heal(self) -> None:
        """End the partition; what was under way arrives now."""
        self._groups = {}
        for path in self._paths.values():
            path.unblock("partition")

    def clog(self, source: str, target: str) -> None:
        """Hold everything in this one direction."""
        self.path(source, target).block("clog")

    def unclog(self, source: str, target: str) -> None:
        self.path(source, target).unblock("clog")

    def break_connections(self, one: str, other: str) -> int:
        """Break every connection between two hosts, at once and noticed by both; how many directions were open."""
        one, other = one.lower(), other.lower()
        pipes = [*self.path(one, other).pipes(), *self.path(other, one).pipes()]
        for pipe in pipes:
            pipe.break_off("the connection was reset")
        return len(pipes)

    def new_id(self) -> int:
        self._next_id += 1
        return self._next_id

    def find(self, origin: Host, name: str, port: int) -> Any:
        """Who listens there as `origin` sees it: (owner, listener), or None."""
        owner = self._owner(origin, name)
        listener = self.listeners.get((owner, port))
        return None if listener is None else (self.hosts[owner], listener)

    def knows(self, origin: Host, name: str) -> bool:
        """Whether the name or address leads to a host, as `origin` sees it."""
        return self._owner(origin, name) in self.hosts

    def _owner(self, origin: Host, name: str) -> str:
        name = name.lower()
        owner = origin.name if name in {"localhost", "127.0.0.1", "::1"} else name
        if owner not in self.hosts:
            owner = next((host.name for host in self.hosts.values() if host.address == name), owner)
        return owner

    def _is_split(self, source: str, target: str) -> bool:
        one, other = self._groups.get(source), self._groups.get(target)
        return one is not None and other is not None and one != other


class Host:
    """One machine: what its transports are made from."""

    def __init__(self, network: Network, name: str, address: str) -> None:
        self.network = network
        self.name = name
        self.address = address

    def to(self, other: Host) -> Path:
        return self.network.path(self.name, other.name)

    def free_port(self) -> int:
        """From 49152 on, as an operating system gives them."""
        port = 49_152
        while (self.name, port) in self.network.listeners:
            port += 1
        return port
