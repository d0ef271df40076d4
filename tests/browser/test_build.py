"""The build for browsers: what Pyodide does not have is noticed, and the same content is the same file."""

from __future__ import annotations

import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest

from .chromium_world import COMPILED, DIST, PYODIDE, ROOT

TOOLS = ROOT / "tools" / "wasm"


def module_that_needs(name: str) -> bytes:
    """A WebAssembly module whose one import is a function `env.NAME`."""
    imports = b"\x01" + bytes([3]) + b"env" + bytes([len(name)]) + name.encode() + b"\x00\x00"
    return b"\0asm\x01\0\0\0" + b"\x01\x04\x01\x60\0\0" + b"\x02" + bytes([len(imports)]) + imports


def checked(*modules: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["node", TOOLS / "check_symbols.mjs", PYODIDE / "pyodide.asm.wasm", *modules],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


@pytest.mark.real
@pytest.mark.skipif(shutil.which("node") is None or not PYODIDE.is_dir(), reason="no Pyodide: run make wasm")
def test_a_symbol_that_pyodide_does_not_have_fails_the_build(tmp_path: Path):
    good, bad = tmp_path / "good.so", tmp_path / "bad.so"
    good.write_bytes(module_that_needs("PyList_New"))
    bad.write_bytes(module_that_needs("PyList_Invented"))
    assert checked(good).returncode == 0
    done = checked(good, bad)
    assert done.returncode == 1
    assert done.stderr == f"{bad} needs env.PyList_Invented, which Pyodide does not have\n"


@pytest.mark.real
@pytest.mark.skipif(not list(DIST.glob(COMPILED)), reason="no wheels for browsers: run make wasm")
def test_all_that_is_compiled_is_one_file_of_the_stable_abi_for_pyodides_platform():
    (wheel,) = DIST.glob(COMPILED)
    with zipfile.ZipFile(wheel) as content:
        assert [name for name in content.namelist() if name.endswith(".so")] == ["shoal/_all.abi3.so"]
        about = next(name for name in content.namelist() if name.endswith(".dist-info/WHEEL"))
        assert "Tag: cp312-abi3-pyemscripten_2026_0_wasm32\n" in content.read(about).decode()


def test_a_wheel_of_the_same_content_is_the_same_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(str(TOOLS))
    import wheels

    content = {"shoal/a.py": b"a", "shoal/b.py": b"b", "shoal-1.dist-info/METADATA": b"Name: shoal\n"}
    one = wheels.write(content, tmp_path / "one", "py3-none-any")
    other = wheels.write(dict(reversed(content.items())), tmp_path / "other", "py3-none-any")
    assert one.read_bytes() == other.read_bytes()


def test_without_a_python_that_has_headers_one_line_says_what_is_missing(tmp_path: Path):
    for name in ("find-python", "wasm/install"):
        place = tmp_path / "tools" / name
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / "tools" / name, place)
    programs = tmp_path / "programs"  # and no Python among them
    programs.mkdir()
    for name in ("bash", "dirname", "ls"):
        (programs / name).symlink_to(str(shutil.which(name)))
    done = subprocess.run(
        [programs / "bash", tmp_path / "tools" / "wasm" / "install"],
        env={"PATH": str(programs), "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stdout) == (5, "")
    assert done.stderr == "no CPython 3.12 or newer with its C headers was found (on PATH, or pyenv's versions)\n"
