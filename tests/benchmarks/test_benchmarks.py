"""The benchmarks judge rightly and their programs run.  Nothing in here is timed."""

import asyncio
import importlib
import json
import sys
from pathlib import Path

import pytest

from shoal.runtime import ActorSystem

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))
instructions = importlib.import_module("instructions")
harness = importlib.import_module("harness")
measure = importlib.import_module("measure")
processes = importlib.import_module("processes")
runtime = importlib.import_module("runtime")
report = importlib.import_module("report")
savina = importlib.import_module("savina")
savina_programs = importlib.import_module("savina_programs")
balancer = importlib.import_module("balancer")
scale = importlib.import_module("scale")
sys.path.remove(str(BENCHMARKS))

OURS = ("ping_pong", "ring", "many_to_one", "fan_in", "ask", "timers")


@pytest.fixture(autouse=True)
def benchmarks_can_import_each_other(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))


def test_a_slope_leaves_out_what_both_runs_have():
    assert instructions.slope(1_000_000 + 5 * 300, 1_000_000 + 10 * 300, 5) == 300


def test_the_total_is_read_from_what_callgrind_prints():
    assert instructions.instructions_of("==7== Events    : Ir\n==7== Collected : 775430821\n==7==") == 775_430_821
    with pytest.raises(ValueError, match="no total"):
        instructions.instructions_of("valgrind: bad option")


@pytest.mark.parametrize(
    ("after", "asks_why"),
    [(1000, False), (1049, False), (1051, True), (900, False)],
    ids=["same", "4.9", "5.1", "less"],
)
def test_five_per_cent_more_instructions_ask_for_a_reason(after, asks_why):
    assert ("say why" in instructions.change(1000, after)) is asks_why


@pytest.mark.parametrize("name", [name for name in instructions.OPERATIONS if name != "spawn"])
def test_each_program_that_is_counted_ends(name):
    asyncio.run(asyncio.wait_for(instructions.run(name, 1000), 30))


def test_every_recorded_figure_names_its_leg_machine_and_commit():
    path = BENCHMARKS / "results" / "instructions.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert rows
    for row in rows:
        assert {"operation", "leg", "instructions", "python", "cpu", "commit"} <= row.keys()
        assert row["operation"] in instructions.OPERATIONS


def a_record(figure, **changed):
    row = {"operation": "hop", "leg": instructions.leg(), "instructions": figure, "python": "3.11.7"}
    return json.dumps({**row, "compiler": instructions.compiler(), **changed}) + "\n"


def test_the_last_record_of_this_leg_python_and_compiler_counts(monkeypatch, tmp_path):
    results = tmp_path / "instructions.jsonl"
    monkeypatch.setattr(instructions, "RESULTS", results)
    assert instructions.last_recorded("hop", {"python": "3.11.7"}) is None
    others = [{"leg": "another"}, {"python": "3.12.1"}, {"compiler": "Clang 19"}, {"operation": "ask"}]
    results.write_text("".join([a_record(1500), a_record(1400), *(a_record(9, **other) for other in others)]))
    assert instructions.last_recorded("hop", {"python": "3.11.7"}) == 1400


@pytest.mark.parametrize(
    ("hop", "was", "code"),
    [(1400.0, 1400.0, 0), (1469.0, 1400.0, 0), (1471.0, 1400.0, 1), (1000.0, 1400.0, 0), (1400.0, None, 3)],
    ids=["same", "4.9", "5.1", "less", "never recorded"],
)
def test_the_check_names_what_costs_five_per_cent_more(hop, was, code, capsys):
    assert instructions.check({"hop": hop, "ask": 7000.0}, {"hop": was, "ask": 7000.0}) == code
    said = capsys.readouterr().err
    assert ("hop" in said) is (code != 0)
    assert "ask" not in said


@pytest.mark.real  # once, in the leg that users run
def test_a_hop_costs_no_more_instructions_than_recorded():
    before = instructions.last_recorded("hop", harness.machine())
    if before is None:
        pytest.skip("no hop was recorded for this Python and compiler (benchmarks/instructions.py --record hop)")
    found = instructions.count("hop", divide_by=10)
    if found is None:
        pytest.skip("valgrind is not installed (apt-get install valgrind)")
    assert not instructions.costs_more(before, found), f"{found:.0f} where {before:.0f} are recorded: say why"


@pytest.mark.parametrize("name", OURS)
def test_each_workload_of_ours_does_all_of_its_operations(name):
    module = importlib.import_module(f"runtime_claims.{name}")

    async def main():
        async with ActorSystem() as system:
            return await asyncio.wait_for(module.program(system, 200), 30)

    assert asyncio.run(main())["per_cpu_s"] > 0


