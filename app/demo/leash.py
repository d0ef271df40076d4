"""Runs a module as a program that does not outlive its parent, or any other program.

    python -m shoal.app.demo.leash PARENT_PID MODULE [ARGUMENT ...]
    python -m shoal.app.demo.leash PARENT_PID -- PROGRAM [ARGUMENT ...]

A parent that ends in order ends its children itself.  One that is killed cannot,
so on Linux the kernel is asked to send SIGTERM then (prctl(2), PR_SET_PDEATHSIG).
Elsewhere this is `python -m MODULE`, or PROGRAM.
"""

from __future__ import annotations

import ctypes
import os
import runpy
import signal
import sys

__all__ = ["main"]

_PR_SET_PDEATHSIG = 1


def main() -> None:
    parent, module = int(sys.argv[1]), sys.argv[2]
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
        if os.getppid() != parent:
            raise SystemExit(143)  # it was gone before the kernel was asked
    if module == "--":
        os.execvp(sys.argv[3], sys.argv[3:])  # noqa: S606, ours to choose; the kernel's promise outlives the change of program
    sys.argv = [module, *sys.argv[3:]]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
