"""Whatever ends the demo, nothing that it started stays behind."""

import json
import resource
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from shoal.app.demo.stream import Stream

pytestmark = pytest.mark.real

WAIT_S = 120.0  # of what takes some seconds on an idle machine


def cpu_s_of_children() -> float:
    """Of those that have ended and were waited for, with theirs."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def told_in(log: Path, seconds: float) -> dict:
    """The first line of a child's log, once it is there."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if log.exists() and "\n" in (text := log.read_text()):
            return json.loads(text.splitlines()[0])
        time.sleep(0.05)  # another process writes it, and tells nobody
    pytest.fail(f"{log.name} stayed empty for {seconds} s")


def test_a_demo_that_is_stopped_while_it_makes_the_video_ends_at_once_and_leaves_no_half(tmp_path):
    pytest.importorskip("aiortc", reason="the demo's peers need WebRTC: pip install 'shoal[webrtc]'")
    kept = tmp_path / "kept"
    command = [sys.executable, "-m", "shoal.app.cli", "demo", "--json", "--seconds", "3600"]
    command += ["--folder", str(kept), "--out", str(tmp_path / "out")]
    before_s = cpu_s_of_children()
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as demo:
        deadline = time.monotonic() + WAIT_S
        while not list(kept.glob(".stream-*/*.m4s")):
            assert time.monotonic() < deadline, "no segment was made"
            time.sleep(0.05)  # another process writes it, and tells nobody
        demo.send_signal(signal.SIGTERM)
        out, err = demo.communicate(timeout=WAIT_S)
    assert demo.returncode == 143
    assert cpu_s_of_children() - before_s < 30  # an hour of video takes ten minutes of computing
    assert (out, list(kept.iterdir())) == (b"", [])
    assert b"Traceback" not in err


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)], ids=["SIGTERM", "Ctrl-C"])
def test_a_demo_that_is_stopped_ends_its_processes_and_says_so(stream: Stream, tmp_path, number, code):
    pytest.importorskip("aiortc", reason="the demo's peers need WebRTC: pip install 'shoal[webrtc]'")
    command = [sys.executable, "-m", "shoal.app.cli", "demo", "--json", "--seconds", str(stream.seconds)]
    command += ["--folder", str(stream.folder.parent), "--out", str(tmp_path)]

    def as_in_a_terminal() -> None:
        # A job that a shell started in the background ignores Ctrl-C, and so would its children.
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=as_in_a_terminal) as demo:
        port = told_in(tmp_path / "logs" / "good.log", WAIT_S)["port"]
        socket.create_connection(("127.0.0.1", port), timeout=WAIT_S).close()
        demo.send_signal(number)
        out, err = demo.communicate(timeout=WAIT_S)
    assert demo.returncode == code
    assert out == b""
    assert b"Traceback" not in err
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=5)
