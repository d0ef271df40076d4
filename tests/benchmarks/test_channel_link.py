"""The link between measured peers delays, loses and cuts as it says.  Bytes and order are judged, and least times."""

from __future__ import annotations

import contextlib
import socket
import sys
import time
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))

from channels.link import Link  # noqa: E402 - the folder of the benchmarks is no package

sys.path.remove(str(BENCHMARKS))

pytestmark = pytest.mark.real


def description(sock: socket.socket) -> str:
    port = sock.getsockname()[1]
    host = f"a=candidate:1 1 udp 2130706431 127.0.0.1 {port} typ host\r\n"
    return f"v=0\r\n{host}a=candidate:2 1 udp 1 fd00::2 {port} typ host\r\na=end-of-candidates\r\n"


def port_in(text: str) -> int:
    (line,) = (line for line in text.splitlines() if line.startswith("a=candidate:"))
    return int(line.split()[5])


def wait_until(condition):
    deadline_s = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline_s, "it did not happen in 60 s"
        time.sleep(0.01)


@contextlib.contextmanager
def two_ends(**properties):
    with contextlib.ExitStack() as stack:
        a, b = (stack.enter_context(socket.socket(type=socket.SOCK_DGRAM)) for _ in range(2))
        for sock in (a, b):
            sock.bind(("127.0.0.1", 0))
            sock.settimeout(60)
        link = Link(**properties)
        a_for_b = port_in(link.pass_offer(description(a)))
        b_for_a = port_in(link.pass_answer(description(b)))
        a.connect(("127.0.0.1", b_for_a))
        b.connect(("127.0.0.1", a_for_b))
        with link.running(thread=True):
            yield a, b, link


def test_packets_pass_both_ways_in_order_and_no_sooner_than_the_delay():
    with two_ends(delay_us=30_000) as (a, b, link):
        began = time.monotonic()
        for number in range(50):
            a.send(b"%d" % number)
        assert [b.recv(100) for _ in range(50)] == [b"%d" % number for number in range(50)]
        assert time.monotonic() - began >= 0.03
        b.send(b"back")
        assert a.recv(100) == b"back"
        assert (link.passed, link.lost, link.overflowed) == (51, 0, 0)


def test_the_rate_holds_packets_back():
    with two_ends(bytes_per_second=100_000) as (a, b, _):
        began = time.monotonic()
        for _ in range(20):
            a.send(bytes(1000))
        for _ in range(20):
            b.recv(2000)
        assert time.monotonic() - began >= 0.19


def test_what_the_queue_has_no_room_for_is_counted():
    with two_ends(bytes_per_second=100_000, queue_bytes=5_000) as (a, b, link):
        for _ in range(50):
            a.send(bytes(1000))
        wait_until(lambda: link.passed + link.overflowed == 50)
        for _ in range(link.passed):
            b.recv(2000)
        b.settimeout(0.05)
        with pytest.raises(TimeoutError):
            b.recv(2000)
        assert link.overflowed > 0


def test_loss_takes_about_its_share_the_same_for_the_same_seed():
    def lost() -> int:
        with two_ends(loss=0.5, seed=7) as (a, _, link):
            for _ in range(200):
                a.send(b"x")
            wait_until(lambda: link.lost + link.passed == 200)
            return link.lost

    first = lost()
    assert 60 < first < 140
    assert lost() == first


def test_a_cut_link_passes_nothing():
    with two_ends() as (a, b, link):
        link.cut.set()
        a.send(b"x")
        b.settimeout(0.2)
        with pytest.raises(TimeoutError):
            b.recv(100)
