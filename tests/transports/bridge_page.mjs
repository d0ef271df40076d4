// bridge_page.mjs BRIDGE_JS URL: a page's half of the tests in test_bridge_websocket.py, under Node.
// Each case is a function of the module's exports and the URL; prints a JSON line with what each gave or threw.
import { pathToFileURL } from "node:url";

const [script, url] = process.argv.slice(2);
const bridges = await import(pathToFileURL(script));
const { connect, webSocket } = bridges;
const caught = async (work) => {
  try {
    return { value: await work() };
  } catch (error) {
    return { name: error.name, isTyped: error instanceof (bridges[error.name] ?? Function), message: error.message };
  }
};
const sums = (bytes) => bytes.reduce((sum, byte) => sum + byte, 0);
class Overdrawn extends Error {}
class Chart {
  drawn = 0;
  Draw({ points }) {
    this.drawn += points.length;
    return this.drawn;
  }
  async Sum({ data, more }) {
    return { sum: sums(data), back: data.slice().reverse(), more: more.map(sums) };
  }
  Fail({ how }) {
    if (how === "custom") throw Object.assign(new Overdrawn("no ink"), { name: "Overdrawn" });
    if (how === "big") return new Uint8Array(5 * 1024 * 1024);
    if (how === "odd") return new Map();
    return undefined.x;
  }
}
const chart = new Chart();
const bridge = await connect(webSocket(url), {
  actors: { chart, echo: (message) => message },
  errors: { Overdrawn },
  limits: { helloTimeoutMs: 60_000, askTimeoutMs: 60_000 }, // this machine may be busy
});
const results = {};
const note = async (name, work) => (results[name] = await caught(work));

await note("asks", () => bridge.ask("account", { type: "Withdraw", cents: 3 }));
bridge.tell("account", { type: "Deposit", cents: 10 });
await note("tells first", () => bridge.ask("account", { type: "Withdraw", cents: 3 }));
await note("knows the error", () => bridge.ask("account", { type: "Withdraw", cents: 999 }));
results["knows its class"] = await bridge.ask("account", { type: "Withdraw", cents: 999 }).catch((error) => error instanceof Overdrawn);
await note("handler failed", () => bridge.ask("account", { type: "Withdraw", cents: -1 }));
await note("wrong field", () => bridge.ask("account", { type: "Withdraw", cent: 3 }));
await note("wrong type", () => bridge.ask("account", { type: "Withdraw", cents: "3" }));
await note("unknown type", () => bridge.ask("account", { type: "Rob" }));
await note("unknown name", () => bridge.ask("bank", { type: "Withdraw", cents: 3 }));
await note("no time", () => bridge.ask("account", { type: "Never" }, { timeoutMs: 50 }));
for (const [name, message] of Object.entries({
  "no message": 3,
  "no type": { cents: 1 },
  function: { type: "Withdraw", cents: () => 1 },
  "not finite": { type: "Withdraw", cents: 1 / 0 },
  "a class": { type: "Withdraw", cents: new Date() },
  bigint: { type: "Withdraw", cents: 1n },
}))
  await note(`refuses ${name}`, () => bridge.ask("account", message));
await note("refuses too much", () => bridge.ask("hash", { type: "Hash", data: new Uint8Array(5 * 1024 * 1024), more: [] }));
const data = Uint8Array.from({ length: 1 << 20 }, (_, index) => (index * 7) % 251);
const view = data.subarray(100, 1000); // a part of a larger buffer
results.hashed = await bridge.ask("hash", { type: "Hash", data, more: [view, new Uint8Array(0)] }).then(
  ({ digest, again, more }) => ({
    digest: Buffer.from(digest).toString("hex"),
    same: Buffer.compare(Buffer.from(again), Buffer.from(data)) === 0,
    more: more.map((one) => one.length),
  }),
);
results.many = (
  await Promise.all(Array.from({ length: 250 }, (_, index) => bridge.ask("echo", { type: "Number", number: index })))
).every((number, index) => number === index);
results.overload = (
  await Promise.allSettled(Array.from({ length: 300 }, () => bridge.ask("echo", { type: "Number", number: 1 })))
).filter(({ reason }) => reason?.name === "Overloaded").length;
await note("python asks us", () => bridge.ask("driver", { type: "Drive" }));
results.statistics = bridge.statistics();
console.log(JSON.stringify(results));
bridge.close("all was tried");
await note("after the end", () => bridge.ask("account", { type: "Withdraw", cents: 1 }));
console.log(JSON.stringify({ ended: results["after the end"], why: await bridge.closed }));
