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
    assert len(found) == 9
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
