"""Builds the compiled core.  Everything else is in pyproject.toml.

A module is compiled when a .pxd of its own name lies beside its .py; there is
no other list.  SHOAL_BUILD chooses how:

    fast      C without checks; what a wheel carries (the default)
    checked   C that checks None, bounds and overflow; what the tests also run
    pure      nothing compiled; for Pyodide, PyPy, or no C compiler
    asan      as checked, under AddressSanitizer and UndefinedBehaviorSanitizer (`tools/sanitize`)
    tsan      as fast, under ThreadSanitizer

The same modules for a browser: tools/wasm/build.py.

Each build has a folder of its own under build/, so that none takes the other's
objects for its own.
"""

import os
import re
from pathlib import Path
from typing import Any

from setuptools import Extension, setup

FOLDERS = ("runtime", "balancer", "transports", "app")
CHECKS = ("boundscheck", "wraparound", "nonecheck", "overflowcheck")
BUILD = os.environ.get("SHOAL_BUILD", "fast")
SANITIZERS = {
    "asan": "-O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=undefined",
    "tsan": "-O1 -g -fno-omit-frame-pointer -fsanitize=thread",
}


DIRECTIVES = {
    # Annotations speak to readers and type checkers, the .pxd to C.
    "annotation_typing": False,
    "binding": False,  # methods are plain C functions, which the interpreter calls at half the price
    "freethreading_compatible": True,
    "auto_pickle": False,  # a seventh of all code, for objects that nobody pickles
}
# Directives of single modules.  Cython takes those of a class from its decorators in the .py alone, which would
# have to import `cython`; a decorator in the .pxd has no effect.
DIRECTIVES_OF = {
    # A living cell is a root (`core/roots.py`), and one that has ended refers to nothing that leads back to it.
    "shoal.runtime.core.cell": {"no_gc": True},
    # Made and dropped with each ask: a freelist takes 200 instructions off each.
    "shoal.runtime.core.reply": {"freelist": 256},
    "shoal.runtime.core.timers": {"freelist": 256},
}


def twins() -> dict[str, Path]:
    """Every module that is compiled: its full name, and its source."""
    # From src/shoal/ in a checkout (links), from the same path in an sdist (real files).
    found = [p.with_suffix(".py") for d in FOLDERS for p in sorted(Path("src/shoal", d).glob("**/*.pxd"))]
    sources = [p for p in found if p.exists() and p.stem != "__init__"]
    if not sources:
        raise SystemExit(
            "nothing to compile under src/shoal: are its links in place? "
            "git config core.symlinks true && git checkout -- src"
        )
    return {".".join(p.relative_to("src").with_suffix("").parts): p for p in sources}


def core_extensions() -> list[Extension]:
    if BUILD == "pure":
        return []
    if BUILD not in ("fast", "checked", *SANITIZERS):
        raise SystemExit(f"SHOAL_BUILD is {BUILD!r}; use fast, checked, pure, asan or tsan")
    # Compiling takes 18 s of CPU time instead of -O2's 12 and -O1's 9; a hop takes 3 % fewer
    # instructions than with -O2, and 8 % fewer than with -O1.
    cflags = os.environ.get("SHOAL_CFLAGS", SANITIZERS.get(BUILD, "-O3 -fno-plt -g0")).split()
    cflags.append("-ffp-contract=off")  # no a*b+c in one rounding: decisions are the same everywhere
    # Compiled in half the time of -O3, and 2 % slower: what takes time there is objects and dictionaries of Python.
    level = "-O0" if BUILD == "checked" else "-O1"
    quick = [re.sub(r"^-O\d$", level, flag) for flag in cflags]
    ldflags = [flag for flag in cflags if flag.startswith("-fsanitize")]
    return cythonized(
        [
            Extension(
                name,
                [str(source)],
                extra_compile_args=quick if name.startswith("shoal.balancer.") else cflags,
                extra_link_args=ldflags,
            )
            for name, source in twins().items()
        ],
        build_dir=f"build/{BUILD}/cython",  # keeps .c files out of the source folders
        checks=BUILD in ("checked", "asan"),
        annotate=bool(os.environ.get("SHOAL_ANNOTATE")),  # HTML of what stayed Python
    )


def cythonized(
    extensions: list[Extension], *, checks: bool = False, directives: dict[str, bool] | None = None, **options: Any
) -> list[Extension]:
    """The C of all extensions, each module with its own directives besides those given."""
    from Cython.Build import cythonize
    from Cython.Compiler.Options import get_directive_defaults

    get_directive_defaults().update(no_gc=False, freelist=0)  # without a default they count as unknown here
    done: list[Extension] = []
    plain = [extension for extension in extensions if extension.name not in DIRECTIVES_OF]
    alone = [[extension] for extension in extensions if extension.name in DIRECTIVES_OF]
    for group in (plain, *alone):
        own = DIRECTIVES_OF.get(group[0].name, {})
        all_of_them = {**DIRECTIVES, **dict.fromkeys(CHECKS, checks), **(directives or {}), **own}
        done += cythonize(
            group,
            language_level=3,
            nthreads=os.cpu_count() or 1,
            compiler_directives=all_of_them,
            force=_is_stale([Path(options["build_dir"], one.sources[0]).with_suffix(".c") for one in group]),
            **options,
        )
    return done


def _is_stale(made: list[Path]) -> bool:
    """Whether a .pxd is newer than the C: Cython does not see those that `from . cimport _name` reads."""
    newest = max(path.stat().st_mtime for path in Path("src/shoal").glob("*/**/*.pxd"))
    return any(path.exists() and path.stat().st_mtime < newest for path in made)


if __name__ == "__main__":
    setup(
        ext_modules=core_extensions(),
        options={"build": {"build_base": f"build/{BUILD}", "parallel": os.cpu_count() or 1}},
    )
