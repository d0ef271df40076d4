// The page: hls.js plays at once from the first CDN; when the balancer in Pyodide is there, it delivers what is loaded.
// Segments, init sections and keys change hands, one request at a time, so the player is handed over without being told.
//
//   ?worker=0         the balancer on the page's thread, and not in a worker (see BALANCER_IN_WORKER)
//   ?start=balancer   waits for the balancer first; ?start=hand then for somebody to press play
//   ?buffer=SECONDS   how far ahead of the playhead hls.js loads
//   ?record           writes down what the balancer decides; the button adds it

import { openBalancer } from "./link.js";
import { loaderClass } from "./loader.js";
import { at, bufferedEnd, showBuffer, showMemory, showSegments, showSources, showStartup } from "./panel.js";
import { keepSnapshot } from "./snapshots.js";

const REFRESH_MS = 500;
const AGAIN_MS = 3000; // after what hls.js calls fatal
const BALANCER_IN_WORKER = true; // the smoother of the two: `make bench-page` measures both
// The interpreter holds its thread for some 3 to 7 s as it loads, in which nothing is fetched: on the page's, the player
// gets farther ahead first.  A stream that cannot be loaded faster than it plays is not waited for longer than that.
const AHEAD_S = 10;
const AHEAD_MS_MAX = 15_000;
const LOOK_MS = 100;
const asked = new URLSearchParams(location.search);
const inWorker = asked.has("worker") ? asked.get("worker") !== "0" : BALANCER_IN_WORKER;
// What happened, for whoever looks from outside: each thing's hash, and who gave it.
const seen = {
  segments: [], fatal: [], stalls: 0, ended: false, startup: null, report: null, reportsFailed: 0, error: null, inWorker,
  snapshot: null,
};
globalThis.seen = seen;

let balancer = null; // of link.js, once it is there, and until it ends
let hls = null;

function note(context, data, by) {
  const number = context.keyInfo ? "key" : context.frag.sn;
  const segment = { url: context.url, number, bytes: data.byteLength, by, sha256: null };
  seen.segments.push(segment);
  if (crypto.subtle)
    crypto.subtle.digest("SHA-256", data.slice(0)).then((digest) => {
      segment.sha256 = Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0")).join("");
    });
}

async function save() {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([await balancer.recording()], { type: "application/gzip" }));
  link.download = "session.jsonl.gz"; // for `shoal sim --replay-session`
  link.click();
  setTimeout(URL.revokeObjectURL, 60_000, link.href); // the browser may still be reading it
}

// A decision follows from all before it, so what is recorded begins with a session: the page is loaded anew.
function recordFromTheStart() {
  asked.set("record", "");
  location.search = asked;
}

let usual = []; // what the status says when nothing is wrong
function say(text, title = "") {
  usual = [text, title];
  at("status").textContent = text;
  at("status").title = title;
}

// Whoever does not want that others learn their address leaves the swarm, and comes back.
function showConsent({ trackers = [], are_peers_allowed: isAllowed = true }) {
  const button = at("peers");
  button.hidden = trackers.length === 0;
  button.textContent = isAllowed ? "leave the peers" : "join the peers";
  button.disabled = balancer === null;
  button.onclick = async () => {
    button.disabled = true;
    const does = await balancer.allowPeers(!isAllowed).then(() => !isAllowed, () => isAllowed);
    showConsent({ trackers, are_peers_allowed: does });
  };
}

function showRecording(isOn) {
  const button = at("record");
  button.textContent = isOn ? "save recording" : "record";
  button.onclick = isOn ? save : recordFromTheStart;
  button.disabled = isOn && balancer === null;
}

// What Python holds, and how large WebAssembly's memory has grown; for the page, and for the browser's console.
async function memoryReport() {
  const { wasm_bytes: wasmBytes, python } = await balancer.memory();
  return { wasmBytes, scriptBytes: performance.memory?.usedJSHeapSize ?? null, python };
}
globalThis.memoryReport = memoryReport;

// Where else a file of the first CDN lies: beside the same playlist on the others.
function mirrorsOf({ url: home, cdns }) {
  const folder = (url) => new URL(".", url).href;
  const first = folder(home);
  const others = [...new Set(Object.values(cdns).map((url) => folder(new URL(url, home))))].filter((one) => one !== first);
  return (url) => (url.startsWith(first) ? others.map((one) => one + url.slice(first.length)) : []);
}

