"""Shoal: video segments from several CDNs and from peers, on a fast and fair actor runtime.

Four rooms, each importing only those below it:

    shoal.app         what people run: command line, proxy, tracker, demo
    shoal.balancer    which source delivers which bytes, and whether they are right
    shoal.transports  HTTP, WebRTC and WebSocket behind one interface per platform
    shoal.runtime     actors, mailboxes, schedulers; knows nothing of video
"""

__version__ = "0.1.0"
__all__ = ["__version__"]
