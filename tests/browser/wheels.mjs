// Which wheels a Pyodide takes, and how often each was asked for.  Throws what does not hold.
import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { pathToFileURL } from "node:url";

const OURS = "2026_0"; // the ABI that the wheels are compiled for

export default async function (pyodide, root) {
  const { comingWheels } = await import(pathToFileURL(`${root}/transports/browser/javascript/wheels.js`));
  const path = (folder, end) => `${folder}/${readdirSync(folder).find((name) => name.endsWith(end))}`;
  const compiled = path(`${root}/build/wasm/dist`, "_wasm32.whl");
  const plain = path(`${root}/build/wasm/dist`, "-none-any.whl");
  const other = path(`${root}/build/browser/wheels`, "_wasm32.whl"); // any that is compiled
  const nameOf = (one) => one.replace(/.*\//, "");
  const warned = [];
  console.warn = (text) => warned.push(text);
  const asked = [];
  const bytes = async (url) => {
    asked.push(nameOf(url));
    const { buffer, byteOffset, byteLength } = readFileSync(url);
    return buffer.slice(byteOffset, byteOffset + byteLength);
  };
  const abi = pyodide.runPython("import sysconfig; sysconfig.get_config_var('PYODIDE_ABI_VERSION')");
  const isOurs = abi === OURS;
  const coming = comingWheels([compiled, plain], bytes);
  assert.deepEqual(asked, [nameOf(compiled)], "what will fit nearly always is asked for at once, and nothing else");
  const expected = isOurs ? compiled : plain;
  assert.deepEqual(await coming.unpackInto(pyodide), [nameOf(expected)]);
  assert.deepEqual(asked, isOurs ? [nameOf(compiled)] : [nameOf(compiled), nameOf(plain)]);
  assert.deepEqual([warned.length, warned.every((text) => text.includes(nameOf(plain)))], [isOurs ? 0 : 1, true]);
  const isCompiled = "from shoal.runtime.core import mailbox; mailbox.__file__.endswith('.so')";
  assert.equal(pyodide.runPython(isCompiled), isOurs);
  assert.deepEqual(await comingWheels([plain], bytes).unpackInto(pyodide), [nameOf(plain)], "it fits every one");

  const foreign = other.replace(/pyemscripten_\w+(?=\.whl)/, "pyemscripten_2001_0_wasm32");
  const give = async () => bytes(other);
  const own = nameOf(foreign).split("-")[0];
  pyodide.loadPackage = async (name) => assert.equal(name, own);
  await assert.rejects(comingWheels([foreign], give).unpackInto(pyodide), /is not for Pyodide .*none of its own.*make wasm/);
  pyodide.loadPackage = async (name) => (pyodide.loadedPackages[name] = "default channel");
  assert.deepEqual(await comingWheels([foreign], give).unpackInto(pyodide), [own]);
  console.log(`${abi} holds`);
}
