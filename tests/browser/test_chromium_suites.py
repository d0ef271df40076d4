"""Chosen suites, the driver's promises, traces and decisions inside Pyodide in Chromium: as natively, seed for seed.

`test_pyodide.py` runs more of them under Node; a browser is another engine, with other timers and a loop that paints.
`make test` takes the driver's promises and the seeds; `make soak` (SHOAL_EFFORT above 1) the suites, 20 s, as well.
"""

from __future__ import annotations

import asyncio
import zipfile
from pathlib import Path
from typing import Any

import pytest

from ..app.chromium import page_in_chromium, page_server
from ..effort import EFFORT
from .chromium_world import COMPILED, DIST, PYODIDE, ROOT, WHEELS, what_is_missing
from .suites import CORE
from .test_pyodide import natively

pytestmark = [pytest.mark.real, pytest.mark.skipif(what_is_missing() is not None, reason=str(what_is_missing()))]

RUN_TIMEOUT_S = 400.0
SUITES = {"suite.py": ("-q", *CORE)} if EFFORT > 1 else {}
SCRIPTS = SUITES | {  # name -> arguments
    "driver.py": (),
    "traces.py": ("10",),
    "decisions.py": ("7",),  # each kind of swarm at least once
}
IN_WORKER = "driver.py in a worker"
# On the page, or in a module worker of it.
RUN = """
import { loadPyodide } from "./pyodide.mjs";
const bytes = async (name) => (await fetch("./" + name)).arrayBuffer();
async function run(script, args, wheels) {
  const said = { stdout: [], stderr: [] };
  const pyodide = await loadPyodide({
    env: { HOME: "/home/pyodide", PYTHONHASHSEED: "7", SHOAL_LEG: "pyodide" },
    stdout: (line) => said.stdout.push(line),
    stderr: (line) => said.stderr.push(line),
  });
  const extractDir = pyodide.runPython("import site; site.getsitepackages()[0]");
  for (const name of wheels) pyodide.unpackArchive(await bytes(name), "wheel", { extractDir });
  pyodide.unpackArchive(await bytes("repo.zip"), "zip", { extractDir: "/repo" });
  pyodide.globals.set("arguments", pyodide.toPy([script, ...args]));
  pyodide.runPython("import sys; sys.argv[:] = arguments; sys.dont_write_bytecode = True; del arguments");
  const source = pyodide.FS.readFile(`/repo/tests/browser/${script}`, { encoding: "utf8" });
  let status = 1;
  try {
    // Without an await of its own a script may bring a loop of its own, in place of Pyodide's.
    status = /^await /m.test(source)
      ? await pyodide.runPythonAsync(source, { filename: script })
      : pyodide.runPython(`import asyncio; asyncio._set_running_loop(None)\\n${source}`, { filename: script });
  } catch (error) {
    said.stderr.push(error.message);
  }
  return { status: status ?? 0, stdout: said.stdout.join("\\n"), stderr: said.stderr.join("\\n") };
}
"""
PAGE = f"""<!doctype html><title>suites</title><script type="module">{RUN}
globalThis.run = (inWorker, ...given) => {{
  if (!inWorker) return run(...given);
  const worker = new Worker("./worker.mjs", {{ type: "module" }});
  return new Promise((resolve, reject) => {{
    worker.onmessage = ({{ data }}) => resolve(data);
    worker.onerror = ({{ message }}) => reject(new Error(message));
    worker.postMessage(given);
  }}).finally(() => worker.terminate());
}};
document.title = "ready";
</script>"""
WORKER = f"{RUN}\nonmessage = async ({{ data }}) => postMessage(await run(...data));\n"


def repository(folder: Path) -> Path:
    """What the scripts read of the repository."""
    path = folder / "repo.zip"
    named = [ROOT / "pyproject.toml", *(ROOT / "tests").glob("**/*.py"), *(ROOT / "tests/data/traces").glob("*/*.txt")]
    with zipfile.ZipFile(path, "w") as archive:
        for file in named:
            archive.writestr(file.relative_to(ROOT).as_posix(), file.read_bytes())
    return path


async def run_all(folder: Path) -> dict[str, dict[str, Any]]:
    """What each script said and ended with, one after the other, each in a fresh interpreter."""
    wheels = {wheel.name: wheel for wheel in (*WHEELS.glob("*.whl"), *DIST.glob(COMPILED))}
    files = wheels | {path.name: path for path in PYODIDE.iterdir() if path.is_file()}
    files["repo.zip"] = repository(folder)
    files["worker.mjs"] = folder / "worker.mjs"
    files["worker.mjs"].write_text(WORKER)
    ended: dict[str, dict[str, Any]] = {}
    async with (
        asyncio.timeout(RUN_TIMEOUT_S),
        page_server(PAGE, files) as url,
        page_in_chromium(url, folder / "profile") as page,
    ):
        for script, arguments in {**SCRIPTS, IN_WORKER: ()}.items():
            await page.goto(url)
            await page.wait_for_function("document.title === 'ready'")
            given = [script == IN_WORKER, script.split()[0], list(arguments), list(wheels)]
            ended[script] = dict(await page.evaluate("(given) => run(...given)", given))
    return ended


@pytest.fixture(scope="module")
def in_chromium(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    return asyncio.run(run_all(tmp_path_factory.mktemp("suites")))


@pytest.mark.skipif(EFFORT == 1, reason="in make soak")
def test_the_chosen_suites_pass_in_a_browser(in_chromium: dict[str, dict[str, Any]]):
    done = in_chromium["suite.py"]
    assert done["status"] == 0, done["stdout"][-3000:] + done["stderr"][-2000:]
    assert " passed" in done["stdout"]


@pytest.mark.parametrize("script", ["driver.py", IN_WORKER])
def test_the_driver_holds_in_a_browser_what_it_promises(in_chromium: dict[str, dict[str, Any]], script: str):
    done = in_chromium[script]
    assert done["status"] == 0, done["stderr"][-2000:]
    assert done["stdout"].endswith("driver holds")


@pytest.mark.parametrize("script", ["traces.py", "decisions.py"])
def test_a_seed_gives_the_same_in_a_browser_as_natively(in_chromium: dict[str, dict[str, Any]], script: str):
    here, there = natively(script, *SCRIPTS[script]), in_chromium[script]
    assert here.returncode == 0, here.stderr
    assert there["status"] == 0, there["stderr"][-2000:]
    assert there["stdout"].splitlines() == here.stdout.splitlines()
    assert len(here.stdout.splitlines()) >= int(SCRIPTS[script][0])
