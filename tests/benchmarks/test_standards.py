"""The programs behind bench-standards run and give figures.  Nothing in here is timed."""

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))
parser = importlib.import_module("standards_claims.parser")
refresh = importlib.import_module("standards_claims.refresh")
bodies = importlib.import_module("standards_claims.bodies")
faults = importlib.import_module("standards_claims.faults")
suites = importlib.import_module("standards_claims.suites")
sys.path.remove(str(BENCHMARKS))


def test_the_claims_about_playlists_are_made_of_figures(monkeypatch):
    monkeypatch.setattr(parser, "SEGMENTS", 200)
    monkeypatch.setattr(parser, "UNUSUAL", 20)
    monkeypatch.setattr(refresh, "WINDOWS", (5, 70))
    found = [*parser.claims(1), *refresh.claims(1)]
    assert len(found) == 5 * len(parser.ROWS) - len(parser.HEAVY) + 2 * (len(refresh.ROWS) + 2)
    assert all(claim.figure is not None for claim in found)


@pytest.mark.parametrize(
    ("path", "status", "size"),
    [("/1/3.ts", "200 OK", 1 << 20), ("/4/0.ts", "200 OK", 4 << 20), ("/2/0.ts", "404 Not Found", 0)],
)
def test_the_bare_server_has_what_its_playlist_names(path, status, size):
    body, said = bodies.answer(path)
    assert said == status
    assert len(body) == size
    playlist, _ = bodies.answer("/4/stream.m3u8")
    assert playlist.count(b".ts\n") == bodies.NAMES


@pytest.mark.parametrize("suite", suites.SUITES, ids=lambda suite: suite.what)
def test_a_suite_is_made_of_tests_that_exist(suite):
    assert [path for path in suite.paths if not any(BENCHMARKS.parent.glob(path))] == []


@pytest.mark.parametrize(("passing", "figure"), [("1", 100), ("0", 50)])
def test_a_suite_with_a_failing_case_does_not_hold(tmp_path, monkeypatch, passing, figure):
    (tmp_path / "test_it.py").write_text(f"def test_one(): pass\ndef test_other(): assert {passing}\n")
    monkeypatch.setattr(suites, "ROOT", tmp_path)
    claim = suites.claim(suites.Suite("it", ("test_it.py",), 2))
    assert claim.figure == figure
    assert claim.holds is (figure == 100)


def test_a_suite_that_was_skipped_or_is_smaller_than_it_was_does_not_hold(tmp_path, monkeypatch):
    (tmp_path / "test_it.py").write_text("import pytest\ndef test_one(): pass\ndef test_other(): pytest.skip('no')\n")
    monkeypatch.setattr(suites, "ROOT", tmp_path)
    assert suites.claim(suites.Suite("it", ("test_it.py",), 2)).figure is None
    (tmp_path / "test_it.py").write_text("def test_one(): pass\n")
    assert suites.claim(suites.Suite("it", ("test_it.py",), 2)).holds is False


def test_one_cell_that_breaks_shows_in_the_figures_of_the_matrix():
    well = {"cells": 500, "seconds": 1.0, "right_percent": 100.0, "wrong_bytes": 0, "named_percent": 100.0}
    well |= {"stall_s": 0.2, "grown_mib": 1.0, "broken": []}
    assert all(claim.holds for claim in faults.claims_of({"in virtual time": well, "on sockets": well}))
    for changed in (
        {"right_percent": 99.9},
        {"wrong_bytes": 1},
        {"named_percent": 99.8},
        {"stall_s": 0.6},
        {"cells": 9},
        {"broken": ["slow-key-vod: a host inside was asked"]},
    ):
        assert not all(claim.holds for claim in faults.claims_of({"in virtual time": well | changed}))


def test_a_fault_matrix_that_lacks_a_package_is_not_measured_and_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    ended = subprocess.CompletedProcess[str](
        [], 1, "", "Traceback\nModuleNotFoundError: No module named 'cryptography'\n"
    )
    claims = faults.claims_of(faults.told_of(ended))
    assert claims
    assert all(claim.holds is None for claim in claims)
    assert "cryptography" in capsys.readouterr().out


def test_a_fault_matrix_that_breaks_does_not_hold_and_the_others_go_on() -> None:
    ended = subprocess.CompletedProcess[str]([], 1, "", "Traceback\nAssertionError: a cell\n")
    claims = faults.claims_of(faults.told_of(ended))
    assert any(claim.holds is False for claim in claims)


def test_a_fault_matrix_that_ran_is_what_it_printed() -> None:
    assert faults.told_of(subprocess.CompletedProcess[str]([], 0, '{"on sockets": {"cells": 3}}', "")) == {
        "on sockets": {"cells": 3}
    }
