"""The programs behind bench-standards run and give figures.  Nothing in here is timed."""

import importlib
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))
parser = importlib.import_module("standards_claims.parser")
refresh = importlib.import_module("standards_claims.refresh")
bodies = importlib.import_module("standards_claims.bodies")
sys.path.remove(str(BENCHMARKS))


def test_the_claims_about_playlists_are_made_of_figures(monkeypatch):
    monkeypatch.setattr(parser, "SEGMENTS", 200)
    monkeypatch.setattr(refresh, "WINDOWS", (5, 70))
    found = [*parser.claims(1), *refresh.claims(1)]
    assert len(found) == 7
    assert all(claim.figure is not None for claim in found)


@pytest.mark.parametrize(
    ("path", "status", "begins"),
    [("/1/stream.m3u8", "200 OK", b"#EXTM3U"), ("/4/0.ts", "200 OK", b"\0"), ("/2/0.ts", "404 Not Found", b"")],
)
def test_the_bare_server_has_what_its_playlist_names(path, status, begins):
    body, said = bodies.answer(path)
    assert said == status
    assert body.startswith(begins)
