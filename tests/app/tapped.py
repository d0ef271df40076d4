"""A proxy that keeps what it gives out, so that a test can hold it against what it should be."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from shoal.app.proxy import Proxy
from shoal.transports.interface import ServerRequest, ServerResponse
from shoal.transports.sansio.ranges import exact_range

__all__ = ["Tapped"]


class Tapped(Proxy):
    """`given`: path -> bytes, of those paths that begin with one of `kept`."""

    def __init__(self, *arguments: Any, kept: tuple[str, ...] = ("/dash/",), **more: Any) -> None:
        super().__init__(*arguments, **more)
        self._kept = kept
        self.given: dict[str, bytes] = {}  # of a file of which ranges were asked for: "PATH FIRST"
        self.refused: list[tuple[str, int]] = []

    async def handle(self, request: ServerRequest) -> ServerResponse:
        response = await super().handle(request)
        if response.status >= 400:
            self.refused.append((request.path, response.status))
        if not isinstance(response.body, bytes) and request.path.startswith(self._kept):
            part = exact_range(request.headers.get("range"))
            response.body = self._keep(request.path + (f" {part.first}" if part else ""), response.body)
        return response

    async def _keep(self, path: str, body: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        whole = b""
        try:
            async for piece in body:
                whole += piece
                yield piece
            self.given[path] = whole
        finally:
            await body.aclose()  # type: ignore[attr-defined]
