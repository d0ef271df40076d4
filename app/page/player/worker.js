// The balancer in a worker: link.js, on the page, starts it, lends it connections and talks to its actor.

import { page, port, relay } from "./bridge/bridge.js";
import { borrowConnections } from "./bridge/connections.js";
import { startPython } from "./python.js";

addEventListener(
  "message",
  async ({ data: { told, connections } }) => {
    const ended = (error) => postMessage({ error });
    try {
      self.RTCPeerConnection = borrowConnections(connections);
      const { endpoint, startup } = await startPython(told, ended);
      const joined = relay(port(self), page(endpoint));
      postMessage({ startup }); // from now on the page may come
      await joined;
    } catch (error) {
      ended(String(error?.message ?? error));
    }
  },
  { once: true },
);
