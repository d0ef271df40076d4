"""The blocks of docs/guide/testing.md are one test file, and it passes."""

import os
import re
import subprocess
import sys
from pathlib import Path

import shoal

ROOT = Path(__file__).resolve().parent.parent.parent
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(shoal.__file__).resolve().parent.parent)}


def test_every_block_of_the_guide_runs(tmp_path):
    text = (ROOT / "docs" / "guide" / "testing.md").read_text("utf-8")
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert len(blocks) >= 7
    (tmp_path / "test_bank.py").write_text("\n\n".join(blocks), "utf-8")
    (conftest,) = re.findall(r"^    (pytest_plugins = .*)$", text, re.MULTILINE)
    (tmp_path / "conftest.py").write_text(conftest + "\n", "utf-8")
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            "-c",
            os.devnull,
            "--rootdir=.",
            "-W",
            "error",
        ],
        cwd=tmp_path,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    wanted = sum(len(re.findall(r"^(?:async )?def test_", block, re.MULTILINE)) for block in blocks)
    assert f"{wanted} passed" in done.stdout
