// RTCPeerConnections for a worker, which has none: the page owns them, and a MessagePort lies between.
//
//   const { port1, port2 } = new MessageChannel();
//   lendConnections(port1);                                       // on the page
//   self.RTCPeerConnection = borrowConnections(port2);            // in the worker, before anybody asks for it
//
// What is borrowed has of RTCPeerConnection and RTCDataChannel what webrtc.py and datachannel.py use, and tells of
// events in the order in which the page had them.  Messages are handed over, not copied.
//
// Nothing here limits what waits in the port: `bufferedAmount` counts what is on its way to the page as well, so that
// a sender waits for both, and a worker that leaves more than some MB of a peer unread closes its channel (limits.py).

const PEERS_CHANNELS_MAX = 16; // open at once on a connection: one was agreed on, and each takes memory on both threads
const AGAIN_MS = 50; // how soon the page looks again at what a channel has not sent, while no event says so

const FACTS = ["connectionState", "iceGatheringState"];
const CALLS = new Set(["createOffer", "createAnswer", "setLocalDescription", "setRemoteDescription", "getStats"]);
const TYPES_LENT = new Set(["candidate-pair"]); // of what getStats reports: it is all that is asked for, and the rest is long

/** On the page: make and own what the worker at the other end of `port` asks for.  Returns what closes all of them. */
export function lendConnections(port) {
  const lent = new Map(); // number -> { connection, channels }
  port.onmessage = async ({ data: { number, op, ...given } }) => {
    if (op === "open") return lent.set(number, opened(number, given.configuration, port));
    const one = lent.get(number);
    if (one === undefined) return; // closed meanwhile
    if (op === "close") {
      lent.delete(number);
      return one.close();
    }
    one[op](given);
  };
  return () => {
    for (const one of lent.values()) one.close();
    lent.clear();
    port.close();
  };
}

function opened(number, configuration, port) {
  const say = (event, facts = {}, moved = []) => port.postMessage({ number, event, ...facts }, moved);
  let connection = null;
  let broken = null;
  try {
    connection = new RTCPeerConnection(configuration);
  } catch (error) {
    broken = error; // too many of them, say: whatever is asked of it fails with this
  }
  const channels = new Map(); // by the name that both threads have for it
  let last = 0;
  let theirs = 0;
  const state = () => ({
    ...Object.fromEntries(FACTS.map((name) => [name, connection[name]])),
    sdp: connection.localDescription?.sdp ?? null,
  });
  const take = (raw, channel, closed = () => {}) => {
    channels.set(channel, lentChannel(raw, channel, connection, say));
    raw.addEventListener("close", () => {
      channels.delete(channel);
      closed();
    });
  };
  if (connection !== null) {
    for (const name of ["connectionstatechange", "icegatheringstatechange"])
      connection.addEventListener(name, () => say(name, state()));
    connection.addEventListener("icecandidate", () => say("facts", state())); // the description has it now
    connection.addEventListener("datachannel", ({ channel: raw }) => {
      if (theirs >= PEERS_CHANNELS_MAX) return raw.close();
      theirs += 1;
      const channel = `peer's ${(last += 1)}`;
      say("datachannel", { channel, label: raw.label });
      take(raw, channel, () => (theirs -= 1));
    });
  }
  return {
    channel: ({ channel, label }) => {
      if (connection !== null) take(connection.createDataChannel(label), channel);
    },
    call: async ({ id, method, argument }) => {
      try {
        if (broken !== null) throw broken;
        if (!CALLS.has(method)) throw new TypeError(`${method} is nothing that is lent`);
        const made = await connection[method](argument);
        say("done", { id, ...state(), value: plain(made) });
      } catch (error) {
        say("done", { id, name: String(error.name), message: String(error.message) });
      }
    },
    send: ({ channel, message }) => channels.get(channel)?.send(message),
    low: ({ channel, bytes }) => channels.get(channel)?.low(bytes),
    end: ({ channel }) => channels.get(channel)?.close(),
    close: () => connection?.close(),
  };
}

/** What a call made, as it can cross a port. */
function plain(made) {
  if (made === undefined) return null;
  if ("sdp" in made) return { type: made.type, sdp: made.sdp };
  return [...made.values()].filter(({ type }) => TYPES_LENT.has(type));
}

function lentChannel(raw, channel, connection, say) {
  let given = 0; // bytes that the worker has handed over
  let timer = null;
  const tell = (event, facts = {}, moved = []) => say(event, { channel, ...facts }, moved);
  const tellSent = () => {
    clearTimeout(timer);
    timer = raw.bufferedAmount > 0 && raw.readyState === "open" ? setTimeout(tellSent, AGAIN_MS) : null;
    tell("sent", { bytes: given - raw.bufferedAmount });
  };
  const tellOpen = () => {
    const { transport, maxMessageSize } = connection.sctp;
    const certificates = transport.getRemoteCertificates();
    const remote = transport.iceTransport?.getSelectedCandidatePair?.()?.remote;
    const address = remote?.address ?? null;
    const isRelayed = remote?.type === "relay";
    tell("open", { certificates, address, isRelayed, maxMessageSize });
  };
  raw.binaryType = "arraybuffer";
  raw.addEventListener("open", tellOpen);
  raw.addEventListener("close", () => tell("close"));
  raw.addEventListener("bufferedamountlow", tellSent);
  raw.addEventListener("message", ({ data }) => tell("message", { data }, typeof data === "string" ? [] : [data]));
  if (raw.readyState === "open") tellOpen();
  return {
    send: (message) => {
      given += message.byteLength;
      try {
        raw.send(message);
      } catch {
        raw.close(); // a message that is lost would break what is promised of all that follow
      }
      tellSent();
    },
    low: (bytes) => (raw.bufferedAmountLowThreshold = bytes),
    close: () => raw.close(),
  };
}

