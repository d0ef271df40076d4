"""What to do about an error, in words of the command line.

The rooms below speak to programmers: their messages name fields and arguments.
Here those become options, and a message that says what happened and not what to
do gets a hint for its reason.
"""

from __future__ import annotations

import re

from shoal.balancer.config import BalancerConfig
from shoal.balancer.errors import BalancerError
from shoal.transports.errors import TransportError

__all__ = ["sentence"]

AGAIN = "try again, or name another source with --cdn NAME=URL"
ANOTHER_SOURCE = "is the URL right, and the origin up? --cdn NAME=URL names another source"

# By reason, for messages without advice of their own.
HINTS = {
    "connect": ANOTHER_SOURCE,
    "timeout": ANOTHER_SOURCE,
    "status": ANOTHER_SOURCE,
    "truncated": AGAIN,
    "no_source": "name another source with --cdn NAME=URL",
}

# What the rooms below call it, and what it is called here.
WORDS = {
    "allow_private=True allows it": "--allow-private fetches from there all the same",
    "it is not one of the allowed hosts": "--allow-host HOST fetches from there too",
    "ask for the rest": AGAIN,
    "raise body_bytes_max": "raise playlist_bytes_max (for hashes, sidecar_bytes_max)",
    "use port 0 for a free one": "use another --port (0 for a free one)",
    "choose another port, or 0 for a free one": "choose another --port (0 for a free one)",
}

_SETTING = re.compile(r"\b(?:raise|lower) (\w+)")


def sentence(error: BaseException) -> str:
    """One line: what happened, and what to do about it."""
    text = " ".join(str(error).split()) or type(error).__name__
    if not isinstance(error, BalancerError | TransportError | OSError):
        return f"{type(error).__name__}: {text}; --debug shows where"
    for theirs, ours in WORDS.items():
        text = text.replace(theirs, ours)
    named = _SETTING.search(text)
    if named is not None and named[1] in BalancerConfig.__struct_fields__:
        text += ", in a file for --config"
    hint = HINTS.get(getattr(error, "reason", ""))
    # Advice stands after a semicolon, everywhere in shoal.
    return text if hint is None or ";" in text else f"{text}; {hint}"
