"""Child processes are heard, and ended whatever happens to whoever started them."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from shoal.app.demo.children import ChildFailed, Children

pytestmark = pytest.mark.real

SLEEPER = """
    import json, subprocess, sys, time
    {before}
    grandchild = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    print(json.dumps({{"event": "ready", "grandchild": grandchild.pid}}), flush=True)
    time.sleep(60)
"""
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)"


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Writes a module that a child can run by its name."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), *sys.path]))

    def write(source: str, name: str = "told") -> str:
        (tmp_path / f"{name}.py").write_text(textwrap.dedent(source))
        return name

    return write


def is_alive(pid: int) -> bool:
    """Whether the process runs; one that has ended and waits to be collected does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def is_gone_within(pid: int, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while is_alive(pid):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)  # there is nothing to wait on: it is not our child
    return True


def test_every_event_is_heard_and_the_rest_goes_to_the_log(tmp_path, module):
    name = module("""
        import sys
        print('{"event": "ready", "port": 7}')
        print("no JSON")
        print("trouble", file=sys.stderr)
        print('{"event": "end", "ok": true}')
    """)
    heard: list[dict] = []

    async def run() -> None:
        async with Children(tmp_path / "logs") as children:
            child = await children.start("teller", name, hear=heard.append)
            assert (await child.ready())["port"] == 7
            assert await child.wait() == 0
            assert await child.end() == {"event": "end", "ok": True}

    asyncio.run(run())
    assert [event["event"] for event in heard] == ["ready", "end"]
    log = (tmp_path / "logs" / "teller.log").read_text()
    assert "no JSON" in log
    assert "trouble" in log


def test_a_child_that_ends_before_it_is_ready_is_an_error_that_names_its_log(tmp_path, module):
    name = module("raise SystemExit(3)")

    async def run() -> None:
        async with Children(tmp_path / "logs") as children:
            child = await children.start("early", name)
            with pytest.raises(ChildFailed, match=r"early ended with 3 before it was ready; see .*early\.log"):
                await child.ready()

    asyncio.run(run())


@pytest.mark.parametrize("before", ["", STUBBORN], ids=["in order", "stubborn"])
def test_leaving_the_block_ends_the_child_and_what_it_started(tmp_path, module, before):
    name = module(SLEEPER.format(before=before))
    # No longer than needed to see that the stubborn one is not waited for; the other has all the time that it may need.
    settings = {"end_timeout_s": 0.5} if before else {}

    async def run() -> int:
        async with Children(tmp_path / "logs", **settings) as children:
            return (await (await children.start("sleeper", name)).ready())["grandchild"]

    assert is_gone_within(asyncio.run(run()), 30)


def test_an_exception_in_the_block_ends_the_children_too(tmp_path, module):
    name = module(SLEEPER.format(before=""))
    seen: list[int] = []

    async def run() -> None:
        async with Children(tmp_path / "logs") as children:
            seen.append((await (await children.start("sleeper", name)).ready())["grandchild"])
            raise RuntimeError("on purpose")

    with pytest.raises(RuntimeError, match="on purpose"):
        asyncio.run(run())
    assert is_gone_within(seen[0], 30)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child that its parent was killed")
def test_a_child_does_not_outlive_a_parent_that_was_killed(tmp_path, module):
    module(
        "import json, os, time; print(json.dumps({'event': 'ready', 'pid': os.getpid()}), flush=True); time.sleep(60)"
    )
    parent = module(
        f"""
        import asyncio, json
        from pathlib import Path
        from shoal.app.demo.children import Children

        async def run():
            async with Children(Path({str(tmp_path)!r})) as children:
                print(json.dumps(await (await children.start("a", "told")).ready()), flush=True)
                await asyncio.sleep(60)

        asyncio.run(run())
        """,
        "parent",
    )
    with subprocess.Popen([sys.executable, "-m", parent], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        child = json.loads(process.stdout.readline())["pid"]
        assert is_alive(child)
        process.send_signal(signal.SIGKILL)
    assert is_gone_within(child, 30)
