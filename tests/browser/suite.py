"""Runs pytest inside Pyodide: the arguments are pytest's.  The last expression is its exit code."""

import os
import sys

import pytest

os.chdir("/repo")
int(pytest.main(["-p", "no:cacheprovider", "--import-mode=importlib", *sys.argv[1:]]))
