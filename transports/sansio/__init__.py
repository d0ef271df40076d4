"""Protocols without sockets: events and bytes in, decisions and bytes out."""
