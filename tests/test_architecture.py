"""Imports point down only, and a platform is known in one place."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("runtime", "balancer", "transports", "app")

# Longest prefix first: what a module may import of shoal, besides its own folder.
MAY_IMPORT = {
    "runtime/core": {"runtime/core"},
    "runtime": {"runtime"},
    "transports/native": {
        "transports/native",
        "transports/interface",
        "transports/errors",
        "transports/sansio",
        "transports/bridge",
        "transports/pending",
        "runtime",
    },
    "transports/browser": {
        "transports/browser",
        "transports/interface",
        "transports/errors",
        "transports/sansio",
        "transports/bridge",
        "transports/pending",
        "runtime",
    },
    "transports/sansio": {"transports/sansio", "transports/interface", "transports/errors"},
    "transports": {"transports", "runtime"},
    "balancer/actors": {"balancer", "runtime", "transports/interface", "transports/errors", "transports/sansio"},
    "balancer": {
        "balancer",
        "runtime",
        "transports/interface",
        "transports/errors",
        "transports/sansio/embedded",
        "transports/sansio/nesting",
    },
    "app": {"app", "balancer", "transports", "runtime"},
}
# The decisions: state, event and time in, actions out.
SANS_IO = sorted(
    path.relative_to(ROOT).as_posix()
    for pattern in ("balancer/*.py", "balancer/formats/**/*.py", "balancer/sim/*.py", "transports/sansio/*.py")
    for path in ROOT.glob(pattern)
)
BROWSER = sorted(ROOT.glob("transports/browser/*.py"))
CLOCKS_AND_CHANCE = {"time", "random", "asyncio", "secrets", "threading", "socket", "datetime.datetime.now"}


def modules() -> list[Path]:
    return sorted(path for room in ROOMS for path in (ROOT / room).glob("**/*.py"))


def imports(path: Path) -> Iterator[tuple[str, int]]:
    """Every module that `path` imports, by its full dotted name."""
    package = ("shoal", *path.relative_to(ROOT).parts[:-1])
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            for name in node.names:
                yield name.name, node.lineno
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            stem = ".".join((*base, *([node.module] if node.module else [])))
            yield stem, node.lineno
            for name in node.names:
                yield f"{stem}.{name.name}", node.lineno


def identity(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("path", modules(), ids=identity)
def test_imports_point_down_only(path: Path) -> None:
    place = identity(path)
    rule = next(prefix for prefix in sorted(MAY_IMPORT, key=len, reverse=True) if place.startswith(prefix + "/"))
    for name, line in imports(path):
        if not name.startswith("shoal."):
            continue
        target = name.removeprefix("shoal.").replace(".", "/")
        allowed = any(
            target == ok or target.startswith(ok + "/") or ok.startswith(target + "/") for ok in MAY_IMPORT[rule]
        )
        assert allowed, f"{place}:{line} imports {name}, which {rule}/ may not know"


@pytest.mark.parametrize("path", modules(), ids=identity)
def test_only_the_browser_side_knows_the_browser(path: Path) -> None:
    place = identity(path)
    if place.startswith("transports/browser/") or place == "runtime/drivers/browser_loop.py":
        return
    found = [(name, line) for name, line in imports(path) if name.split(".")[0] in {"js", "pyodide", "pyodide_js"}]
    assert not found, f"{place} imports {found}"


@pytest.mark.parametrize("place", SANS_IO)
def test_a_decision_has_no_clock_no_chance_and_no_await(place: str) -> None:
    path = ROOT / place
    found = [(name, line) for name, line in imports(path) if name in CLOCKS_AND_CHANCE]
    assert not found, f"{place} imports {found}; time and randomness come in as arguments"
    waits = [
        node.lineno
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Await | ast.AsyncFunctionDef)
    ]
    assert not waits, f"{place} waits at lines {waits}"


@pytest.mark.parametrize(
    "path", [p for p in modules() if "runtime" in p.parts and "extras" not in p.parts], ids=identity
)
def test_the_runtime_needs_the_standard_library_only(path: Path) -> None:
    import sys

    for name, line in imports(path):
        root = name.split(".")[0]
        if identity(path) == "runtime/pytest_plugin.py" and root == "pytest":
            continue  # nothing but pytest imports it
        if identity(path) == "runtime/drivers/browser_loop.py" and root == "pyodide":
            continue  # inside a function, and there is nothing else that knows the browser's loop
        assert root in {"shoal", "uvloop"} or root in sys.stdlib_module_names, f"{identity(path)}:{line} imports {name}"


@pytest.mark.parametrize("path", sorted(ROOT.glob("runtime/extras/*.py")), ids=identity)
def test_an_extra_imports_its_package_inside_functions_only(path: Path) -> None:
    import sys

    for node in ast.parse(path.read_text("utf-8")).body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [node.module or "shoal"] if isinstance(node, ast.ImportFrom) else [a.name for a in node.names]
            assert all(name.split(".")[0] in {"shoal", *sys.stdlib_module_names} for name in names), names


def test_what_a_page_loads_needs_msgspec_alone_and_nothing_native() -> None:
    """A session as a page opens it, but for what is found there: `js`, which is nowhere else."""
    program = (
        "import sys, shoal.app.session, shoal.balancer.actors, shoal.runtime\n"
        "print(*(name for name in sys.modules if name.partition('.')[0] not in sys.stdlib_module_names))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    packages = {name.partition(".")[0] for name in loaded if not name.startswith("_")}
    assert packages <= {"msgspec", "shoal", "typing_extensions", "cython_runtime"}
    assert "shoal.runtime.system" in loaded
    native = ("shoal.transports.native", "shoal.transports.memory", "shoal.runtime.crew", "shoal.app.proxy")
    assert [name for name in loaded if name.startswith(native)] == []
    # A page that plays HLS does not fetch what reads MPDs.
    assert [name for name in loaded if name.startswith(("shoal.balancer.formats.dash", "defusedxml"))] == []


def test_what_the_page_runs_imports_nothing_native() -> None:
    """As imports at the top of modules go; those inside functions are of packages that a page never asks for."""
    native = {"aiohttp", "aioice", "aiortc", "av", "rich", "uvloop", "wrtc"}
    waiting = ["shoal.app.page_actor", *(f"shoal.transports.browser.{p.stem}" for p in BROWSER)]
    seen: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        place = ROOT / "/".join(name.split(".")[1:])
        path = next((p for p in (place.with_suffix(".py"), place / "__init__.py") if p.is_file()), None)
        if path is None:
            continue  # a name inside a module
        assert "transports/native" not in identity(path), f"the page imports {identity(path)}"
        body = ast.parse(path.read_text("utf-8")).body
        lines = {node.lineno for node in body}
        for target, line in imports(path):
            if line in lines:
                assert target.split(".")[0] not in native, f"{identity(path)}:{line} imports {target}"
                waiting += [target] if target.startswith("shoal.") else []
    assert "shoal.balancer.policy" in seen
