"""A certificate authority for tests, and what it signs: a good certificate, one that has expired, another host's."""

from __future__ import annotations

import datetime as dt
import functools
import ipaddress
import ssl
import tempfile
from collections.abc import Callable
from pathlib import Path

__all__ = ["client_context", "server_context"]

_DAY = dt.timedelta(days=1)


@functools.cache
def client_context() -> ssl.SSLContext:
    """One that trusts the authority, and nobody else."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=_authority()[0])
    return context


@functools.cache
def server_context(kind: str) -> ssl.SSLContext:
    """Of a host called `one` or `two`, at 127.0.0.1; `kind` is good, tls-expired or tls-host."""
    names = ["another.example"] if kind == "tls-host" else ["one", "two", "steer", "127.0.0.1"]
    certificate, key = _authority()[1](names, kind == "tls-expired")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.TemporaryDirectory() as folder:  # the ssl module reads files only
        file = Path(folder) / "chain.pem"
        file.write_bytes(certificate + key)
        context.load_cert_chain(file)
    return context


@functools.cache
def _authority() -> tuple[str, Callable[[list[str], bool], tuple[bytes, bytes]]]:
    """Its certificate (PEM), and what signs: names and whether it has expired in, certificate and key out."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    now = dt.datetime.now(dt.UTC)
    own_key = ec.generate_private_key(ec.SECP256R1())
    own_name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "an authority for tests")])

    def begun(name: x509.Name, key: ec.EllipticCurvePrivateKey, until: dt.datetime) -> x509.CertificateBuilder:
        builder = x509.CertificateBuilder().subject_name(name).issuer_name(own_name).public_key(key.public_key())
        return (
            builder.serial_number(x509.random_serial_number()).not_valid_before(now - 30 * _DAY).not_valid_after(until)
        )

    def general(name: str) -> x509.GeneralName:
        try:
            return x509.IPAddress(ipaddress.ip_address(name))
        except ValueError:
            return x509.DNSName(name)

    def sign(names: list[str], has_expired: bool) -> tuple[bytes, bytes]:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, names[0])])
        builder = begun(name, key, now - _DAY if has_expired else now + 30 * _DAY)
        builder = builder.add_extension(x509.SubjectAlternativeName([general(each) for each in names]), critical=False)
        signed = builder.sign(own_key, hashes.SHA256())
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return signed.public_bytes(serialization.Encoding.PEM), private

    own = begun(own_name, own_key, now + 30 * _DAY)
    own = own.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    own = own.add_extension(x509.SubjectKeyIdentifier.from_public_key(own_key.public_key()), critical=False)
    certificate = own.sign(own_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    return certificate.decode(), sign
