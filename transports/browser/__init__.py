"""The page's own fetch, crypto, WebSocket and RTCPeerConnection behind `shoal.transports.interface`, through Pyodide.

    page.py         what the others use of JavaScript: the one file that imports `js` and `pyodide`
    http.py         Fetcher on fetch()
    hashing.py      Hasher on crypto.subtle
    signaling.py    Signaling on WebSocket
    bridge.py       actors that the page's JavaScript tells and asks; javascript/ is what a page imports for it
    webrtc.py       Connector on RTCPeerConnection;  datachannel.py its channels
                    (workers borrow the page's: javascript/connections.js)

Never imported natively.  `transports/registry.py` finds them by name.
"""
