"""CPython's transports: aiohttp for HTTP and WebSocket, aiortc for WebRTC, threads for digests.

Nothing is imported here, so that a program without WebRTC never loads aiortc;
`transports/registry.py` imports the module it is asked for.
"""
