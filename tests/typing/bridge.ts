// What TypeScript says of pages that use the bridge: it accepts all but the lines after `@ts-expect-error`.
import { BridgeClosed, BridgeError, connect, LIMITS, page, port, relay, webSocket } from "../../transports/browser/javascript/bridge.js";
import type { Bridge, Carrier, Handler, Message, Statistics } from "../../transports/browser/javascript/bridge.js";
import { lendConnections, borrowConnections } from "../../transports/browser/javascript/connections.js";

class Overdrawn extends Error {}
class Chart {
  drawn = 0;
  Draw({ points }: { points: number[] }): number {
    return (this.drawn += points.length);
  }
}
const echo: Handler = (message, { signal }) => (signal?.aborted ? null : message);

export async function accepted(worker: Worker, frame: Window, endpoint: object): Promise<number> {
  const bridge: Bridge = await connect(webSocket("ws://127.0.0.1:8000/", { unsentBytesMax: 1024 }), {
    actors: { chart: new Chart(), echo, sums: { Sum: ({ data }: { data: Uint8Array }) => data.length } },
    errors: { Overdrawn },
    token: "secret",
    limits: { askTimeoutMs: LIMITS.askTimeoutMs * 2 },
  });
  const deposit: Message = { type: "Deposit", cents: 300, notes: ["a", null, { data: new Uint8Array(3) }], note: undefined };
  bridge.tell("account", deposit);
  const left: number = await bridge.ask("account", { type: "Withdraw", cents: 100 }, { timeoutMs: 1000, transfer: true });
  bridge.actor("late", async () => "value");
  const { dropped, asked }: Statistics = bridge.statistics();
  const why: string = await bridge.closed;
  bridge.close(why);
  const carriers: Carrier[] = [page(endpoint), port(worker), port(new MessageChannel().port1), port(frame, { origin: "https://shop.example" })];
  await relay(carriers[0], carriers[1]);
  const { port1, port2 } = new MessageChannel();
  const end: () => void = lendConnections(port1);
  new (borrowConnections(port2))({ iceServers: [] }).addEventListener("connectionstatechange", end);
  try {
    bridge.tell("account", deposit);
  } catch (error) {
    if (error instanceof BridgeClosed) return error instanceof BridgeError ? asked : (dropped.malformed ?? 0);
  }
  return left;
}

export async function refused(bridge: Bridge, worker: Worker): Promise<void> {
  // @ts-expect-error A message says what it is.
  bridge.tell("account", { cents: 300 });
  // @ts-expect-error A date does not cross.
  bridge.tell("account", { type: "Deposit", when: new Date() });
  // @ts-expect-error Nor does a function.
  await bridge.ask("account", { type: "Deposit", done: () => 1 });
  // @ts-expect-error Whoever asks gets a promise.
  const left: number = bridge.ask("account", { type: "Withdraw", cents: 1 });
  // @ts-expect-error An address is no carrier.
  await connect("ws://127.0.0.1:8000/");
  // @ts-expect-error There is no such limit.
  await connect(port(worker), { limits: { askTimeout: 5 } });
  // @ts-expect-error An actor answers with what can cross.
  const odd: Handler = () => new Map();
  // @ts-expect-error It is not for others to change.
  LIMITS.asksMax = 3;
}
