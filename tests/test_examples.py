"""What the README and the examples show is what runs."""

from __future__ import annotations

import asyncio
import json
import re
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from shoal.app.demo.origin import Origin
from shoal.app.signatures import verifier
from shoal.balancer.integrity import Sidecar, sidecar

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = ROOT / "examples"
BLOCKS = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text("utf-8"), re.DOTALL)
MEDIA_PLAYLIST = "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\na.ts\n#EXTINF:2,\nb.ts\n#EXT-X-ENDLIST\n"


@pytest.fixture
def stream(tmp_path: Path) -> Path:
    """A folder with a playlist of two segments and their hashes."""
    bodies = {"a.ts": bytes(range(256)) * 600, "b.ts": b"b" * 70_000}
    for name, body in bodies.items():
        (tmp_path / name).write_bytes(body)
    (tmp_path / "stream.m3u8").write_text(MEDIA_PLAYLIST)
    (tmp_path / "shoal-hashes.json").write_bytes(sidecar(bodies.items()))
    return tmp_path


async def with_two_origins(folder: Path, use) -> None:
    origins = [Origin(folder), Origin(folder)]
    try:
        urls = [f"http://127.0.0.1:{await origin.start()}/stream.m3u8" for origin in origins]
        await use(*urls)
    finally:
        for origin in origins:
            await origin.aclose()


def test_the_actor_of_the_readme_runs(capsys: pytest.CaptureFixture[str]) -> None:
    (code,) = (block for block in BLOCKS if "Greeter" in block)
    exec(compile(code, "README.md", "exec"), {"__name__": "readme"})
    assert capsys.readouterr().out == "hello, world\n"


@pytest.mark.real
def test_the_delivery_of_the_readme_runs(stream: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (code,) = (block for block in BLOCKS if "open_session" in block)
    namespace: dict = {"__name__": "readme"}
    exec(compile(code, "README.md", "exec"), namespace)
    asyncio.run(with_two_origins(stream, namespace["main"]))
    shown = capsys.readouterr().out
    assert "play http://127.0.0.1:" in shown
    assert "/media/0/1/b.ts" in shown


@pytest.mark.real
def test_a_segment_is_delivered_from_two_cdns(stream: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main = runpy.run_path(str(EXAMPLES / "deliver.py"))["main"]
    asyncio.run(with_two_origins(stream, main))
    assert capsys.readouterr().out.startswith("153600 bytes, verified by blocks, from {'cdn:")


def test_hashes_are_written_beside_a_playlist(stream: Path) -> None:
    (stream / "shoal-hashes.json").unlink()
    subprocess.run([sys.executable, EXAMPLES / "make_hashes.py", stream], check=True, capture_output=True)
    written = json.loads((stream / "shoal-hashes.json").read_bytes())
    assert set(written["files"]) == {"a.ts", "b.ts"}
    assert len(written["files"]["a.ts"]["blocks"]) == 3


def test_hashes_are_signed_with_a_key_that_openssl_made(stream: Path, tmp_path: Path) -> None:
    pytest.importorskip("cryptography")
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    key = tmp_path / "key.pem"
    subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", key], check=True, capture_output=True)
    command = [sys.executable, EXAMPLES / "make_hashes.py", stream, key]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    public_key = said.split()[-1]
    data = (stream / "shoal-hashes.json").read_bytes()
    assert len(Sidecar.parse(data, "http://cdn/shoal-hashes.json", verify=verifier(public_key))) == 2


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("actor*.py")), ids=lambda path: path.name)
def test_an_example_of_actors_runs_alone(path: Path) -> None:
    done = subprocess.run([sys.executable, path], check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.name)
def test_an_example_fits_on_a_page(path: Path) -> None:
    assert len(path.read_text("utf-8").splitlines()) <= 80
