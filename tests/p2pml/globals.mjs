// What p2p-media-loader finds in a page and Node has not: told before the package is loaded.
import WebSocket from "ws";

const hex = { toHex() { return Buffer.from(this.buffer, this.byteOffset, this.byteLength).toString("hex"); } };
const base64 = { toBase64() { return Buffer.from(this.buffer, this.byteOffset, this.byteLength).toString("base64"); } };
for (const method of [hex, base64]) {
  const [name] = Object.keys(method);
  Uint8Array.prototype[name] ??= method[name];
}
Uint8Array.fromHex ??= (text) => new Uint8Array(Buffer.from(text, "hex"));
Uint8Array.fromBase64 ??= (text) => new Uint8Array(Buffer.from(text, "base64"));

globalThis.window = globalThis;
globalThis.location = { protocol: "http:" };
globalThis.WebSocket = WebSocket;
// A desktop's: what the package makes of it is how much it may keep in memory.
const navigator = { userAgent: "Mozilla/5.0 (X11; Linux x86_64) Chrome/156.0.0.0 Safari/537.36" };
Object.defineProperty(globalThis, "navigator", { value: navigator, configurable: true });