@pytest.mark.parametrize("name", runtime.CLAIMS)
def test_without_figures_no_claim_holds(name):
    claims = importlib.import_module(f"runtime_claims.{name}").claims(measure.Figures())
    assert claims
    assert all(claim.holds is None for claim in claims)


def test_a_ratio_is_the_median_of_those_within_each_round():
    figures = measure.Figures()
    figures.rows["shoal", "ring"] = [{"per_cpu_s": 10.0}, {"per_cpu_s": 30.0}, {"per_cpu_s": 2.0}]
    figures.rows["erlang", "ring"] = [{"per_cpu_s": 5.0}, {"per_cpu_s": 3.0}, {"per_cpu_s": 2.0}]
    assert figures.ratio("ring", "erlang") == 2.0
    assert figures.ratio("ring", "xoscar") is None


def test_a_goal_is_one_thing_and_the_bound_another():
    claim = harness.Claim("a rate", 1.8, 1.6, at_least=True, goal=2.0)
    assert claim.holds
    assert not claim.reaches
    assert harness.Claim("a size", 200, 400, at_least=False, goal=250).reaches
    assert harness.Claim("no goal", 1, 1, at_least=True).reaches is None


def test_a_peer_that_is_not_installed_is_not_measured(monkeypatch, tmp_path):
    monkeypatch.setattr(runtime, "PEERS_PYTHON", tmp_path / "none")
    monkeypatch.setattr(runtime, "CAF", tmp_path / "none")
    found = runtime.measure_all("ring", ["xoscar", "erlang", "caf"], tmp_path, measure.Figures())
    assert found == {"xoscar": None, "erlang": None, "caf": None}


AT_THE_GATE = """
import sys, time
from measure import Stopwatch, emit
time.sleep(float(sys.argv[1]))
ready_ns = time.monotonic_ns()
Stopwatch().start()
emit("a program", "waiting", ready_ns=ready_ns, began_ns=time.monotonic_ns())
"""


def test_programs_that_are_compared_begin_when_all_of_them_are_ready():
    programs = {"quick": [sys.executable, "-c", AT_THE_GATE, "0"], "slow": [sys.executable, "-c", AT_THE_GATE, "0.2"]}
    found = processes.run_together(
        {**programs, "broken": [sys.executable, "-c", "raise SystemExit(1)"], "absent": None}
    )
    assert found["broken"] is None
    assert found["absent"] is None
    assert min(found[name]["began_ns"] for name in programs) >= max(found[name]["ready_ns"] for name in programs)


@pytest.mark.parametrize("mode", ["cooperative", "threaded"])
@pytest.mark.parametrize("name", savina_programs.PROGRAMS)
def test_each_program_of_savinas_comes_to_its_result_in_both_modes(name, mode):
    pytest.importorskip("uvloop")
    assert asyncio.run(asyncio.wait_for(savina_programs.run(name, mode, 240), 30)) > 0


def test_a_program_that_comes_to_another_result_fails():
    async def main():
        finish = savina_programs.Finish()
        finish(found=239, expected=240)
        await finish.wait()

    with pytest.raises(ValueError, match="came to 239 where it must come to 240"):
        asyncio.run(main())


