"""Runs the decisions as actors: the only room of the balancer that knows refs, timers and transports.

session.py    carries out what the policy decides, answers readers
readers.py    who reads what, and who may not go on
playlist.py   loads, refreshes and rewrites playlists; loads the sidecar
cdn.py        one per CDN: transfers and documents
peer.py       one per peer: its protocol, both ways
swarm.py      one per rendition: trackers and new channels
hashing.py    digests
storage.py    whole resources; on_shelf.py: those on disk; shelving.py: who waits for the disk
reporter.py   what happened
"""

from .parts import CdnSource, SessionParts
from .session import Session

__all__ = ["CdnSource", "Session", "SessionParts"]
