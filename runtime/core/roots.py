"""What the garbage collector need not look at while it lives.

The collector walks every container again and again, which cost more than half of
a spawn.  An actor that lives is held by its system: nothing that it refers to is
garbage.  So its ref and its instance are taken off the collector's lists as they
begin, and put back as they end, when they may well be part of a cycle.

A system that was started and is dropped without a stop is therefore never
collected.  `gc.get_objects` does not list living actors.

This is what the uncompiled runtime does, which is nothing; `_roots.pxd` stands in
for it in compiled code.
"""

from __future__ import annotations

from typing import Any

__all__ = ["create", "root", "unroot"]


def create(kind: Any) -> Any:
    """An instance, made by `__new__` without arguments; no `__init__`."""
    return kind.__new__(kind)


def root(thing: object) -> None:
    """Nothing of this is garbage until `unroot`."""


def unroot(thing: object) -> None:
    """It may be, from now on."""
