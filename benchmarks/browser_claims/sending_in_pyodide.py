"""`sending_script.py` on Pyodide's own loop, which is running already."""

import sys

sys.path.insert(0, "/repo/benchmarks/browser_claims")

from sending_script import main

await main(int(sys.argv[1]))  # noqa: F704, PLE1142, Pyodide runs this file as one coroutine