def test_savinas_table_says_what_was_not_measured(monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    figures = measure.Figures()
    figures.rows = {
        ("shoal", "big"): [{"per_cpu_s": 30.0}],
        ("shoal, threaded", "big"): [{"per_cpu_s": 3.0}],
        ("erlang", "big"): [{"per_cpu_s": 20.0}],
    }
    assert savina.conclude(figures) == 0
    figures.rows["erlang", "big"] = [{}]
    assert savina.conclude(figures) == 3
    figures.rows["shoal", "big"] = [{}]
    assert savina.conclude(figures) == 1
    assert "not measured" in capsys.readouterr().out
    rows = [json.loads(line) for line in (tmp_path / "out" / "bench-savina.jsonl").read_text().splitlines()]
    assert [row["of_erlang"] for row in rows] == [1.5, None, None]


def test_what_metrics_cost_is_measured_with_a_scrape_of_named_actors():
    pytest.importorskip("prometheus_client")
    metrics = importlib.import_module("runtime_claims.metrics")

    async def main():
        _, scrape_ns = await metrics.spent_on("ping_pong", 200, watched=True, scraped=True)
        return scrape_ns, await metrics.figures(2, divide_by=2_000)

    scrape_ns, found = asyncio.run(main())
    assert scrape_ns > 0
    assert set(found) == {"ping_pong_lost", "many_to_one_lost"}


def test_a_scrape_that_does_not_show_the_metrics_is_not_measured():
    pytest.importorskip("prometheus_client")
    metrics = importlib.import_module("runtime_claims.metrics")
    with pytest.raises(RuntimeError, match="lacks the histograms"):
        asyncio.run(metrics.spent_on("ping_pong", 200, watched=False, scraped=True))


def a_run(**changed):
    claim = {"file": "ring", "claim": "ring, against Erlang", "figure": 1.4, "bound": 1.5, "at_least": True}
    return {
        "machine": {
            "cores": 2,
            "cpu": "a <fast> one",
            "load": 0.1,
            "python": "3.11.7",
            "commit": "c0ffee",
            "time": "now",
        },
        "rounds": 3,
        "claims": [{**claim, "unit": "x", "goal": 2.0, "holds": False}],
        "rates": {"ring": {"shoal": [{"per_cpu_s": 3.0}, {}, {"per_cpu_s": 5.0}], "erlang": [{"per_cpu_s": 2.0}]}},
        "savina": {"big": {"shoal": [{"per_cpu_s": 7.0}], "shoal, threaded": [{}], "erlang": [{"per_cpu_s": 9.0}]}},
        **changed,
    }


def test_the_table_has_in_bold_what_does_not_hold():
    table = report.markdown(a_run())
    assert "| ring, against Erlang | `runtime_claims/ring.py` | **1.4 x** | at least 1.5 x | 2 x |" in table
    assert "| big | 7 | not measured | 9 |" in table


def test_publishing_changes_the_readme_between_its_marks_only():
    readme = (BENCHMARKS / "README.md").read_text()
    new = report.published(readme, a_run())
    assert "**1.4 x**" in new
    assert new.partition(report.BEGIN)[0] == readme.partition(report.BEGIN)[0]
    assert new.partition(report.END)[2] == readme.partition(report.END)[2]
    with pytest.raises(ValueError, match="lacks the marks"):
        report.published("no marks", a_run())


def test_the_page_stands_alone_and_says_when_there_are_no_plots():
    page = report.page(a_run(), None)
    assert "matplotlib was not installed" in page
    assert "a &lt;fast&gt; one" in page
    assert "http" not in page
    assert "<svg" in report.page(a_run(), "<svg></svg>")


def test_the_balancers_benchmark_plays_and_compares(tmp_path):
    kept = balancer.Kept(tmp_path / "runs.jsonl")
    runs = balancer.Runs(1, kept)
    folder = tmp_path / "traces" / "set"
    folder.mkdir(parents=True)
    (folder / "one.txt").write_text("0 8\n10 6\n")
    claims = balancer.recorded_lines(runs, folder.parent, viewers=2, seeds=2)
    kept.close()
    assert len(claims) == 5
    assert all(claim.figure is not None for claim in claims)
    kept = balancer.Kept(tmp_path / "runs.jsonl")
    alone = balancer.recorded_lines(balancer.Runs(1, kept), folder.parent, viewers=2, seeds=1)
    kept.close()
    assert [claim.figure for claim in alone[:-1]] == [None] * 4  # one seed has no interval
    assert balancer.median_us(2) > 0


def test_many_viewers_are_told_of_minute_by_minute(monkeypatch):
    monkeypatch.setattr(scale, "TELL_SECONDS", 5)
    told = []
    scale.simulate(3, 12, told.append)
    assert [figures["at_s"] for figures in told] == [0, 5, 10, 12]
    assert told[-1]["events"] > 0
    spent = [figures["cpu_s"] for figures in told]
    assert spent == sorted(spent)


def test_a_simulation_that_dies_leaves_its_figures_and_the_reason(monkeypatch, tmp_path, capsys):
    program = tmp_path / "dies.py"
    program.write_text(
        "import os, signal\n"
        """print('{"at_s": 60, "cpu_s": 12.5, "gib": 1.5}', flush=True)\n"""
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    monkeypatch.setattr(scale, "__file__", str(program))
    figures = scale.simulated(10_000, 600)
    printed = capsys.readouterr()
    assert (figures["at_s"], figures["cpu_s"], figures["gib"]) == (60, 12.5, 1.5)
    assert "at  60 s:    12.5 CPU s" in printed.out
    assert "killed by SIGKILL" in printed.err
    growth, cpu, memory = scale.claims_of({1_000: {"at_s": 600, "cpu_s": 9.0, "events": 1}, 10_000: figures}, 600)
    assert (growth.holds, cpu.holds, memory.holds) == (None, None, None)  # 12.5 of 600 s are no 10 minutes


def test_what_a_simulation_that_fails_said_is_shown(monkeypatch, tmp_path, capsys):
    program = tmp_path / "fails.py"
    program.write_text("raise RuntimeError('no more viewers')\n")
    monkeypatch.setattr(scale, "__file__", str(program))
    assert scale.simulated(10, 60) == {}
    assert "ended with 1: " in capsys.readouterr().err
