// In the page: what JavaScript does alone with a data channel, and how many proxies a bridge leaves behind.
import { connect, page } from "./bridge.js";

// As much on its way as keeps the channel busy while the page does something else, which a page written for speed has.
const BUFFERED_BYTES_HIGH = 1024 * 1024;
const BUFFERED_BYTES_LOW = 256 * 1024;
const SMALL_EVERY_MS = 50;
const SETTLE_TRIES = 500; // of 10 ms: what JavaScript collects late
const limits = { askTimeoutMs: 120_000 }; // the machine may be busy

const once = (target, event) => new Promise((resolve) => target.addEventListener(event, resolve, { once: true }));

/** Two channels of two connections of this page, open. */
async function pair() {
  const [one, other] = [new RTCPeerConnection(), new RTCPeerConnection()];
  one.onicecandidate = ({ candidate }) => candidate && other.addIceCandidate(candidate);
  other.onicecandidate = ({ candidate }) => candidate && one.addIceCandidate(candidate);
  const sender = one.createDataChannel("bulk");
  const [opened, met] = [once(sender, "open"), once(other, "datachannel")];
  await one.setLocalDescription();
  await other.setRemoteDescription(one.localDescription);
  await other.setLocalDescription();
  await one.setRemoteDescription(other.localDescription);
  const receiver = (await met).channel;
  sender.binaryType = receiver.binaryType = "arraybuffer";
  sender.bufferedAmountLowThreshold = BUFFERED_BYTES_LOW;
  await opened;
  return { sender, receiver, close: () => (one.close(), other.close()) };
}

/** Seconds from the first message to the arrival of the last, how many came in order and whole, and the milliseconds
 *  that each small message took that went behind them. */
export async function plain(messages, messageBytes) {
  const { sender, receiver, close } = await pair();
  let arrived = 0;
  let right = 0;
  const small_ms = [];
  const all = new Promise((resolve) => {
    receiver.onmessage = ({ data }) => {
      if (data.byteLength === 8) return small_ms.push(performance.now() - new DataView(data).getFloat64(0));
      right += data.byteLength === messageBytes && new DataView(data).getUint32(0) === arrived ? 1 : 0;
      if ((arrived += 1) === messages) resolve();
    };
  });
  const piece = new Uint8Array(messageBytes).fill(7);
  const head = new DataView(piece.buffer);
  const began = performance.now();
  const small = setInterval(() => {
    const message = new DataView(new ArrayBuffer(8));
    message.setFloat64(0, performance.now());
    sender.send(message);
  }, SMALL_EVERY_MS);
  for (let number = 0; number < messages; number += 1) {
    if (sender.bufferedAmount > BUFFERED_BYTES_HIGH) await once(sender, "bufferedamountlow");
    head.setUint32(0, number);
    sender.send(piece);
  }
  clearInterval(small);
  await all;
  const seconds = (performance.now() - began) / 1000;
  close();
  return { seconds, right, small_ms };
}

/** The same through `channel_page.py`. */
export async function ours(messages, messageBytes) {
  const bulk = pyodide.globals.get("bulk");
  try {
    return JSON.parse(await bulk(messages, messageBytes, SMALL_EVERY_MS));
  } finally {
    bulk.destroy();
  }
}

/** Half of the messages each way are told, half are asked; a thousand bytes with every question. */
export async function leaks(messages) {
  const { _module: module } = pyodide;
  module.enable_pyproxy_allocation_tracing();
  const held = () => ({ proxies: module.pyproxy_alloc_map.size, references: module._hiwire_num_refs() });
  const closed = held();
  let noted = 0;
  const chart = { Note: ({ number, data }) => ((noted += 1), data.length === 0 ? number : 1) };
  const make = pyodide.globals.get("endpoint");
  const bridge = await connect(page(make()), { actors: { chart }, limits });
  make.destroy();
  const data = new Uint8Array(1000);
  const toPython = async (count) => {
    for (let number = 0; number < count; number += 2) {
      bridge.tell("sum", { type: "Add", number: 1 });
      await bridge.ask("sum", { type: "Hash", data });
    }
    return bridge.ask("sum", { type: "Add", number: 0 });
  };
  const toJavaScript = async (count) => {
    noted = 0;
    for (let done = 0; done < count; done += 100) await bridge.ask("driver", { type: "Drive", count: 50 });
    return noted;
  };
  const before = await toPython(100); // what is made on first use is made
  await toJavaScript(100);
  const first = held();
  if (first.proxies <= closed.proxies) throw new Error("an open bridge holds no proxies: they are not counted");
  const began = performance.now();
  const added = (await toPython(messages)) - before;
  const middle = performance.now();
  const arrived = await toJavaScript(messages);
  const end = performance.now();
  let last = held();
  for (let tries = 0; tries < SETTLE_TRIES && last.proxies + last.references > first.proxies + first.references; tries += 1) {
    await new Promise((resolve) => setTimeout(resolve, 10));
    last = held();
  }
  bridge.close();
  return {
    proxies: last.proxies - first.proxies,
    references: last.references - first.references,
    lost: messages / 2 - added + messages - arrived,
    usToPython: (1000 * (middle - began)) / messages,
    usToJavaScript: (1000 * (end - middle)) / messages,
  };
}
