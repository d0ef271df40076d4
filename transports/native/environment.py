"""The proxies that the environment names: HTTP_PROXY, HTTPS_PROXY and ALL_PROXY, but for the hosts of NO_PROXY.

Only the proxies themselves are trusted.  What goes past them, to a host of NO_PROXY or by a scheme that has no proxy,
is checked like everything else, and no credentials are taken from a `.netrc`.
"""

from __future__ import annotations

from urllib.request import getproxies_environment, proxy_bypass

from yarl import URL

__all__ = ["EnvironmentProxies"]

_PORTS = {"http": 80, "https": 443}


class EnvironmentProxies:
    """As they are named when it is made, but for NO_PROXY, which is read each time.

    ValueError for one that is not http:// or https://.
    """

    def __init__(self) -> None:
        named = getproxies_environment()
        self._proxies: dict[str, URL] = {}
        for scheme in _PORTS:
            text = named.get(scheme) or named.get("all")
            if text:
                self._proxies[scheme] = _parsed(text)
        self.hosts = frozenset(proxy.host or "" for proxy in self._proxies.values())
        # Addresses and ports that a socket may be made for whatever the policy says: literal ones, and what the
        # resolver finds for the others.
        self.ends = {(proxy.host or "", proxy.port or 0) for proxy in self._proxies.values()}

    def of(self, url: URL) -> URL | None:
        """Through which it is fetched; None: directly."""
        if proxy_bypass(f"{url.host}:{url.port}"):
            return None
        return self._proxies.get(url.scheme)

    def found(self, host: str, address: str) -> None:
        """The resolver's answer for a proxy."""
        self.ends |= {(address, proxy.port or 0) for proxy in self._proxies.values() if proxy.host == host}


def _parsed(text: str) -> URL:
    try:
        proxy = URL(text if "://" in text else f"http://{text}")
    except ValueError:
        proxy = URL()
    if proxy.scheme not in _PORTS or not proxy.host:
        raise ValueError(f"the environment's proxy {text[:80]!r} is no http:// or https:// address with a host")
    return proxy
