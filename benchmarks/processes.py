"""Programs to be measured, each in a process of its own: how each runtime's is run, and the line it prints.

What a virtual machine's core gives changes by half within a second, as its neighbours come and go.  So programs that
are compared run side by side on one core, which the kernel gives to each for some 3 ms in turn: what disturbs one
disturbs the others.  Each stands at a gate when it is ready to begin, and all are let go at once.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

__all__ = ["HERE", "LONGEST_S", "compile_erlang", "erlang", "run", "run_together"]

HERE = Path(__file__).resolve().parent
LONGEST_S = 120
GATE = "SHOAL_BENCH_GATE"  # in the environment of a program that has to wait until all are ready


def compile_erlang(into: Path) -> None:
    """All peers written in Erlang; nothing without its compiler."""
    if shutil.which("erlc") is not None:
        for source in sorted((HERE / "peers").glob("*.erl")):
            subprocess.run(["erlc", "-o", str(into), str(source)], check=True)


def erlang(module: str, work: str, ebin: Path) -> list[str] | None:
    """How to run a workload on Erlang with one scheduler; None when it is not installed."""
    if not (ebin / f"{module}.beam").exists():
        return None
    return ["erl", "+S", "1", "+sbwt", "none", "-noshell", "-pa", str(ebin), "-run", module, "main", work]


def run(arguments: list[str] | None, label: str) -> dict[str, float] | None:
    """The figures of one run; None when it could not run, and why on stderr."""
    return run_together({label: arguments})[label]


def run_together(programs: dict[str, list[str] | None]) -> dict[str, dict[str, float] | None]:
    """The figures of each, by label, when all ran side by side; None for one that could not run, why on stderr."""
    started = {label: start(arguments, gated=len(programs) > 1) for label, arguments in programs.items() if arguments}
    if len(started) > 1:
        for process in started.values():
            wait_at_gate(process)
    for process in started.values():
        if process.stdin is not None and process.poll() is None:
            process.stdin.write("go\n")
            process.stdin.flush()
    figures: dict[str, dict[str, float] | None] = dict.fromkeys(programs)
    for label, process in started.items():
        figures[label] = figures_of(process, label)
    return figures


def start(arguments: list[str], *, gated: bool) -> subprocess.Popen[str]:
    """A program; gated: on the last core, where it says `ready` and waits for a line before it measures anything."""
    path = os.pathsep.join([str(HERE), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": path, **({GATE: "1"} if gated else {})}
    pinned = ["taskset", "-c", str(max(os.sched_getaffinity(0)))] if gated and shutil.which("taskset") else []
    return subprocess.Popen(
        [*pinned, *arguments],
        stdin=subprocess.PIPE if gated else subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )


def wait_at_gate(process: subprocess.Popen[str]) -> None:
    """Until the program is ready, or has ended without being so."""
    assert process.stdout is not None, "it was asked for"
    for line in process.stdout:
        if line.strip() == "ready":
            return


def figures_of(process: subprocess.Popen[str], label: str) -> dict[str, float] | None:
    """What it prints at its end."""
    try:
        printed, errors = process.communicate(timeout=LONGEST_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        print(f"{label} did not end in {LONGEST_S} s", file=sys.stderr)
        return None
    lines = [line for line in printed.splitlines() if line.startswith("{")]
    if not lines:
        print(f"{label} failed: {errors.strip()[-300:]}", file=sys.stderr)
        return None
    print(lines[-1], flush=True)
    row: dict[str, Any] = json.loads(lines[-1])
    return {name: value for name, value in row.items() if name not in ("runtime", "work")}
