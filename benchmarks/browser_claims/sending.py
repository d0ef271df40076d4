"""What a message costs in Pyodide: compiled, not compiled, and natively, by turns."""

from __future__ import annotations

from harness import Claim

from .pyodide import CLAIMS, natively, under_node

__all__ = ["claims"]

ROUNDS = "15"


def claims(rounds: int) -> list[Claim]:
    script, inside = CLAIMS / "sending_script.py", CLAIMS / "sending_in_pyodide.py"
    best = dict.fromkeys(("native", "compiled", "plain"), float("inf"))
    for _ in range(rounds):  # a process each: the best of them all, since others may compute meanwhile
        best["native"] = min(best["native"], float(natively(script, ROUNDS)))
        for kind in ("compiled", "plain"):
            best[kind] = min(best[kind], float(under_node(inside, kind, ROUNDS)))
    print("  ns a message: " + ", ".join(f"{kind} {value:.0f}" for kind, value in best.items()), flush=True)
    return [
        Claim("send and dispatch, of the uncompiled leg's", best["compiled"] / best["plain"], 0.55, False, "x"),
        Claim("send and dispatch, of native", best["compiled"] / best["native"], 3.0, False, "x"),
    ]
