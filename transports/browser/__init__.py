"""The browser's transports: not written yet, so the registry says what is missing instead of pretending.

What will live here, each behind the Protocol of the same kind in
`transports/interface.py`:

    bridge.py, bridge.js   the one Python file that imports `js`, and the one JavaScript file
    http.py                Fetcher on fetch() and its readable streams
    webrtc.py              Connector on RTCPeerConnection
    websocket.py           Signaling on WebSocket
    hashing.py             Hasher on crypto.subtle

There will be no server: a page cannot listen.
"""
