// MurmurHash3 x86_32: in plain JavaScript, and murmur3.c compiled to WebAssembly.

const scrambled = (k) => {
  k = Math.imul(k, 0xcc9e2d51);
  return Math.imul((k << 15) | (k >>> 17), 0x1b873593);
};

/** Of a Uint8Array. */
export function murmur3(data, seed = 0) {
  const length = data.length;
  const whole = length & ~3;
  const view = new DataView(data.buffer, data.byteOffset, length);
  let h = seed | 0;
  for (let at = 0; at < whole; at += 4) {
    h ^= scrambled(view.getInt32(at, true));
    h = (Math.imul((h << 13) | (h >>> 19), 5) + 0xe6546b64) | 0;
  }
  let k = 0;
  for (let at = length; at > whole; at -= 1) k = (k << 8) | data[at - 1];
  h ^= scrambled(k) ^ length;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

/** hold(data) copies it into WebAssembly's memory, where the last one was, and gives its function of the seed. */
export async function loadWasm(url) {
  const bytes = await (await fetch(url)).arrayBuffer();
  const { memory, murmur3: call, __heap_base: base } = (await WebAssembly.instantiate(bytes)).instance.exports;
  return {
    hold(data) {
      const missing = base.value + data.length - memory.buffer.byteLength;
      if (missing > 0) memory.grow(Math.ceil(missing / 65536));
      new Uint8Array(memory.buffer).set(data, base.value);
      return (seed = 0) => call(base.value, data.length, seed) >>> 0;
    },
  };
}
