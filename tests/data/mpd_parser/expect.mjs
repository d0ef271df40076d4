// Writes expected.json: what mpd-parser makes of the MPDs in this folder, one line an MPD.
// Run where mpd-parser is installed: node expect.mjs FOLDER > expected.json
import {readdirSync, readFileSync} from "node:fs";
import {join} from "node:path";
import {createRequire} from "node:module";

const require = createRequire(join(process.cwd(), "x.js"));
const {inheritAttributes, stringToMpdXml, toPlaylists} = require("mpd-parser");
const URL_OF_ALL = "https://cdn.example/show/main.mpd";
const NOW = Date.parse("2026-01-31T12:00:00Z");

const range = (part) => part && [Number(part.offset), Number(part.length)];
const segment = (of) => ({
  uri: of.resolvedUri, range: range(of.byterange), duration: of.duration, number: of.number, start: of.presentationTime,
  map: of.map && [of.map.resolvedUri, range(of.map.byterange) ?? null],
});
const playlist = ({attributes: of, segments, sidx}) => ({
  id: of.id, baseUrl: of.baseUrl, bandwidth: of.bandwidth, codecs: of.codecs, width: of.width, height: of.height,
  frameRate: of.frameRate, mimeType: of.mimeType, lang: of.lang, periodStart: of.periodStart,
  location: of.serviceLocation, role: of.role && of.role.value, sidx: sidx && [sidx.resolvedUri, range(sidx.byterange)],
  segments: (segments ?? []).map(segment),
});

const folder = process.argv[2];
const rows = [];
for (const name of readdirSync(folder).filter((each) => each.endsWith(".mpd")).sort()) {
  let said;
  try {
    const info = inheritAttributes(stringToMpdXml(readFileSync(join(folder, name), "utf8")), {manifestUri: URL_OF_ALL, NOW});
    said = {
      locations: info.locations, steering: info.contentSteeringInfo ?? null,
      playlists: toPlaylists(info.representationInfo).map(playlist),
    };
  } catch (error) {
    said = {error: error.message};
  }
  rows.push(`${JSON.stringify(name.slice(0, -4))}: ${JSON.stringify(said)}`);
}
console.log(`{\n${rows.join(",\n")}\n}`);
