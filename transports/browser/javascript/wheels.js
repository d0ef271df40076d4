// Puts wheels into a Pyodide: of each package the first one that fits it.
//
//     const coming = comingWheels(urls, fetchBytes); // starts loading, beside the interpreter
//     const names = await coming.unpackInto(await loadPyodide());
//
// What is compiled fits one Pyodide, which the end of a wheel's name tells (PEP 783); the plain wheel, after it in
// `urls`, fits every one.  A package none of whose wheels fits is Pyodide's own, where it has one: such a page needs
// Pyodide's packages from where it looks for them, and takes the version that is there.

const nameOf = (url) => url.slice(url.lastIndexOf("/") + 1);
const packageOf = (url) => nameOf(url).split("-", 1)[0];
const platformOf = (url) => nameOf(url).replace(/\.whl$/, "").split("-").at(-1);
const fits = (url, platform) => ["any", platform].includes(platformOf(url));

/** The first wheel of each package is loaded at once; another only where that one does not fit. */
export function comingWheels(urls, fetchBytes) {
  const packages = new Map();
  for (const url of urls) packages.set(packageOf(url), [...(packages.get(packageOf(url)) ?? []), url]);
  const first = new Map();
  for (const [url] of packages.values()) {
    first.set(url, fetchBytes(url));
    first.get(url).catch(() => {}); // whoever unpacks it hears of it
  }
  return {
    /** Names of the wheels, or of Pyodide's own packages. */
    async unpackInto(pyodide) {
      const abi = pyodide.runPython("import sysconfig; sysconfig.get_config_var('PYODIDE_ABI_VERSION') or ''");
      const extractDir = pyodide.runPython("import site; site.getsitepackages()[0]");
      const names = [];
      for (const [name, wheels] of packages) {
        const url = wheels.find((one) => fits(one, `pyemscripten_${abi}_wasm32`));
        if (url === undefined) {
          await ownPackage(pyodide, name, wheels, abi);
          names.push(name);
          continue;
        }
        if (url !== wheels[0])
          console.warn(`${nameOf(wheels[0])} is not for ${described(pyodide, abi)}: ${nameOf(url)} is taken, which is slower`);
        pyodide.unpackArchive(await (first.get(url) ?? fetchBytes(url)), "wheel", { extractDir });
        names.push(nameOf(url));
      }
      return names;
    },
  };
}

async function ownPackage(pyodide, name, wheels, abi) {
  let why = "it has none of its own that could be loaded";
  try {
    await pyodide.loadPackage(name, { messageCallback() {}, errorCallback: (text) => (why = text) });
  } catch (error) {
    why = error.message;
  }
  if (name in pyodide.loadedPackages) return;
  const given = wheels.map(nameOf).join(", ");
  throw new Error(`${given} is not for ${described(pyodide, abi)}: ${why}; use the Pyodide that \`make wasm\` installs`);
}

const described = (pyodide, abi) => `Pyodide ${pyodide.version} (${abi || "no ABI told"})`;
