"""`spawn` as a method of a class; in compiled code `_bound.pxd` stands in for this module."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

__all__ = ["as_method"]


def as_method(kind: type, in_full: Callable[..., Any], plainly: Callable[..., Any]) -> Any:  # noqa: ARG001
    """What to keep as `kind.spawn`: calls `plainly` where there are no keywords, `in_full` where that is not enough."""
    return in_full
