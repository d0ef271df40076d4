"""What a sweep runs: every policy on every seed of one scenario."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Sequence
from pathlib import Path

import msgspec

import shoal
import shoal.balancer
from shoal.balancer.config import BalancerConfig
from shoal.balancer.errors import ConfigurationError
from shoal.balancer.mixing import share
from shoal.balancer.sim.film import Film, filmed
from shoal.balancer.sim.light import light
from shoal.balancer.sim.outcome import Outcome
from shoal.balancer.sim.policies import LIGHT, POLICIES, ours, played
from shoal.balancer.sim.scenario import Behaviour, CdnSpec, Fault, FaultKind, Scenario, ViewerSpec
from shoal.balancer.sim.scenarios import SCENARIOS, traced
from shoal.balancer.sim.traces import Trace

__all__ = ["OURS", "Crowd", "Job", "film", "identity", "jobs_of", "parse_fault", "play", "scenario_of"]

OURS = "shoal"
_S = 1_000_000


class Crowd(msgspec.Struct, frozen=True, kw_only=True):
    """How a named scenario is changed: shares of bad peers, faults of CDNs, the lines of viewers."""

    viewers: int = 10
    polluters: float = 0.0
    free_riders: float = 0.0
    liars: float = 0.0
    leaving_s: float | None = None  # viewers stay so long, on average; the rest of the time they are gone
    faults: tuple[tuple[str, Fault], ...] = ()  # (CDN, what is wrong with it and when)
    traces: tuple[Trace, ...] = ()


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """One run."""

    scenario: str
    seed: int
    policy: str
    crowd: Crowd = Crowd()
    config: BalancerConfig = msgspec.field(default_factory=BalancerConfig)


def jobs_of(
    scenario: str, policies: Sequence[str], seeds: Sequence[int], crowd: Crowd, config: BalancerConfig
) -> list[Job]:
    """Seed by seed, so that what an interrupted sweep has is comparable."""
    return [
        Job(scenario=scenario, seed=seed, policy=policy, crowd=crowd, config=config)
        for seed in seeds
        for policy in policies
    ]


def identity(job: Job) -> str:
    """Under which a run is found again: a hash of the job and the code, which is all that it follows from."""
    return hashlib.sha256(_code() + msgspec.json.encode(job)).hexdigest()[:32]


@functools.cache
def _code() -> bytes:
    """A digest of the balancer's sources: what was decided by other code is another run, of whatever version."""
    digest = hashlib.sha256(shoal.__version__.encode())
    root = Path(shoal.balancer.__file__).parent
    for path in sorted(root.rglob("*.py")):
        digest.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.digest()


def play(job: Job) -> Outcome:
    """Run it.  The same job gives the same outcome, in any process."""
    scenario = scenario_of(job)
    if job.policy == LIGHT:
        return light(scenario, job.config)
    return played(scenario, job.policy, ours(job.config) if job.policy == OURS else None)


def film(job: Job) -> Film:
    """What is to be seen of it, second by second; the oracle is no run, and the light model shows none."""
    make = ours(job.config) if job.policy == OURS else POLICIES[job.policy]
    return filmed(scenario_of(job), job.policy, make)[1]


def parse_fault(text: str) -> tuple[str, Fault]:
    """`CDN=KIND@BEGIN-END`, in seconds.  ConfigurationError says what is wrong."""
    name, _, rest = text.partition("=")
    kind, _, times = rest.partition("@")
    begin, _, end = times.partition("-")
    try:
        fault = Fault(FaultKind(kind), int(float(begin) * _S), int(float(end) * _S))
    except (ValueError, OverflowError):
        kinds = ", ".join(FaultKind)
        raise ConfigurationError(
            f"--fault {text!r} is not of the form CDN=KIND@BEGIN-END, in seconds, as in a=hang@20-40; kinds: {kinds}"
        ) from None
    if not (name and 0 <= fault.from_us < fault.until_us):
        raise ConfigurationError(f"--fault {text!r}: a CDN's name, and an end that is after the beginning")
    return name, fault


def scenario_of(job: Job) -> Scenario:
    """What is simulated, with all that goes wrong in it."""
    crowd = job.crowd
    make = SCENARIOS[job.scenario]
    scenario = traced(job.seed, crowd.viewers, crowd.traces) if make is traced else make(job.seed, crowd.viewers)
    return msgspec.structs.replace(
        scenario,
        cdns=tuple(_with_faults(cdn, crowd) for cdn in scenario.cdns),
        viewers=_with_habits(scenario, crowd),
    )


def _with_faults(cdn: CdnSpec, crowd: Crowd) -> CdnSpec:
    added = tuple(fault for name, fault in crowd.faults if name == cdn.name)
    return msgspec.structs.replace(cdn, faults=cdn.faults + added)


def _with_habits(scenario: Scenario, crowd: Crowd) -> tuple[ViewerSpec, ...]:
    """Bad peers are drawn from all viewers but the first, who brings the stream in."""
    order = sorted(range(1, len(scenario.viewers)), key=lambda place: share(scenario.seed, place, 31))
    bad: dict[int, Behaviour] = {}
    for behaviour, part in (
        (Behaviour.POLLUTER, crowd.polluters),
        (Behaviour.FREE_RIDER, crowd.free_riders),
        (Behaviour.LIAR, crowd.liars),
    ):
        count = min(len(order), round(part * len(scenario.viewers)))
        bad.update(dict.fromkeys(order[:count], behaviour))
        order = order[count:]
    viewers = []
    for place, viewer in enumerate(scenario.viewers):
        changed = msgspec.structs.replace(viewer, behaviour=bad.get(place, viewer.behaviour))
        if crowd.leaving_s is not None and place > 0:
            stays_us = int((0.2 + 1.6 * share(scenario.seed, place, 32)) * crowd.leaving_s * _S)
            changed = msgspec.structs.replace(changed, leaves_us=viewer.arrives_us + stays_us)
        viewers.append(changed)
    return tuple(viewers)
