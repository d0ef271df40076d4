"""Formats and transport against their bounds, with others' packages and bare servers in the same run.

    make bench-standards                               five rounds, about six minutes
    make bench-standards ARGS="--only parser refresh"  some subjects

Exit codes as everywhere (README.md): 0, all bounds hold; 1, one does not; 3, something could not be measured here.
"""

from __future__ import annotations

import argparse
import importlib

from harness import Claim, conclude

SUBJECTS = ("faults", "suites", "parser", "refresh", "serving", "crowds")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", nargs="*", choices=SUBJECTS, default=list(SUBJECTS))
    options = parser.parse_args()
    claims: list[Claim] = []
    for subject in options.only:
        claims += importlib.import_module(f"standards_claims.{subject}").claims(options.rounds)
    return conclude("standards", claims)


if __name__ == "__main__":
    raise SystemExit(main())
