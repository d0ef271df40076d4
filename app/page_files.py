"""What every page of ours loads: Pyodide, the wheels that it imports, and the bridge's JavaScript.

What `make wasm` and npm made is taken from a build folder; nothing of it is in this repository.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import shoal
from shoal.balancer.errors import ConfigurationError

__all__ = ["PYODIDE_FILES", "media_type", "page_files"]

_BRIDGE = Path(shoal.__file__).resolve().parent / "transports" / "browser" / "javascript"
PYODIDE_FILES = ("pyodide.mjs", "pyodide.asm.mjs", "pyodide.asm.wasm", "pyodide-lock.json", "python_stdlib.zip")
# What Python's own table does not know on every machine, and browsers insist on.
_TYPES = {
    ".css": "text/css",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript",
    ".json": "application/json",
    ".mjs": "text/javascript",
    ".py": "text/plain; charset=utf-8",
    ".wasm": "application/wasm",
}


def page_files(build: Path, others: Mapping[str, Path]) -> dict[str, Path]:
    """URL path -> file: /pyodide/..., /wheels/..., /bridge/..., and `others`.

    Of shoal there are two wheels, in the order in which a page prefers them: wheels.js takes
    the plain one where the compiled one is not for the Pyodide that is served.

    ConfigurationError names what is not there, the first of many, and what makes it.
    """
    browser = build / "browser"
    files = dict(others)
    files |= {f"/pyodide/{name}": browser / "node_modules" / "pyodide" / name for name in PYODIDE_FILES}
    files |= {f"/bridge/{path.name}": path for path in sorted(_BRIDGE.glob("*.js"))}
    wheels = [
        *(browser / "wheels").glob("msgspec-*.whl"),
        *(build / "wasm" / "dist").glob("*-pyemscripten_2026_0_wasm32.whl"),
        *(build / "wasm" / "dist").glob("*-py3-none-any.whl"),
    ]
    files |= {f"/wheels/{wheel.name}": wheel for wheel in wheels}
    missing = [str(path) for path in files.values() if not path.is_file()]
    if missing or len(wheels) != 3:
        what = missing[0] if missing else f"a wheel in {build}"
        rest = f", and {len(missing) - 1} other files" if len(missing) > 1 else ""
        raise ConfigurationError(f"missing: {what}{rest}; run, in a clone of shoal: make wasm")
    return files


def media_type(path: Path) -> str:
    return _TYPES.get(path.suffix, "application/octet-stream")
