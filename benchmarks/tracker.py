"""Our tracker and bittorrent-tracker: memory for each socket, and announces for each second of CPU, in one run.

    make bench-tracker                          three rounds of 2,000 sockets
    make bench-tracker ARGS="--sockets 5000"    of 5,000

Each tracker is a process of its own, new in each round, and they take turns.  Its sockets are in swarms of 50; each
announces once without offers, and its share of the tracker's growth is counted; then all announce five times with five
offers of 2 KiB, as p2p-media-loader does, and the tracker's CPU time is: the client's work takes longer than either's.
bittorrent-tracker comes from tools/install-test-tools.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import sys
from pathlib import Path

from harness import Claim, conclude

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.p2pml.counterparts import missing, start_tracker  # noqa: E402

from shoal.app.demo.children import Child, Children  # noqa: E402

SWARM_PEERS = 50
OFFERS, SDP_BYTES = 5, 2048
ROUNDS_OF_ANNOUNCES = 5
CONNECTS_AT_ONCE = 50  # below every server's backlog
PATIENCE_S = 60.0
TICKS_PER_S = os.sysconf("SC_CLK_TCK")


class Socket:
    """As much of a WebSocket client as says texts and counts answers; anything heavier would be what is measured."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        self._answers = 0
        self._wanted = asyncio.Event()
        self._until = 1
        self._task = asyncio.create_task(self._count(reader))

    @classmethod
    async def connect(cls, port: int) -> Socket:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        key = "dGhlIHNhbXBsZSBub25jZQ=="  # RFC 6455's own; nobody is fooled here
        writer.write(
            f"GET / HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        head = await reader.readuntil(b"\r\n\r\n")
        if b" 101 " not in head:
            raise RuntimeError(f"the tracker refused a socket: {head[:100]!r}")
        return cls(reader, writer)

    def say(self, payload: bytes) -> None:
        """A text, masked with zeros (RFC 6455, 5.3): the same work for the tracker, none for us."""
        count = len(payload)
        length = bytes((0x80 | count,)) if count < 126 else b"\xfe" + count.to_bytes(2, "big")
        self._writer.write(b"\x81" + length + bytes(4) + payload)

    async def answered(self, count: int) -> None:
        """Wait until so many announces were answered."""
        self._until = count
        if self._answers < count:
            self._wanted.clear()
            await self._wanted.wait()

    async def _count(self, reader: asyncio.StreamReader) -> None:
        tail = b""
        while data := await reader.read(256 * 1024):
            data = tail + data
            self._answers += data.count(b'"interval"')
            tail = data[-9:]  # one byte less than the word: what is split is found, and nothing twice
            if self._answers >= self._until:
                self._wanted.set()

    def close(self) -> None:
        self._task.cancel()
        self._writer.close()


def announce(number: int, *, offers: int, turn: int) -> bytes:
    described = [
        {"offer": {"type": "offer", "sdp": "v=0" + "x" * SDP_BYTES}, "offer_id": f"{number:08}{turn:06}{place:06}"}
        for place in range(offers)
    ]
    message = {
        "action": "announce",
        "info_hash": f"{number // SWARM_PEERS:020}",
        "peer_id": f"{number:020}",
        "numwant": offers,
        "uploaded": 0,
        "downloaded": 0,
        "offers": described,
    }
    return json.dumps(message).encode()


def cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_S


def memory_bytes(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


async def measure(child: Child, port: int, count: int) -> dict[str, float]:
    pid = child.pid
    before = memory_bytes(pid)
    sockets: list[Socket] = []
    try:
        for start in range(0, count, CONNECTS_AT_ONCE):
            some = range(start, min(count, start + CONNECTS_AT_ONCE))
            sockets += await asyncio.gather(*(Socket.connect(port) for _ in some))
        for number, socket in enumerate(sockets):
            socket.say(announce(number, offers=0, turn=0))
        await asyncio.gather(*(socket.answered(1) for socket in sockets))
        grown = memory_bytes(pid) - before
        began_s = cpu_s(pid)
        for turn in range(1, ROUNDS_OF_ANNOUNCES + 1):
            for number, socket in enumerate(sockets):
                socket.say(announce(number, offers=OFFERS, turn=turn))
            await asyncio.gather(*(socket.answered(1 + turn) for socket in sockets))
        spent_s = cpu_s(pid) - began_s
    finally:
        for socket in sockets:
            socket.close()
    return {"bytes_per_socket": grown / count, "announces_per_cpu_s": count * ROUNDS_OF_ANNOUNCES / spent_s}


async def one_round(name: str, count: int, logs: Path) -> dict[str, float]:
    async with asyncio.timeout(PATIENCE_S), Children(logs) as children:
        if name == "ours":
            arguments = ("tracker", "--port", "0", "--json", "--sockets-per-address", str(count))
            child = await children.start(name, "shoal.app.cli", *arguments)
            port = int((await child.ready())["port"])
        else:
            program, url = await start_tracker(children)
            child, port = program.child, int(url.rpartition(":")[2])
        return await measure(child, port, count)


async def measure_all(rounds: int, count: int) -> dict[str, list[dict[str, float]]]:
    found: dict[str, list[dict[str, float]]] = {"ours": [], "theirs": []}
    for _ in range(rounds):
        for name, rows in found.items():
            row = await one_round(name, count, Path("out") / "bench-tracker")
            rows.append(row)
            print(
                f"{name}: {row['bytes_per_socket']:,.0f} bytes a socket, "
                f"{row['announces_per_cpu_s']:,.0f} announces per CPU-second",
                flush=True,
            )
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sockets", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    if what := missing():
        print(what)
        return 3
    found = asyncio.run(measure_all(options.rounds, options.sockets))

    def ratio(name: str) -> float:
        """Of ours to theirs, the median of the rounds."""
        pairs = zip(found["ours"], found["theirs"], strict=True)
        return statistics.median(ours[name] / theirs[name] for ours, theirs in pairs)

    claims = [
        Claim(
            "memory for each socket, of bittorrent-tracker's",
            ratio("bytes_per_socket"),
            1.35,
            at_least=False,
            unit="x",
            goal=1.0,
        ),
        Claim(
            "announces with 5 offers per CPU-second, of bittorrent-tracker's",
            ratio("announces_per_cpu_s"),
            1.0,
            at_least=True,
            unit="x",
        ),
    ]
    return conclude("tracker", claims)


if __name__ == "__main__":
    raise SystemExit(main())
