// A module worker with Python in it, as a page of `pyodide.py` has it: for `frames.py`, which asks one thing at a time.

import { loadPyodide } from "./pyodide/pyodide.mjs";

let pyodide;
let busy = null;
const calls = {
  async load(wheels) {
    pyodide = await loadPyodide();
    const extractDir = pyodide.runPython("import site; site.getsitepackages()[0]");
    for (const name of wheels)
      pyodide.unpackArchive(await (await fetch("./" + name)).arrayBuffer(), "wheel", { extractDir });
    await pyodide.runPythonAsync(await (await fetch("./script.py")).text());
  },
  start(kind, count) {
    const start = pyodide.globals.get("start");
    start(kind, count);
    start.destroy();
  },
  async stop() {
    const stop = pyodide.globals.get("stop");
    await stop();
    stop.destroy();
  },
  /** JavaScript alone, at work without a rest, for `milliseconds` at a time. */
  startScript(milliseconds) {
    busy = new MessageChannel();
    busy.port1.onmessage = () => {
      for (const end = performance.now() + milliseconds; performance.now() < end; );
      busy?.port2.postMessage(0);
    };
    busy.port2.postMessage(0);
  },
  stopScript() {
    busy.port1.close();
    busy = null;
  },
  /** How late each timer of so many milliseconds was, one after another. */
  async timers(milliseconds, timerMs) {
    const late = [];
    const began = performance.now();
    while (performance.now() - began < milliseconds) {
      const due = performance.now() + timerMs;
      await new Promise((resolve) => setTimeout(resolve, timerMs));
      late.push(performance.now() - due);
    }
    return late;
  },
};

onmessage = async ({ data: [call, ...given] }) => postMessage((await calls[call](...given)) ?? null);
