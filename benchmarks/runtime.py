"""The runtime against its bounds, and its peers in the same run.

    make bench-runtime                                seven rounds and Savina's set, 12 minutes
    make bench-runtime ARGS="--quick"                 three rounds of the peers that bounds speak of, 2 minutes
    make bench-runtime ARGS="--only ping_pong ask"    some claims

One process for each runtime and workload, all of them once in each round; a figure is the median of its rounds, a ratio
that of the ratios within each round.  Ours and peers of one thread that a bound speaks of share a core, side by side
(`processes.py`); the first round only says how many operations take each of them as long as the others.  Ours has all
on: supervision, counters, bounded mailboxes, time-outs.  `tools/install-bench-peers` gets what is not there; a peer
that is missing is `not measured`, and the exit code then 3.
"""

from __future__ import annotations

import argparse
import importlib
import json
import subprocess
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

import savina
from harness import Claim, conclude, machine
from measure import Figures
from processes import HERE, compile_erlang, erlang, run, run_together

PEERS_PYTHON = HERE.parent / "build" / "peers-venv" / "bin" / "python"
CAF = HERE.parent / "build" / "peers" / "caf_actors"  # of peers/caf_actors.cpp, by tools/install-bench-peers
CLAIMS = (
    *("ping_pong", "ring", "many_to_one", "fan_in", "ask", "spawn"),
    *("fairness", "turns", "cross_thread", "timers", "metrics", "hop", "exploring"),
)
# On one core; not Pykka, whose threads would then pass the GIL on for a third of what it takes where its users run it.
ON_A_CORE = ("shoal", "erlang", "xoscar", "asyncio_queue")
SIDE_BY_SIDE = ("ping_pong", "ring", "many_to_one", "ask")  # for AIM_S of CPU time each
AS_LARGE_AS_GIVEN = ("fan_in", "spawn")  # as well, but a queue or a heap of another size is another workload
AIM_S = 1.0
BOUNDED_BY = ("erlang", "xoscar", "pykka", "asyncio_queue")  # the peers that bounds speak of
OWN = ("no_turns", "plain_threads", "shoal_asyncio", "eventfd")  # a claim's own file runs these too


def command(runtime: str, work: str, ebin: Path) -> list[str] | None:
    """How to run one workload on one runtime; None when that is not installed."""
    ours = [sys.executable, "-W", "ignore", str(HERE / "runtime_claims" / f"{work}.py")]
    if runtime == "shoal":
        return ours
    if runtime in OWN:
        return [*ours, runtime]
    if runtime == "erlang":
        return erlang("erlang_actors", work, ebin)
    if runtime == "caf":
        return [str(CAF), work] if CAF.exists() else None
    if not PEERS_PYTHON.exists():
        return None
    script = runtime if (HERE / "peers" / f"{runtime}.py").exists() else f"{runtime}_actors"
    return [str(PEERS_PYTHON), "-W", "ignore", str(HERE / "peers" / f"{script}.py"), work]


def measure_all(work: str, runtimes: list[str], ebin: Path, before: Figures) -> dict[str, dict[str, float] | None]:
    """One round of a workload on each runtime: side by side those that are compared, the others after them."""
    together = [name for name in runtimes if name in ON_A_CORE]
    if work not in (*SIDE_BY_SIDE, *AS_LARGE_AS_GIVEN):
        together = []
    found: dict[str, dict[str, float] | None] = {}
    if together:
        programs = {name: command(name, work, ebin) for name in together}
        for name, program in programs.items():
            rate = before.figure(name, work)
            if program is not None and rate is not None and work in SIDE_BY_SIDE:
                program.append(str(round(rate * AIM_S)))
        labels = {f"{name} {work}": name for name in together}
        measured = run_together({label: programs[name] for label, name in labels.items()})
        found = {name: measured[label] for label, name in labels.items()}
    for name in runtimes:
        if name not in found:
            found[name] = run(command(name, work, ebin), f"{name} {work}")
    return found


def show(figures: Figures, claims: list[str]) -> None:
    """Every runtime's median, by workload."""
    print("\nper CPU-second, medians\n")
    for work in claims:
        rates = {
            runtime: figures.figure(runtime, work)
            for runtime in ("shoal", *BOUNDED_BY, "caf", "thespian", "threads")
            if (runtime, work) in figures.rows
        }
        shown = ", ".join(f"{runtime} {rate:,.0f}" for runtime, rate in rates.items() if rate is not None)
        if shown:
            print(f"{work:12} {shown}")


def write_run(rounds: int, figures: Figures, micro: Figures, claims: list[tuple[str, Claim]]) -> None:
    """All that was measured to out/bench-runtime.json, and what report.py makes of it beside it."""
    path = Path("out/bench-runtime.json")
    run_of_all = {
        "machine": machine(),
        "rounds": rounds,
        "claims": [{"file": name, **asdict(claim), "holds": claim.holds} for name, claim in claims],
        "rates": figures.by_work(),
        "savina": micro.by_work(),
    }
    path.write_text(json.dumps(run_of_all, indent=1) + "\n")
    python = PEERS_PYTHON if PEERS_PYTHON.exists() else sys.executable
    subprocess.run([str(python), str(HERE / "report.py"), str(path)], check=False)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, help="7, or 3 if quick")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", nargs="*", choices=CLAIMS, default=list(CLAIMS))
    options = parser.parse_args()
    rounds = options.rounds or (3 if options.quick else 7)
    modules = {name: importlib.import_module(f"runtime_claims.{name}") for name in options.only}
    figures = Figures()
    with tempfile.TemporaryDirectory() as ebin:
        compile_erlang(Path(ebin))
        skipped = {
            peer for work, module in modules.items() for peer in module.PEERS if not command(peer, work, Path(ebin))
        }
        for peer in sorted(skipped):
            print(f"{peer} is not installed here: skipped (tools/install-bench-peers)", file=sys.stderr)
        sizing = Figures()
        for work in [work for work in modules if work in SIDE_BY_SIDE]:
            for runtime, found in measure_all(work, list(ON_A_CORE), Path(ebin), sizing).items():
                sizing.rows[runtime, work] = [found or {}]
        for number in range(rounds):
            for work, module in modules.items():
                if number > 0 and getattr(module, "RUNS_ONCE", False):
                    continue
                peers = [peer for peer in module.PEERS if not options.quick or peer in BOUNDED_BY]
                runtimes = ["shoal", *peers, *getattr(module, "OWN", ())]
                for runtime, found in measure_all(work, runtimes, Path(ebin), sizing).items():
                    # A run that failed keeps its place: a ratio is of two runs of one round.
                    figures.rows.setdefault((runtime, work), []).append(found or {})
    show(figures, options.only)
    claims = [(name, claim) for name, module in modules.items() for claim in module.claims(figures)]
    whole = list(options.only) == list(CLAIMS) and not options.quick
    micro = savina.measure(list(savina.PROGRAMS), savina.ROUNDS) if whole else Figures()
    broken = savina.conclude(micro) if whole else 0
    held = conclude("runtime", [claim for _, claim in claims])
    write_run(rounds, figures, micro, claims)
    return held or broken


if __name__ == "__main__":
    raise SystemExit(main())
