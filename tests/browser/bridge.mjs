// The bridge inside Pyodide under Node: by calls, and by a MessageChannel.  Throws what does not hold.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const MESSAGES = 10_000; // each way
const limits = { askTimeoutMs: 120_000, helloTimeoutMs: 120_000 }; // this machine may be busy
const hexOf = (bytes) => Buffer.from(bytes).toString("hex");
const until = async (condition, tries = 3000) => {
  while (!condition() && (tries -= 1)) await new Promise((resolve) => setTimeout(resolve, 10));
};
const rejects = (promise, name, words) => assert.rejects(promise, (error) => error.name === name && words.test(error.message));

export default async function (pyodide, root) {
  const bridges = await import(pathToFileURL(`${root}/transports/browser/javascript/bridge.js`));
  const { connect, page, port, relay } = bridges;
  pyodide._module.enable_pyproxy_allocation_tracing();
  pyodide.runPython(readFileSync(`${root}/tests/browser/bridge_actors.py`, "utf8"));
  const make = pyodide.globals.get("endpoint");
  const dropped = () => JSON.parse(pyodide.runPython("dropped()"));
  const held = () => [pyodide._module.pyproxy_alloc_map.size, pyodide._module._hiwire_num_refs()];
  let noted = 0;
  const chart = {
    Note: ({ number, data }) => ((noted += 1), data.length === 0 ? number : 1),
    Fail() {
      throw new RangeError("off the chart");
    },
  };
  const talk = async (bridge) => {
    bridge.tell("sum", { type: "Add", number: 2 });
    const before = await bridge.ask("sum", { type: "Add", number: 3 });
    const data = Uint8Array.from({ length: 100_000 }, (_, index) => (index * 7) % 251);
    const expected = createHash("sha256").update(data).digest("hex");
    assert.equal(hexOf(await bridge.ask("sum", { type: "Hash", data })), expected);
    assert.equal(data.length, 100_000, "it was copied, and not given away");
    const part = data.subarray(5, 10);
    const digest = createHash("sha256").update(part).digest("hex");
    assert.equal(hexOf(await bridge.ask("sum", { type: "Hash", data: part })), digest);
    await rejects(bridge.ask("sum", { type: "Fail" }), "Overdrawn", /^by 3$/);
    await rejects(bridge.ask("sum", { type: "Add", number: "3" }), "BadMessage", /Expected `int`/);
    await rejects(bridge.ask("system", { type: "Add", number: 3 }), "NotRegistered", /may be reached/);
    assert.equal(await bridge.ask("driver", { type: "Fail" }), "RangeError: off the chart");
    return before;
  };

  // By calls
  const first = held();
  let bridge = await connect(page(make()), { actors: { chart }, limits });
  assert.equal(await talk(bridge), 5);
  await bridge.ask("driver", { type: "Drive", count: 10 });
  const before = held();
  const data = new Uint8Array(1000);
  for (let number = 0; number < MESSAGES / 2; number += 1) {
    bridge.tell("sum", { type: "Add", number: 1 });
    await bridge.ask("sum", { type: "Hash", data });
  }
  noted = 0;
  for (let number = 0; number < 20; number += 1)
    assert.equal(await bridge.ask("driver", { type: "Drive", count: MESSAGES / 40 }), MESSAGES / 40);
  assert.equal(noted, MESSAGES);
  assert.ok(before[0] > first[0], "an open bridge is counted");
  assert.deepEqual(held(), before, `proxies after ${MESSAGES} messages each way`);
  assert.deepEqual(dropped(), { bad_message: 1, unknown_name: 1 });
  bridge.close("seen enough");
  await rejects(bridge.ask("sum", { type: "Add", number: 1 }), "BridgeClosed", /seen enough/);
  await until(() => `${held()}` === `${first}`);
  assert.deepEqual(held(), first, "proxies after the end");

  // By postMessage, as from a worker
  const channel = new MessageChannel();
  const [connected] = await Promise.all([
    connect(port(channel.port1), { actors: { chart }, limits }),
    relay(port(channel.port2), page(make())),
  ]);
  bridge = connected;
  assert.equal(await talk(bridge), 10 + MESSAGES / 2);
  const given = new Uint8Array(1000);
  await bridge.ask("sum", { type: "Hash", data: given }, { transfer: true });
  assert.equal(given.length, 0, "it was given away");
  for (const odd of [1, null, "text", {}, { bridge: 2, text: "", parts: [] }, { bridge: 1, text: 3, parts: [] }])
    channel.port1.postMessage(odd);
  channel.port1.postMessage({ bridge: 1, text: "{}", parts: [new Uint8Array(1), "x"] });
  channel.port1.postMessage({ bridge: 1, text: "{}", parts: {} });
  for (const deep of ["[".repeat(100_000), '{"a":'.repeat(40_000)]) // either would end the interpreter
    channel.port1.postMessage({ bridge: 1, text: `{"op":"answer","id":1,"body":${deep}`, parts: [] });
  await bridge.ask("sum", { type: "Add", number: 0 });
  assert.deepEqual(dropped(), { bad_message: 1, unknown_name: 1, malformed: 10 });
  pyodide.runPython("bridges[-1].close('python has gone')");
  assert.equal(await bridge.closed, "by the other side: python has gone");
  await until(() => `${held()}` === `${first}`);
  assert.deepEqual(held(), first, "proxies after both ends");
  make.destroy();
  assert.equal(await pyodide.runPythonAsync("await stop()"), 0, "no task is left");
  console.log("bridge holds");
}
