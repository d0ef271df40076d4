"""The runs of a sweep on a Ray cluster: many machines, or this one as if it were many.

    played_on_ray(jobs, places, address, workers) -> (place, outcome), as they come

Every machine of the cluster needs the same release of shoal.  A run is a function of its
job alone, so where it ran shows in nothing.  Ray hands a run whose machine died to
another; an error of the run itself ends the sweep, as it does without Ray.
"""

from __future__ import annotations

import importlib
import socket
from collections.abc import Generator, Sequence
from typing import Any

from shoal.balancer.errors import ConfigurationError
from shoal.balancer.sim.outcome import Outcome

from .jobs import Job, play

__all__ = ["LOCAL", "check", "played_on_ray"]

LOCAL = "local"  # in place of an address: a cluster that is started here, and ended with the sweep
_KNOCK_S = 5.0  # for a connection to its head; one on another continent answers within a second
_ASKED_MAX = 10_000  # runs that Ray is told of at once; each is some hundred bytes there, and a sweep has no end


def check() -> None:
    """ConfigurationError where Ray is not installed; before anything is run."""
    try:
        _ray()
    except ImportError:
        raise ConfigurationError("--ray needs Ray, which is not installed: pip install 'shoal[ray]'") from None


def played_on_ray(
    jobs: Sequence[Job], places: Sequence[int], address: str, workers: int | None
) -> Generator[tuple[int, Outcome]]:
    """Play `jobs[place]` for each place.  `workers`: CPUs of a local cluster; None: all.

    ConfigurationError if the cluster cannot be reached.
    """
    check()
    ray = _ray()
    _knock(address)
    try:
        if address == LOCAL:
            ray.init(num_cpus=workers, include_dashboard=False, log_to_driver=False)
        else:
            ray.init(address=address, log_to_driver=False)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise ConfigurationError(f"--ray {address}: no cluster is there: {error}") from error
    try:
        run = ray.remote(play)
        left = iter(places)
        asked: dict[object, int] = {}
        while True:
            while len(asked) < _ASKED_MAX and (place := next(left, None)) is not None:
                asked[run.remote(jobs[place])] = place
            if not asked:
                return
            done, _ = ray.wait(list(asked), num_returns=1)
            for reference in done:
                yield asked.pop(reference), ray.get(reference)
    finally:
        ray.shutdown()


def _ray() -> Any:
    """Not by an import statement: checkers would look for it, and nobody installs 200 MB for them."""
    return importlib.import_module("ray")


def _knock(address: str) -> None:
    """Ray itself tries for minutes to reach a HOST:PORT where nobody listens."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit() or "://" in address:
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_KNOCK_S).close()
    except (OSError, OverflowError) as error:
        raise ConfigurationError(f"--ray {address}: no cluster is there: {error}") from error
