"""In the page: `hashed(size, is_subtle_used, count)` verifies so many bodies while a system of actors runs."""

from shoal.runtime import ActorSystem
from shoal.transports.browser.hashing import SubtleHasher


async def hashed(size, is_subtle_used, count):
    data = bytes(size)
    hasher = SubtleHasher(is_subtle_used=is_subtle_used)
    async with ActorSystem(loop_delay_interval_us=None):
        for _ in range(count):
            await hasher.sha256(data)
    await hasher.aclose()
