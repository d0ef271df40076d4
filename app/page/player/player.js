// The page: hls.js plays at once from the first CDN; when the balancer in Pyodide is there, it delivers the segments.
// Only segments change hands, one request at a time, so the player is handed over without being told.
// `?start=balancer` waits for the balancer first, and `?start=hand` then for somebody to press play;
// `?buffer=SECONDS` is how far ahead of the playhead hls.js loads; `?record`, which the button adds, writes down what
// the balancer decides.

import { loadPyodide } from "./pyodide/pyodide.mjs";

const REFRESH_MS = 500;
const asked = new URLSearchParams(location.search);
const at = (id) => document.getElementById(id);
const megabytes = (count) => `${(count / 1e6).toFixed(1)} MB`;
// What happened, for whoever looks from outside: each segment's hash, and who gave it.
const seen = { segments: [], fatal: [], stalls: 0, ended: false, startup: null, report: null, reportsFailed: 0, error: null };
globalThis.seen = seen;

let balancer = null; // a PageStream, once it is there
let hls = null;

class Loader extends Hls.DefaultConfig.loader {
  load(context, config, callbacks) {
    const began = performance.now();
    if (balancer === null || context.frag?.sn === "initSegment" || context.rangeEnd) {
      const given = callbacks.onSuccess;
      const noting = (response, ...rest) => (note(context, response.data, "direct"), given(response, ...rest));
      super.load(context, config, { ...callbacks, onSuccess: noting });
      return;
    }
    this.isOver = false;
    const stats = this.stats;
    stats.loading.start = began;
    this.context = context; // as the default loader keeps them, for its abort()
    this.callbacks = callbacks;
    this.read(context.url).then(
      (data) => {
        if (this.isOver) return;
        const now = performance.now();
        stats.loading.first = stats.loading.end = now;
        stats.loaded = stats.total = data.byteLength;
        note(context, data, "balancer");
        callbacks.onProgress?.(stats, context, data, null);
        callbacks.onSuccess({ url: context.url, data, code: 200 }, stats, context, null);
      },
      (error) => {
        if (!this.isOver) callbacks.onError({ code: 0, text: String(error.message ?? error) }, context, null, stats);
      },
    );
  }
  async read(url) {
    return copied(await balancer.read(url)).buffer;
  }
  abort() {
    this.isOver = true;
    super.abort();
  }
  destroy() {
    this.isOver = true;
    super.destroy();
  }
}

function copied(bytes) {
  try {
    const view = bytes.getBuffer("u8");
    try {
      return view.data.slice(); // one copy, out of Python's memory
    } finally {
      view.release();
    }
  } finally {
    bytes.destroy();
  }
}

function note(context, data, by) {
  const url = context.url;
  const segment = { url, number: context.frag?.sn, bytes: data.byteLength, by, sha256: null };
  seen.segments.push(segment);
  if (crypto.subtle)
    crypto.subtle.digest("SHA-256", data.slice(0)).then((digest) => {
      segment.sha256 = Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0")).join("");
    });
}

async function startBalancer({ options, wheels }) {
  const began = performance.now();
  const pyodide = await loadPyodide({ indexURL: new URL("./pyodide/", location.href).href });
  const interpreter = performance.now();
  const extractDir = pyodide.runPython("import site; site.getsitepackages()[0]");
  for (const wheel of wheels)
    pyodide.unpackArchive(await (await fetch(new URL("." + wheel, location.href))).arrayBuffer(), "wheel", { extractDir });
  const module = pyodide.pyimport("shoal.app.page_stream");
  const stream = await module.open_page_stream(JSON.stringify(options));
  module.destroy();
  const files = performance.getEntriesByType("resource").filter((one) => /\/(pyodide|wheels)\//.test(one.name));
  seen.startup = {
    ms: Math.round(performance.now() - began),
    interpreterMs: Math.round(interpreter - began),
    bytes: files.reduce((sum, one) => sum + one.decodedBodySize, 0),
  };
  return stream;
}

function save() {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([copied(balancer.recording())], { type: "application/gzip" }));
  link.download = "session.jsonl.gz"; // for `shoal sim --replay-session`
  link.click();
  setTimeout(URL.revokeObjectURL, 60_000, link.href); // the browser may still be reading it
}

// A decision follows from all before it, so what is recorded begins with a session: the page is loaded anew.
function recordFromTheStart() {
  asked.set("record", "");
  location.search = asked;
}

function showRecording(isOn) {
  const button = at("record");
  button.textContent = isOn ? "save recording" : "record";
  button.onclick = isOn ? save : recordFromTheStart;
  button.disabled = isOn && balancer === null;
}

// What the page's Python holds, and how large WebAssembly's memory has grown: it never shrinks.
function memoryReport() {
  const wasmBytes = python._module.HEAPU8.byteLength;
  return { wasmBytes, scriptBytes: performance.memory?.usedJSHeapSize ?? null, python: JSON.parse(balancer.memory()) };
}
globalThis.memoryReport = memoryReport;

