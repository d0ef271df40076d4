"""Where an AddressPolicy meets sockets: names resolve to permitted addresses only, and sockets open to no others.

Two gates, because aiohttp asks the resolver about names and not about literal
addresses.  The socket factory sees every address at the moment of connecting,
so that it has the last word; the resolver leaves out what would be refused, so
that a name with one good address among private ones still works.
"""

from __future__ import annotations

import socket
from typing import Any

from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver

from shoal.transports.errors import AddressRefused
from shoal.transports.interface import AddressPolicy
from shoal.transports.sansio.addresses import check_address

from .environment import EnvironmentProxies

__all__ = ["GuardedResolver", "guarded_socket_factory"]

_AddressInfo = tuple[Any, Any, int, str, tuple[Any, ...]]


class GuardedResolver(AbstractResolver):
    """Another resolver's answers, without the addresses that the policy refuses."""

    def __init__(
        self,
        policy: AddressPolicy,
        inner: AbstractResolver | None = None,
        proxies: EnvironmentProxies | None = None,
    ) -> None:
        """The default asks the operating system in a thread, as everything else on the machine does.

        The addresses of `proxies` are permitted, whatever the policy says.
        """
        self._policy = policy
        self._proxies = proxies
        self._inner = inner or ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """OSError as from the inner one; AddressRefused when every answer is refused."""
        try:
            answers = await self._inner.resolve(host, port, family)
        except UnicodeError as error:  # from the idna codec, for labels that are empty or too long
            raise OSError(None, f"{host[:80]!r} is no name that can be looked up") from error
        if self._proxies is not None and host in self._proxies.hosts:
            for answer in answers:
                self._proxies.found(host, answer["host"])
            return answers
        permitted: list[ResolveResult] = []
        refusal: AddressRefused | None = None
        for answer in answers:
            try:
                check_address(self._policy, answer["host"], host=host)
            except AddressRefused as error:
                refusal = error
            else:
                permitted.append(answer)
        if not permitted:
            raise refusal or OSError(None, f"{host} has no address")
        return permitted

    async def close(self) -> None:
        await self._inner.close()


def guarded_socket_factory(policy: AddressPolicy, proxies: EnvironmentProxies | None = None) -> Any:
    """For TCPConnector(socket_factory=...): makes a socket only for a permitted address, or a proxy's."""

    def make_socket(info: _AddressInfo) -> socket.socket:
        family, kind, protocol, _, address = info
        if proxies is None or (str(address[0]), address[1]) not in proxies.ends:
            check_address(policy, str(address[0]), host=str(address[0]))
        sock = socket.socket(family=family, type=kind, proto=protocol)
        sock.setblocking(False)
        return sock

    return make_socket
