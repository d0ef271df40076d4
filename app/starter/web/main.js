// The page: starts Pyodide, puts shoal and our modules into it, and talks to our actor over a bridge.
// `globalThis.app` is what the tests and the benchmark use.

import { connect, page } from "./bridge/bridge.js";
import { comingWheels } from "./bridge/wheels.js";
import { loadWasm, murmur3 } from "./murmur3.js";
import { loadPyodide } from "./pyodide/pyodide.mjs";

const PACKAGE = "starter_app";
const LIMITS = { askTimeoutMs: 120_000, helloTimeoutMs: 120_000 }; // Python hashes 2 MB in a second
const BATCH_MS = 50; // of measuring, then the page may paint
const at = (id) => document.getElementById(id);
const fetched = async (path) => {
  const response = await fetch(`.${path}`);
  if (!response.ok) throw new Error(`${path}: ${response.status}`);
  return response;
};

class TooMuch extends Error {}

async function start() {
  const { wheels, modules } = await (await fetched("/parts.json")).json();
  const coming = comingWheels(wheels, async (path) => (await fetched(path)).arrayBuffer());
  const pyodide = await loadPyodide({ indexURL: new URL("./pyodide/", location.href).href });
  await coming.unpackInto(pyodide);
  const extractDir = pyodide.runPython("import site; site.getsitepackages()[0]");
  pyodide.FS.mkdirTree(`${extractDir}/${PACKAGE}`);
  for (const path of modules) pyodide.FS.writeFile(extractDir + path, await (await fetched(path)).text());
  const module = pyodide.pyimport(`${PACKAGE}.page`);
  const bridge = await connect(page(module.endpoint()), { errors: { TooMuch }, limits: LIMITS });
  module.destroy();
  return bridge;
}

// By name, of 1 MiB and a seed.
function hashersOf(bridge, wasm) {
  const data = Uint8Array.from({ length: 1024 * 1024 }, (_, index) => index % 256);
  const inWasm = wasm.hold(data);
  const inScript = (seed) => murmur3(data, seed);
  for (let round = 0; round < 20; round += 1) inWasm(round), inScript(round); // until they are compiled
  return { wasm: inWasm, script: inScript, actor: (seed) => bridge.ask("hasher", { type: "Hash", data, seed }) };
}

// Each round's seed is the hash before, so that no round can be left out.
async function measured(name, rounds, seed = 0) {
  app.hashers ??= hashersOf(app.bridge, app.wasm);
  const hash = app.hashers[name];
  let ms = 0;
  for (let round = 0; round < rounds; ) {
    const began = performance.now();
    while (round < rounds && performance.now() - began < BATCH_MS) {
      seed = await hash(seed);
      round += 1;
    }
    ms += performance.now() - began;
    await new Promise((resolve) => setTimeout(resolve, 0));
  }
  return { ms, hash: seed };
}

async function showBenchmark() {
  at("measure").disabled = true;
  at("rows").replaceChildren();
  for (const [words, name, rounds] of [["WebAssembly (C)", "wasm", 1000], ["JavaScript", "script", 1000], ["actor (Python)", "actor", 3]]) {
    const { ms } = await measured(name, rounds);
    const row = at("rows").appendChild(document.createElement("tr"));
    for (const text of [words, rounds, (ms / rounds).toFixed(3)]) row.appendChild(document.createElement("td")).textContent = text;
  }
  at("measure").disabled = false;
}

const app = { state: undefined, bridge: null, wasm: null, hashers: null, murmur3, measured, showBenchmark };
globalThis.app = app;
try {
  [app.bridge, app.wasm] = await Promise.all([start(), loadWasm("./murmur3.wasm")]);
  app.ask = (message) => app.bridge.ask("hasher", message);
  at("text").oninput = async () => {
    const data = new TextEncoder().encode(at("text").value);
    at("hash").textContent = (await app.ask({ type: "Hash", data })).toString(16).padStart(8, "0");
  };
  at("measure").onclick = showBenchmark;
  at("text").disabled = at("measure").disabled = false;
  await at("text").oninput();
  app.state = "ready";
} catch (error) {
  app.state = String(error.message ?? error);
}
at("state").textContent = app.state;
