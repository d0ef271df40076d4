"""Whether and how CDNs are told of the session: the options of CMCD (CTA-5004-B), checked before anything is sent.

Nothing is told unless it is asked for.  The session's name is drawn anew each
time, and no viewer's; the content's is a hash of its URL unless one is given, since
URLs carry signatures.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable, Iterable

from shoal.balancer.actors.parts import Collector
from shoal.balancer.errors import ConfigurationError
from shoal.balancer.formats.cmcd import text
from shoal.balancer.telemetry import CmcdOptions
from shoal.transports.interface import Fetcher, Poster

__all__ = ["MODES", "cmcd_options", "collector"]

MODES = ("query", "header")


def cmcd_options(
    mode: str | None,
    content: str | None,
    *,
    url: str,
    is_dash: bool,
    cdns: Iterable[str],
    random_bytes: Callable[[int], bytes],
) -> CmcdOptions | None:
    """None where nothing is to be told.  ConfigurationError for what CMCD cannot say."""
    if mode is None:
        return None
    if mode not in MODES:
        raise ConfigurationError(f"CMCD goes by {' or '.join(MODES)}, and not by {mode!r}")
    options = CmcdOptions(
        mode=mode,
        session_id=str(uuid.UUID(bytes=random_bytes(16), version=4)),
        content_id=content or hashlib.sha256(url.partition("?")[0].encode()).hexdigest()[:32],
        streaming_format="d" if is_dash else "h",
    )
    for cdn in cdns:
        try:
            text({**options.values, "cdn": cdn})
        except ValueError as error:
            raise ConfigurationError(f"CMCD cannot be said: {error}") from error
    return options


def collector(url: str | None, fetcher: Fetcher, options: CmcdOptions) -> Collector | None:
    """None where nobody is told of responses.  ConfigurationError for a URL or a platform with which that cannot be."""
    if url is None:
        return None
    if not url.startswith(("http://", "https://")):
        raise ConfigurationError(f"the collector of CMCD is {url[:200]!r}; give a URL of http or https")
    if not isinstance(fetcher, Poster):
        raise ConfigurationError("responses cannot be reported from here: this platform's fetcher sends nothing")
    return Collector(url, fetcher, options)
