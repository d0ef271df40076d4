"""A content steering server: steering_core.py behind a port, with a configuration that may change while it runs.

Any page may read what it says, since players are pages of all kinds of origins;
nothing of it is secret.  The file is looked at again at most once a second, and
only when somebody asks; one that cannot be used is told, and what was before stays.
"""

from __future__ import annotations

import time
import tomllib
from collections.abc import Callable
from pathlib import Path

from shoal.balancer.errors import ConfigurationError
from shoal.transports.interface import Server, ServerRequest, ServerResponse
from shoal.transports.registry import resolve_server

from .steering_core import Steering, SteeringConfig

__all__ = ["PATH", "SteeringServer", "read_config"]

PATH = "/steering.json"
_LOOK_AGAIN_US = 1_000_000
_CORS = {"access-control-allow-origin": "*", "access-control-allow-headers": "*"}


class SteeringServer:
    def __init__(self, path: Path, *, host_names: frozenset[str] = frozenset({"localhost"})) -> None:
        """ConfigurationError for a file that cannot be used.  `host_names` are accepted in Host beside IP addresses."""
        self.steering = Steering(read_config(path))
        self._path = path
        self._host_names = host_names
        self._modified_ns = _modified_ns(path)
        self._looked_us = 0
        self._server: Server | None = None
        self.on_reloaded: Callable[[ConfigurationError | None], None] = lambda _: None

    async def start(self, host: str, port: int) -> int:
        """Listen; returns the port.  ConnectFailed if it is taken."""
        server = resolve_server()(host_names=self._host_names)
        bound = await server.start(self.handle, host=host, port=port)
        self._server = server
        return bound

    async def aclose(self) -> None:
        if self._server is not None:
            await self._server.aclose()
            self._server = None

    async def handle(self, request: ServerRequest) -> ServerResponse:
        if request.method == "OPTIONS":
            return ServerResponse(204, {"allow": "GET, OPTIONS", **_CORS})
        if request.path != PATH:
            return ServerResponse(404, dict(_CORS), b"there is only steering.json here\n")
        if request.method not in {"GET", "HEAD"}:
            return ServerResponse(405, dict(_CORS), b"use GET\n")
        now_us = time.monotonic_ns() // 1000
        self._look_again(now_us)
        answer = self.steering.answer(request.query, now_us)
        return ServerResponse(answer.status, answer.headers | _CORS, answer.body)

    def _look_again(self, now_us: int) -> None:
        if now_us - self._looked_us < _LOOK_AGAIN_US:
            return
        self._looked_us = now_us
        modified_ns = _modified_ns(self._path)
        if modified_ns == self._modified_ns:
            return
        self._modified_ns = modified_ns
        try:
            self.steering.config = read_config(self._path)
        except ConfigurationError as error:
            self.on_reloaded(error)
        else:
            self.on_reloaded(None)


def read_config(path: Path) -> SteeringConfig:
    """ConfigurationError says what is wrong with the file."""
    try:
        return SteeringConfig.of(tomllib.loads(path.read_text("utf-8")))
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, ConfigurationError) as error:
        raise ConfigurationError(f"{path}: {error}") from error


def _modified_ns(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return -1
