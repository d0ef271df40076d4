"""What type checkers say of programs that use the runtime: `tests/typing/`."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "tests" / "typing"
EXPECTED = re.compile(r"# E: ([\w, -]+)$")
FOUND = re.compile(r"^(.+?):(\d+): error: .*\[([\w-]+)\]$", re.MULTILINE)

pytest.importorskip("mypy")


@pytest.fixture(scope="module")
def errors(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[tuple[int, str]]]:
    """mypy's errors of each file, by line and code."""
    files = sorted(FOLDER.glob("*.py"))
    config = tmp_path_factory.mktemp("mypy") / "mypy.ini"
    config.write_text(f"[mypy]\nstrict = True\nmypy_path = {ROOT / 'src'}\n")
    command = [sys.executable, "-m", "mypy", "--config-file", str(config), "--no-error-summary", "--no-incremental"]
    done = subprocess.run(
        [*command, *map(str, files)], cwd=ROOT, capture_output=True, text=True, check=False, timeout=600
    )
    found: dict[str, set[tuple[int, str]]] = {path.name: set() for path in files}
    for place, line, code in FOUND.findall(done.stdout):
        found.setdefault(Path(place).name, set()).add((int(line), code))
    assert done.returncode in (0, 1), done.stdout + done.stderr
    return found


@pytest.mark.parametrize("name", sorted(path.name for path in FOLDER.glob("*.py")))
def test_the_type_checker_refuses_what_it_must_and_nothing_else(
    name: str, errors: dict[str, set[tuple[int, str]]]
) -> None:
    expected = {
        (number, code)
        for number, line in enumerate((FOLDER / name).read_text().splitlines(), 1)
        if (match := EXPECTED.search(line))
        for code in match[1].split(", ")
    }
    assert errors[name] == expected


def test_another_type_checker_refuses_the_same_lines() -> None:
    pytest.importorskip("pyright")
    # The files by name, and not a folder: it would look at every file below, for minutes.
    files = [str(FOLDER / name) for name in ("accepted.py", "refused.py")]
    command = [sys.executable, "-m", "pyright", "--outputjson", *files]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=600)
    if not done.stdout.startswith("{"):
        pytest.skip(f"pyright does not run here: {(done.stdout + done.stderr).strip()[-200:]}")
    found = {
        (Path(one["file"]).name, one["range"]["start"]["line"] + 1)
        for one in json.loads(done.stdout)["generalDiagnostics"]
        if one["severity"] == "error"
    }
    expected = {
        (Path(file).name, number)
        for file in files
        for number, line in enumerate(Path(file).read_text().splitlines(), 1)
        if EXPECTED.search(line)
    }
    assert found == expected


def test_there_are_programs_to_refuse() -> None:
    assert sum(bool(EXPECTED.search(line)) for line in (FOLDER / "refused.py").read_text().splitlines()) >= 10
