"""HTTP, WebRTC, WebSocket and hashing behind one interface, chosen per platform."""
