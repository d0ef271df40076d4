"""pytest plug-in: explore a test over many schedules, and run a failing one again.

Switched on by `pytest_plugins = ["shoal.runtime.pytest_plugin"]` in the top
conftest.py, or by `-p shoal.runtime.pytest_plugin`; never imported otherwise.

    @pytest.mark.shoal(schedules=500, strategy="pct")
    async def test_nobody_is_told_twice(shoal_system):
        ...

    def test_transfers_keep_the_sum(shoal_explore):
        shoal_explore(program, schedules=500)

    --shoal-seed N        one run, on this seed: what a failing test says how to call
    --shoal-schedules N   that many schedules in every such test

Other fixtures of a marked test are made once, and shared by all its runs.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import pytest

from .simulation.exploring import Exploration, explore, steps_of
from .simulation.running import Program, simulate
from .system import ActorSystem

__all__: list[str] = []

_SCHEDULES = 100  # of a test that does not say: about 0.1 s


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("shoal", "simulation of actors")
    group.addoption("--shoal-seed", type=int, default=None, help="run explored tests once, on this seed")
    group.addoption("--shoal-schedules", type=int, default=None, help="schedules of each explored test")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers",
        'shoal(schedules=100, strategy="random", seed=0, **options): explore this `async def` test in simulated '
        "systems; options are those of shoal.runtime.testing.simulate",
    )


@pytest.fixture
def shoal_system() -> Any:
    """The simulated ActorSystem of a test marked `shoal`; another one in each run."""
    return _Placeholder()


@pytest.fixture
def shoal_explore(request: pytest.FixtureRequest) -> Callable[..., Exploration]:
    """`explore` of shoal.runtime.testing, which obeys the command line."""
    config, name = request.config, request.node.nodeid

    def explore_here(program: Program[Any], **options: Any) -> Exploration:
        return _explore(config, name, program, **options)

    return explore_here


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    marker = pyfuncitem.get_closest_marker("shoal")
    if marker is None or not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    test = pyfuncitem.obj
    wanted = pyfuncitem._fixtureinfo.argnames  # noqa: SLF001, as plug-ins for async tests do
    arguments = {name: pyfuncitem.funcargs[name] for name in wanted}

    async def program(system: ActorSystem) -> None:
        given = {name: system if isinstance(value, _Placeholder) else value for name, value in arguments.items()}
        await test(**given)

    _explore(pyfuncitem.config, pyfuncitem.nodeid, program, **marker.kwargs)
    return True


class _Placeholder:
    """Stands for the system until a run has one."""

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError("shoal_system is there in tests marked with @pytest.mark.shoal only")


def _explore(config: pytest.Config, name: str, program: Program[Any], **options: Any) -> Exploration:
    options.setdefault("schedules", _SCHEDULES)
    schedules = config.getoption("--shoal-schedules")
    if schedules is not None:
        options["schedules"] = schedules
    seed = config.getoption("--shoal-seed")
    if seed is None:
        return explore(program, replay=f"pytest '{name}' --shoal-seed {{seed}}", **options)
    options.pop("schedules")
    options.pop("seed", None)
    check_run = options.pop("check_run", None)
    strategy = options.pop("strategy", "random")
    run = simulate(
        program,
        seed=seed,
        strategy=strategy,
        steps_expected=steps_of(program, strategy, **options),
        **options,
    )
    if check_run is not None:
        check_run(run)
    return Exploration(1, 1, 0.0, run.counters.handled)
