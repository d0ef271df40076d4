"""What parses keeps its promises on every kept input, and on what atheris makes of them in some seconds."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from . import targets

HERE = Path(__file__).resolve().parent
KEPT = HERE.parent / "data" / "fuzz"
INPUTS = sorted(path for path in KEPT.glob("*/*") if path.is_file())
# What strangers send to players, to us, and to whoever sets us up; all others get as long together.  `make soak` gives
# each of them ten minutes.
EACH = ("playlist", "mpd", "steering", "media_data", "sidecar", "configuration", "headers")
SECONDS = 5


@pytest.mark.parametrize("path", INPUTS, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_an_input_that_was_kept_breaks_nothing(path):
    targets.ALL[path.parent.name](path.read_bytes())


def test_every_target_has_inputs_to_begin_with():
    assert {path.parent.name for path in INPUTS} == set(targets.ALL)


def test_a_bug_is_not_taken_for_a_refusal(monkeypatch):
    def broken(*_args, **_options):
        raise KeyError("EXTINF")

    monkeypatch.setattr(targets, "parse", broken)
    with pytest.raises(KeyError):
        targets.playlist(b"#EXTM3U\n")


@pytest.mark.real  # once: it runs the source, whatever the leg
def test_some_seconds_of_fuzzing_find_nothing():
    if importlib.util.find_spec("atheris") is None:
        pytest.skip("atheris is not installed (tools/install-test-tools)")
    ended = subprocess.run(
        [sys.executable, str(HERE / "run.py"), *EACH, "together", "--seconds", str(SECONDS)],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
