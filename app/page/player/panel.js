// What the page shows of the player and the balancer.  Nothing here decides anything.

export const at = (id) => document.getElementById(id);
export const megabytes = (count) => `${(count / 1e6).toFixed(1)} MB`;
const seconds = (ms) => `${(ms / 1000).toFixed(1)} s`;
const percent = (part, all) => (all > 0 ? `${Math.round((100 * part) / all)} %` : "-");

/** A row of a table; all but the first `names` words are numbers. */
function rowOf(words, names = 1) {
  const row = document.createElement("tr");
  words.forEach((word, index) => {
    const cell = document.createElement("td");
    cell.textContent = cell.title = word;
    if (index >= names) cell.className = "number";
    row.append(cell);
  });
  return row;
}

/** Up to which second it could play with what is there. */
export function bufferedEnd(video) {
  let end = video.currentTime;
  for (let index = 0; index < video.buffered.length; index += 1)
    if (video.buffered.start(index) <= video.currentTime + 0.1) end = Math.max(end, video.buffered.end(index));
  return end;
}

export function showBuffer(video, stalls) {
  const length = video.duration || 0;
  const end = bufferedEnd(video);
  at("buffer").textContent = seconds(1000 * Math.max(0, end - video.currentTime));
  at("buffered").style.width = length ? `${(100 * end) / length}%` : "0";
  at("playhead").style.width = length ? `${(100 * video.currentTime) / length}%` : "0";
  at("stalls").textContent = String(stalls);
}

/** Of bytes that the player was given, how many came from where: peer, cdn, or direct without the balancer.
 *  Null while the report does not tell. */
function originOf(given, stories) {
  if (given.by === "direct") return { peer: 0, cdn: 0, direct: given.bytes };
  const came = { peer: 0, cdn: 0 };
  for (const { source, byte_count: count, outcome } of stories.get(given.url)?.parts ?? [])
    if (outcome !== "wrong") came[source.startsWith("peer:") ? "peer" : "cdn"] += count;
  const all = came.peer + came.cdn; // what came twice counts twice in it
  if (all === 0) return null;
  return { peer: (given.bytes * came.peer) / all, cdn: (given.bytes * came.cdn) / all, direct: 0 };
}

/** The strip of segments and the figures below it, which are of the same bytes. */
export function showSegments(hls, given, report) {
  const fragments = hls?.levels?.[hls.currentLevel]?.details?.fragments ?? [];
  const stories = new Map(report?.segments.map((story) => [story.uri, story]));
  const origins = new Map();
  const sum = { peer: 0, cdn: 0, direct: 0 };
  const once = new Map(given.map((one) => [`${one.number} ${one.url}`, one])); // a player that goes back loads again
  for (const one of once.values()) {
    const origin = originOf(one, stories);
    if (typeof one.number === "number") origins.set(one.number, origin);
    for (const name in origin ?? {}) sum[name] += origin[name];
  }
  const all = sum.peer + sum.cdn + sum.direct;
  for (const name in sum) at(`of-${name}`).textContent = `${megabytes(sum[name])}, ${percent(sum[name], all)}`;
  at("offload").textContent = percent(sum.peer, all);
  const row = at("segments");
  while (row.children.length > fragments.length) row.lastChild.remove();
  while (row.children.length < fragments.length) row.append(document.createElement("li"));
  fragments.forEach((fragment, index) => showSegment(row.children[index], fragment.sn, origins.get(fragment.sn)));
}

function showSegment(item, number, origin) {
  if (!origin) {
    item.className = item.style.background = "";
    item.title = `segment ${number}`;
    return;
  }
  const { peer, cdn, direct } = origin;
  item.className = direct > 0 ? "direct" : "";
  item.title = direct > 0 ? `segment ${number}: without the balancer` : `segment ${number}: ${percent(peer, peer + cdn)} from peers`;
  const share = (100 * peer) / (peer + cdn);
  item.style.background = direct > 0 ? "" : `linear-gradient(to top, var(--peer) ${share}%, var(--cdn) ${share}%)`;
}

export function showSources(report) {
  const rows = report.sources.map((source) => {
    const isPeer = source.name.startsWith("peer:");
    const rate = source.throughput_bytes_per_s;
    const row = rowOf(
      [
        isPeer ? `peer …${source.name.slice(-6)}` : source.name.replace("cdn:", "CDN "),
        source.state,
        megabytes(source.used_bytes),
        isPeer ? megabytes(source.sent_bytes) : "",
        rate ? `${(rate / 125e3).toFixed(1)} Mbit/s` : "-",
      ],
      2,
    );
    row.firstChild.title = source.name;
    const mark = document.createElement("i");
    mark.className = isPeer ? "peer" : "cdn";
    row.firstChild.prepend(mark, " ");
    return row;
  });
  at("sources").replaceChildren(...rows);
}

/** What it cost to load the balancer, and the way to have it on the other thread. */
export function showStartup(startup, inWorker, otherThread) {
  const { bytes, movedBytes, ms, interpreterMs, isFromSnapshot, packagesMs, sessionMs } = startup;
  at("startup").textContent = `${megabytes(bytes)}, ${seconds(ms)}`;
  const link = document.createElement("a");
  link.href = otherThread;
  link.textContent = inWorker ? "use the page's thread" : "use a worker";
  const from = isFromSnapshot ? " from a snapshot" : "";
  const parts = `interpreter ${seconds(interpreterMs)}${from}, packages ${seconds(packagesMs)}, playlists ${seconds(sessionMs)}`;
  at("startup-parts").replaceChildren(
    `${parts}; ${megabytes(movedBytes)} over the network; ${inWorker ? "in a worker" : "on the page's thread"} (`, link, ")",
  );
}

export function showMemory({ wasmBytes, scriptBytes, python: held }) {
  const script = scriptBytes === null ? "" : `, the page's JavaScript ${megabytes(scriptBytes)}`;
  const objects = `${held.object_count.toLocaleString("en")} objects of ${megabytes(held.byte_count)}`;
  at("memory").textContent = `WebAssembly ${megabytes(wasmBytes)}${script}; Python has ${objects}`;
  const kinds = held.kinds.map((one) => [one.name, one.count.toLocaleString("en"), megabytes(one.byte_count)]);
  const single = held.biggest.map((one) => [`${one.name} in ${one.holders.join(", ") || "the interpreter"}`, "1", megabytes(one.byte_count)]);
  at("kinds").replaceChildren(...kinds.slice(0, 10).map((row) => rowOf(row)), ...single.slice(0, 5).map((row) => rowOf(row)));
}
