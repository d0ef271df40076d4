"""How many examples a property that names its own number tries: that many times this.

`make soak` raises it; a profile of Hypothesis would not reach numbers that stand in a test.
"""

from __future__ import annotations

import os

__all__ = ["EFFORT"]

EFFORT = int(os.environ.get("SHOAL_EFFORT", "1"))
