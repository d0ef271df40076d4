// connections.mjs CONNECTIONS_JS: a page lends connections of the test's to a worker, under Node.  Throws what does not hold.
import assert from "node:assert/strict";
import { pathToFileURL } from "node:url";

const { borrowConnections, lendConnections } = await import(pathToFileURL(process.argv[2]));
const until = async (condition) => {
  for (let tries = 0; !condition(); tries += 1) {
    assert.ok(tries < 3000, `never: ${condition}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
};

// What a browser has, as far as it is asked
class Channel extends EventTarget {
  readyState = "connecting";
  bufferedAmount = 0;
  sent = [];
  constructor(label) {
    super();
    this.label = label;
  }
  open() {
    this.readyState = "open";
    this.dispatchEvent(new Event("open"));
  }
  send(message) {
    if (this.readyState !== "open") throw new DOMException("not open", "InvalidStateError");
    this.bufferedAmount += message.byteLength;
    this.sent.push(message);
  }
  drain(bytes) {
    const before = this.bufferedAmount;
    this.bufferedAmount -= bytes;
    const low = this.bufferedAmountLowThreshold;
    if (before > low && this.bufferedAmount <= low) this.dispatchEvent(new Event("bufferedamountlow"));
  }
  close() {
    this.readyState = "closed";
    this.dispatchEvent(new Event("close"));
  }
}
const made = [];
globalThis.RTCPeerConnection = class extends EventTarget {
  connectionState = "new";
  iceGatheringState = "new";
  localDescription = null;
  channels = [];
  isClosed = false;
  sctp = {
    maxMessageSize: 1000,
    transport: {
      getRemoteCertificates: () => [new Uint8Array([1, 2, 3]).buffer],
      iceTransport: { getSelectedCandidatePair: () => ({ remote: { address: "192.0.2.7", type: "relay" } }) },
    },
  };
  constructor(configuration) {
    super();
    if (configuration.iceServers.length > 0) throw new DOMException("too many", "OperationError");
    made.push(this);
  }
  createDataChannel(label) {
    this.channels.push(new Channel(label));
    return this.channels.at(-1);
  }
  async createOffer() {
    return { type: "offer", sdp: "ours" };
  }
  async getStats() {
    const pair = { id: "P", type: "candidate-pair", requestsReceived: 3 };
    return new Map([["P", pair], ["C", { id: "C", type: "codec" }]]);
  }
  async setLocalDescription(given) {
    this.localDescription = given;
  }
  async setRemoteDescription({ sdp }) {
    if (sdp === "never") await new Promise(() => {});
    throw new DOMException(`${sdp} is no description`, "SyntaxError");
  }
  close() {
    this.isClosed = true;
  }
};

const { port1, port2 } = new MessageChannel();
const end = lendConnections(port1);
const Borrowed = borrowConnections(port2);

// Descriptions, states and errors come across
const connection = new Borrowed({ iceServers: [] });
const raw = connection.createDataChannel("talk");
const offer = await connection.createOffer();
assert.deepEqual(offer, { type: "offer", sdp: "ours" });
await connection.setLocalDescription(offer);
assert.equal(connection.localDescription.sdp, "ours");
await assert.rejects(connection.setRemoteDescription({ type: "answer", sdp: "x" }), { name: "SyntaxError", message: "x is no description" });
const [page] = made;
assert.deepEqual([...(await connection.getStats()).values()], [{ id: "P", type: "candidate-pair", requestsReceived: 3 }]);
const [channel] = page.channels;
let gathered = 0;
connection.addEventListener("icegatheringstatechange", () => (gathered += connection.iceGatheringState === "complete"));
page.localDescription = { sdp: "ours, with an address" };
page.iceGatheringState = "complete";
page.dispatchEvent(new Event("icegatheringstatechange"));
await until(() => gathered === 1);
assert.equal(connection.localDescription.sdp, "ours, with an address");

// A channel is as it is on the page: not open, then open, with what is known of the other side
assert.throws(() => raw.send(new Uint8Array(1)), { name: "InvalidStateError" });
raw.bufferedAmountLowThreshold = 100;
channel.open();
await until(() => raw.readyState === "open");
assert.deepEqual([...new Uint8Array(connection.sctp.transport.getRemoteCertificates()[0])], [1, 2, 3]);
const { remote } = connection.sctp.transport.iceTransport.getSelectedCandidatePair();
assert.deepEqual(remote, { address: "192.0.2.7", type: "relay" });
assert.throws(() => raw.send(new Uint8Array(1001)), { name: "TypeError" });

// What is sent is a copy, and counts as buffered until the page's channel has sent it
const lows = [];
raw.addEventListener("bufferedamountlow", () => lows.push(raw.bufferedAmount));
const bytes = new Uint8Array(600);
raw.send(bytes);
bytes.fill(7);
raw.send(new Uint8Array(600));
assert.equal(raw.bufferedAmount, 1200);
await until(() => channel.sent.length === 2);
assert.deepEqual([...new Set(channel.sent[0])], [0]);
channel.drain(600);
await until(() => raw.bufferedAmount === 600); // no event says so: the page looks by itself
assert.deepEqual(lows, []);
channel.drain(550);
await until(() => lows.length === 1);
assert.deepEqual(lows, [50]);

// Messages keep their order, and come as buffers
const heard = [];
raw.addEventListener("message", ({ data }) => heard.push(typeof data === "string" ? data : [...new Uint8Array(data)]));
for (const data of [new Uint8Array([1]).buffer, "text", new Uint8Array([2, 3]).buffer])
  channel.dispatchEvent(new MessageEvent("message", { data }));
await until(() => heard.length === 3);
assert.deepEqual(heard, [[1], "text", [2, 3]]);

// Channels of the other side's are told with all that comes over them
const theirs = [];
connection.addEventListener("datachannel", ({ channel: found }) => {
  found.addEventListener("message", ({ data }) => theirs.push([found.label, found.readyState, data]));
});
const more = new Channel("theirs");
more.readyState = "open";
page.dispatchEvent(Object.assign(new Event("datachannel"), { channel: more }));
more.dispatchEvent(new MessageEvent("message", { data: "early" }));
await until(() => theirs.length === 1);
assert.deepEqual(theirs, [["theirs", "open", "early"]]);

// What a peer opens and closes is let go of; more at once than anybody needs are closed as they come
const opened = [];
connection.addEventListener("datachannel", ({ channel: found }) => opened.push(found));
const flood = () => {
  const channel = new Channel("flood");
  channel.readyState = "open";
  page.dispatchEvent(Object.assign(new Event("datachannel"), { channel }));
  return channel;
};
const many = Array.from({ length: 20 }, flood);
assert.equal(many.filter((one) => one.readyState === "open").length, 15); // and `more`
await until(() => opened.length === 15);
many.forEach((one) => one.readyState === "open" && one.close());
await until(() => opened.every((one) => one.readyState === "closed"));
for (let count = 1; count <= 100; count += 1) flood().close();
await until(() => opened.length === 115 && opened.every((one) => one.readyState === "closed"));
assert.equal(flood().readyState, "open");

// A message that the page cannot send ends the channel: what follows would be promised after it
channel.readyState = "closing";
raw.send(new Uint8Array(1));
await until(() => raw.readyState === "closed");

// Closed here, it is closed there, and whoever waits is told
const waiting = connection.setRemoteDescription({ type: "answer", sdp: "never" });
connection.close();
await assert.rejects(waiting, { name: "InvalidStateError" });
await assert.rejects(connection.createOffer(), { name: "InvalidStateError" });
await until(() => page.isClosed);

// What the page cannot make fails at the first question
await assert.rejects(new Borrowed({ iceServers: [{}] }).createOffer(), { name: "OperationError", message: "too many" });

// The page ends what is left
new Borrowed({ iceServers: [] });
await until(() => made.length === 2);
end();
assert.ok(made[1].isClosed);
port2.close();
console.log("connections hold");
