#!/usr/bin/env python3
"""Builds shoal for Pyodide: all that is compiled as one file of WebAssembly, in a wheel with what a page can use.

    make wasm            build/wasm/dist/shoal-VERSION-cp312-abi3-pyemscripten_2026_0_wasm32.whl
                         build/wasm/dist/shoal-VERSION-py3-none-any.whl      all of the package, nothing compiled
                         build/wasm/whole/shoal-VERSION-cp312-...             with decisions and simulator: tests only
    make wasm-profile    build/wasm-profile/dist/...    keeps function names, which the browser's profiler shows

The compiler is zig's clang (PyPI), so that nothing but packages is needed: no emsdk, no
root.  What it lacks for Emscripten is made here (`prepare_headers`).  The modules use the
Limited API of CPython 3.12 and one function of 3.13 (core/_ticks.pxd); the platform in the
wheel's name is Pyodide 314's.  Other Pyodides take the wheel that is not compiled.
`contents.py` says what the page's wheel leaves out.

A C symbol that Pyodide does not have links and imports without a word, and kills the
interpreter when it is called.  So the build ends with a comparison of its
imports with the exports of `pyodide.asm.wasm`, and fails on what is missing.

All wheels are byte for byte the same whenever they are built from the same source, with the
same headers: names sorted, one date, one compiler.  `--compare` builds with -Os and -O2, prints
the sizes of both and leaves the page's smaller one in Os/, which `make bench-browser ARGS="--only
sending"` then times beside the other; the figures that chose stand beside OPTIMISE.
"""

from __future__ import annotations

import argparse
import gzip
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import wheels
from contents import NOT_COMPILED, of_page, why_not_in_page

ROOT = Path(__file__).resolve().parent.parent.parent
PLATFORM = "pyemscripten_2026_0_wasm32"  # Pyodide 314
LIMITED_API = "0x030C0000"  # CPython 3.12, the first with what Cython needs of the Limited API
# Of -Os, by turns on two cores (AMD EPYC) without other work: the page's wheel has 136.6 kB gzipped instead of 140.9; a
# message sent and dispatched takes as long (245 ns and 250 in Chromium, 289 and 288 in Node 20, the best of six), and
# 24 seeds of tests/browser/traces.py 3 % more CPU time (5.19 s and 5.05).  Little is gained either way; what must hold
# is 150 kB, so that the faster one is taken.
OPTIMISE = "-O2"
# What every message goes through: references are counted in place there (limited_api.h).
HOT = {f"shoal.runtime.core.{name}" for name in ("mailbox", "ready", "ref", "scheduler")}
ZIG = (sys.executable, "-m", "ziglang")


def run(*command: str | Path, **environment: str) -> None:
    done = subprocess.run(
        [str(word) for word in command], cwd=ROOT, env={**os.environ, **environment}, capture_output=True, check=False
    )
    if done.returncode:
        sys.stderr.buffer.write(done.stdout + done.stderr)
        raise SystemExit(f"failed: {' '.join(map(str, command))}")


def prepare_headers(work: Path) -> list[str | Path]:
    """The compiler's options that make Python.h and libc's headers right for Emscripten."""
    include = Path(sysconfig.get_path("include"))
    if not (include / "Python.h").exists():
        raise SystemExit(f"{include} has no Python.h; install the headers of {sys.executable} (python3-dev)")
    # A copy, because Python.h includes the pyconfig.h beside it, whatever the order of -I.
    headers = work / "include"
    shutil.rmtree(headers, ignore_errors=True)
    shutil.copytree(include, headers)
    shutil.copyfile(Path(__file__).with_name("pyconfig.h"), headers / "pyconfig.h")

    import ziglang

    # zig has no libc for Emscripten.  Its musl's headers do, with the sizes of a 32-bit machine.  Emscripten
    # numbers errno otherwise and has other structs for stat and time: no C of ours uses them (core/_ticks.pxd).
    musl = Path(ziglang.__file__).parent / "lib" / "libc" / "include" / "generic-musl"
    types = (musl / "bits" / "alltypes.h").read_text()
    for pattern, replacement in (
        (r"(?m)^#define _REDIR_TIME64.*$", ""),
        (r"(?m)^#define _Addr .*$", "#define _Addr __PTRDIFF_TYPE__"),
        (r"(?m)^#define _Int64 .*$", "#define _Int64 __INT64_TYPE__"),
        (r"(?m)^#define _Reg .*$", "#define _Reg __PTRDIFF_TYPE__"),
        (r"(?s)#if _MIPSEL.*?#endif", "#define __BYTE_ORDER 1234"),
    ):
        types, found = re.subn(pattern, replacement, types)
        if not found:
            raise SystemExit(f"zig's alltypes.h has no {pattern}: another version than pyproject.toml's?")
    shim = work / "libc" / "bits"
    shim.mkdir(parents=True, exist_ok=True)
    (shim / "alltypes.h").write_text(types)
    return ["-I", headers, "-isystem", shim.parent, "-isystem", musl]


