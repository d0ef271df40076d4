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

__all__ = ["IS_BLANK", "create", "give_ref", "place_of_ref", "root", "unroot"]

IS_BLANK = False  # whether a new object's attributes are there, None and 0


def create(kind: Any) -> Any:
    """An instance, made by `__new__` without arguments; no `__init__`."""
    return kind.__new__(kind)


def place_of_ref(kind: Any) -> int:  # noqa: ARG001, what compiled code takes
    """Where in its instances the slot `_shoal_ref` is; 0 where Python is to look."""
    return 0


def give_ref(actor: Any, place: int, ref: Any) -> None:  # noqa: ARG001, what compiled code takes
    """Set its `_shoal_ref`."""
    actor._shoal_ref = ref  # noqa: SLF001


def root(thing: object) -> None:
    """Nothing of this is garbage until `unroot`."""


def unroot(thing: object) -> None:
    """It may be, from now on."""
