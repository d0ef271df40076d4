"""Writes a new project: a copy of `starter/`, which is itself one, under a name of its own.

In its files the words `starter-app` and `starter_app` become the project's name and its package's.  Two settings become
this machine's: `browser-files` in pyproject.toml, where the page's Pyodide and wheels are, and the Makefile's PYTHON.
"""

from __future__ import annotations

import contextlib
import json
import keyword
import re
import sys
import sysconfig
from importlib.machinery import PathFinder
from pathlib import Path

from shoal.balancer.errors import ConfigurationError

__all__ = ["FolderTaken", "NameRefused", "package_of", "templates", "write_project"]

NAME_CHARS_MAX = 50
_STARTER = Path(__file__).resolve().parent / "starter"
_NAME = re.compile(r"[a-z][a-z0-9]*(?:[-_][a-z0-9]+)*", re.ASCII)
# Folders that a project has, and packages that it imports somewhere, installed here or not.
_TAKEN = frozenset({"build", "js", "msgspec", "playwright", "pyodide", "pytest", "shoal", "test", "tests", "web"})
_LEFT_BY_RUNS = re.compile(r"(^|/)(__pycache__|\.pytest_cache|build)/")
_PLAIN_PATH = re.compile(r"[\w./+-]+", re.ASCII)  # what make and a shell take as it is


class NameRefused(ConfigurationError):
    """No project can have this name; says why."""

    reason = "name"


class FolderTaken(ConfigurationError):
    """Something is there already; nothing was written."""

    reason = "taken"


def package_of(name: str) -> str:
    """The name of the project's package.  NameRefused."""
    if len(name) > NAME_CHARS_MAX:
        raise NameRefused(f"a name of {len(name)} characters; at most {NAME_CHARS_MAX}")
    if not _NAME.fullmatch(name):
        raise NameRefused(f"{name!r} is not a name; use a-z, 0-9 and single hyphens, a letter first, as in my-app")
    package = name.replace("-", "_")
    if keyword.iskeyword(package) or package in sys.stdlib_module_names or package in _TAKEN or _is_installed(package):
        raise NameRefused(f"{name!r} is what Python or a package that is installed is called; choose another name")
    return package


def _is_installed(package: str) -> bool:
    """Whether the project's own would hide it."""
    places = [sysconfig.get_path(key) for key in ("purelib", "platlib")]
    return PathFinder.find_spec(package, places) is not None


def templates() -> dict[str, Path]:
    """Path in a project -> file here, in the order in which they are written."""
    found = {path.relative_to(_STARTER).as_posix(): path for path in sorted(_STARTER.glob("**/*")) if path.is_file()}
    return {place: path for place, path in found.items() if not _LEFT_BY_RUNS.search(place)}


def write_project(name: str, folder: Path, *, build: Path, python: str = sys.executable) -> Path:
    """Make `folder`/`name` and all of its files.

    `build` is where `make wasm` builds, or built; `python` is what the project's commands run, unless they are told.

    NameRefused, FolderTaken, ConfigurationError.  After an error nothing of it is left.
    """
    package = package_of(name)
    browser_files = str(build.absolute())
    if not browser_files.isprintable():
        raise ConfigurationError(f"the path {browser_files!r} cannot stand in a text file; use another --build")
    if not folder.is_dir():
        raise ConfigurationError(f"there is no folder {folder}; make it first, or use another --folder")
    project = folder / name
    try:
        project.mkdir()  # whoever makes it owns it: nobody's files are there
    except FileExistsError:
        raise FolderTaken(f"{project} is there already; choose another name, or another --folder") from None
    made = [project]
    settings = {"pyproject.toml": ('browser-files = "build"', f"browser-files = {_quoted(browser_files)}")}
    if _PLAIN_PATH.fullmatch(python):
        settings["Makefile"] = ("PYTHON ?= python3", f"PYTHON ?= {python}")
    try:
        for place, template in templates().items():
            target = project / (".gitignore" if place == "gitignore" else _renamed(place, name, package))
            _make_folders(target.parent, made)
            data = template.read_bytes()
            if template.suffix != ".wasm":
                text = _renamed(data.decode(), name, package)
                data = text.replace(*settings[place]).encode() if place in settings else text.encode()
            with target.open("xb") as file:
                made.append(target)
                file.write(data)
    except BaseException:
        _take_back(made)
        raise
    return project


def _renamed(text: str, name: str, package: str) -> str:
    return text.replace("starter_app", package).replace("starter-app", name)


def _quoted(text: str) -> str:
    """As a string in TOML."""
    return json.dumps(text, ensure_ascii=False)


def _make_folders(folder: Path, made: list[Path]) -> None:
    for path in reversed([path for path in (folder, *folder.parents) if not path.exists()]):
        path.mkdir()
        made.append(path)


def _take_back(made: list[Path]) -> None:
    """Remove what was made, and nothing that others put there meanwhile."""
    for path in reversed(made):
        with contextlib.suppress(OSError):
            path.rmdir() if path.is_dir() else path.unlink()