// hls.js stops at what it calls fatal; a viewer would rather wait.
function tryAgain(url, { type, details }) {
  at("status").textContent = `the player stopped (${details}); it tries again`;
  hls.once(Hls.Events.FRAG_BUFFERED, () => say(...usual));
  const again = { [Hls.ErrorTypes.MEDIA_ERROR]: () => hls.recoverMediaError() }[type] ?? (() => {
    if (hls.levels.length > 0) hls.startLoad();
    else hls.loadSource(url);
  });
  setTimeout(again, AGAIN_MS);
}

const bufferSeconds = () => Number(asked.get("buffer")) || 12;

async function isAhead(video) {
  const until = performance.now() + AHEAD_MS_MAX;
  const enough = Math.min(AHEAD_S, bufferSeconds());
  const isEnough = () => {
    const end = bufferedEnd(video);
    return end - video.currentTime >= enough || end >= video.duration - 0.1; // NaN until it is known
  };
  while (!isEnough() && performance.now() < until) await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
}

function startPlayer(options, video) {
  const { url } = options;
  const ahead = bufferSeconds();
  const loader = loaderClass(() => balancer, note, mirrorsOf(options));
  hls = new Hls({ loader, maxBufferLength: ahead, maxMaxBufferLength: ahead });
  globalThis.hls = hls;
  hls.on(Hls.Events.ERROR, (_, data) => {
    if (!data.fatal) return;
    seen.fatal.push(data.details);
    tryAgain(url, data);
  });
  video.addEventListener("waiting", () => {
    if (video.currentTime > 0 && !video.ended) seen.stalls += 1;
  });
  video.addEventListener("ended", () => (seen.ended = true));
  video.addEventListener("pause", keepForTheNextVisit); // at the end too
  hls.loadSource(url);
  hls.attachMedia(video);
  if (asked.get("start") === "hand") return;
  video.play().catch((error) => (seen.error = `the browser does not start it by itself: ${error.message}`));
}

async function refresh(video) {
  showBuffer(video, seen.stalls);
  try {
    if (balancer !== null) showSources((seen.report = await balancer.report()));
  } catch {
    seen.reportsFailed += 1; // the next one comes in half a second
  }
  showSegments(hls, seen.segments, seen.report);
  setTimeout(refresh, REFRESH_MS, video);
}

// The work of some seconds on another thread: while the picture stands, so that it disturbs nothing.
async function keepForTheNextVisit() {
  if (balancer === null) return; // else it would compete with the first start
  seen.snapshot = await keepSnapshot();
}

// From now on the player gets what it loads from here.
function takeOver(opened) {
  globalThis.balancer = balancer = opened; // for the browser's console too
  seen.startup = balancer.startup;
  const other = new URLSearchParams(asked);
  other.set("worker", inWorker ? "0" : "1");
  showStartup(balancer.startup, inWorker, `?${other}`);
  say("what is loaded comes through the balancer");
  at("measure").disabled = false;
  at("measure").onclick = async () => showMemory(await memoryReport());
  balancer.closed.then((why) => {
    balancer = null;
    seen.error = `the balancer ended: ${why}`;
    at("measure").disabled = at("record").disabled = at("peers").disabled = true;
    say("playing from the CDN alone: the balancer has ended", seen.error);
  });
}

async function main() {
  const told = await (await fetch("options.json")).json();
  const video = at("video");
  const waits = asked.has("start");
  told.options.record ||= asked.has("record");
  showRecording(told.options.record);
  showConsent(told.options);
  const ready = inWorker || waits ? Promise.resolve() : isAhead(video);
  const coming = ready.then(() => openBalancer(told, { inWorker }));
  if (!waits) startPlayer(told.options, video);
  say(waits ? "the balancer is loading" : "playing from the CDN while the balancer loads");
  refresh(video);
  try {
    takeOver(await coming);
    showRecording(told.options.record);
    showConsent(told.options);
  } catch (error) {
    seen.error = String(error.message ?? error);
    say("playing from the CDN alone: the balancer did not start", seen.error);
  }
  if (waits) startPlayer(told.options, video);
}

await main();