def translate(work: Path) -> dict[str, Path]:
    """Cython's C of every module that has a twin, by its full name."""
    os.chdir(ROOT)
    sys.path.insert(0, str(ROOT))
    import setup
    from setuptools import Extension

    extensions = setup.cythonized(
        [Extension(name, [str(source)]) for name, source in setup.twins().items() if name not in NOT_COMPILED],
        build_dir=str(work / "c"),
        quiet=True,
        directives={"auto_pickle": False},  # a seventh of all code, for objects that nobody pickles
    )
    return {extension.name: ROOT / extension.sources[0] for extension in extensions}


def compile_module(name: str, source: Path, work: Path, *, headers: list[str | Path], level: str) -> Path:
    """Its object file."""
    objects = work / "objects" / level.lstrip("-")
    objects.mkdir(parents=True, exist_ok=True)
    compiled = objects / f"{name}.o"
    run(
        *ZIG,
        "cc",
        *("-target", "wasm32-emscripten"),
        "-mcpu=generic-extended_const",  # else a module's addresses are computed in a way that Node refuses
        *(level, "-g0", "-fPIC", "-DNDEBUG", "-w"),
        "-ffp-contract=off",  # no a*b+c in one rounding: decisions are the same everywhere
        *(f"-DPy_LIMITED_API={LIMITED_API}", "-DCYTHON_LIMITED_API=1"),
        *(["-DSHOAL_IS_HOT"] if name in HOT else []),
        *("-include", Path(__file__).with_name("limited_api.h")),
        "-DCYTHON_COMPRESS_STRINGS=0",  # the wheel compresses them better, and needs no code for it
        *headers,
        *("-c", source, "-o", compiled),
        **caches_of(work),
    )
    return compiled


def link(names: list[str], objects: list[Path], work: Path, *, profile: bool) -> bytes:
    """One file of all these modules; each is found in it by the last part of its name."""
    linked = work / "linked.so"
    run(
        *ZIG,
        *("wasm-ld", "-shared", "--experimental-pic", "--import-memory", "--import-undefined"),
        "--unresolved-symbols=import-dynamic",
        "--strip-debug" if profile else "--strip-all",
        "--compress-relocations",  # no room for numbers that a later link might make longer: a sixth of all bytes
        *(f"--export=PyInit_{name.rpartition('.')[2]}" for name in names),
        *objects,
        *("-o", linked),
        **caches_of(work),
    )
    return linked.read_bytes()


def caches_of(work: Path) -> dict[str, str]:
    return {"ZIG_GLOBAL_CACHE_DIR": str(work / "zig"), "ZIG_LOCAL_CACHE_DIR": str(work / "zig")}


class Built(NamedTuple):
    """All modules at one level of optimisation: each by itself, for the report; the page's in one file, and all."""

    alone: dict[str, bytes]
    page: bytes
    whole: bytes

    @property
    def page_names(self) -> list[str]:
        return [name for name in self.alone if why_not_in_page(name) is None]


