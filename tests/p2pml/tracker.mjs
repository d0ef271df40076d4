// bittorrent-tracker on a free port: `node tracker.mjs [INTERVAL_MS]`.  Tells JSON lines: ready {url}, warned {why}.
import Server from "bittorrent-tracker/server";

const tell = (event, about = {}) => process.stdout.write(JSON.stringify({ event, ...about }) + "\n");
const server = new Server({ udp: false, http: false, ws: true, stats: false, interval: Number(process.argv[2] ?? 600_000) });
for (const name of ["error", "warning"]) server.on(name, (error) => tell("warned", { why: error.message }));
server.listen(0, "127.0.0.1", () => tell("ready", { url: `ws://127.0.0.1:${server.http.address().port}` }));
process.on("SIGTERM", () => process.exit(0));
