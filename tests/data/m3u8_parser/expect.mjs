// Writes hls_js.json: what hls.js makes of the playlists in this folder, one line a playlist.
// Run where hls.js is installed: node expect.mjs FOLDER > hls_js.json
import {readdirSync, readFileSync} from "node:fs";
import {createRequire} from "node:module";
import {join} from "node:path";
import {pathToFileURL} from "node:url";

globalThis.self = globalThis;
const require = createRequire(join(process.cwd(), "x.js"));
const {M3U8Parser} = await import(pathToFileURL(require.resolve("hls.js").replace(/hls\.js$/, "hls.mjs")));
const URL_OF_ALL = "https://cdn.example/v/main.m3u8";

const range = (of) => of.byteRange.length ? [of.byteRangeStartOffset, of.byteRangeEndOffset - of.byteRangeStartOffset] : null;
const segment = (of) => ({
  uri: of.url, duration: of.duration, range: range(of), number: of.sn, timeline: of.cc, title: of.title ?? "",
  date: of.rawProgramDateTime, gap: Boolean(of.gap),
  map: of.initSegment && [of.initSegment.url, range(of.initSegment)],
});
const part = (of) => ({uri: of.url, duration: of.duration, range: range(of), independent: of.independent});

function said(text) {
  if (!M3U8Parser.isMediaPlaylist(text)) {
    const {levels} = M3U8Parser.parseMasterPlaylist(text, URL_OF_ALL);
    return {levels: levels.map((of) => ({uri: of.url, bandwidth: of.bitrate, width: of.width ?? null, height: of.height ?? null}))};
  }
  const of = M3U8Parser.parseLevelPlaylist(text, URL_OF_ALL, 0, "main", 0, null);
  return {
    error: of.playlistParsingError?.message, target: of.targetduration, sequence: of.startSN, live: of.live,
    segments: of.fragments.map(segment), parts: (of.partList ?? []).map(part),
  };
}

const folder = process.argv[2];
const rows = [];
for (const name of readdirSync(folder).filter((each) => each.endsWith(".m3u8")).sort()) {
  let it;
  try {
    it = said(readFileSync(join(folder, name), "utf8"));
  } catch (error) {
    it = {error: error.message};
  }
  rows.push(`${JSON.stringify(name.slice(0, -5))}: ${JSON.stringify(it)}`);
}
console.log(`{\n${rows.join(",\n")}\n}`);
