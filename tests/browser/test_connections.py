"""Connections that a page lends to its worker: what `connections.js` promises, with the test's own browser, under Node.

`tests/transports/test_browser_contract.py` has them in a real one.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
SCRIPT = HERE.parent.parent / "transports" / "browser" / "javascript" / "connections.js"


@pytest.mark.real
def test_a_worker_uses_the_connections_of_its_page_as_its_own():
    node = shutil.which("node")
    if node is None:
        pytest.skip("no node")
    done = subprocess.run(
        [node, HERE / "connections.mjs", SCRIPT], capture_output=True, text=True, check=False, timeout=120
    )
    assert (done.returncode, done.stdout) == (0, "connections hold\n"), done.stderr
