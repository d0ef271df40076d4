// player_loader.mjs LOADER_JS: the page's loader for hls.js, with a balancer and an hls.js of the test's, under Node.
// Throws what does not hold.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";

// What it builds on: the default loader of hls.js, as far as it calls it.
const direct = [];
const policies = [];
class Default {
  stats = { loading: { start: 0, first: 0, end: 0 }, loaded: 0, total: 0, aborted: false };
  load(context, config, callbacks) {
    if (this.stats.loading.start) throw new Error("Loader can only be used once.");
    direct.push(context.url);
    this.context = context;
    this.stats.loading.start = 1;
    if (config.loadPolicy) policies.push(config.loadPolicy);
    const { onError, onTimeout } = callbacks;
    if (/^broken/.test(context.url)) return void onError({ code: 503, text: "no" }, context, null, this.stats);
    if (/^silent/.test(context.url)) return void onTimeout(this.stats, context, null);
    callbacks.onSuccess({ url: context.url, data: new ArrayBuffer(3), code: 200 }, this.stats, context, null);
  }
  abort() {
    this.callbacks?.onAbort?.();
  }
  destroy() {
    this.callbacks = this.stats = null;
  }
}
globalThis.Hls = { DefaultConfig: { loader: Default } };
const source = readFileSync(process.argv[2], "utf8"); // Node would take a .js of this folder for something else
const { loaderClass } = await import(`data:text/javascript,${encodeURIComponent(source)}`);

const error = (name) => Object.assign(new Error(`${name} it was`), { name });
const settled = () => new Promise(setImmediate);
let balancer = null;
const noted = [];
const elsewhere = {};
const Loader = loaderClass(
  () => balancer,
  (context, data, by) => noted.push([context.url, data.byteLength, by]),
  (url) => elsewhere[url] ?? [],
);
const played = () => {
  const asked = [];
  const load = (url, given) => new Promise((resolve, reject) => asked.push({ url, ...given, resolve, reject }));
  balancer = { load, playlist: (url) => load(url, { isText: true }) };
  return asked;
};
const load = (context) => {
  const heard = [];
  const callbacks = Object.fromEntries(
    ["onSuccess", "onError", "onTimeout", "onAbort", "onProgress"].map((name) => [name, (...what) => heard.push([name, ...what])]),
  );
  const loader = new Loader({});
  loader.load(context, { loadPolicy: { errorRetry: "some", timeoutRetry: "some" } }, callbacks);
  return { loader, heard };
};
const segment = (url, more = {}) => ({ url, frag: { sn: 3 }, responseType: "arraybuffer", ...more });

// Without a balancer, and what is no fragment's: from the CDN, and only the former is noted
load(segment("a"));
const asked = played();
load({ url: "playlist", responseType: "text" });
assert.deepEqual([direct.splice(0), noted.splice(0)], [["a", "playlist"], [["a", 3, "direct"]]]);
assert.equal(asked.length, 0);

// With one: segments, parts of files, init sections and keys
const { loader, heard } = load(segment("b", { rangeStart: 5, rangeEnd: 9 }));
load(segment("init", { frag: { sn: "initSegment" }, rangeStart: 0, rangeEnd: 0 }));
load(segment("key", { keyInfo: {} }));
assert.deepEqual(asked.map(({ url, first, end }) => [url, first, end]), [["b", 5, 9], ["init", undefined, undefined], ["key", undefined, undefined]]);
asked[0].resolve(new Uint8Array([1, 2, 3, 4]));
await settled();
assert.deepEqual(heard.map(([name]) => name), ["onProgress", "onSuccess"]);
assert.equal(heard[1][1].data.byteLength, 4);
assert.deepEqual(noted.splice(0), [["b", 4, "balancer"]]);
assert.ok(loader.stats.loading.end >= loader.stats.loading.start && loader.stats.total === 4);
loader.destroy();
assert.ok(!asked[0].signal.aborted, "what has come is not left");

// Bytes that are a part of a larger buffer are given without the rest of it
asked[1].resolve(new Uint8Array(new ArrayBuffer(100), 10, 7));
await settled();
assert.deepEqual(noted.splice(0), [["init", 7, "balancer"]]);

// Left by abort, or by destroy: the balancer is told, and the player hears no more of it
for (const how of ["abort", "destroy"]) {
  const left = load(segment("c"));
  const last = asked.at(-1);
  const { stats } = left.loader;
  left.loader[how]();
  assert.ok(last.signal.aborted && stats.aborted);
  last.reject(error("NotLoaded"));
  await settled();
  assert.deepEqual(left.heard.map(([name]) => name), how === "abort" ? ["onAbort"] : []);
}

// What the balancer does not know, and what it cannot give since it has gone, the player fetches itself
for (const name of ["UnknownResource", "BridgeClosed"]) {
  load(segment(name));
  asked.at(-1).reject(error(name));
  await settled();
  assert.deepEqual([direct.splice(0), noted.splice(0)], [[name], [[name, 3, "direct"]]]);
}

// What it refuses for another reason it does not: wrong bytes must not come in by the back door
const refused = load(segment("d"));
asked.at(-1).reject(error("NotLoaded"));
await settled();
assert.deepEqual([refused.heard.map(([name, what]) => [name, what]), direct], [[["onError", { code: 0, text: "NotLoaded it was" }]], []]);

// A media playlist comes from whichever CDN has it, and from the player's own where none does
const live = { url: "live.m3u8", type: "level", responseType: "text" };
const reloaded = load(live);
assert.ok(asked.at(-1).isText);
asked.at(-1).resolve("#EXTM3U");
await settled();
assert.equal(reloaded.heard.at(-1)[1].data, "#EXTM3U");
load(live);
asked.at(-1).reject(error("NotLoaded"));
await settled();
assert.deepEqual([direct.splice(0), noted], [["live.m3u8"], []]);
load({ url: "main.m3u8", type: "manifest", responseType: "text" });
assert.deepEqual(direct.splice(0), ["main.m3u8"]);
// What the first CDN does not give comes from another, as if the first had: once each, then the last as often as ever
balancer = null;
elsewhere["broken/main.m3u8"] = ["silent/main.m3u8", "good/main.m3u8", "never/main.m3u8"];
policies.length = 0;
const main = { url: "broken/main.m3u8", type: "manifest", responseType: "text" };
const found = load(main);
assert.deepEqual(direct.splice(0), ["broken/main.m3u8", "silent/main.m3u8", "good/main.m3u8"]);
const [[name, response, , context]] = found.heard;
assert.deepEqual([name, response.url, context], ["onSuccess", "broken/main.m3u8", main]);
assert.ok(policies.every(({ errorRetry, timeoutRetry }) => errorRetry === null && timeoutRetry === null));
elsewhere["broken/a"] = ["broken/b"];
const lost = load(segment("broken/a"));
assert.deepEqual([direct.splice(0), policies.at(-1).errorRetry], [["broken/a", "broken/b"], "some"]);
assert.deepEqual(lost.heard.map(([name, { code }, { url }]) => [name, code, url]), [["onError", 503, "broken/a"]]);
console.log("loader holds");
