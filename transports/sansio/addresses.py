"""Whom an AddressPolicy lets us talk to: decided on URLs, then on the addresses that names resolve to.

A URL is checked for its scheme, user info and host name before anything is
sent.  An address is checked again where the connection is made, because only
that one matters: a name may resolve to anything, and to something else the
second time (DNS rebinding), and one address has many spellings (127.1,
0x7f000001, 2130706433, ::ffff:127.0.0.1).  Every refusal is AddressRefused.
"""

from __future__ import annotations

import ipaddress

from shoal.transports.errors import AddressRefused
from shoal.transports.interface import AddressPolicy

from .embedded import ipv4_within

__all__ = ["check_address", "check_host", "check_text", "ip_literal", "is_public"]

_URL_CHARACTERS_MAX = 8192  # what servers take as a request line; longer ones are an attack or a mistake

# Only this block of IPv6 is given out for global unicast (IANA); what lies outside is special, whatever its flags say.
_IPV6_GLOBAL_UNICAST = ipaddress.IPv6Network("2000::/3")


def is_public(address: str) -> bool:
    """Whether this literal IP address is one of the public internet, also after unwrapping IPv4 inside IPv6.

    Anything that is not exactly an address is not public.  Stricter than
    `ipaddress.is_global`, which takes multicast, site-local and IPv4-compatible addresses for global.
    """
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv4Address):
        return _is_public_v4(ip)
    within = ipv4_within(ip)
    if within is not None and ip.sixtofour is None:
        return _is_public_v4(within)
    if ip not in _IPV6_GLOBAL_UNICAST or not ip.is_global or ip.scope_id is not None:
        return False
    if within is not None:  # of 6to4, which is global unicast by itself
        return _is_public_v4(within)
    # Teredo carries a server and a client address, and its relays are gone: nobody's CDN is there.
    return ip.teredo is None


def ip_literal(address: str | None) -> str | None:
    """The IP address at the end of a path, in its one spelling; None where the engine has said anything else.

    Chromium's engine writes `[2001:db8::1]`, and where an address is hidden from us a name or nothing: of a peer that
    its description did not name, and of a browser on our network (`redacted-ip.invalid`, `....local`).  Under such a
    name strangers would share limits and bans.  An interface (`%eth0`) is ours, not the peer's.
    """
    text = address or ""
    if text.startswith("[") and text.endswith("]"):
        text = text[1:-1]
    try:
        ip = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is not None:
        ip = ip.ipv4_mapped
    return None if ip.is_unspecified else str(ip)


def _is_public_v4(ip: ipaddress.IPv4Address) -> bool:
    return ip.is_global and not ip.is_multicast and not ip.is_reserved


def check_text(url: str) -> None:
    """Refuse what parsers disagree about before any parser sees it: control characters, spaces, backslashes, length."""
    if len(url) > _URL_CHARACTERS_MAX:
        raise AddressRefused(f"URL of {len(url)} characters refused; at most {_URL_CHARACTERS_MAX} are sent")
    if any(character <= " " or character in "\x7f\\" for character in url):
        raise AddressRefused(f"{url[:200]!r} refused: control characters, spaces and backslashes must be escaped")


def check_host(policy: AddressPolicy, *, scheme: str, host: str | None, port: int | None, has_user: bool) -> str:
    """The host in the form in which it is compared: lower case, without a final dot.  AddressRefused."""
    if scheme not in {"http", "https"}:
        raise AddressRefused(f"scheme {scheme!r} refused; use http or https")
    if has_user:
        raise AddressRefused("a user name or password in a URL is refused; send a header instead")
    name = (host or "").lower().removesuffix(".")
    if not name or "%" in name or port == 0:
        raise AddressRefused(f"host {host!r} with port {port} refused; it names no server")
    if policy.allowed_hosts and not {name, f"{name}:{port}"} & policy.allowed_hosts:
        raise AddressRefused(f"host {name}:{port} refused; it is not one of the allowed hosts")
    return name


def check_address(policy: AddressPolicy, address: str, *, host: str) -> None:
    """Refuse a private address unless the policy allows it."""
    if not policy.allow_private and not is_public(address):
        raise AddressRefused(f"{host} is at {address}, which is not public; allow_private=True allows it")
