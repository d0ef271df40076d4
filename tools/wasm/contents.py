"""What goes into the wheel that is compiled for browsers, and what stays out, with the reasons.

All that is compiled lies in one file, since each module by itself brings the same again: its own copy of
Cython's functions, and a list of what it imports from the interpreter.  Python finds a module by its
own name, so where each one was lies a line that puts the compiled one in its place.
"""

from __future__ import annotations

import ast
import hashlib

__all__ = ["NOT_COMPILED", "of_page", "why_not_in_page"]

# Compiled natively only: threads are not there, and the Limited API, which all Pyodides have, knows no way to leave
# a context or to send into a coroutine that is shorter than Python's own.
NOT_COMPILED = {
    "shoal.runtime.turns": "hands the GIL from thread to thread",
    "shoal.runtime.drivers.lingering": "waits for other threads",
    "shoal.runtime.drivers.interlude": "leaves a context, which only the whole API can",
    "shoal.runtime.drivers.asyncio_fiber": "calls `Context.run` as its Python does: no faster",
}
# Compiled for the wheel that tests hold against the native build; left to Python in the one that pages download.
_NOT_IN_PAGE = {
    "shoal.balancer.sim.": "simulates, which a page does not",
    "shoal.balancer.": "decides, some hundred times a minute; all of them would make it four times as large",
}


def why_not_in_page(name: str) -> str | None:
    """Why a page gets this module uncompiled; None for one that is compiled there."""
    return next((reason for prefix, reason in _NOT_IN_PAGE.items() if name.startswith(prefix)), None)


# No page can use these: sockets, processes, threads.
_NATIVE = (
    "shoal/transports/native/",
    "shoal/runtime/crew.py",
    "shoal/runtime/drivers/thread.py",
    "shoal/runtime/drivers/lingering.py",
)
_PROGRAMS = "shoal/app/"
_OF_PAGE = "shoal/app/page_actor.py"  # what a page opens; the other programs read command lines, listen, write files
_LOADER = b'''"""Modules of this package whose compiled form lies in one file: `load` puts it in a module's place."""

import sys
from importlib.machinery import ExtensionFileLoader
from importlib.util import module_from_spec, spec_from_file_location

_FILE = __file__.rpartition("/")[0] + "/_all.abi3.so"


def load(name):
    spec = spec_from_file_location(name, _FILE, loader=ExtensionFileLoader(name, _FILE))
    module = sys.modules[name] = module_from_spec(spec)
    spec.loader.exec_module(module)
'''
_PLACE = """# compiled from {digest}
from shoal._compiled import load

load(__name__)
"""


def of_page(plain: dict[str, bytes], names: list[str], compiled: bytes) -> dict[str, bytes]:
    """The page's wheel: of the plain wheel what a page can use; the modules `names` are those in `compiled`."""
    programs = _needed(plain)
    kept = {
        name: data
        for name, data in plain.items()
        if not name.startswith(_NATIVE)
        and not name.endswith((".pxd", "/entry_points.txt"))
        and (not name.startswith(_PROGRAMS) or name in programs)
    }
    paths = [name.replace(".", "/") + ".py" for name in names]
    places = {path: _PLACE.format(digest=hashlib.sha256(plain[path]).hexdigest()).encode() for path in paths}
    return {**kept, **places, "shoal/_compiled.py": _LOADER, "shoal/_all.abi3.so": compiled}


def _needed(plain: dict[str, bytes]) -> set[str]:
    """The programs that _OF_PAGE imports, itself and their package among them."""
    found = {f"{_PROGRAMS}__init__.py"}
    waiting = [_OF_PAGE]
    while waiting:
        name = waiting.pop()
        found.add(name)
        for node in ast.walk(ast.parse(plain[name])):
            if isinstance(node, ast.ImportFrom) and (node.level == 1 or (node.module or "").startswith("shoal.app")):
                module = (node.module or "").removeprefix("shoal.app").strip(".")
                places = [module] if module else [alias.name for alias in node.names]
                paths = {f"{_PROGRAMS}{place.replace('.', '/')}.py" for place in places}
                waiting += sorted((paths & plain.keys()) - found)
    return found
