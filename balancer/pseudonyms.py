"""What a log calls other viewers: neither by their peer ids nor by their addresses.

    Pseudonyms           peer ids become "peer-1", "peer-2", in the order in which they were met
    without_addresses    IP addresses in a text become "an address"

A report is data for whoever runs the session and names its sources; a log is kept,
copied and sent around.  `log_viewers` of the config writes both as they are.
"""

from __future__ import annotations

import itertools
import re

__all__ = ["Pseudonyms", "without_addresses"]

# Dotted quads, and anything with two colons or more that is of hex digits.  A time of day has one or two, of decimals:
# without a letter and without "::" all eight groups must be there.
_V4 = r"\d{1,3}(?:\.\d{1,3}){3}"
_IS_ADDRESS = rf"(?=[0-9a-fA-F:]*(?:::|[a-fA-F])|(?:\d{{1,4}}:){{6}}(?:\d{{1,4}}:\d|{_V4}))"
_ADDRESS = re.compile(
    rf"(?<![\w:]){_IS_ADDRESS}(?:[0-9a-fA-F]{{0,4}}:){{2,7}}(?:{_V4}|[0-9a-fA-F]{{0,4}})(?![\w:])"
    rf"|(?<![\w.]){_V4}(?![\w.]*\w)"
)


class Pseudonyms:
    def __init__(self, here_max: int, left_max: int) -> None:
        """Of those who left, the last `left_max` keep their names; of the others, `here_max`, who are all that may be.

        Of more than that the first are forgotten: nothing is written of whoever left so long ago.
        """
        self._here_max = here_max
        self._left_max = left_max
        self._count = 0
        self._here: dict[str, str] = {}
        self._left: dict[str, str] = {}

    def meet(self, peer: str) -> str:
        """What it is called from now on; one that comes back keeps its name."""
        name = self._here.get(peer) or self._left.pop(peer, None)
        if name is None:
            self._count += 1
            name = f"peer-{self._count}"
        self._here[peer] = name
        if len(self._here) > self._here_max:  # somebody's leaving was not told
            self.leave(next(iter(self._here)))
        return name

    def leave(self, peer: str) -> None:
        """It is not connected any more, and keeps its name for a while.  Does nothing the second time."""
        name = self._here.pop(peer, None)
        if name is None:
            return
        self._left[peer] = name
        if len(self._left) > self._left_max:
            del self._left[next(iter(self._left))]

    def apply(self, text: str) -> str:
        """The text without any id that was met.  Cost: a look for each of them."""
        for peer, name in itertools.chain(self._here.items(), self._left.items()):
            if peer in text:
                text = text.replace(f"peer:{peer}", name).replace(peer, name)
        return text


def without_addresses(text: str) -> str:
    return _ADDRESS.sub("an address", text)
