// bridge_carriers.mjs BRIDGE_JS: carriers that never open, fail, or speak too early, under Node.  Throws what does not hold.
import assert from "node:assert/strict";
import { pathToFileURL } from "node:url";

const { connect, port, relay, webSocket } = await import(pathToFileURL(process.argv[2]));
const HELLO = '{"op":"hello","version":1}';
const closed = (promise, words) => assert.rejects(promise, (error) => error.name === "BridgeClosed" && words.test(error.message));

/** A carrier played by the test: `handlers` is what the bridge gave it. */
const played = (more = {}) => ({
  sent: [],
  ends: [],
  async open(handlers) {
    this.handlers = handlers;
  },
  send(text) {
    this.sent.push(JSON.parse(text).op);
  },
  close(why) {
    this.ends.push(why);
  },
  ...more,
});

// Nobody is at the other end of a port
const { port1, port2 } = new MessageChannel();
await closed(connect(port(port1), { limits: { helloTimeoutMs: 1 } }), /did not say hello in time/);
port2.close();

// No address
await assert.rejects(connect(webSocket("no address")), (error) => error.name === "SyntaxError");

// What comes before hello is no message yet, and a cancel that cannot be sent is no error of nobody's
const carrier = played();
const heard = [];
const connecting = connect(carrier, { actors: { chart: (message) => void heard.push(message) } });
await new Promise(setImmediate);
assert.deepEqual(carrier.sent, ["hello"]);
carrier.handlers.receive('{"op":"tell","to":"chart","type":"Note","body":{}}', []);
carrier.handlers.receive(HELLO, []);
const bridge = await connecting;
const asking = bridge.ask("it", { type: "Note" }, { timeoutMs: 1 });
carrier.send = () => {
  throw new Error("full");
};
await assert.rejects(asking, (error) => error.name === "AskTimedOut");
await new Promise(setImmediate);
assert.deepEqual(bridge.statistics().dropped, { malformed: 1, unsent: 1 });
assert.deepEqual(heard, []);

// A hello that cannot be sent
const full = played({ send: carrier.send });
await assert.rejects(connect(full), /full/);
assert.deepEqual(full.ends, ["full"]);

// A relay whose other half does not open
const left = played();
const broken = async () => {
  throw new Error("it is broken");
};
await assert.rejects(relay(left, played({ open: broken })), /it is broken/);
assert.deepEqual(left.ends, ["it is broken"]);

// A relay whose other half has not opened yet
const [eager, late] = [played(), played({ open: () => new Promise(() => {}) })];
const relaying = relay(eager, late);
await new Promise(setImmediate);
for (let number = 0; number < 9; number += 1) eager.handlers.receive(HELLO, []);
await relaying;
for (const one of [eager, late]) assert.equal(one.ends[0], "it did not wait for a hello");
assert.deepEqual(late.sent, []);
console.log("carriers hold");
