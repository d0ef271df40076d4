"""The player's page on one thread: it starts from the CDN, hands over to the balancer, leaves what it does not want.

A static server has the page, and nothing else of ours.

The stream is encrypted, and has a second init section and key in its middle, so that the balancer has both to give.
"""

from __future__ import annotations

import asyncio
import hashlib
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from shoal.app.demo.origin import Fault, Origin
from shoal.app.demo.stream import Rendition, Stream, StreamOptions, make_stream, write_sidecar
from shoal.app.page_stream import PageOptions
from shoal.app.player_site import paths, write_site
from shoal.balancer.errors import ConfigurationError

from .chromium import page_in_chromium, skip_without_chromium
from .support import STREAMS, playlist_of, running_origins

ciphers = pytest.importorskip("cryptography.hazmat.primitives.ciphers", reason="no cryptography")
pytestmark = pytest.mark.real

ROOT = Path(__file__).resolve().parents[2]
RUN_TIMEOUT_S = 240.0
OPTIONS = StreamOptions(seconds=10, segment_seconds=1, renditions=(Rendition("page", 160, 90, 400_000, 64_000),))
BUFFER_S = 2
IV = bytes(range(16))
SECOND = 5  # the first segment of the second half
# How long the balancer takes is the machine's affair: it comes after the first segment, and the picture waits for it.
BEFORE = """
const fetchNow = fetch;
globalThis.fetch = async (...given) => {
  if (/pyodide/.test(given[0]))
    globalThis.aheadAtFirst ??= video.buffered.length && video.buffered.end(0) - video.currentTime;
  while (/wheels/.test(given[0]) && seen.segments.length === 0) await new Promise((resolve) => setTimeout(resolve, 20));
  return fetchNow(...given);
};
document.addEventListener("playing", ({ target }) => { if (!seen.startup) target.pause(); }, true);
"""
LEAVE = """async (url) => {
  const pause = () => new Promise((resolve) => setTimeout(resolve, 50));
  const parts = async () => (await balancer.report()).segments.find((one) => one.uri === url)?.parts ?? [];
  const isHalfHere = (part) => part?.outcome === "running" && part.byte_count > 0;
  for (;;) {
    const abort = new AbortController();
    let error;
    balancer.load(url, { signal: abort.signal }).then(() => (error = null), (why) => (error = why));
    while (error === undefined && !isHalfHere((await parts()).at(-1))) await pause();
    abort.abort();
    while (error === undefined) await pause();
    if (error === null) return "it came";
    if (!/left/.test(error.message)) continue; // the balancer had given it up a moment before
    for (;;) {
      const part = (await parts()).find((one) => one.reason === "released");
      if (part) return part;
      await pause();
    }
  }
}"""


# As when a peer's or a CDN's bytes were too much for it.
END = "try { pyodide._api.fatal_error(new Error('planted')); } catch {}"


def encrypted(data: bytes, key: bytes) -> bytes:
    """AES-128 of whole segments, as EXT-X-KEY has it (RFC 8216, 4.3.2.4)."""
    padding = 16 - len(data) % 16
    cipher = ciphers.Cipher(ciphers.algorithms.AES128(key), ciphers.modes.CBC(IV)).encryptor()
    return bytes(cipher.update(data + bytes([padding]) * padding) + cipher.finalize())


def keyed_stream(folder: Path) -> Stream:
    """The stream in two halves, each with an init section and a key of its own."""
    plain = make_stream(OPTIONS, STREAMS)
    folder.mkdir()
    names = sorted(path.name for path in plain.folder.glob("*.m4s"))
    keys = {"one.key": bytes(range(16, 32)), "two.key": bytes(range(32, 48))}
    for name, key in keys.items():
        (folder / name).write_bytes(key)
    for name in ("one.mp4", "two.mp4"):
        shutil.copyfile(plain.folder / "page_init.mp4", folder / name)
    lines = ["#EXTM3U", "#EXT-X-VERSION:7", "#EXT-X-TARGETDURATION:1", "#EXT-X-PLAYLIST-TYPE:VOD"]
    for place, name in enumerate(names):
        half = "one" if place < SECOND else "two"
        if place in {0, SECOND}:
            lines += [
                "#EXT-X-KEY:METHOD=NONE",  # else the init section would be encrypted too
                f'#EXT-X-MAP:URI="{half}.mp4"',
                f'#EXT-X-KEY:METHOD=AES-128,URI="{half}.key",IV=0x{IV.hex()}',
            ]
        lines += ["#EXTINF:1.0,", name]
        (folder / name).write_bytes(encrypted((plain.folder / name).read_bytes(), keys[f"{half}.key"]))
    (folder / "page.m3u8").write_text("\n".join([*lines, "#EXT-X-ENDLIST", ""]))
    shutil.copyfile(plain.folder / plain.playlist, folder / plain.playlist)
    write_sidecar(folder)
    return Stream(folder, plain.seconds, plain.segment_seconds)


