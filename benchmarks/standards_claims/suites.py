"""What tests hold, as figures: others' playlists, players, what is tried against the proxy, killed writers, fuzz.

A figure is the share of a suite's cases that pass; where one was skipped, since something is
not installed, the figure is not measured.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree as ET

from harness import Claim

ROOT = Path(__file__).resolve().parents[2]
FUZZ_SECONDS = 20  # each; `make soak` gives them ten minutes
FUZZED = ("playlist", "mpd", "steering", "media_data", "sidecar", "configuration", "headers")
KILLS = 20  # times the fifty of `make test`


class Suite(NamedTuple):
    what: str
    paths: tuple[str, ...]  # or patterns of them
    cases_min: int
    effort: int = 1


SUITES = (
    Suite(
        "playlists and MPDs of others, equal or rightly refused",
        (
            "tests/balancer/formats/hls/test_m3u8_parser.py",
            "tests/balancer/formats/hls/test_hls_js.py",
            "tests/balancer/formats/hls/test_oracle.py",
            "tests/balancer/formats/dash/test_mpd_parser.py",
            "tests/balancer/formats/dash/test_mpegdash.py",
        ),
        131,
    ),
    Suite(
        "players through the proxy: hls.js, dash.js, Shaka, libav",
        (
            # Not those of our own page (test_player_page.py), which has the balancer in it.
            "tests/app/test_players.py",
            "tests/app/test_player_table.py",
            "tests/app/test_player_shapes.py",
            "tests/app/test_player_live_ends.py",
            "tests/app/test_player_keys.py",
            "tests/app/test_growing_players.py",
            "tests/app/test_steered_players.py",
            "tests/app/test_libav.py",
            "tests/app/test_real_run.py",
        ),
        15,
    ),
    Suite(
        "Host variants and SSRF tricks that are refused",
        ("tests/app/test_border.py", "tests/transports/test_addresses.py", "tests/transports/test_hosts.py"),
        300,
    ),
    Suite("1,000 writers killed, nothing lost", ("tests/transports/test_killed_writers.py",), 10, KILLS),
)


def claims(rounds: int) -> list[Claim]:  # noqa: ARG001 - a suite is run once
    return [claim(suite) for suite in SUITES] + [fuzzed()]


def claim(suite: Suite) -> Claim:
    files = [str(path) for pattern in suite.paths for path in sorted(ROOT.glob(pattern))]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "junit.xml"
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junitxml={file}", *files]
        environment = {**os.environ, "SHOAL_LEG": "fast", "SHOAL_EFFORT": str(suite.effort)}
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
        counts = counted(file) if file.exists() else {"tests": 1, "failures": 0, "errors": 1, "skipped": 0}
    passed = counts["tests"] - counts["failures"] - counts["errors"] - counts["skipped"]
    print(f"{suite.what}: {passed} of {counts['tests']} cases passed, {counts['skipped']} skipped")
    if counts["failures"] or counts["errors"]:
        print(done.stdout[-3000:])
    figure = 100 * passed / max(counts["tests"], suite.cases_min)
    return Claim(suite.what, None if counts["skipped"] else figure, 100, at_least=True, unit="%")


def counted(file: Path) -> dict[str, int]:
    root = ET.parse(file).getroot()
    return {
        name: sum(int(suite.get(name, "0")) for suite in root.iter("testsuite"))
        for name in ("tests", "failures", "errors", "skipped")
    }


def fuzzed() -> Claim:
    what = f"inputs that break a parser, {len(FUZZED)} x {FUZZ_SECONDS} s of fuzzing"
    command = [sys.executable, str(ROOT / "tests" / "fuzz" / "run.py"), "--seconds", str(FUZZ_SECONDS), *FUZZED]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    print(done.stdout, done.stderr[-500:], sep="")
    found = None if done.returncode == 3 else float(done.stdout.count("FOUND")) if done.returncode in {0, 1} else 1.0
    return Claim(what, found, 0, at_least=False)
