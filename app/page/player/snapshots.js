// A snapshot of the page's Python: the interpreter's memory once it had started, from which the next start goes on.
//
// It lies in the browser's own cache of this origin, 30 MB, and holds nothing of a session: an interpreter of its own
// makes it, in a worker that then ends.  Pyodide does not promise its options for this, so whoever starts from one goes
// on without it when anything is wrong (interpreter.js).

const CACHE = "shoal-interpreter";
const KEY = new URL("./snapshot", import.meta.url).href;
const MAKING_MS_MAX = 120_000; // a busy machine may need some ten seconds; none is needed before the next visit

/** A response with its bytes, or null: known some tenths of a second before they are read. */
export async function kept() {
  try {
    return (await (await caches.open(CACHE)).match(KEY)) ?? null;
  } catch {
    return null; // not a secure context, or the viewer's settings forbid it
  }
}

export async function forget() {
  try {
    await caches.delete(CACHE);
  } catch {
    // as above
  }
}

/** For the worker. */
export async function put(snapshot) {
  await (await caches.open(CACHE)).put(KEY, new Response(snapshot));
}

/** Make one unless there is one; resolves with whether there is one now. */
export async function keepSnapshot() {
  if (!("caches" in globalThis)) return false;
  if (await caches.match(KEY, { cacheName: CACHE })) return true;
  const worker = new Worker(new URL("./snapshot_worker.js", import.meta.url), { type: "module" });
  try {
    return await new Promise((resolve) => {
      worker.onmessage = ({ data }) => resolve(data);
      worker.onerror = () => resolve(false);
      setTimeout(resolve, MAKING_MS_MAX, false);
    });
  } finally {
    worker.terminate();
  }
}
