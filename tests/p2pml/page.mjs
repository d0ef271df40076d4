// hls.js with p2p-media-loader, as a web page has them; bundled for the page by counterparts.py.
//
// The page's query: url, of the multivariant playlist; tracker; core and hls, settings of the package and of
// hls.js as JSON; rate, of playing: where it is given, the video stands still until a peer was met.
// What happened is in `seen`: loaded, what the package says of each segment; given, what hls.js was given, with its hash.
import Hls from "hls.js";
import { HlsJsP2PEngine } from "p2p-media-loader-hlsjs";

const query = new URLSearchParams(location.search);
const seen = { fatal: [], peers: [], sent: 0, loaded: [], given: [] };
globalThis.seen = seen;
const video = document.querySelector("video");

function listen(engine) {
  engine.addEventListener("onPeerConnect", ({ peerId }) => {
    seen.peers.push(peerId);
    if (!query.has("rate")) return;
    video.playbackRate = Number(query.get("rate"));
    video.play(); // not before: a short video would be over
  });
  engine.addEventListener("onChunkUploaded", (count) => { seen.sent += count; });
  engine.addEventListener("onSegmentLoaded", ({ segmentUrl, bytesLength, downloadSource, peerId }) =>
    seen.loaded.push({ url: segmentUrl, bytes: bytesLength, source: downloadSource, peer: peerId ?? null }));
}

async function digest(bytes) {
  const found = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return [...found].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

const given = (name) => JSON.parse(query.get(name) ?? "{}");
const core = { announceTrackers: [query.get("tracker")], rtcConfig: { iceServers: [] }, ...given("core") };
const HlsWithPeers = HlsJsP2PEngine.injectMixin(Hls);
const p2p = { core, onHlsJsCreated: (created) => listen(created.p2pEngine) };
const hls = new HlsWithPeers({ ...given("hls"), p2p });
hls.on(Hls.Events.ERROR, (_, { fatal, details }) => { if (fatal) seen.fatal.push(details); });
hls.on(Hls.Events.FRAG_LOADED, async (_, { frag, payload }) => {
  const about = { number: frag.sn, url: frag.url, bytes: payload.byteLength };
  seen.given.push({ ...about, sha256: await digest(payload.slice(0)) });
});
hls.on(Hls.Events.MANIFEST_PARSED, () => { if (!query.has("rate")) video.play(); });
hls.loadSource(query.get("url"));
hls.attachMedia(video);
