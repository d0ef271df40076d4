"""Whose upload goes on now, where some of the peers take and never give.

    heard(peer, held_count)     what it announced
    got(peer)                   it sent us something
    refused(peer)               it did not give us what it had announced: said so, or said nothing
    begin(peer), end(peer)      an upload to it runs, or does not any more
    must_wait(peer)             whether its next piece is to wait

A free rider is a peer that holds nothing and gave us nothing, or that announces much
and has refused all that we asked of it.  It is served, since a line that is idle costs
nobody anything, but piece by piece, and only while no upload to anybody else runs: so
others lose at most the piece on its way.  A newcomer is taken for one until it has its
first segment; players begin with a CDN, since they cannot wait for peers.

BitTorrent's tit for tat (B. Cohen, "Incentives Build Robustness in BitTorrent", 2003)
does not fit here: of two viewers of one stream the later one has nothing that the
earlier one wants.  What it passes on to a third is what counts, so holding is giving.

Memory: a few numbers for each channel; who leaves is forgotten.
"""

from __future__ import annotations

__all__ = ["Account", "Choking"]

_REFUSALS_MAX = 3  # one may have been evicted in between; three in a row, and not one segment, is a habit


class Account:
    """What a peer has given, and what it says that it could."""

    __slots__ = ("gave", "held_count", "refusals")

    def __init__(self) -> None:
        self.gave = False
        self.held_count = 0
        self.refusals = 0

    def rides_free(self) -> bool:
        return not self.gave and (not self.held_count or self.refusals >= _REFUSALS_MAX)


class Choking:
    __slots__ = ("_accounts", "_running")

    def __init__(self) -> None:
        self._accounts: dict[str, Account] = {}
        self._running: dict[str, None] = {}

    def heard(self, peer: str, held_count: int) -> None:
        self.account(peer).held_count = held_count

    def got(self, peer: str) -> None:
        self.account(peer).gave = True

    def refused(self, peer: str) -> None:
        account = self.account(peer)
        account.refusals += 1

    def leave(self, peer: str) -> None:
        self._accounts.pop(peer, None)
        self._running.pop(peer, None)

    def begin(self, peer: str) -> None:
        self._running[peer] = None

    def end(self, peer: str) -> None:
        self._running.pop(peer, None)

    def running_count(self, *, besides: str | None = None) -> int:
        """How many are served now, but for one."""
        return len(self._running) - (besides in self._running)

    def giving_count(self, *, besides: str | None = None) -> int:
        """How many of them do not ride free.  Cost: a look at each that is served."""
        return sum(peer != besides and not self.rides_free(peer) for peer in self._running)

    def rides_free(self, peer: str) -> bool:
        account = self._accounts.get(peer)
        return account is None or account.rides_free()

    def must_wait(self, peer: str) -> bool:
        """Whether it rides free, and an upload to somebody runs who does not.  Cost: a look at each that runs."""
        if self.rides_free(peer):
            for other in self._running:
                if not self.rides_free(other):
                    return True
        return False

    def account(self, peer: str) -> Account:
        """What is kept of it, for who hears it so often that a look-up counts."""
        account = self._accounts.get(peer)
        if account is None:
            account = self._accounts[peer] = Account()
        return account
