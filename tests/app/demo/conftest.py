"""One short stream for the whole test session, and the folders it needs."""

from pathlib import Path

import pytest

pytest.importorskip("av", reason="the demo encodes and plays with PyAV: pip install 'shoal[media]'")

from shoal.app.demo.stream import Stream, StreamOptions, make_stream


@pytest.fixture(scope="session")
def stream(tmp_path_factory: pytest.TempPathFactory) -> Stream:
    folder: Path = tmp_path_factory.mktemp("streams")
    return make_stream(StreamOptions(seconds=8), folder)
