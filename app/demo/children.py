"""The demo's child processes: started with a log each, heard line by line, and ended whatever happens.

    async with Children(log_folder) as children:
        origin = await children.start("good", "shoal.app.demo.origin", "--root", ...)
        port = (await origin.ready())["port"]

A child speaks JSON lines on stdout, the first of them `{"event": "ready", ...}`.
What it says and what it complains about goes to its log.  Leaving the block sends
SIGTERM to each child's process group, and SIGKILL to those still there 10 s later.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

__all__ = ["Child", "ChildFailed", "Children"]

_READY_TIMEOUT_S = 60.0  # importing libav and WebRTC takes a second, and ten times that on a busy machine
_END_TIMEOUT_S = 10.0  # a peer says goodbye to its trackers and peers, which takes a tenth of a second of computing
_LINE_BYTES_MAX = 1024 * 1024


class ChildFailed(RuntimeError):
    """A child process ended, or kept silent, before it was ready; the message names its log."""


class Child:
    """One running process.  `last` is the newest event it told."""

    def __init__(
        self,
        name: str,
        process: asyncio.subprocess.Process,
        log: IO[bytes],
        hear: Callable[[dict[str, Any]], None],
        end_timeout_s: float,
    ) -> None:
        self.name = name
        self.last: dict[str, Any] = {}
        self._process = process
        self._log = log
        self._hear = hear
        self._end_timeout_s = end_timeout_s
        self._ready: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._listener = asyncio.create_task(self._listen(), name=f"listen to {name}")

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        return self._process.returncode

    async def ready(self) -> dict[str, Any]:
        """Its ready event.  ChildFailed if it ends first or takes too long."""
        try:
            return await asyncio.wait_for(asyncio.shield(self._ready), _READY_TIMEOUT_S)
        except TimeoutError:
            raise ChildFailed(
                f"{self.name} was not ready after {_READY_TIMEOUT_S:.0f} s; see {self._log.name}"
            ) from None

    async def wait(self) -> int:
        """Wait until it has ended and everything it said was heard."""
        await self._listener
        return await self._process.wait()

    def signal(self, number: int) -> None:
        """Send a signal to the process and all that it started."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)

    async def end(self) -> dict[str, Any]:
        """End it and return its last words.  Does nothing to one that has ended."""
        if self._process.returncode is None:
            self.signal(signal.SIGTERM)
            try:
                await asyncio.wait_for(asyncio.shield(self._listener), self._end_timeout_s)
                await asyncio.wait_for(self._process.wait(), self._end_timeout_s)
            except TimeoutError:
                pass
        self.signal(signal.SIGKILL)  # and whatever else is in its group
        with contextlib.suppress(TimeoutError):
            # With the whole group gone its output ends; what is still in the pipe are its last words.
            await asyncio.wait_for(self._listener, self._end_timeout_s)
        await self._process.wait()
        self._log.close()
        return self.last

    async def _listen(self) -> None:
        assert self._process.stdout is not None
        try:
            async for line in self._process.stdout:
                self._log.write(line)
                self._log.flush()
                self._heard(line)
        except ValueError:
            self._log.write(b"a line was too long to be heard\n")
        code = await self._process.wait()
        if not self._ready.done():
            self._ready.set_exception(
                ChildFailed(f"{self.name} ended with {code} before it was ready; see {self._log.name}")
            )
            self._ready.exception()  # whoever waits gets it; nobody waiting is no mistake

    def _heard(self, line: bytes) -> None:
        try:
            event = json.loads(line)
        except ValueError:
            return
        if not isinstance(event, dict):
            return
        self.last = event
        if event.get("event") == "ready" and not self._ready.done():
            self._ready.set_result(event)
        self._hear(event)


class Children:
    """All of a demo's processes."""

    def __init__(self, log_folder: Path, *, end_timeout_s: float = _END_TIMEOUT_S) -> None:
        self._log_folder = log_folder
        self._end_timeout_s = end_timeout_s
        self._children: list[Child] = []

    async def __aenter__(self) -> Self:
        self._log_folder.mkdir(parents=True, exist_ok=True)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        ends = asyncio.gather(*(child.end() for child in self._children))
        try:
            await asyncio.shield(ends)
        except asyncio.CancelledError:
            # A second Ctrl-C is no reason to leave processes behind.
            for child in self._children:
                child.signal(signal.SIGKILL)
            await ends
            raise

    async def start(
        self, name: str, module: str, *arguments: str, hear: Callable[[dict[str, Any]], None] = lambda _event: None
    ) -> Child:
        """Start `python -m MODULE ARGUMENTS`, or another program as `"--", PROGRAM, ARGUMENTS`.

        `hear` gets each event it tells.
        """
        log = (self._log_folder / f"{name}.log").open("wb")
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "shoal.app.demo.leash",
            str(os.getpid()),
            module,
            *arguments,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=log,
            limit=_LINE_BYTES_MAX,
            start_new_session=True,  # a process group of its own, and no Ctrl-C meant for us
        )
        child = Child(name, process, log, hear, self._end_timeout_s)
        self._children.append(child)
        return child
