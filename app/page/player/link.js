// The way to the balancer, wherever it runs: in a worker, or on this thread.

import { connect, page, port } from "./bridge/bridge.js";
import { lendConnections } from "./bridge/connections.js";

// A segment may take as long as the balancer lets it, and a busy machine some seconds to say hello.
const LIMITS = { bytesMax: 64 * 1024 * 1024, askTimeoutMs: 150_000, helloTimeoutMs: 60_000 };
const ACTOR = "stream"; // page_actor.py

/** Start it; `told` is what options.json says. */
export async function openBalancer(told, { inWorker }) {
  let bridge = null;
  const died = (why) => bridge?.close(why); // before there is a bridge, whoever waits for it is told
  const { carrier, startup, ended } = await (inWorker ? inAWorker : onThisThread)(told, died);
  bridge = await connect(carrier, { limits: LIMITS });
  bridge.closed.then(ended);
  return new Balancer(bridge, startup);
}

class Balancer {
  #bridge;
  #lastLoad = 0;

  constructor(bridge, startup) {
    this.#bridge = bridge;
    this.startup = startup;
    this.closed = bridge.closed;
  }
  /** All of a resource; with a signal that is aborted, what is under way for it ends.  Rejects with `UnknownResource`
   *  for what is not of this stream, and with `BridgeClosed` when the balancer has gone. */
  load(url, { first = null, end = null, signal }) {
    const load = (this.#lastLoad += 1);
    const coming = this.#ask({ type: "Load", url, load, first, end });
    signal.addEventListener("abort", () => this.#leave(load), { once: true });
    return coming;
  }
  /** The text of a media playlist as it is now.  Rejects as `load` does. */
  async playlist(url) {
    return new TextDecoder().decode(await this.#ask({ type: "LoadPlaylist", url }));
  }
  async report() {
    return this.#parsed(await this.#ask({ type: "GetReport" }));
  }
  async memory() {
    return this.#parsed(await this.#ask({ type: "GetMemory" }));
  }
  recording() {
    return this.#ask({ type: "GetRecording" });
  }
  allowPeers(allowed) {
    return this.#ask({ type: "Consent", allowed });
  }
  close() {
    this.#bridge.close();
  }
  #ask(message) {
    return this.#bridge.ask(ACTOR, message);
  }
  #leave(load) {
    try {
      this.#bridge.tell(ACTOR, { type: "Leave", load });
    } catch {
      // it has ended, and all loads with it
    }
  }
  #parsed(bytes) {
    return JSON.parse(new TextDecoder().decode(bytes));
  }
}

async function onThisThread(told, died) {
  const { startPython } = await import("./python.js"); // the interpreter, which a worker would load for itself
  const { endpoint, startup } = await startPython(told, died);
  return { carrier: page(endpoint), startup, ended() {} };
}

async function inAWorker(told, died) {
  const worker = new Worker(new URL("./worker.js", import.meta.url), { type: "module" });
  const { port1, port2 } = new MessageChannel();
  const endConnections = lendConnections(port1);
  const ended = () => (worker.terminate(), endConnections());
  const carrier = port(worker);
  try {
    const startup = await new Promise((resolve, reject) => {
      worker.onerror = (event) => reject(new Error(event.message || "the worker could not be loaded"));
      worker.onmessage = ({ data }) => {
        if (data?.startup) resolve(data.startup);
        if (data?.error) reject(new Error(data.error));
      };
      worker.postMessage({ told, connections: port2 }, [port2]);
    });
    worker.onmessage = ({ data }) => data?.error && died(data.error); // the carrier has a listener of its own
    return { carrier, startup, ended };
  } catch (error) {
    ended();
    throw error;
  }
}
