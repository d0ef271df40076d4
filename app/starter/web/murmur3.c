/* MurmurHash3 x86_32 by Austin Appleby (public domain).  One source for both: `make native` compiles it for this
   machine, `make wasm` for the page. */
#include <stdint.h>

#ifdef __wasm__
#define EXPORTED __attribute__((export_name("murmur3")))
#else
#define EXPORTED
#endif

static uint32_t rotated(uint32_t x, int by) { return (x << by) | (x >> (32 - by)); }

static uint32_t scrambled(uint32_t k) { return rotated(k * 0xcc9e2d51u, 15) * 0x1b873593u; }

EXPORTED uint32_t murmur3(const uint8_t *data, uint32_t length, uint32_t seed) {
    uint32_t h = seed, k;
    uint32_t whole = length & ~3u;
    for (uint32_t at = 0; at < whole; at += 4) {
        __builtin_memcpy(&k, data + at, 4); /* little-endian, as WebAssembly and nearly every machine are */
        h = rotated(h ^ scrambled(k), 13) * 5 + 0xe6546b64u;
    }
    k = 0;
    for (uint32_t at = length; at > whole; at -= 1) k = k << 8 | data[at - 1];
    h ^= scrambled(k);
    h ^= length;
    h = (h ^ h >> 16) * 0x85ebca6bu;
    h = (h ^ h >> 13) * 0xc2b2ae35u;
    return h ^ h >> 16;
}