def compile_all(work: Path, level: str, profile: bool) -> Built:
    headers = prepare_headers(work)
    sources = translate(work)
    names = list(sources)
    assert len({name.rpartition(".")[2] for name in names}) == len(names), f"two modules of one last name: {names}"
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        objects = list(pool.map(lambda row: compile_module(*row, work, headers=headers, level=level), sources.items()))
    alone = {name: link([name], [one], work, profile=profile) for name, one in zip(names, objects, strict=True)}
    of_page = [(name, one) for name, one in zip(names, objects, strict=True) if why_not_in_page(name) is None]
    page = link(*map(list, zip(*of_page, strict=True)), work, profile=profile)
    return Built(alone, page, link(names, objects, work, profile=profile))


def check_symbols(compiled: bytes, work: Path, pyodide: Path) -> None:
    path = work / "compiled.so"
    path.write_bytes(compiled)
    run("node", Path(__file__).with_name("check_symbols.mjs"), pyodide / "pyodide.asm.wasm", path)


def size(data: bytes) -> tuple[int, int]:
    return len(data), len(gzip.compress(data, 9, mtime=0))


def report(builds: dict[str, Built]) -> None:
    """Bytes and gzipped bytes of each module by itself and of all in one, a column for each level of optimisation."""
    names = sorted(next(iter(builds.values())).alone)
    width = max(map(len, names))
    print(f"{'module':{width}}" + "".join(f"{f'{level} bytes':>12}{'gzip':>9}" for level in builds))

    def row(name: str, sizes: list[tuple[int, int]]) -> None:
        print(f"{name:{width}}" + "".join("{:>12}{:>9}".format(*each) for each in sizes))

    for name in names:
        row(name, [size(built.alone[name]) for built in builds.values()])
    each = [[size(data) for data in built.alone.values()] for built in builds.values()]
    row("each by itself", [(sum(a for a, _ in sizes), sum(b for _, b in sizes)) for sizes in each])
    row("the page's, in one", [size(built.page) for built in builds.values()])
    row("all, in one", [size(built.whole) for built in builds.values()])
    for name in names:
        if (reason := why_not_in_page(name)) is not None:
            print(f"{name:{width}}  not in the page's: {reason}")
    for name, reason in NOT_COMPILED.items():
        print(f"{name:{width}}  not compiled: {reason}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pyodide", type=Path, required=True, help="folder of npm's pyodide")
    parser.add_argument("--out", type=Path, default=Path("build/wasm"))
    parser.add_argument("--profile", action="store_true", help="keep function names")
    parser.add_argument("--compare", action="store_true", help="also build with -Os, into Os/; sizes of both")
    options = parser.parse_args()
    work: Path = (ROOT / options.out).resolve()
    work.mkdir(parents=True, exist_ok=True)

    levels = ("-Os", "-O2") if options.compare else (OPTIMISE,)
    builds = {level: compile_all(work, level, options.profile) for level in levels}
    built = builds[OPTIMISE]
    check_symbols(built.whole, work, options.pyodide.resolve())
    report(builds)

    made = work / "made"
    shutil.rmtree(made, ignore_errors=True)
    shutil.rmtree(ROOT / "build/pure", ignore_errors=True)  # setuptools would keep modules that are gone
    run(
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "-w",
        made,
        ".",
        SHOAL_BUILD="pure",
    )
    plain = wheels.read(next(made.glob("*.whl")))
    shutil.rmtree(work / "Os", ignore_errors=True)  # of other sources, if one is there
    smaller = [] if "-Os" not in builds else [(builds["-Os"].page, work / "Os")]
    for path in (
        wheels.write(plain, work / "dist", "py3-none-any"),
        *(
            wheels.write(of_page(plain, built.page_names, page), folder, f"cp312-abi3-{PLATFORM}")
            for page, folder in ((built.page, work / "dist"), *smaller)
        ),
        wheels.write(of_page(plain, list(built.alone), built.whole), work / "whole", f"cp312-abi3-{PLATFORM}"),
    ):
        print(f"{os.path.relpath(path, ROOT)}: {path.stat().st_size} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
