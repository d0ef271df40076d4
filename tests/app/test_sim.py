"""`shoal sim`: sweeps, replays, and what is wrong with a command line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from shoal.app.cli import main
from shoal.app.sim import jobs
from shoal.app.sim.jobs import Crowd, identity, jobs_of, parse_fault, play, scenario_of
from shoal.app.sim.sweep import Kept, sweep
from shoal.balancer.config import BalancerConfig
from shoal.balancer.errors import ConfigurationError
from shoal.balancer.sim.scenario import Behaviour, Fault, FaultKind
from shoal.balancer.sim.traces import parse

TRACES = Path(__file__).parents[1] / "data" / "traces"
JOBS = jobs_of("vod", ["shoal", "one-cdn"], [1, 2, 3], Crowd(viewers=2), BalancerConfig())


def shoal(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, list[dict[str, Any]], str]:
    code = main(["sim", *arguments, "--json"])
    out, err = capsys.readouterr()
    return code, [json.loads(line) for line in out.splitlines()], err


@pytest.mark.parametrize("workers", [1, 2])
def test_outcomes_are_in_the_order_of_the_jobs_whatever_the_number_of_workers(workers: int) -> None:
    assert sweep(JOBS, workers=workers) == [play(job) for job in JOBS]


def test_what_other_code_decided_is_another_run(monkeypatch: pytest.MonkeyPatch) -> None:
    before = identity(JOBS[0])
    assert identity(JOBS[0]) == before
    monkeypatch.setattr(jobs, "_code", lambda: b"other")
    assert identity(JOBS[0]) != before


def test_a_sweep_that_was_interrupted_goes_on_where_it_was(tmp_path: Path) -> None:
    path = tmp_path / "out" / "runs.jsonl"
    seen: list[tuple[int, int]] = []

    class Interrupted(Exception):
        pass

    def until_the_third(done: int, everything: int) -> None:
        seen.append((done, everything))
        if done == 3:
            raise Interrupted

    kept = Kept(path)
    with pytest.raises(Interrupted):
        sweep(JOBS, workers=1, kept=kept, progress=until_the_third)
    kept.close()
    with path.open("ab") as file:
        file.write(b'{"identity": "half a line')
    for left in (3, 0):
        seen.clear()
        kept = Kept(path)
        whole = sweep(JOBS, workers=1, kept=kept, progress=lambda *state: seen.append(state))
        kept.close()
        assert seen[0] == (6 - left, 6)
        assert len(seen) == 1 + left
        assert whole == [play(job) for job in JOBS]


def test_a_run_is_found_again_only_by_all_that_it_follows_from() -> None:
    others = [
        *jobs_of("live", ["shoal"], [1], Crowd(viewers=2), BalancerConfig()),
        *jobs_of("vod", ["shoal"], [1], Crowd(viewers=2, polluters=0.5), BalancerConfig()),
        *jobs_of("vod", ["shoal"], [1], Crowd(viewers=2), BalancerConfig(store_bytes_max=1 << 26)),
    ]
    assert len({identity(job) for job in (*JOBS, *others)}) == len(JOBS) + 3


def test_the_table_has_a_row_for_each_policy_within_eighty_columns(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sim", "vod", "--viewers", "3", "--seeds", "2", "--workers", "1"]) == 0
    out, _ = capsys.readouterr()
    assert max(map(len, out.splitlines())) <= 80
    for policy in ("shoal", "p2p-media-loader", "one-cdn", "round-robin", "best-score"):
        assert sum(line.startswith(policy) for line in out.splitlines()) == 1 + (policy == "shoal") + (
            policy != "shoal"
        )


def test_runs_and_their_comparison_come_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    code, lines, _ = shoal(
        capsys, "live", "--viewers", "3", "--seeds", "2", "--policies", "shoal,one-cdn", "--workers", "1"
    )
    assert code == 0
    assert [(line["policy"], line["seed"]) for line in lines[:-1]] == [
        ("shoal", 1),
        ("one-cdn", 1),
        ("shoal", 2),
        ("one-cdn", 2),
    ]
    assert lines[-1]["event"] == "compared"
    assert lines[-1]["comparisons"][1]["difference"]["offload"]["mean"] > 0.3


def test_each_folder_of_lines_is_a_set_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    folders = [str(TRACES / name) for name in ("oboe", "fcc")]
    sizes = ("--viewers", "2", "--seeds", "1", "--policies", "one-cdn,oracle", "--workers", "1")
    code, lines, _ = shoal(capsys, "traced", "--traces", *folders, *sizes)
    assert code == 0
    assert [(line["event"], line["set"]) for line in lines] == [
        *[("run", "oboe")] * 2,
        ("compared", "oboe"),
        *[("run", "fcc")] * 2,
        ("compared", "fcc"),
    ]
    assert lines[0]["bitrate"] != lines[3]["bitrate"]


def test_a_large_crowd_is_played_by_the_light_model(capsys: pytest.CaptureFixture[str]) -> None:
    sizes = ("--viewers", "500", "--seeds", "1", "--policies", "light", "--workers", "1")
    code, lines, _ = shoal(capsys, "crowd", *sizes)
    assert code == 0
    assert lines[0]["policy"] == "light"
    assert 0.4 < lines[0]["offload"] < 0.9


def test_a_sweep_is_drawn_into_one_page_which_needs_nothing_else(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("matplotlib", reason="no matplotlib: pip install 'shoal[plots]'")
    page, again = tmp_path / "out" / "page.html", tmp_path / "again.html"
    for path in (page, again):
        code, lines, _ = shoal(
            capsys,
            *("vod", "--viewers", "2", "--seeds", "2", "--policies", "shoal,one-cdn", "--workers", "1"),
            *("--polluters", "0.5", "--html", str(path)),
        )
        assert (code, lines[-1]) == (0, {"event": "drawn", "files": [str(path)]})
    text = page.read_text()
    assert text == again.read_text()
    assert text.count('src="data:image/svg+xml;base64,') == 3  # policies, differences, a swarm over time
    assert "http" not in text.replace("http-equiv", "")
    assert "50% of the viewers send wrong bytes" in text
    assert "<details><summary>4 runs</summary>" in text


def test_without_the_library_for_plots_nothing_is_begun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    code, lines, err = shoal(capsys, "vod", "--html", str(tmp_path / "page.html"))
    assert code == 2
    assert "shoal[plots]" in err
    assert [line["event"] for line in lines] == ["error"]


def test_a_replayed_seed_gives_the_same_bytes_in_any_process() -> None:
    command = [sys.executable, "-m", "shoal.app.cli", "sim", "traced", "--traces", str(TRACES), "--viewers", "2"]
    outputs = {
        subprocess.run(
            [*command, "--replay", "7"],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(outputs) == 1
    assert json.loads(outputs.pop())["seed"] == 7


def test_bad_peers_and_faults_are_put_into_the_scenario(capsys: pytest.CaptureFixture[str]) -> None:
    crowd = Crowd(
        viewers=10, polluters=0.2, free_riders=0.3, liars=0.1, leaving_s=30, faults=(parse_fault("a=hang@5-9"),)
    )
    (job,) = jobs_of("vod", ["shoal"], [4], crowd, BalancerConfig())
    scenario = scenario_of(job)
    found = [viewer.behaviour for viewer in scenario.viewers]
    assert [found.count(behaviour) for behaviour in (Behaviour.POLLUTER, Behaviour.FREE_RIDER, Behaviour.LIAR)] == [
        2,
        3,
        1,
    ]
    assert found[0] is Behaviour.HONEST
    assert scenario.cdns[0].faults == (Fault(FaultKind.HANG, 5_000_000, 9_000_000),)
    assert all(viewer.leaves_us is not None for viewer in scenario.viewers[1:])
    code, lines, _ = shoal(
        capsys, "vod", "--viewers", "10", "--seeds", "1", "--policies", "shoal", "--polluters", "0.2", "--workers", "1"
    )
    assert code == 0
    assert lines[0]["wrong_bytes"] == 0
    assert lines[0]["wasted"] > 0  # they were met


def test_who_leaves_a_polluter_in_the_middle_of_a_block_plays_nothing_of_it() -> None:
    traces = tuple(parse(path.read_text()) for path in sorted((TRACES / "oboe").glob("*.txt")))
    (job,) = jobs_of("traced", ["shoal"], [1], Crowd(viewers=6, polluters=0.2, traces=traces), BalancerConfig())
    outcome = play(job)
    assert outcome.wrong_bytes == 0
    assert outcome.wasted > 0


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--policies", "shoal,nobody"], "nobody"),
        (["--policies", "shoal,shoal"], "each once"),
        (["--policies", "light"], "not live"),
        (["--policies", ","], "each once"),
        (["--fault", "a=hang"], "CDN=KIND@BEGIN-END"),
        (["--fault", "a=hang@9-5"], "after the beginning"),
        (["--fault", "a=hang@0-inf"], "CDN=KIND@BEGIN-END"),
        (["--traces", "/nowhere/at/all"], "no file"),
        (["--traces", str(TRACES.parent / "p2pml")], "line|numbers|no file"),
        (["--traces", str(TRACES), str(TRACES / "oboe" / "..")], "one name"),
        (["--traces", str(TRACES / "oboe"), str(TRACES / "fcc"), "--replay", "1"], "one folder"),
        (["--config", "/nowhere.toml"], "--config"),
    ],
)
def test_what_is_wrong_with_the_command_line_is_said(
    capsys: pytest.CaptureFixture[str], arguments: list[str], says: str
) -> None:
    code, _, err = shoal(capsys, "vod", *arguments)
    assert code == 2
    assert any(word in err for word in says.split("|")), err


@pytest.mark.parametrize("arguments", [["--viewers", "0"], ["--viewers", "x"], ["--polluters", "2"], ["--seeds", "-1"]])
def test_a_number_that_makes_no_sense_is_refused(arguments: list[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["sim", "vod", *arguments])


def test_a_fault_is_read() -> None:
    assert parse_fault("a=slow@1.5-3") == ("a", Fault(FaultKind.SLOW, 1_500_000, 3_000_000))
    with pytest.raises(ConfigurationError, match="kinds: error, silent, hang, slow, dead, wrong"):
        parse_fault("a=odd@1-2")


def test_a_sweep_on_ray_without_ray_says_what_to_install(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    code, _, err = shoal(capsys, "vod", "--ray")
    assert code == 2
    assert "pip install 'shoal[ray]'" in err


def test_a_recorded_session_is_decided_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from shoal.balancer.events import CdnAdded, ResourceRequested
    from shoal.balancer.model import Kind, ResourceKey
    from shoal.balancer.recording import RecordedPolicy, Recording

    path = tmp_path / "session.jsonl"
    with path.open("wb") as file:
        policy = RecordedPolicy(BalancerConfig(), 1, Recording(file.write, salt=b"salt"))
        policy.handle(CdnAdded("one"), 0)
        policy.handle(ResourceRequested(ResourceKey(0, Kind.MEDIA, 1)), 5)
    code, lines, _ = shoal(capsys, "--replay-session", str(path))
    assert (code, lines[0]["events"], lines[0]["difference"]) == (0, 2, None)
    path.write_bytes(path.read_bytes().replace(b'"why":"start"', b'"why":"explore"'))
    code, lines, _ = shoal(capsys, "--replay-session", str(path))
    assert code == 1
    assert lines[0]["difference"]["line"] == 3
    code, _, err = shoal(capsys, "--replay-session", str(tmp_path / "nowhere"))
    assert code == 3
    assert "nowhere" in err


def test_a_replay_says_what_was_not_recorded_and_why(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from shoal.balancer.events import CdnAdded
    from shoal.balancer.recording import RecordedPolicy, Recording

    path = tmp_path / "session.jsonl"
    with path.open("wb") as file:
        recording = Recording(file.write, salt=b"salt", bytes_max=3000)
        policy = RecordedPolicy(BalancerConfig(), 1, recording)
        for second in range(100):
            policy.handle(CdnAdded(f"cdn {second}"), second * 1_000_000)
        recording.end()
    assert main(("sim", "--replay-session", str(path))) == 0
    captured = capsys.readouterr()
    first = 99 - recording.events_lost + 1
    when = f"{recording.events_lost} events at the end, from {first}.0 to 99.0 s,"
    expected = f"{when} were not recorded: the first 3000 bytes are kept"
    assert expected in captured.out + captured.err
