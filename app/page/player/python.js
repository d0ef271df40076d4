// Python with the balancer in it, on whichever thread this is loaded: the page's, or a worker's (worker.js).

import { comingWheels } from "./bridge/wheels.js";
import { startInterpreter } from "./interpreter.js";

const bytesOf = async (path) => {
  const response = await fetch(new URL(`.${path}`, import.meta.url));
  if (!response.ok) throw new Error(`${path}: ${response.status}`);
  return response.arrayBuffer();
};

/** An open session's end of a bridge, for `page(endpoint)`, and what it cost to come so far.
 *  `ended(why)` is called when the interpreter ends, after which it answers nothing. */
export async function startPython({ options, wheels }, ended) {
  const began = performance.now();
  const coming = comingWheels(wheels, bytesOf); // beside the interpreter
  const { pyodide, isFromSnapshot } = await startInterpreter();
  pyodide._api.on_fatal = (error) => ended(`the interpreter ended: ${error?.message ?? error}`);
  globalThis.pyodide = pyodide; // for the browser's console
  const interpreter = performance.now();
  const packages = await coming.unpackInto(pyodide);
  const module = pyodide.pyimport("shoal.app.page_actor");
  const imported = performance.now();
  const wasmBytes = () => pyodide._module.HEAPU8.byteLength;
  const endpoint = await module.open_endpoint(JSON.stringify(options), wasmBytes);
  module.destroy();
  const files = performance.getEntriesByType("resource").filter((one) => /\/(pyodide|wheels|bridge)\//.test(one.name));
  const sum = (name) => files.reduce((bytes, one) => bytes + one[name], 0);
  const startup = {
    ms: Math.round(performance.now() - began),
    interpreterMs: Math.round(interpreter - began),
    isFromSnapshot,
    packages, // the wheels that fitted this Pyodide
    packagesMs: Math.round(imported - interpreter),
    sessionMs: Math.round(performance.now() - imported), // the playlists and their hashes
    bytes: sum("decodedBodySize"),
    movedBytes: sum("transferSize"), // over the network: none of what the browser had kept
  };
  return { endpoint, startup };
}
