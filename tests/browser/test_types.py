"""The types of the bridge's JavaScript: what TypeScript accepts and refuses, and that they name what is there."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
JAVASCRIPT = ROOT / "transports" / "browser" / "javascript"
TYPESCRIPT = ROOT / "build" / "npm" / "node_modules" / "typescript" / "bin" / "tsc"
NODE = shutil.which("node")
STRICT = ("--noEmit", "--strict", "--target", "es2022", "--module", "es2022", "--moduleResolution", "bundler")

pytestmark = [pytest.mark.real, pytest.mark.skipif(NODE is None, reason="no node")]


@pytest.mark.skipif(not TYPESCRIPT.exists(), reason="no TypeScript; run: tools/install-test-tools")
def test_typescript_accepts_what_a_page_does_and_refuses_what_it_must_not():
    file = ROOT / "tests" / "typing" / "bridge.ts"
    command = [str(NODE), TYPESCRIPT, *STRICT, "--lib", "es2022,dom,dom.iterable", file]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize("name", ["bridge", "connections", "wheels"])
def test_every_name_of_a_module_has_its_type_and_every_type_its_name(name: str):
    module = json.dumps((JAVASCRIPT / f"{name}.js").as_uri())
    script = f"import({module}).then((all) => console.log(Object.keys(all).join()))"
    done = subprocess.run([str(NODE), "-e", script], capture_output=True, text=True, check=True, timeout=120)
    typed = re.findall(
        r"^export (?:class|const|function) (\w+)", (JAVASCRIPT / f"{name}.d.ts").read_text(), re.MULTILINE
    )
    assert sorted(typed) == sorted(done.stdout.strip().split(","))
