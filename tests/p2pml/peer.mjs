// p2p-media-loader-core as a peer without a player: `node peer.mjs OPTIONS`, OPTIONS as JSON.
//
//   url          of a media playlist, whose segments it plays from the first on
//   manifest     of the multivariant playlist: the swarm is named after it
//   index        of the stream, as the package's own players compute it
//   trackers     URLs
//   speed        how fast the playhead moves (1)
//   lead         seconds that the player keeps ahead of it (30)
//   meet         how many peers it is connected to before the playhead moves (0)
//   core         settings of the package, over its defaults
//   waits        it is ready at once, and comes to the stream at SIGUSR2 (false)
//
// Tells JSON lines: ready; arrived {at_s}, in seconds since 1970, where it has waited; connected {peer}; loaded {number,
// source, peer, bytes} for each segment as the package reports it; complete {segments: [{number, bytes, sha256, source,
// peer}], stalled_s, ...} once it has all of them, as the player was given them or as the package's own store has them;
// ended {http, p2p, sent} in bytes at SIGTERM.
import "./globals.mjs";
import { createHash } from "node:crypto";
import { Core } from "p2p-media-loader-core";

const options = { speed: 1, lead: 30, meet: 0, core: {}, trackers: [], ...JSON.parse(process.argv[2]) };
const TICK_MS = 100;
const began = performance.now();
const tell = (event, about = {}) =>
  process.stdout.write(JSON.stringify({ event, at_ms: Math.round(performance.now() - began), ...about }) + "\n");
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

const core = new Core({ announceTrackers: options.trackers, rtcConfig: { iceServers: [] }, ...options.core });
const segments = new Map(); // URL -> what the package wants to know of it
const sources = new Map(); // URL -> where it came from
const given = new Map(); // URL -> length and hash of what the player was given
const bytes = { http: 0, p2p: 0, sent: 0 };
const player = { position: 0, buffered: 0, stalled_s: 0, next: 0, live: false, met: 0 };

core.addEventListener("onPeerConnect", ({ peerId }) => {
  player.met += 1;
  tell("connected", { peer: peerId });
});
core.addEventListener("onPeerClose", ({ peerId }) => tell("closed", { peer: peerId }));
core.addEventListener("onPeerError", ({ peerId, error }) => tell("peer_failed", { peer: peerId, why: String(error) }));
core.addEventListener("onTrackerError", ({ error }) => tell("tracker_failed", { why: String(error) }));
core.addEventListener("onTrackerWarning", ({ warning }) => tell("tracker_warned", { why: String(warning) }));
core.addEventListener("onSegmentError", ({ segment, error, downloadSource, peerId }) =>
  tell("failed", { number: segment.externalId, why: error.type, source: downloadSource, peer: peerId }));
core.addEventListener("onChunkDownloaded", (count, source) => { bytes[source] += count; });
core.addEventListener("onChunkUploaded", (count) => { bytes.sent += count; });
core.addEventListener("onSegmentLoaded", ({ segmentUrl, bytesLength, downloadSource, peerId }) => {
  const { externalId } = segments.get(segmentUrl);
  const about = { number: externalId, source: downloadSource, peer: peerId ?? null, bytes: bytesLength };
  sources.set(segmentUrl, about);
  tell("loaded", about);
});

async function readPlaylist() {
  const text = await (await fetch(options.url)).text();
  let number = Number(/#EXT-X-MEDIA-SEQUENCE:(\d+)/.exec(text)?.[1] ?? 0);
  let duration = 0;
  const added = [];
  for (const line of text.split("\n")) {
    if (line.startsWith("#EXTINF:")) duration = parseFloat(line.slice(8));
    if (!line || line.startsWith("#")) continue;
    const url = new URL(line, options.url).href;
    if (!segments.has(url)) {
      const startTime = [...segments.values()].at(-1)?.endTime ?? 0;
      const segment = { runtimeId: url, url, externalId: number, startTime, endTime: startTime + duration };
      segments.set(url, segment);
      added.push(segment);
    }
    number += 1;
  }
  player.live = !text.includes("#EXT-X-ENDLIST");
  core.setIsLive(player.live);
  core.updateStream("main", added);
}

const digest = (data) => ({
  bytes: data.byteLength,
  sha256: createHash("sha256").update(new Uint8Array(data)).digest("hex"),
});
const load = (url) => new Promise((onSuccess, onError) => core.loadSegment(url, { onSuccess, onError }));

async function play() {
  let before = performance.now();
  setInterval(() => {
    const now = performance.now();
    const speed = player.met < options.meet ? 0 : options.speed;
    const wanted = player.position + ((now - before) / 1000) * speed;
    player.position = Math.min(wanted, player.buffered);
    if (player.buffered && player.next < segments.size) player.stalled_s += (wanted - player.position) / options.speed;
    before = now;
    core.updatePlayback(player.position, 1);
  }, TICK_MS);
  for (;;) {
    const segment = [...segments.values()][player.next];
    if (segment && player.buffered - player.position < options.lead) {
      try {
        given.set(segment.runtimeId, digest((await load(segment.runtimeId)).data));
      } catch (error) {
        tell("not_loaded", { number: segment.externalId, why: error.type });
        await pause(TICK_MS);
        continue;
      }
      player.next += 1;
      player.buffered = segment.endTime;
    } else if (!segment && !player.live) {
      return;
    } else {
      await pause(TICK_MS);
    }
  }
}

async function allHeld() {
  while (sources.size < segments.size || player.live) await pause(TICK_MS);
}

async function digests() {
  const found = [];
  for (const [url, { externalId }] of segments) {
    // The store lets go of what a live player has behind it, so that what was played is taken as it was given.
    const right = given.get(url) ?? digest((await load(url)).data);
    found.push({ number: externalId, ...sources.get(url), ...right });
  }
  return found;
}

process.on("SIGTERM", () => {
  tell("ended", bytes);
  process.exit(0); // libwebrtc's threads would keep the process
});
if (options.waits) {
  const told = new Promise((resolve) => process.once("SIGUSR2", resolve));
  const awake = setInterval(() => {}, 1000); // Node ends when nothing but a signal is waited for
  tell("ready");
  await told;
  clearInterval(awake);
  tell("arrived", { at_s: Date.now() / 1000 });
}
core.setManifestResponseUrl(options.manifest);
core.addStreamIfNoneExists({ runtimeId: "main", type: "main", index: options.index });
await readPlaylist();
core.setActiveLevelBitrate(options.bitrate ?? 400_000);
if (player.live) setInterval(() => readPlaylist().catch((error) => tell("playlist_failed", { why: String(error) })), 1000);
tell("ready", { segments: segments.size });
const played = play();
if (player.live) await played;
await allHeld();
tell("complete", { segments: await digests(), stalled_s: player.stalled_s, cpu_s: process.cpuUsage().user / 1e6, ...bytes });
