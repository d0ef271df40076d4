"""A web page with several players in it, each with a video of its own: hls.js, dash.js and Shaka behind one interface.

    async with player_page(profile) as page:
        await add(page, "one", "shaka", url)
        await all_are(page, "ended")
        seen = await page.evaluate("seen")

What each has `seen`, by the name that it was added with:

    ended, errors        as the player says; of hls.js also those that are not fatal, but for MINOR
    minor                how often each of MINOR came
    began, position      where it began, and is; seconds
    widths               of the pictures shown, one after another where they changed: what was switched
    cues                 texts of the subtitles that were loaded
    least                how long ago what it showed was made at the nearest, where the playlist says when; seconds
    steps                how many of its plan are done (`plan` below: a switch and subtitles, a switch back and a seek)
    sought               where it was when a seek was over, and how much of the stream there was then; seconds
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from .chromium import async_api, page_in_chromium, page_server, skip_without_chromium
from .support import RUN_TIMEOUT_S

__all__ = ["MINOR", "add", "all_are", "player_page"]

# What hls.js calls an error, says that it is not fatal, and mends by itself; with why nobody who delivers is to blame.
MINOR = {
    "aborted": "a load that it gave up itself, for a switch or a seek",
    "bufferSeekOverHole": "a hole of the stream, at a discontinuity, that it steps over: what was given is looked at",
    "bufferStalledError": "its word for a picture that waits, also for this machine's decoder: what is late is seen by "
    "`position`, which then does not come to where it has to",
}

MODULES = Path(__file__).resolve().parents[2] / "build" / "npm" / "node_modules"
SCRIPTS = {
    "hls.js": MODULES / "hls.js" / "dist" / "hls.min.js",
    "dash.js": MODULES / "dashjs" / "dist" / "modern" / "umd" / "dash.all.min.js",
    "shaka.js": MODULES / "shaka-player" / "dist" / "shaka-player.compiled.js",
}

PAGE = """<!doctype html><meta charset="utf-8"><title>Players</title>
<script src="hls.js"></script><script src="dash.js"></script><script src="shaka.js"></script>
<script>
const minor = MINOR;
const seen = {};
const players = {};

const start = {
  hls(video, url, failed, config, noted) {
    const hls = new Hls(config);
    hls.on(Hls.Events.ERROR, (_, {details, fatal}) => {
      if (fatal || !(details in minor)) failed(details + (fatal ? "" : ", not fatal"));
      else noted(details);
    });
    hls.on(Hls.Events.MANIFEST_PARSED, () => video.play());
    hls.loadSource(url);
    hls.attachMedia(video);
    return {
      // Not `currentLevel`, which empties the buffer: in the last quarter of a second of a segment hls.js 1.7 fills it
      // from the next one on, and waits for ever where that begins more than its `maxBufferHole` later.
      change: (index) => { hls.nextLevel = index; },
      subtitles: () => { hls.subtitleDisplay = true; hls.subtitleTrack = 0; },
      date: () => hls.playingDate,
    };
  },
  dash(video, url, failed, config) {
    const player = dashjs.MediaPlayer().create();
    player.updateSettings(config);
    player.on(dashjs.MediaPlayer.events.ERROR, ({error}) => failed(`${error.code} ${error.message}`));
    player.initialize(video, url, true);
    return {
      change: (index) => {
        player.updateSettings({streaming: {abr: {autoSwitchBitrate: {video: false}}}});
        player.setRepresentationForTypeByIndex("video", index, true);
      },
      subtitles: () => { player.enableText(true); player.setTextTrack(0); },
      date: () => null,
      target: () => player.getTargetLiveDelay(),
    };
  },
  shaka(video, url, failed, config) {
    const player = new shaka.Player();
    const told = (error) => failed(`${error.code} ${error.data ?? error.message}`);
    player.configure(config);
    player.addEventListener("error", ({detail}) => told(detail));
    player.attach(video).then(() => player.load(url)).then(() => video.play()).catch(told);
    return {
      change: (index) => {
        player.configure({abr: {enabled: false}});
        const tracks = player.getVariantTracks().sort((one, other) => one.bandwidth - other.bandwidth);
        player.selectVariantTrack(tracks[index], true);
      },
      subtitles: () => player.selectTextTrack(player.getTextTracks()[0]),
      date: () => player.isLive() ? player.getPlayheadTimeAsDate() : null,
    };
  },
};

