// Carriers of frames: open({ receive, lost, drop }), send(text, parts, transfer), close(why).  One is for one bridge.

import { BridgeClosed, Overloaded, join, split, wellFormed } from "./frames.js";

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
      socket.close(1000, wellFormed(String(why)).slice(0, 40)); // 123 bytes of UTF-8 at most
    },
  };
}
