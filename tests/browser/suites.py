"""Which suites run inside Pyodide: chosen ones whenever the tests run, every one of the runtime's and the balancer's in
`make soak`.

What is left out needs what a page does not have, or is told of as too long.
"""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent

# Decisions and the core, and nothing that waits.
CORE = (
    "tests/runtime/test_mailbox.py",
    "tests/runtime/test_scheduler.py",
    "tests/runtime/test_ready.py",
    "tests/balancer/test_assembly.py",
    "tests/balancer/test_availability.py",
    "tests/balancer/test_bandwidth.py",
    "tests/balancer/test_cdn_choice.py",
    "tests/balancer/test_policy.py",
    "tests/balancer/test_windows.py",
)
# Actors, and a session with all of its own, in virtual time.
ACTORS = (
    "tests/runtime/test_ask.py",
    "tests/runtime/test_dispatch.py",
    "tests/runtime/test_handling.py",
    "tests/runtime/test_life.py",
    "tests/runtime/test_overflow.py",
    "tests/runtime/test_routers.py",
    "tests/runtime/test_supervision.py",
    "tests/runtime/test_timers.py",
    "tests/balancer/actors/test_neighbours.py",
    "tests/balancer/actors/test_peer_actor.py",
    "tests/balancer/actors/test_session.py",
    "tests/balancer/test_integrity.py::test_what_is_no_sidecar_is_refused_and_says_why",  # deep JSON among it
)
_ROOMS = ("runtime", "balancer", "balancer/actors", "balancer/formats", "balancer/formats/hls")
_THREADS = "threads"
_XML = "defusedxml, since a page plays no DASH"
NOT_THERE = {
    "tests/runtime/test_actor_examples.py": "processes",
    "tests/runtime/test_drivers.py": "the machine's own loop",
    "tests/runtime/test_every_mode.py": _THREADS,
    "tests/runtime/test_handlers.py": _THREADS,
    "tests/runtime/test_misbehaviour.py": _THREADS,
    "tests/runtime/test_modes.py": _THREADS,
    "tests/runtime/test_shared_between_threads.py": _THREADS,
    "tests/runtime/test_shutdown.py": _THREADS,
    "tests/runtime/test_storms.py": "the module `resource`",
    "tests/runtime/test_threads.py": _THREADS,
    "tests/runtime/test_torture.py": _THREADS,
    "tests/runtime/test_turns.py": _THREADS,
    "tests/runtime/test_watchdog.py": _THREADS,
    "tests/balancer/actors/test_manifest.py": _XML,
    "tests/balancer/test_base_urls.py": _XML,
}


def everything() -> list[str]:
    found = [path for room in _ROOMS for path in sorted((ROOT / "tests" / room).glob("test_*.py"))]
    names = [path.relative_to(ROOT).as_posix() for path in found]
    return [name for name in names if name not in NOT_THERE]
