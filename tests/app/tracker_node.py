"""A node of a tracker as a process of its own, to be killed: `python -m tests.app.tracker_node REDIS_URL`."""

import asyncio
import json
import sys

from shoal.app.tracker import Tracker
from shoal.app.tracker_nodes import NodesLimits
from shoal.app.tracker_redis import RedisNodes

MORTAL = NodesLimits(ttl_s=5, refresh_s=1)  # four may be lost, and nobody waits for long


async def main() -> None:
    tracker = Tracker(nodes=RedisNodes(sys.argv[1], limits=MORTAL))
    port = await tracker.start()
    sys.stdout.write(json.dumps({"event": "ready", "port": port}) + "\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
