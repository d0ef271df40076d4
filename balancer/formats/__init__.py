"""Playlist formats: bytes to values and back.  Sans-IO; no format knows of sources, peers or policies."""
