"""The judge: a tap between player and proxy that compares every byte with the file it claims to be.

    python -m shoal.app.demo.judge --root DIR --target 127.0.0.1:8080

The player is given the tap's port.  Bytes go through unchanged in both
directions and are kept; at the end (SIGTERM) the kept bytes are read as HTTP by
`http.client` and each body is compared with the file of the same base name in
DIR.  Only the standard library is used and nothing of shoal is imported, so
that "no wrong byte reached the player" is not shoal's own word.

    a complete body      must be the file
    a ranged one         must be the range that its Content-Range names
    one cut short        must be the beginning of that
    without such a file  is listed as unknown, and playlists are only counted

Prints one JSON line when it listens and one at the end.  Exit code 0 means that
something was compared and nothing was wrong.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import io
import json
import re
import signal
import socket
import sys
import threading
from dataclasses import asdict, dataclass, field
from pathlib import Path
from urllib.parse import unquote

__all__ = ["Judgement", "Tap", "judge_connection", "originals_in"]

_PIECE_BYTES = 64 * 1024
_KEPT_BYTES_MAX = 512 * 1024 * 1024  # some 40 minutes at 1.7 Mbit/s; past it the judge says that it lost sight
_CONNECTIONS_MAX = 256  # two threads each; a player uses a handful
_LISTED_MAX = 100
_CONTENT_RANGE = re.compile(r"bytes (\d{1,15})-(\d{1,15})/(\d{1,15})")
_PLAYLISTS = (".m3u8", ".json")


@dataclass
class Judgement:
    """What went through the tap.  `wrong_bytes` counts bytes that differ, are too many or are missing from a whole."""

    ok: bool = False
    wrong_bytes: int = 0
    wrong: list[str] = field(default_factory=list)  # path, and where the first wrong byte is
    files_compared: int = 0
    bodies_compared: int = 0
    bytes_compared: int = 0
    cut_bodies: int = 0
    unknown: list[str] = field(default_factory=list)  # paths of bodies with no file to compare with
    statuses: dict[str, int] = field(default_factory=dict)
    unreadable: int = 0  # connections whose bytes were not HTTP
    overflowed: bool = False


class _Kept(io.BytesIO):
    """Recorded bytes as the socket and the file that http.client wants; it stays open from response to response."""

    def makefile(self, *_: object, **__: object) -> _Kept:
        return self

    def close(self) -> None:
        """http.client closes its file after each response; the next response is in the same one."""


def originals_in(root: Path) -> dict[str, Path]:
    """Base name to file.  ValueError when two files have one name, since then a name says nothing."""
    found: dict[str, Path] = {}
    for path in sorted(root.rglob("*")):
        if path.is_file() and path.suffix not in _PLAYLISTS:
            if path.name in found:
                raise ValueError(f"two files are called {path.name}: {found[path.name]} and {path}")
            found[path.name] = path
    return found


def judge_connection(sent: bytes, received: bytes, originals: dict[str, Path], into: Judgement) -> set[str]:
    """Compare all responses in `received` to the requests in `sent`; returns the names of the files compared."""
    kept = _Kept(received)
    names: set[str] = set()
    for head in sent.split(b"\r\n\r\n")[:-1]:
        if kept.tell() >= len(received):
            break  # the player asked, and nothing came before the end
        method, _, rest = head.decode("latin-1").partition(" ")
        path = rest.partition(" ")[0].partition("?")[0]
        response = http.client.HTTPResponse(kept, method=method)  # type: ignore[arg-type]
        is_whole = length_known = True
        try:
            response.begin()
            length_known = response.length is not None or response.chunked
            body = response.read()
        except http.client.IncompleteRead as short:
            body, is_whole = short.partial, False
        except (http.client.HTTPException, ValueError, OSError):
            into.unreadable += 1
            break
        into.statuses[str(response.status)] = into.statuses.get(str(response.status), 0) + 1
        name = unquote(path.rpartition("/")[2])
        if method != "GET" or response.status not in {200, 206} or name.endswith(_PLAYLISTS):
            continue
        if name not in originals:
            _note(into.unknown, path)
            continue
        wanted = _wanted(response, originals[name].read_bytes())
        names.add(name)
        # Without a length the end of the connection is all there is to tell a whole body from a cut one.
        _compare(path, body, wanted, is_whole=is_whole and length_known, into=into)
    return names


def _wanted(response: http.client.HTTPResponse, original: bytes) -> bytes | None:
    """The bytes this response has to carry; None when its range does not fit the file."""
    if response.status == 200:
        return original
    found = _CONTENT_RANGE.fullmatch(response.getheader("Content-Range", ""))
    if found is None:
        return None
    first, last, total = (int(number) for number in found.groups())
    return original[first : last + 1] if total == len(original) and first <= last < total else None


def _compare(path: str, body: bytes, wanted: bytes | None, *, is_whole: bool, into: Judgement) -> None:
    into.bodies_compared += 1
    into.bytes_compared += len(body)
    into.cut_bodies += not is_whole
    if wanted is None:
        into.wrong_bytes += len(body)
        _note(into.wrong, f"{path}: its Content-Range does not fit the file")
        return
    if body == wanted or (not is_whole and wanted.startswith(body)):
        return
    common = min(len(body), len(wanted))
    different = [at for at in range(common) if body[at] != wanted[at]]
    surplus = len(body) - common
    missing = len(wanted) - common if is_whole else 0
    into.wrong_bytes += len(different) + surplus + missing
    first = different[0] if different else common
    _note(
        into.wrong,
        f"{path}: {len(different)} bytes differ, {surplus} too many, {missing} missing, the first at {first}",
    )


def _note(notes: list[str], line: str) -> None:
    if len(notes) < _LISTED_MAX:
        notes.append(line)


class Tap:
    """Forwards TCP connections unchanged and keeps what went through."""

    def __init__(self, root: Path, target: tuple[str, int]) -> None:
        self._originals = originals_in(root)
        self._target = target
        self._listener: socket.socket | None = None
        self._lock = threading.Lock()
        self._connections: list[tuple[bytearray, bytearray]] = []  # asked, answered
        self._open: set[socket.socket] = set()
        self._kept_bytes = 0
        self._overflowed = False

    def start(self, port: int = 0) -> int:
        """Listen on loopback; the answer is the port."""
        self._listener = socket.create_server(("127.0.0.1", port))
        threading.Thread(target=self._accept, args=(self._listener,), name="tap", daemon=True).start()
        return int(self._listener.getsockname()[1])

    def stop(self) -> None:
        """Close everything; what was kept can be judged."""
        if self._listener is not None:
            # shutdown() wakes the thread that waits in accept(); close() alone does not.
            with contextlib.suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
        with self._lock:
            for sock in self._open:
                with contextlib.suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)

    def judge(self) -> Judgement:
        """Compare all that has gone through so far."""
        with self._lock:
            connections = [(bytes(asked), bytes(answered)) for asked, answered in self._connections]
        result = Judgement(overflowed=self._overflowed)
        names: set[str] = set()
        for asked, answered in connections:
            names |= judge_connection(asked, answered, self._originals, result)
        result.files_compared = len(names)
        result.ok = result.bytes_compared > 0 and not (result.wrong_bytes or result.unreadable or result.overflowed)
        return result

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                player, _ = listener.accept()
            except OSError:
                return  # stopped
            if len(self._open) >= 2 * _CONNECTIONS_MAX:
                player.close()
                continue
            try:
                proxy = socket.create_connection(self._target, timeout=5.0)
            except OSError:
                player.close()
                continue
            proxy.settimeout(None)
            asked, answered = bytearray(), bytearray()
            with self._lock:
                self._connections.append((asked, answered))
                self._open |= {player, proxy}
            ends = threading.Barrier(2, action=lambda pair=(player, proxy): self._close(pair))  # type: ignore[misc]
            for source, sink, keep in ((player, proxy, asked), (proxy, player, answered)):
                threading.Thread(target=self._pump, args=(source, sink, keep, ends), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket, keep: bytearray, ends: threading.Barrier) -> None:
        try:
            while piece := source.recv(_PIECE_BYTES):
                self._keep(keep, piece)
                sink.sendall(piece)
        except OSError:
            # One side is gone, so the other has nobody to talk to.
            with contextlib.suppress(OSError):
                source.shutdown(socket.SHUT_RD)
        # The end of one direction is passed on as such; the other may still have something to say.
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_WR)
        ends.wait()

    def _keep(self, keep: bytearray, piece: bytes) -> None:
        with self._lock:
            if self._kept_bytes + len(piece) > _KEPT_BYTES_MAX:
                self._overflowed = True
                return
            self._kept_bytes += len(piece)
            keep += piece

    def _close(self, pair: tuple[socket.socket, socket.socket]) -> None:
        with self._lock:
            self._open -= set(pair)
        for sock in pair:
            sock.close()


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m shoal.app.demo.judge", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--root", type=Path, required=True, help="folder with the original files")
    parser.add_argument("--target", required=True, help="HOST:PORT of the proxy")
    parser.add_argument("--port", type=int, default=0, help="0: a free one")
    arguments = parser.parse_args(argv)
    host, _, port = arguments.target.rpartition(":")
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: stopped.set())
    tap = Tap(arguments.root, (host, int(port)))
    ready = {"event": "ready", "port": tap.start(arguments.port)}
    sys.stdout.write(json.dumps(ready) + "\n")
    sys.stdout.flush()
    stopped.wait()
    tap.stop()
    judgement = tap.judge()
    sys.stdout.write(json.dumps({"event": "end", **asdict(judgement)}) + "\n")
    return 0 if judgement.ok else 1


if __name__ == "__main__":
    sys.exit(main())
