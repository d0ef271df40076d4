"""HTTP, WebRTC, WebSocket and hashing behind one interface, chosen per platform.

- `interface.py`: what a platform is asked for, as Protocols and values
- `errors.py`: everything that can go wrong, in one tree
- `registry.py`: from a name to an implementation, imported on first use
- `native/`: CPython with aiohttp, aiortc and a thread
- `browser/`: Pyodide; not written yet
- `memory/`: a simulated network with faults, in virtual or real time
- `sansio/`: decisions without sockets: ranges, bodies, addresses, descriptions, the tracker's protocol
"""
