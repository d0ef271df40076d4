// Makes the snapshot of snapshots.js, says whether it did, and is ended then.

import { loadPyodide } from "./pyodide/pyodide.mjs";
import { put } from "./snapshots.js";

// What the balancer imports of Python's library.  What is compiled, and so the balancer itself, cannot be in a snapshot.
const IMPORTS = "datetime, decimal, difflib, email.utils, gzip, hashlib, hmac, ipaddress, secrets, urllib.parse, uuid";

try {
  // With this option all that Python sees of JavaScript is wrapped: an interpreter for nothing else.
  const pyodide = await loadPyodide({ indexURL: new URL("./pyodide/", import.meta.url).href, _makeSnapshot: true });
  pyodide.runPython(`import ${IMPORTS}`);
  await put(pyodide.makeMemorySnapshot());
  postMessage(true);
} catch (error) {
  console.warn("no snapshot of the interpreter:", error);
  postMessage(false);
}
