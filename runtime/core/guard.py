"""What `_guard.pxd` does where nothing is compiled: nothing, since Python's own attributes are safe to read."""

from __future__ import annotations

__all__ = ["IS_FREE", "lock", "unlock"]

IS_FREE = False


def lock(owner: object) -> None:
    """Keep other threads from looking at what the owner changes."""


def unlock(owner: object) -> None:
    """Let them look again."""
