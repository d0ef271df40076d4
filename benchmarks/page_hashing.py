"""In the page: `hashed(is_subtle_used, count)` verifies so many segments of 4 MiB while a system of actors runs."""

from shoal.runtime import ActorSystem
from shoal.transports.browser.hashing import SubtleHasher

SEGMENT = bytes(range(256)) * (4 * 1024 * 1024 // 256)


async def hashed(is_subtle_used, count):
    hasher = SubtleHasher(is_subtle_used=is_subtle_used)
    async with ActorSystem(loop_delay_interval_us=None):
        for _ in range(count):
            await hasher.sha256(SEGMENT)
    await hasher.aclose()
