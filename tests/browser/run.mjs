// run.mjs PYODIDE ROOT SCRIPT WHEEL... -- ARGUMENT...: runs a Python script in Pyodide under Node.
// The repository is at /repo, the wheels are installed, and the script's `sys.argv` holds the arguments.
// A script in JavaScript exports a function of Pyodide and the repository's folder.
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const [folder, root, script, ...rest] = process.argv.slice(2);
const wheels = rest.slice(0, rest.indexOf("--"));
const args = rest.slice(rest.indexOf("--") + 1);
const { loadPyodide } = await import(pathToFileURL(`${folder}/pyodide.mjs`));
// No order of a set or of hashes may show anywhere; the native side has another seed.
const pyodide = await loadPyodide({ env: { HOME: "/home/pyodide", PYTHONHASHSEED: "7", SHOAL_LEG: "pyodide" } });
const extractDir = pyodide.runPython("import site; site.getsitepackages()[0]");
for (const path of wheels) pyodide.unpackArchive(new Uint8Array(readFileSync(path)), "wheel", { extractDir });
pyodide.mountNodeFS("/repo", root);
pyodide.globals.set("arguments", pyodide.toPy([script, ...args]));
pyodide.runPython("import sys; sys.argv[:] = arguments; sys.dont_write_bytecode = True; del arguments");
const source = readFileSync(script, "utf8");
let status = 1;
try {
  if (script.endsWith(".mjs")) {
    await (await import(pathToFileURL(script))).default(pyodide, root);
    process.exit(0);
  }
  // Without an await of its own a script may bring a loop of its own, in place of Pyodide's.
  status = /^await /m.test(source)
    ? await pyodide.runPythonAsync(source, { filename: script })
    : pyodide.runPython(`import asyncio; asyncio._set_running_loop(None)\n${source}`, { filename: script });
} catch (error) {
  console.error(error.message); // not the source of the interpreter, which Node would show
}
process.exit(status ?? 0);
