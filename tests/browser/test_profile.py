"""What `make wasm-profile` links: functions of compiled code keep their names, and a browser's profiler shows them.

Linked here of what `make wasm` compiled: the two builds differ in nothing but the link.
"""

from __future__ import annotations

import asyncio
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import pytest

from ..app.chromium import page_in_chromium, page_server
from .chromium_world import COMPILED, DIST, PYODIDE, ROOT, WHEELS, what_is_missing

OBJECTS = ROOT / "build" / "wasm" / "objects" / "O2"
PYTHON = ROOT / ".venv-wasm" / "bin" / "python"

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(what_is_missing() is not None, reason=str(what_is_missing())),
    pytest.mark.skipif(not OBJECTS.is_dir() or not PYTHON.exists(), reason="nothing is compiled; run: make wasm"),
]

RUN_TIMEOUT_S = 240.0
ALL = "shoal/_all.abi3.so"
# As Cython writes them: the one place where messages leave mailboxes, and the way into one.
NAMES = ("scheduler_9Scheduler_turn", "mailbox_7Mailbox_push")
LINK = """
import sys
from pathlib import Path
tools, work, *objects = map(Path, sys.argv[1:])
sys.path.insert(0, str(tools))
import build
(work / "all.so").write_bytes(build.link([one.stem for one in objects], objects, work, profile=True))
"""
PAGE = """<!doctype html><title>profile</title><script type="module">
import { loadPyodide } from "./pyodide.mjs";
globalThis.pyodide = await loadPyodide();
const extractDir = pyodide.runPython("import site; site.getsitepackages()[0]");
for (const name of %(wheels)s)
  pyodide.unpackArchive(await (await fetch("./" + name)).arrayBuffer(), "wheel", { extractDir });
await pyodide.runPythonAsync(await (await fetch("./script.py")).text());
document.title = "ready";
</script>"""
SCRIPT = """
import asyncio
from shoal.runtime import Actor, ActorSystem

class Countdown(Actor):
    def __init__(self, over):
        self._over = over

    def receive(self, left):
        if left:
            self.ref.tell(left - 1)
        else:
            self._over.set()

async def main(messages):
    over = asyncio.Event()
    async with ActorSystem() as system:
        system.spawn(Countdown, over).tell(messages)
        await over.wait()
"""
RUN = "async (messages) => { const main = pyodide.globals.get('main'); await main(messages); main.destroy(); }"
MESSAGES = 300_000  # a second's


@pytest.fixture(scope="module")
def named(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """All that is compiled, linked with names."""
    work = tmp_path_factory.mktemp("linked")
    command = [PYTHON, "-c", LINK, ROOT / "tools" / "wasm", work, *sorted(OBJECTS.glob("*.o"))]
    subprocess.run([str(word) for word in command], check=True, timeout=RUN_TIMEOUT_S)
    return (work / "all.so").read_bytes()


def sections(module: bytes) -> dict[str, bytes]:
    """The custom sections of a WebAssembly module."""

    def number(at: int) -> tuple[int, int]:
        """An unsigned LEB128, and where it ends."""
        value = shift = 0
        while True:
            value |= (module[at] & 127) << shift
            shift += 7
            at += 1
            if module[at - 1] < 128:
                return value, at

    found = {}
    at = 8  # behind the magic number and the version
    while at < len(module):
        kind = module[at]
        size, at = number(at + 1)
        if kind == 0:
            length, begin = number(at)
            found[module[begin : begin + length].decode()] = module[begin + length : at + size]
        at += size
    return found


def test_functions_keep_their_names_in_the_profile_build_alone(named: bytes):
    (wheel,) = DIST.glob(COMPILED)
    with zipfile.ZipFile(wheel) as content:
        assert "name" not in sections(content.read(ALL))
    names = sections(named)["name"]
    assert [name for name in NAMES if name.encode() not in names] == []


async def profiled(wheel: Path, folder: Path) -> set[str]:
    """The functions in which the browser's profiler saw time pass."""
    files = {path.name: path for path in (*WHEELS.glob("msgspec-*.whl"), wheel)}
    script = folder / "script.py"
    script.write_text(SCRIPT)
    page_text = PAGE.replace("%(wheels)s", str(list(files)))
    files |= {path.name: path for path in PYODIDE.iterdir() if path.is_file()} | {script.name: script}
    async with (
        asyncio.timeout(RUN_TIMEOUT_S),
        page_server(page_text, files) as url,
        page_in_chromium(url, folder / "profile") as page,
    ):
        await page.wait_for_function("document.title === 'ready'")
        profiler = await page.context.new_cdp_session(page)
        for command in ("Profiler.enable", "Profiler.start"):
            await profiler.send(command)
        await page.evaluate(RUN, MESSAGES)
        profile: dict[str, Any] = (await profiler.send("Profiler.stop"))["profile"]
        return {node["callFrame"]["functionName"] for node in profile["nodes"]}


def test_the_browsers_profiler_shows_the_names_of_compiled_functions(named: bytes, tmp_path: Path):
    (plain,) = DIST.glob(COMPILED)
    wheel = tmp_path / plain.name
    with zipfile.ZipFile(plain) as old, zipfile.ZipFile(wheel, "w") as new:
        for name in old.namelist():
            new.writestr(name, named if name == ALL else old.read(name))
    seen = asyncio.run(profiled(wheel, tmp_path))
    assert any(NAMES[0] in name for name in seen), sorted(seen)[:200]
