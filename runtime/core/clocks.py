"""The clocks that the scheduler reads; in compiled code `_ticks.pxd` stands in for this module."""

from __future__ import annotations

import sys
import time

__all__ = ["IS_CHEAP", "perf_counter_ns", "thread_time_ns"]

# Whether reading the clock costs less than a message does.  A browser's takes longer, and is exact to 100 us.
IS_CHEAP = sys.platform != "emscripten"

perf_counter_ns = time.perf_counter_ns
# A browser has no clock of a thread's own: there is one thread, so all the time is its.
thread_time_ns = getattr(time, "thread_time_ns", time.perf_counter_ns)