@contextmanager
def static_server(folder: Path) -> Iterator[str]:
    """Python's own."""
    handler = partial(QuietHandler, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()
            thread.join()


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


async def play(stream: Stream, folder: Path) -> dict[str, Any]:
    async with (
        asyncio.timeout(RUN_TIMEOUT_S),
        running_origins(stream, "a", "b") as (a, b),
        AsyncExitStack() as stack,
    ):
        options = PageOptions(url=playlist_of(a, stream), cdns={"b": playlist_of(b, stream)}, allow_private=True)
        write_site(folder / "site", options, ROOT / "build")
        with static_server(folder / "site") as site:
            page = await stack.enter_async_context(
                page_in_chromium(f"{site}?worker=0&buffer={BUFFER_S}", folder / "profile", before=BEFORE)
            )
            await page.wait_for_function("seen.error || seen.startup")
            given = await page.evaluate("seen.segments.map((one) => one.by)")
            ahead_s = await page.evaluate("aheadAtFirst")
            left = await leave_one(page, stream, (a, b))
            await page.click("summary")
            await page.click("#measure")
            await page.wait_for_function("document.querySelectorAll('#kinds tr').length > 5")
            memory = await page.evaluate("memoryReport()")
            await page.evaluate("video.playbackRate = 4, video.play()")
            await page.wait_for_function(
                "seen.error || seen.fatal.length || (seen.ended && seen.segments.every((one) => one.sha256))"
            )
            await page.screenshot(path=folder / "page.png", full_page=True)
            seen = dict(await page.evaluate("seen"))
            await page.evaluate(END)
            await page.wait_for_function("seen.error")
            ended = await page.evaluate("[seen.error, document.querySelector('#status').textContent]")
    return {**seen, "ahead_s": ahead_s, "ended with": ended, "at first": given, "left": left, "memory": memory}


async def leave_one(page: Any, stream: Stream, origins: tuple[Origin, ...]) -> Any:
    """Have the balancer load a segment that comes half, leave it, and see what became of that."""
    name = max(path.name for path in stream.folder.glob("*.m4s"))
    for origin in origins:
        origin.fault = Fault("hang-body", pattern=name)
    try:
        return await page.evaluate(LEAVE, f"{origins[0].url}/{name}")
    finally:
        for origin in origins:
            origin.fault = None


def is_of_second(one: dict[str, Any]) -> bool:
    return isinstance(one["number"], int) and one["number"] >= SECOND


def test_the_page_starts_from_the_cdn_and_is_handed_over_with_init_sections_and_keys(tmp_path: Path):
    skip_without_chromium()
    try:
        paths(ROOT / "build")
    except ConfigurationError as error:
        pytest.skip(str(error))
    stream = keyed_stream(tmp_path / "keyed")
    seen = asyncio.run(play(stream, tmp_path))
    assert (seen["error"], seen["fatal"], seen["inWorker"]) == (None, [], False)
    assert set(seen["at first"]) == {"direct"}
    assert seen["ahead_s"] > BUFFER_S - 0.2  # before the interpreter held the thread
    given = {one["url"].rpartition("/")[2]: one for one in seen["segments"]}
    files = [path for path in stream.folder.iterdir() if path.suffix in {".m4s", ".mp4", ".key"}]
    assert {name: one["sha256"] for name, one in given.items()} == {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files
    }
    later = {name: one["by"] for name, one in given.items() if name in {"two.mp4", "two.key"} or is_of_second(one)}
    assert len(later) == 2 + OPTIONS.seconds - SECOND
    assert set(later.values()) == {"balancer"}
    assert seen["left"]["outcome"] == "cancelled"
    assert seen["left"]["reason"] == "released"
    error, status = seen["ended with"]
    assert "the interpreter ended: planted" in error
    assert status == "playing from the CDN alone: the balancer has ended"
    startup = seen["startup"]
    assert startup["bytes"] > 10_000_000
    assert startup["ms"] >= startup["interpreterMs"] + startup["packagesMs"]
    assert seen["memory"]["wasmBytes"] > 20_000_000
    assert seen["memory"]["python"]["object_count"] > 10_000


def test_the_loader_of_the_page_leaves_what_hls_js_aborts_and_keeps_wrong_bytes_out():
    node = shutil.which("node")
    if node is None:
        pytest.skip("no node")
    script = ROOT / "app" / "page" / "player" / "loader.js"
    done = subprocess.run(
        [node, Path(__file__).with_name("player_loader.mjs"), script],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stdout) == (0, "loader holds\n"), done.stderr
