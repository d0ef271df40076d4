"""Sweeps on a Ray cluster that is really started here: tools/test-ray, and so `make soak`, runs these."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from shoal.app.sim.jobs import Crowd, jobs_of
from shoal.app.sim.on_ray import LOCAL
from shoal.app.sim.sweep import Kept, sweep
from shoal.balancer.config import BalancerConfig
from shoal.balancer.errors import ConfigurationError

ray = pytest.importorskip("ray", reason="Ray is not installed here: tools/test-ray has it")
pytestmark = pytest.mark.real

JOBS = jobs_of("vod", ["shoal", "one-cdn"], [1, 2, 3], Crowd(viewers=2), BalancerConfig())


@pytest.fixture(autouse=True)
def nothing_is_left_running() -> Iterator[None]:
    yield
    assert not ray.is_initialized()


@pytest.mark.parametrize("workers", [1, 3])
def test_outcomes_are_the_same_as_without_ray_whatever_the_number_of_workers(workers: int) -> None:
    seen: list[tuple[int, int]] = []
    found = sweep(JOBS, ray=LOCAL, workers=workers, progress=lambda *state: seen.append(state))
    assert found == sweep(JOBS, workers=1)
    assert seen == [(done, len(JOBS)) for done in range(len(JOBS) + 1)]


def test_a_sweep_that_was_interrupted_goes_on_where_it_was_and_elsewhere(tmp_path: Path) -> None:
    class Interrupted(Exception):
        pass

    def until_the_third(done: int, _everything: int) -> None:
        if done == 3:
            raise Interrupted

    kept = Kept(tmp_path / "runs.jsonl")
    with pytest.raises(Interrupted):
        sweep(JOBS, ray=LOCAL, workers=2, kept=kept, progress=until_the_third)
    kept.close()
    assert not ray.is_initialized()
    kept = Kept(tmp_path / "runs.jsonl")
    seen: list[tuple[int, int]] = []
    found = sweep(JOBS, workers=1, kept=kept, progress=lambda *state: seen.append(state))
    kept.close()
    assert seen[0] == (3, len(JOBS))
    assert found == sweep(JOBS, workers=1)


def test_an_address_where_no_cluster_is_says_so() -> None:
    with pytest.raises(ConfigurationError, match="no cluster is there"):
        sweep(JOBS, ray="127.0.0.1:1")