// When, and what is done then: the same in every player.
const begun = ({began, position}) => position > began + 0.5;
const small = ({widths}) => widths.at(-1) === 160;
const plans = {
  vod: [
    [begun, ({change, subtitles}) => { subtitles(); change(0); }],
    [small, ({change}, video) => { change(1); video.currentTime = 6; }],
  ],
  live: [[begun, ({change}) => change(0)], [small, ({change}) => change(1)]],
  ending: [
    [begun, ({subtitles}) => subtitles()],
    [({began, position}) => position > began + 3, (_, video) => { video.currentTime -= 2.5; }],
  ],
};

// For whoever looks for why one stopped.
const videos = () => [...document.querySelectorAll("video")].map((video) => ({
  at: video.currentTime, of: video.duration, paused: video.paused, seeking: video.seeking, state: video.readyState,
  error: video.error?.message,
  buffered: [...Array(video.buffered.length).keys()].map((i) => [video.buffered.start(i), video.buffered.end(i)]),
}));

function add(name, kind, url, plan, config) {
  const found = seen[name] = {
    ended: false, errors: [], minor: {}, began: null, position: 0, widths: [], cues: [], least: 1e9, steps: 0,
    sought: [],
  };
  const video = document.createElement("video");
  video.muted = true;
  document.body.append(video);
  video.addEventListener("ended", () => { found.ended = true; });
  video.addEventListener("seeked", () => { found.sought.push(video.currentTime); });
  video.addEventListener("resize", () => { if (video.videoWidth) found.widths.push(video.videoWidth); });
  video.addEventListener("timeupdate", () => {
    if (video.seeking) return;
    found.position = video.currentTime;
    found.began ??= found.position;
    const tracks = [...video.textTracks].flatMap((track) => [...(track.cues ?? [])]);
    found.cues = [...new Set([...found.cues, ...tracks.map((cue) => cue.text)])].sort();
    const date = players[name].date();
    if (date && found.position > found.began) found.least = Math.min(found.least, (Date.now() - date.getTime()) / 1000);
    const next = plans[plan]?.[found.steps];
    if (next && next[0](found)) {
      found.steps += 1;
      next[1](players[name], video);
    }
  });
  const noted = (text) => { found.minor[text] = (found.minor[text] ?? 0) + 1; };
  players[name] = start[kind](video, url, (text) => found.errors.push(text), config, noted);
}
</script>"""


@asynccontextmanager
async def player_page(profile: Path) -> AsyncIterator[Any]:
    """The page in Chromium, of another origin than whatever the players fetch from."""
    skip_without_chromium()
    missing = [path for path in SCRIPTS.values() if not path.exists()]
    if missing:
        pytest.skip(f"no {missing[0]}; run: tools/install-test-tools")
    async with (
        page_server(PAGE.replace("MINOR", json.dumps(MINOR)), SCRIPTS) as site,
        page_in_chromium(site, profile) as page,
    ):
        page.set_default_timeout((RUN_TIMEOUT_S - 30) * 1000)  # and then it is asked what it saw
        yield page


async def add(
    page: Any, name: str, kind: str, url: str, *, plan: str = "", config: dict[str, Any] | None = None
) -> None:
    """`kind` is hls, dash or shaka."""
    await page.evaluate(
        "([name, kind, url, plan, config]) => add(name, kind, url, plan, config)", [name, kind, url, plan, config or {}]
    )


async def all_are(page: Any, condition: str) -> dict[str, dict[str, Any]]:
    """What each saw, once that is true of each `one`.  AssertionError for one that has an error."""
    wanted = f"Object.values(seen).some((one) => one.errors.length) || Object.values(seen).every((one) => {condition})"
    try:
        await page.wait_for_function(wanted)
    except async_api.TimeoutError as error:
        found = [await page.evaluate("seen"), await page.evaluate("videos()")]
        raise AssertionError(f"not all are {condition}: {found}") from error
    seen = dict(await page.evaluate("seen"))
    errors = {name: one["errors"] for name, one in seen.items() if one["errors"]}
    assert errors == {}, errors
    return seen
