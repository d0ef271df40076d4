// check_symbols.mjs PYODIDE_ASM_WASM MODULE...: every import of each module must be an export of Pyodide.
// One that is not links and loads without a word, and kills the interpreter when it is called.
import { readFileSync } from "node:fs";

const [main, ...paths] = process.argv.slice(2);
const load = (path) => new WebAssembly.Module(readFileSync(path));
const exported = new Set(WebAssembly.Module.exports(load(main)).map((entry) => entry.name));
// Made by the loader for each module.
const given = new Set(["memory", "__indirect_function_table", "__stack_pointer", "__memory_base", "__table_base"]);

let missing = 0;
for (const path of paths) {
  const module = load(path);
  const own = new Set(WebAssembly.Module.exports(module).map((entry) => entry.name));
  for (const { module: place, name } of WebAssembly.Module.imports(module)) {
    if (given.has(name) || exported.has(name) || own.has(name)) continue;
    console.error(`${path} needs ${place}.${name}, which Pyodide does not have`);
    missing += 1;
  }
}
process.exit(missing ? 1 : 0);