/** In a worker: a class to be its `RTCPeerConnection`. */
export function borrowConnections(port) {
  const kept = new Map(); // number -> connection
  let last = 0;
  port.onmessage = ({ data: { number, ...told } }) => kept.get(number)?.hear(told);

  return class RTCPeerConnection extends EventTarget {
    connectionState = "new";
    iceGatheringState = "new";
    localDescription = null;
    sctp = null; // once a channel is open
    #number = (last += 1);
    #calls = new Map(); // id -> { resolve, reject }
    #lastCall = 0;
    #channels = new Map(); // open ones, and those that will be
    #lastChannel = 0;

    constructor(configuration) {
      super();
      kept.set(this.#number, this);
      this.#say("open", { configuration });
    }
    createDataChannel(label) {
      const channel = (this.#lastChannel += 1);
      const made = this.#take(label, channel);
      this.#say("channel", { channel, label });
      return made;
    }
    createOffer() {
      return this.#call("createOffer");
    }
    createAnswer() {
      return this.#call("createAnswer");
    }
    setLocalDescription(description) {
      return this.#call("setLocalDescription", description);
    }
    setRemoteDescription(description) {
      return this.#call("setRemoteDescription", description);
    }
    async getStats() {
      return new Map((await this.#call("getStats")).map((one) => [one.id, one]));
    }
    close() {
      if (!kept.delete(this.#number)) return;
      this.connectionState = "closed";
      for (const channel of this.#channels.values()) channel.readyState = "closed";
      for (const { reject } of this.#calls.values()) reject(new DOMException("it was closed", "InvalidStateError"));
      this.#calls.clear();
      this.#say("close");
    }

    /** For the port alone. */
    hear({ event, channel, ...facts }) {
      if ("sdp" in facts) {
        for (const name of FACTS) this[name] = facts[name];
        if (facts.sdp !== null) this.localDescription = { sdp: facts.sdp };
      }
      if (event === "done") return this.#settle(facts);
      if (event === "datachannel") {
        const found = this.#take(facts.label, channel);
        return this.dispatchEvent(Object.assign(new Event(event), { channel: found }));
      }
      if (channel === undefined) return event === "facts" ? null : this.dispatchEvent(new Event(event));
      if (event === "open") {
        const { certificates, address, isRelayed, maxMessageSize } = facts;
        const pair = address === null ? null : { remote: { address, type: isRelayed ? "relay" : "host" } };
        const iceTransport = { getSelectedCandidatePair: () => pair };
        this.sctp = { maxMessageSize, transport: { getRemoteCertificates: () => certificates, iceTransport } };
      }
      const told = this.#channels.get(channel);
      if (event === "close") this.#channels.delete(channel);
      return told?.hear(event, facts);
    }
    #take(label, name) {
      const say = (op, given = {}, moved = []) => {
        if (kept.has(this.#number)) this.#say(op, { channel: name, ...given }, moved);
      };
      const channel = new BorrowedChannel(label, say);
      this.#channels.set(name, channel);
      return channel;
    }
    #say(op, given = {}, moved = []) {
      port.postMessage({ number: this.#number, op, ...given }, moved);
    }
    #call(method, argument = undefined) {
      if (!kept.has(this.#number)) return Promise.reject(new DOMException("it is closed", "InvalidStateError"));
      const id = (this.#lastCall += 1);
      this.#say("call", { id, method, argument });
      return new Promise((resolve, reject) => this.#calls.set(id, { resolve, reject }));
    }
    #settle({ id, value, name, message }) {
      const call = this.#calls.get(id);
      this.#calls.delete(id);
      if (name === undefined) call?.resolve(value);
      else call?.reject(new DOMException(message, name));
    }
  };
}

class BorrowedChannel extends EventTarget {
  readyState = "connecting";
  binaryType = "arraybuffer"; // nothing else is lent
  #say;
  #low = 0;
  #given = 0;
  #sent = 0;
  #messageMax = Infinity;

  constructor(label, say) {
    super();
    this.label = label;
    this.#say = say;
  }
  get bufferedAmount() {
    return this.#given - this.#sent;
  }
  get bufferedAmountLowThreshold() {
    return this.#low;
  }
  set bufferedAmountLowThreshold(bytes) {
    this.#low = bytes;
    this.#say("low", { bytes });
  }
  /** Copies the bytes, as every channel does: `message` is the caller's again at once. */
  send(message) {
    if (this.readyState !== "open") throw new DOMException(`the channel is ${this.readyState}`, "InvalidStateError");
    if (message.byteLength > this.#messageMax)
      throw new TypeError(`the other side takes ${this.#messageMax} bytes in a message`);
    this.#given += message.byteLength;
    const copy = message.slice();
    this.#say("send", { message: copy }, [copy.buffer ?? copy]);
  }
  close() {
    if (this.readyState === "closing" || this.readyState === "closed") return;
    this.readyState = "closing";
    this.#say("end");
  }

  /** For its connection alone. */
  hear(event, { data, bytes, maxMessageSize }) {
    if (event === "message") return this.dispatchEvent(new MessageEvent(event, { data }));
    if (event === "sent") {
      const isMuch = this.bufferedAmount > this.#low;
      this.#sent = bytes;
      if (isMuch && this.bufferedAmount <= this.#low) this.dispatchEvent(new Event("bufferedamountlow"));
      return;
    }
    if (event === "open") {
      if (this.readyState !== "connecting") return;
      this.readyState = "open";
      this.#messageMax = maxMessageSize;
    }
    if (event === "close") this.readyState = "closed";
    this.dispatchEvent(new Event(event));
  }
}
