/** Types of wheels.js, which says how it is used. */

/** What wheels.js uses of a Pyodide. */
export interface PyodideForWheels {
  readonly version: string;
  readonly loadedPackages: Record<string, string>;
  runPython(code: string): unknown;
  unpackArchive(data: ArrayBuffer, format: string, options: { extractDir: string }): void;
  loadPackage(name: string, options: object): Promise<unknown>;
}

/** Of several wheels of one package the first that fits counts: the compiled one, then the plain one. */
export function comingWheels(
  urls: readonly string[],
  fetchBytes: (url: string) => Promise<ArrayBuffer>,
): { unpackInto(pyodide: PyodideForWheels): Promise<string[]> };
