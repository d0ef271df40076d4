"""A URL as the browser reads it, held against an AddressPolicy before anything is sent.

The browser resolves names out of sight, so that no more can be checked than what is written:
literal addresses, in any spelling, and `localhost`.  A name that resolves to a private address gets through.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from shoal.transports.errors import AddressRefused
from shoal.transports.interface import AddressPolicy
from shoal.transports.sansio.addresses import check_address, check_host, check_text

from .page import JsException, in_words, js

__all__ = ["checked_url"]

_OF_HTTP = {"ws": "http", "wss": "https"}  # what a WebSocket's handshake is sent as, for which the rules are made


def checked_url(policy: AddressPolicy, text: str, *, schemes: Collection[str]) -> Any:
    """JavaScript's URL of this text.  AddressRefused."""
    check_text(text)
    try:
        url = js.URL.new(text)
    except JsException as error:
        raise AddressRefused(f"{text[:200]!r} refused: {in_words(error)}") from error
    scheme: str = url.protocol.removesuffix(":")
    if scheme not in schemes:
        raise AddressRefused(f"scheme {scheme!r} refused here; use {' or '.join(schemes)}")
    host = url.hostname.removeprefix("[").removesuffix("]")  # 0x7f.1 and its like are 127.0.0.1 by now
    port = int(url.port) if url.port else None
    has_user = bool(url.username or url.password)
    name = check_host(policy, scheme=_OF_HTTP.get(scheme, scheme), host=host, port=port, has_user=has_user)
    if ":" in name or name.replace(".", "").isdigit():
        check_address(policy, name, host=name)
    elif name == "localhost" or name.endswith(".localhost"):
        check_address(policy, "127.0.0.1", host=name)
    return url
