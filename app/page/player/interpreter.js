// The page's Python, ready: from a snapshot where this browser keeps one (snapshots.js), which takes a fifth of the time.

import { loadPyodide } from "./pyodide/pyodide.mjs";
import { forget, kept } from "./snapshots.js";

const indexURL = new URL("./pyodide/", import.meta.url).href;
// What was drawn by chance before the snapshot would else be the same at every start of this browser.
const AFRESH = "import random; random.seed()";

/** `isFromSnapshot` says how it started. */
export async function startInterpreter() {
  // Loaded while the browser looks for a snapshot; whoever loads Pyodide hears of it if that fails.
  import("./pyodide/pyodide.asm.mjs").catch(() => {});
  const snapshot = await kept();
  if (snapshot !== null) {
    try {
      // Its 30 MB are read while the rest of Pyodide is loaded: the option is awaited where it is needed.
      const pyodide = await loadPyodide({ indexURL, _loadSnapshot: snapshot.arrayBuffer() });
      pyodide.runPython(AFRESH);
      return { pyodide, isFromSnapshot: true };
    } catch (error) {
      console.warn("the snapshot of the interpreter is of no use:", error); // of another Pyodide, say
      await forget();
    }
  }
  return { pyodide: await loadPyodide({ indexURL }), isFromSnapshot: false };
}
