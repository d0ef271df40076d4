#!/usr/bin/env python3
"""Fuzz what parses, with atheris: run.py [--seconds S] [--at-once N] [TARGET...]

Targets are those of `targets.py`, all by default, each in a process of its own, S seconds each (10), N at a time (one
for each core); `together` is all of them in one.  The source is what runs, uncompiled, for atheris to see its branches;
it is prepared once, which takes some seconds, and the processes are forks of that one.  What reaches new branches is
kept in build/fuzz/TARGET, and the next run goes on from there; it begins with tests/data/fuzz/TARGET.  An input that
finds a bug is written to build/fuzz/found: it belongs there too, with the mend.

Exit codes: 0, nothing was found; 1, something was, and is named; 3, atheris is not installed.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import IO

ROOT = Path(__file__).resolve().parents[2]
KEPT = ROOT / "tests" / "data" / "fuzz"
GROWN = ROOT / "build" / "fuzz"
MORE = {
    "playlist": (ROOT / "tests" / "data" / "m3u8_parser",),
    "mpd": (ROOT / "tests" / "data" / "mpd_parser",),
}
INPUT_BYTES_MAX = 4096  # longer ones are slow and find little that these do not
SLOWEST_S = 10  # one input may not take longer; together with the coverage this is a hundred times what it takes
TOGETHER = "together"


def inputs(target: str) -> list[Path]:
    """Where its first inputs are."""
    return [folder for folder in (KEPT / target, *MORE.get(target, ())) if folder.is_dir()]


def grown(target: str, names: list[str]) -> Path:
    """Where its own inputs grow.  For all together: with those of each, after the byte that chooses it."""
    folder = GROWN / target
    folder.mkdir(parents=True, exist_ok=True)
    if target == TOGETHER:
        for number, name in enumerate(names):
            for path in (path for place in inputs(name) for path in place.iterdir() if path.is_file()):
                data = path.read_bytes()
                if len(data) < INPUT_BYTES_MAX:
                    (folder / f"{name}-{path.name}").write_bytes(bytes((number,)) + data)
    return folder


def fuzz(target: str, seconds: int, targets: dict[str, Callable[[bytes], None]]) -> None:
    """Run one target here until the time is up or something is found; does not return."""
    import atheris

    names = list(targets)

    def together(data: bytes) -> None:
        if data:
            targets[names[data[0] % len(names)]](data[1:])

    run: Callable[[bytes], None] = together if target == TOGETHER else targets[target]
    found = GROWN / "found"
    found.mkdir(parents=True, exist_ok=True)
    flags = [
        *(f"-max_total_time={seconds}", f"-max_len={INPUT_BYTES_MAX}", f"-timeout={SLOWEST_S}"),
        *("-rss_limit_mb=1024", f"-artifact_prefix={found}/{target}-", "-print_final_stats=1", "-verbosity=0"),
    ]
    folders = [str(folder) for folder in (grown(target, names), *inputs(target))]
    atheris.Setup([sys.argv[0], *flags, *folders], run)
    atheris.Fuzz()


def fuzz_all(names: list[str], seconds: int, at_once: int) -> int:
    """Each in a fork of this process, and the exit code for all of them."""
    import atheris

    with atheris.instrument_imports(include=["shoal.app", "shoal.balancer", "shoal.transports"]):
        import targets
    waiting, running, failed = list(names), dict[int, tuple[str, IO[str]]](), False
    while waiting or running:
        while waiting and len(running) < at_once:
            name, told = waiting.pop(0), tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed when it was read
            sys.stdout.flush()
            child = os.fork()
            if not child:
                os.dup2(told.fileno(), 1)
                os.dup2(told.fileno(), 2)
                fuzz(name, seconds, targets.ALL)
                raise SystemExit(1)  # not reached; and no os._exit, or what was found would not be written down
            running[child] = (name, told)
        ended, status = os.wait()
        name, told = running.pop(ended)
        with told:
            told.seek(0)
            report = told.read()
        print(f"{name:16} {executions(report):>10} inputs  {'FOUND' if status else 'nothing found'}", flush=True)
        if status:
            failed = True
            print(report[max(0, report.find("Uncaught Python exception")) :][-4000:], flush=True)
    return 1 if failed else 0


def executions(report: str) -> str:
    """How many inputs were run, of what libFuzzer says at its end."""
    lines = [line for line in report.splitlines() if "number_of_executed_units" in line]
    return lines[-1].rpartition(":")[2].strip() if lines else "?"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("targets", nargs="*")
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--at-once", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if importlib.util.find_spec("atheris") is None:
        print("nothing was fuzzed: atheris is not installed (tools/install-test-tools)", file=sys.stderr)
        return 3
    known = [*sorted(folder.name for folder in KEPT.iterdir()), TOGETHER]  # each target has inputs to begin with
    names = options.targets or known[:-1]
    if unknown := set(names) - set(known):
        parser.error(f"no target is called {', '.join(sorted(unknown))}; use {', '.join(known)}")
    if options.inside:
        return fuzz_all(names, options.seconds, options.at_once)
    command = [sys.executable, __file__, "--inside", "--seconds", str(options.seconds), "--at-once"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "SHOAL_LEG": "pure"}
    return subprocess.run([*command, str(options.at_once), *names], check=False, env=environment).returncode


if __name__ == "__main__":
    raise SystemExit(main())
