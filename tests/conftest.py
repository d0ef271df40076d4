"""Says which leg runs, and refuses to test an old build.

fast      the package installed in the virtual environment (compiled)
checked   build/legs/checked (compiled, with checks)
pure      src (the source as it is)
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

import shoal

pytest_plugins = ["shoal.runtime.pytest_plugin"]  # --shoal-seed, --shoal-schedules

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = Path(shoal.__file__).resolve().parent
LEG = os.environ.get("SHOAL_LEG", "fast")

# No deadline: these machines are noisy, and a slow example is not a wrong one.
# A hundred examples in the leg that users run, and half as many in each of the two beside it.
settings.register_profile(
    "test", deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=100 if LEG == "fast" else 50
)
settings.register_profile("soak", settings.get_profile("test"), max_examples=5_000)
settings.load_profile("test")


def pytest_report_header() -> str:
    return f"leg: {LEG}, shoal from {os.path.relpath(PACKAGE, ROOT)}"


def pytest_sessionstart() -> None:
    is_source = PACKAGE.parent == ROOT / "src"
    if is_source != (LEG == "pure"):
        pytest.exit(f"SHOAL_LEG is {LEG}, but shoal comes from {PACKAGE}; run: make {LEG}", returncode=2)
    if is_source:
        return
    # A compiled or copied module hides every later edit of its source.
    for room in ("runtime", "balancer", "transports", "app"):
        for source in sorted((ROOT / room).glob("**/*.py")):
            if not _is_built_from(PACKAGE / source.relative_to(ROOT), source.read_bytes()):
                pytest.exit(f"the {LEG} leg is older than {source.relative_to(ROOT)}; run: make {LEG}", returncode=2)


def _is_built_from(built: Path, source: bytes) -> bool:
    if LEG != "pyodide":
        return built.exists() and built.read_bytes() == source
    # The page's wheel leaves some out, and where a module is compiled says from what.
    digest = hashlib.sha256(source).hexdigest()
    return not built.exists() or built.read_bytes() == source or f"compiled from {digest}\n" in built.read_text()
