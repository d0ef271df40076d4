"""A proxy that keeps what it gives out, so that a test can hold it against what it should be."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import Any

from shoal.app.proxy import Proxy
from shoal.app.session import SessionOptions, open_session
from shoal.transports.interface import ServerRequest, ServerResponse
from shoal.transports.sansio.ranges import exact_range

__all__ = ["Tapped", "assert_right", "proxied"]


KEPT = ("/media/", "/init/", "/dash/", "/part/")


class Tapped(Proxy):
    """`given`: path -> bytes, of those paths that begin with one of `kept`."""

    def __init__(self, *arguments: Any, kept: tuple[str, ...] = KEPT, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self._kept = kept
        self.given: dict[str, bytes] = {}  # of a file of which ranges were asked for: "PATH FIRST"
        self.refused: list[tuple[str, int]] = []
        self.updates = 0  # playlists that left something out
        self.begun: set[str] = set()  # paths of which the first bytes were given

    async def handle(self, request: ServerRequest) -> ServerResponse:
        response = await super().handle(request)
        if response.status >= 400:
            self.refused.append((request.path, response.status))
        if isinstance(response.body, bytes):
            self.updates += b"\n#EXT-X-SKIP:" in response.body
        elif request.path.startswith(self._kept):
            part = exact_range(request.headers.get("range"))
            response.body = self._keep(request.path + (f" {part.first}" if part else ""), response.body)
        return response

    async def _keep(self, path: str, body: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        whole = b""
        try:
            async for piece in body:
                self.begun.add(path)
                whole += piece
                yield piece
            self.given[path] = whole
        finally:
            await body.aclose()  # type: ignore[attr-defined]


async def proxied(stack: AsyncExitStack, url: str, **options: Any) -> Tapped:
    """A session with this stream behind a tapped proxy; both end with `stack`."""
    session = await stack.enter_async_context(open_session(SessionOptions(url=url, allow_private=True, **options)))
    return await stack.enter_async_context(Tapped(session))


def assert_right(proxy: Tapped, expected: Callable[[str], bytes | None], name: str) -> None:
    """Every body that was given whole is the file that its path stands for, or the range of it."""
    assert proxy.refused == [], name
    assert proxy.given, name
    for path, data in proxy.given.items():
        right = expected(path)
        assert right is not None, (name, path)
        if " " in path:  # a range: it says where it began, and ends where it ends
            right = right[: len(data)]
        assert data, (name, path)
        assert data == right, (name, path)
