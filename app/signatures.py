"""Signatures of sidecars with Ed25519: what `--hashes-key` verifies, and `examples/make_hashes.py` makes.

Of the package `cryptography`, which comes with `shoal[webrtc]`; no other part of shoal needs it.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from shoal.balancer.errors import ConfigurationError
from shoal.balancer.signed import Verify, sealed

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

__all__ = ["public_key_of", "signed_sidecar", "verifier"]


def verifier(public_key: str) -> Verify:
    """What tells whether a signature was made with this key, 64 hex digits.  ConfigurationError for what is none."""
    try:
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    except ImportError:
        raise ConfigurationError("signatures need cryptography: pip install 'shoal[webrtc]'") from None
    try:
        key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(public_key))
    except ValueError:
        raise ConfigurationError(
            f"--hashes-key has {len(public_key)} characters; it is a public key of Ed25519 in 64 hex digits"
        ) from None

    def verify(signature: bytes, document: bytes) -> bool:
        try:
            key.verify(signature, document)
        except InvalidSignature:
            return False
        return True

    return verify


def signed_sidecar(document: bytes, private_key: Path) -> bytes:
    """The sidecar with its signature; the key as `openssl genpkey -algorithm ed25519` writes it."""
    return sealed(document, _private(private_key).sign(document))


def public_key_of(private_key: Path) -> str:
    """What viewers give as `--hashes-key`."""
    return _private(private_key).public_key().public_bytes_raw().hex()


def _private(path: Path) -> Ed25519PrivateKey:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    key = load_pem_private_key(path.read_bytes(), password=None)
    if not isinstance(key, Ed25519PrivateKey):
        raise ConfigurationError(f"{path} has a key of another kind; make one: openssl genpkey -algorithm ed25519")
    return key
