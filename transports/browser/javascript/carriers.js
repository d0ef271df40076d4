// Carriers of frames: open({ receive, lost, drop }), send(text, parts, transfer), close(why).  One is for one bridge.

import { BadMessage, BridgeClosed, Overloaded, VERSION, isPlain, join, split, wellFormed } from "./frames.js";

const EARLY_MAX = 8; // frames: before the other side's hello there is one, and perhaps a goodbye

/** To a BridgeServer (shoal.transports.native.bridge). */
export function webSocket(url, { unsentBytesMax = 16 * 1024 * 1024 } = {}) {
  let socket = null;
  return {
    open({ receive, lost, drop }) {
      return new Promise((resolve, reject) => {
        socket = new WebSocket(url);
        socket.binaryType = "arraybuffer";
        socket.onopen = () => resolve();
        socket.onclose = ({ code, reason }) => {
          const why = reason || `the connection ended with ${code}`;
          reject(new BridgeClosed(`${url}: ${why}`)); // nothing, once it was open
          lost(why);
        };
        socket.onmessage = ({ data }) => {
          if (typeof data === "string") return receive(data, []);
          const wire = split(data);
          if (wire === null) drop("malformed");
          else receive(wire.text, wire.parts);
        };
      });
    },
    send(text, parts) {
      if (socket.bufferedAmount > unsentBytesMax)
        throw new Overloaded(`${socket.bufferedAmount} bytes wait to be sent; wait for some answers`);
      socket.send(parts.length === 0 ? text : join(text, parts));
    },
    close(why) {
      socket?.close(1000, wellFormed(String(why)).slice(0, 40)); // 123 bytes of UTF-8 at most
    },
  };
}

/** To a PageEndpoint (shoal.transports.browser.bridge) in this page's own Pyodide, which is destroyed at the end. */
export function page(endpoint) {
  let take = null; // one proxy for all frames: each look at `endpoint.receive` would make another
  const call = (name, ...given) => {
    const method = endpoint[name];
    try {
      method(...given);
    } finally {
      method.destroy();
    }
  };
  return {
    async open({ receive, lost }) {
      take = endpoint.receive;
      call("attach", (text, ...parts) => receive(text, parts), lost);
    },
    send(text, parts) {
      if (take === null) throw new BridgeClosed("Python's side has gone");
      take(text, ...parts);
    },
    drop(reason) {
      if (take !== null) call("drop", reason);
    },
    close(why) {
      if (take === null) return;
      const last = take;
      take = null;
      try {
        call("lost", String(why));
      } catch {
        return; // the interpreter has ended, and all proxies with it
      }
      queueMicrotask(() => (last.destroy(), endpoint.destroy())); // we may be inside a call of one
    },
  };
}

/** By postMessage: to a worker, a MessagePort, `self` in a worker, or a window of `origin`. */
export function port(target, { origin = "" } = {}) {
  const isWindow = target.window === target;
  if (isWindow && !/^https?:\/\/[^/*]+$/.test(origin)) throw new BadMessage("name the window's origin, as https://shop.example");
  const from = isWindow ? globalThis : target; // a window's messages come to ours
  let listen = null;
  const post = (data, moved = []) =>
    isWindow ? target.postMessage(data, { targetOrigin: origin, transfer: moved }) : target.postMessage(data, moved);
  return {
    open({ receive, lost, drop }) {
      return new Promise((resolve) => {
        let isMet = false;
        listen = (event) => {
          if (event.origin !== origin || (isWindow && event.source !== target)) return drop("wrong_origin");
          const data = event.data;
          if (!isPlain(data) || data.bridge !== VERSION) return drop("malformed");
          if (data.here === true) {
            if (!isMet) post({ bridge: VERSION, here: true }); // ours may have come before there was a listener
            isMet = true;
            return resolve();
          }
          if (typeof data.end === "string") return lost(data.end);
          const { text, parts } = data;
          if (typeof text !== "string" || !Array.isArray(parts) || !parts.every((part) => part instanceof Uint8Array))
            return drop("malformed");
          receive(text, parts);
        };
        from.addEventListener("message", listen);
        if (!isWindow) target.start?.(); // a MessagePort waits for this; of a window one may not even ask
        post({ bridge: VERSION, here: true });
      });
    },
    send(text, parts, transfer = false) {
      // Posting a part of a buffer would post all of it.
      const whole = parts.map((part) => (part.byteLength === part.buffer.byteLength ? part : part.slice()));
      const moved = transfer ? [...new Set(whole.map((part) => part.buffer))] : [];
      post({ bridge: VERSION, text, parts: whole }, moved);
    },
    close(why) {
      if (listen === null) return;
      from.removeEventListener("message", listen);
      listen = null;
      post({ bridge: VERSION, end: String(why) });
      if (typeof MessagePort !== "undefined" && target instanceof MessagePort) target.close();
    },
  };
}

/** Join two carriers, so that a page talks to a Pyodide in its worker: relay(port(self), page(endpoint)). */
export async function relay(one, other) {
  let early = [];
  let ended = null;
  let end;
  const over = new Promise((resolve) => (end = resolve));
  const lost = (why) => {
    ended ??= why;
    one.close(why);
    other.close(why);
    end();
  };
  const drop = (reason) => other.drop?.(reason);
  const forth = (text, parts) => {
    if (early === null) other.send(text, parts, true);
    else if (early.length < EARLY_MAX) early.push([text, parts]);
    else lost("it did not wait for a hello");
  };
  const back = (text, parts) => one.send(text, parts, true);
  await one.open({ receive: forth, lost, drop });
  try {
    await Promise.race([other.open({ receive: back, lost, drop }), over]);
  } catch (error) {
    lost(String(error?.message ?? error));
    throw error;
  }
  if (ended !== null) return other.close(ended); // it may have opened since
  const waiting = early;
  early = null;
  for (const [text, parts] of waiting) other.send(text, parts, true);
}
