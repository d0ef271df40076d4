"""Runs pytest inside Pyodide: the arguments are pytest's.  The last expression is its exit code.

Nothing may wait in a page's thread, so `asyncio.run` has a loop in virtual time: what waits for others waits no moment.
"""

import asyncio
import os
import sys

import pytest

from shoal.runtime.testing import VirtualLoop

LIMIT_S = 24 * 3600.0

os.chdir("/repo")
asyncio.events.new_event_loop = lambda: VirtualLoop(limit_s=LIMIT_S)
int(pytest.main(["-p", "no:cacheprovider", "--import-mode=importlib", *sys.argv[1:]]))
