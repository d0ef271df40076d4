#!/usr/bin/env python3
"""Builds shoal for Pyodide: each compiled module as WebAssembly, in a wheel with all of the Python.

    make wasm            build/wasm/dist/shoal-VERSION-cp312-abi3-pyemscripten_2026_0_wasm32.whl
                         build/wasm/dist/shoal-VERSION-py3-none-any.whl      the same, nothing compiled
    make wasm-profile    build/wasm-profile/dist/...    keeps function names, which the browser's profiler shows

The compiler is zig's clang (PyPI), so that nothing but packages is needed: no emsdk, no
root.  What it lacks for Emscripten is made here (`prepare_headers`).  The modules use the
Limited API of CPython 3.12 and one function of 3.13 (core/_ticks.pxd); the platform in the
wheel's name is Pyodide 314's.  Other Pyodides take the wheel that is not compiled.

A C symbol that Pyodide does not have links and imports without a word, and kills the
interpreter when it is called.  So the build ends with a comparison of every module's
imports with the exports of `pyodide.asm.wasm`, and fails on what is missing.

Both wheels are byte for byte the same whenever they are built from the same source, with the
same headers: names sorted, one date, one compiler.  `--compare` builds with -Os and -O2 and
prints both; the figures that chose stand beside OPTIMISE.
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

import wheels

ROOT = Path(__file__).resolve().parent.parent.parent
PLATFORM = "pyemscripten_2026_0_wasm32"  # Pyodide 314
LIMITED_API = "0x030C0000"  # CPython 3.12, the first with what Cython needs of the Limited API
# -Os makes modules 4 % smaller (580,933 bytes, 190,936 gzipped, instead of 603,097 and 195,408): too little to
# give speed away for.  Most of a small module is what Cython brings with it, some 10 kB gzipped.
OPTIMISE = "-O2"


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
        [Extension(name, [str(source)]) for name, source in setup.twins().items()],
        build_dir=str(work / "cython"),
        quiet=True,
    )
    return {extension.name: ROOT / extension.sources[0] for extension in extensions}


def compile_module(
    name: str, source: Path, work: Path, *, headers: list[str | Path], level: str, profile: bool
) -> Path:
    zig = (sys.executable, "-m", "ziglang")
    caches = {"ZIG_GLOBAL_CACHE_DIR": str(work / "zig"), "ZIG_LOCAL_CACHE_DIR": str(work / "zig")}
    objects = work / "objects" / level.lstrip("-")
    objects.mkdir(parents=True, exist_ok=True)
    compiled = objects / f"{name}.o"
    run(
        *zig,
        "cc",
        *("-target", "wasm32-emscripten"),
        "-mcpu=generic-extended_const",  # else a module's addresses are computed in a way that Node refuses
        *(level, "-g0", "-fPIC", "-DNDEBUG", "-w"),
        "-ffp-contract=off",  # no a*b+c in one rounding: decisions are the same everywhere
        *(f"-DPy_LIMITED_API={LIMITED_API}", "-DCYTHON_LIMITED_API=1"),
        *headers,
        *("-c", source, "-o", compiled),
        **caches,
    )
    linked = compiled.with_suffix(".so")
    run(
        *zig,
        *("wasm-ld", "-shared", "--experimental-pic", "--import-memory", "--import-undefined"),
        "--unresolved-symbols=import-dynamic",
        "--strip-debug" if profile else "--strip-all",
        f"--export=PyInit_{name.rpartition('.')[2]}",
        *(compiled, "-o", linked),
        **caches,
    )
    return linked


def compile_all(work: Path, level: str, profile: bool) -> dict[str, bytes]:
    """Every module, by its path in the wheel."""
    headers = prepare_headers(work)
    sources = translate(work)
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        linked = pool.map(
            lambda row: compile_module(*row, work, headers=headers, level=level, profile=profile), sources.items()
        )
        return {
            name.replace(".", "/") + ".abi3.so": path.read_bytes() for name, path in zip(sources, linked, strict=True)
        }


def check_symbols(modules: dict[str, bytes], work: Path, pyodide: Path) -> None:
    folder = work / "modules"
    shutil.rmtree(folder, ignore_errors=True)
    for name, data in modules.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    check = Path(__file__).with_name("check_symbols.mjs")
    run("node", check, pyodide / "pyodide.asm.wasm", *(folder / name for name in modules))


def size(data: bytes) -> tuple[int, int]:
    return len(data), len(gzip.compress(data, 9, mtime=0))


def report(builds: dict[str, dict[str, bytes]]) -> None:
    """Bytes and gzipped bytes of each module, a column for each level of optimisation."""
    names = sorted(next(iter(builds.values())))
    width = max(map(len, names))
    print(f"{'module':{width}}" + "".join(f"{f'{level} bytes':>12}{'gzip':>9}" for level in builds))
    for name in names:
        print(f"{name:{width}}" + "".join("{:>12}{:>9}".format(*size(modules[name])) for modules in builds.values()))
    totals = [[size(data) for data in modules.values()] for modules in builds.values()]
    print(f"{'all':{width}}" + "".join(f"{sum(a for a, _ in t):>12}{sum(b for _, b in t):>9}" for t in totals))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pyodide", type=Path, required=True, help="folder of npm's pyodide")
    parser.add_argument("--out", type=Path, default=Path("build/wasm"))
    parser.add_argument("--profile", action="store_true", help="keep function names")
    parser.add_argument("--compare", action="store_true", help="also build with -Os and print the sizes of both")
    options = parser.parse_args()
    work: Path = (ROOT / options.out).resolve()
    work.mkdir(parents=True, exist_ok=True)

    levels = ("-Os", "-O2") if options.compare else (OPTIMISE,)
    builds = {level: compile_all(work, level, options.profile) for level in levels}
    modules = builds[OPTIMISE]
    check_symbols(modules, work, options.pyodide.resolve())
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
    for path in (
        wheels.write(plain, work / "dist", "py3-none-any"),
        wheels.write({**plain, **modules}, work / "dist", f"cp312-abi3-{PLATFORM}"),
    ):
        print(f"{os.path.relpath(path, ROOT)}: {path.stat().st_size} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
