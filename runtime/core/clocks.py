"""The clocks that the scheduler reads; in compiled code `_ticks.pxd` stands in for this module."""

from __future__ import annotations

import time

__all__ = ["perf_counter_ns", "thread_time_ns"]

perf_counter_ns = time.perf_counter_ns
# A browser has no clock of a thread's own: there is one thread, so all the time is its.
thread_time_ns = getattr(time, "thread_time_ns", time.perf_counter_ns)
