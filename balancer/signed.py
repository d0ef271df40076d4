"""A sidecar with the signature of whoever publishes the stream, so that no CDN on its way can change it:

    {"signed": "<the sidecar, as text>", "signature": "<128 hex digits>"}

The signature is Ed25519's (RFC 8032), of `signed` in UTF-8.  Who has no key reads what is signed as if it were not.
Who has one takes nothing else, so that leaving the signature out helps nobody.  Keys and how they verify are the
caller's: what an application has for it is `app/signatures.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import msgspec

__all__ = ["Verify", "opened", "sealed"]

Verify = Callable[[bytes, bytes], bool]  # of a signature and what it is of: whether the key is the one it was made with


class _Sealed(msgspec.Struct, forbid_unknown_fields=True):
    signed: str
    signature: Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{128}\Z")]


_DECODER = msgspec.json.Decoder(_Sealed)


def sealed(document: bytes, signature: bytes) -> bytes:
    """A sidecar with its signature, 64 bytes.  UnicodeDecodeError for a document that is no text."""
    return msgspec.json.encode(_Sealed(document.decode(), signature.hex()))


def opened(data: bytes, verify: Verify | None) -> bytes:
    """The sidecar itself.  ValueError, with what is wrong, if there is a key and it was not signed with it."""
    try:
        found = _DECODER.decode(data)
        document = found.signed.encode()
    except (msgspec.DecodeError, UnicodeError):
        if verify is None:
            return data
        raise ValueError(
            "is not signed, and a key is given to hold it against; sign it, or leave the key out"
        ) from None
    if verify is not None and not verify(bytes.fromhex(found.signature), document):
        raise ValueError("is signed with another key than the one given, or was changed; take it from its publisher")
    return document