function showMemory() {
  const { wasmBytes, scriptBytes, python: held } = memoryReport();
  const script = scriptBytes === null ? "" : `, JavaScript ${megabytes(scriptBytes)}`;
  const objects = `${held.object_count.toLocaleString("en")} objects of ${megabytes(held.byte_count)}`;
  at("memory").textContent = `WebAssembly ${megabytes(wasmBytes)}${script}; Python has ${objects}`;
  const kinds = held.kinds.map((one) => [one.name, one.count.toLocaleString("en"), megabytes(one.byte_count)]);
  const single = held.biggest.map((one) => [`${one.name} in ${one.holders.join(", ") || "?"}`, "1", megabytes(one.byte_count)]);
  at("kinds").replaceChildren(...kinds.slice(0, 10).map(rowOf), ...single.slice(0, 5).map(rowOf));
}

// A row of a table; all but the first words are numbers.
function rowOf(words) {
  const row = document.createElement("tr");
  words.forEach((word, index) => {
    const cell = document.createElement("td");
    cell.textContent = cell.title = word;
    if (index > 0) cell.className = "number";
    row.append(cell);
  });
  return row;
}

function startPlayer(url, video) {
  const ahead = Number(asked.get("buffer")) || 12;
  hls = new Hls({ fLoader: Loader, maxBufferLength: ahead, maxMaxBufferLength: ahead });
  hls.on(Hls.Events.ERROR, (_, data) => {
    if (data.fatal) seen.fatal.push(data.details);
  });
  video.addEventListener("waiting", () => {
    if (video.currentTime > 0 && !video.ended) seen.stalls += 1;
  });
  video.addEventListener("ended", () => (seen.ended = true));
  hls.loadSource(url);
  hls.attachMedia(video);
  if (asked.get("start") === "hand") return;
  video.play().catch((error) => (seen.error = `the browser does not start it by itself: ${error.message}`));
}

function showBuffer(video) {
  const length = video.duration || 0;
  let end = video.currentTime;
  for (let index = 0; index < video.buffered.length; index += 1)
    if (video.buffered.start(index) <= video.currentTime + 0.1) end = Math.max(end, video.buffered.end(index));
  at("buffer").textContent = `${Math.max(0, end - video.currentTime).toFixed(1)} s`;
  at("buffered").style.width = length ? `${(100 * end) / length}%` : "0";
  at("playhead").style.width = length ? `${(100 * video.currentTime) / length}%` : "0";
  at("stalls").textContent = String(seen.stalls);
}

function kindOf(segment) {
  if (segment.by === "direct" || seen.report === null) return "direct";
  const story = seen.report.segments.find((one) => one.uri === segment.url);
  const parts = (story?.parts ?? []).filter((part) => part.byte_count > 0 && part.outcome !== "wrong");
  const sources = new Set(parts.map((part) => part.source.split(":")[0]));
  return sources.size > 1 ? "both" : ([...sources][0] ?? ""); // without a colour until the report tells
}

function showSegments() {
  const details = hls.levels?.[hls.currentLevel]?.details;
  if (!details) return;
  const given = new Map(seen.segments.map((segment) => [segment.number, segment]));
  const row = at("segments");
  while (row.children.length < details.fragments.length) row.append(document.createElement("li"));
  details.fragments.forEach((fragment, index) => {
    const segment = given.get(fragment.sn);
    row.children[index].className = segment ? kindOf(segment) : "";
    row.children[index].title = `segment ${fragment.sn}`;
  });
}

function showSources(report) {
  const rows = report.sources.map((source) => {
    const rate = source.throughput_bytes_per_s;
    const row = document.createElement("tr");
    const words = [source.name.slice(0, 22), source.state, megabytes(source.used_bytes), megabytes(source.sent_bytes)];
    for (const [index, word] of [...words, rate ? `${(rate / 125e3).toFixed(1)} Mbit/s` : "-"].entries()) {
      const cell = document.createElement("td");
      cell.textContent = word;
      if (index > 1) cell.className = "number";
      row.append(cell);
    }
    return row;
  });
  at("sources").replaceChildren(...rows);
  const used = (kind) =>
    report.sources.filter((one) => one.name.startsWith(kind)).reduce((sum, one) => sum + one.used_bytes, 0);
  const all = used("cdn:") + used("peer:");
  at("offload").textContent = all ? `${Math.round((100 * used("peer:")) / all)} %` : "-";
}

async function refresh(video) {
  showBuffer(video);
  try {
    if (balancer !== null) showSources((seen.report = JSON.parse(await balancer.report())));
  } catch {
    seen.reportsFailed += 1; // the next one comes in half a second
  }
  if (hls !== null) showSegments();
  setTimeout(refresh, REFRESH_MS, video);
}

async function main() {
  const told = await (await fetch("options.json")).json();
  const video = at("video");
  const waits = asked.has("start");
  told.options.record ||= asked.has("record");
  showRecording(told.options.record);
  const coming = startBalancer(told);
  if (!waits) startPlayer(told.options.url, video);
  at("status").textContent = waits ? "the balancer is loading" : "playing from the CDN while the balancer loads";
  refresh(video);
  try {
    balancer = await coming;
    at("startup").textContent = `${megabytes(seen.startup.bytes)}, ${(seen.startup.ms / 1000).toFixed(1)} s`;
    at("status").textContent = "segments come through the balancer";
    showRecording(told.options.record);
  } catch (error) {
    seen.error = String(error.message ?? error);
    at("status").textContent = "playing from the CDN alone: the balancer did not start";
    at("status").title = seen.error;
  }
  if (waits) startPlayer(told.options.url, video);
}

await main();
