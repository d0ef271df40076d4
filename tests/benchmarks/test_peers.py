"""Lines over real WebRTC do not hold where what they speak of was not there."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))
adversary = importlib.import_module("adversary")
runs = importlib.import_module("swarm.runs")
polluters = importlib.import_module("polluters")
peers = importlib.import_module("peers")
sys.path.remove(str(BENCHMARKS))

SLICE = {"is_loud": True, "said": 95, "planned": 100.0, "open": 1, "takers": 2, "asked": 50, "answered": 49}
QUIET = {**SLICE, "is_loud": False, "said": 0, "planned": 0.0}


def failing(loud: dict[str, Any], quiet: dict[str, Any]) -> list[str]:
    slices = [adversary.Slice(**{**QUIET, **quiet}), adversary.Slice(**{**SLICE, **loud})]
    return [claim.claim for claim in adversary.claims_of([0.95], slices) if not claim.holds]


def test_an_adversary_that_was_there_and_loud_all_the_time_is_one() -> None:
    assert failing({}, {}) == []


@pytest.mark.parametrize(
    ("loud", "quiet", "words"),
    [
        ({"open": 0}, {}, "channels open"),
        ({}, {"open": 0}, "channels open"),
        ({"said": 0}, {}, "in a loud slice"),
        ({"said": 50}, {}, "in a loud slice"),
        ({"answered": 0}, {}, "answered"),
        ({"asked": 0, "answered": 0}, {}, "answered"),
        ({}, {"said": 30}, "in a quiet slice"),
        ({"takers": 1}, {}, "takers"),
    ],
)
def test_one_that_is_gone_mute_or_not_heard_proves_nothing(
    loud: dict[str, Any], quiet: dict[str, Any], words: str
) -> None:
    (claim,) = failing(loud, quiet)
    assert words in claim


def a_result(**more: Any) -> Any:
    return runs.Result("ours", http=1, p2p=1, stalled_s=0.0, wrong=0, cpu_s=0.0, **more)


def test_a_polluter_that_was_caught_and_is_gone_by_itself_was_not_cut() -> None:
    def held(**more: Any) -> bool:
        return peers.judged("a polluter", [a_result(**more)])[-1].holds

    assert held(caught=[3], banned=1)
    assert not held(caught=[3], banned=0)
    assert not held(caught=[], banned=1)


@pytest.mark.parametrize(("kind", "of_protocol"), [("every", 0), ("byte", 0), ("short", 1)])
def test_only_who_sends_other_lengths_is_cut_by_the_protocol(kind: str, of_protocol: int) -> None:
    assert polluters.cut(kind, a_result(banned=1)) == 1
    assert polluters.cut(kind, a_result(cut=1)) == of_protocol
    assert polluters.cut(kind, a_result()) == 0
