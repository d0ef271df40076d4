"""`spawn` as a method of a class, and the ref of an actor; in compiled code `_bound.pxd` stands in for this module."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

__all__ = ["as_method", "ref_of"]


def as_method(kind: type, in_full: Callable[..., Any], plainly: Callable[..., Any]) -> Any:  # noqa: ARG001
    """What to keep as `kind.spawn`: calls `plainly` where there are no keywords, `in_full` where that is not enough."""
    return in_full


def ref_of(actor: Any) -> Any:
    """Its `_shoal_ref`: of a class that `as_method` has seen, without looking that up.  TypeError if it has none."""
    ref = getattr(actor, "_shoal_ref", None)
    if ref is None:
        kind = type(actor).__name__
        raise TypeError(f"this {kind} has no ref: actors are made by `spawn`, not by calling their class")
    return ref
