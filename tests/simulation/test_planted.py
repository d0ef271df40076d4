"""The explorer finds bugs: each of `planted.py` is put into a copy of the runtime, and the scenarios look for it.

On the pure leg, since a copy is not compiled.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from .planted import BUGS, Bug

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
MAY_MISS = 1  # what the explorer is held to is 19 of 20; it finds all of these
LIMIT_S = 120

pure_only = pytest.mark.skipif(os.environ.get("SHOAL_LEG", "fast") != "pure", reason="once is enough")


def runtime_with(bug: Bug | None, folder: Path) -> Path:
    package = folder / "shoal"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    shutil.copytree(ROOT / "runtime", package / "runtime", ignore=shutil.ignore_patterns("__pycache__"))
    if bug is not None:
        path = package / "runtime" / bug.file
        path.write_text(path.read_text("utf-8").replace(bug.right, bug.wrong), "utf-8")
    return folder


def look(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, str(HERE / "find_bug.py"), *arguments]
    try:
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    except subprocess.TimeoutExpired as hung:
        return subprocess.CompletedProcess(command, 0, f"hung for {hung.timeout} s")


def test_there_are_enough_bugs_and_each_is_one_change():
    assert len(BUGS) >= 20
    assert len({bug.name for bug in BUGS}) == len(BUGS)
    for bug in BUGS:
        count = (ROOT / "runtime" / bug.file).read_text("utf-8").count(bug.right)
        assert count == 1, f"{bug.name}: the text to change is {count} times in runtime/{bug.file}; choose it anew"


@pure_only
def test_nothing_is_found_where_nothing_is_planted(tmp_path):
    found = look(runtime_with(None, tmp_path), "5")
    assert (found.returncode, found.stdout) == (3, ""), found.stdout + found.stderr


@pure_only
def test_planted_bugs_are_found(tmp_path):
    def missed(number: int) -> str | None:
        found = look(runtime_with(BUGS[number], tmp_path / str(number)))
        assert found.returncode in (0, 3), found.stderr
        return BUGS[number].name if found.returncode else None

    with ThreadPoolExecutor(2) as pool:
        names = [name for name in pool.map(missed, range(len(BUGS))) if name is not None]
    assert len(names) <= MAY_MISS, f"not found: {names}"
