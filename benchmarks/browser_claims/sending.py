"""What a message costs in Pyodide: compiled, not compiled, and natively, by turns.

In headless Chromium, whose WebAssembly is that of pages; Node 20's takes half as long again.
"""

from __future__ import annotations

from typing import Any

from harness import Claim

from .pyodide import CLAIMS, SMALLER, chromium, files, natively, site, wheel

__all__ = ["claims"]

SCRIPT = CLAIMS / "sending_script.py"
ROUNDS = 30
RUN = """async (rounds) => {
  const main = pyodide.globals.get("main");
  try {
    return await main(rounds);
  } finally {
    main.destroy();
  }
}"""


async def in_page(browser: Any, kind: str) -> float:
    """ns a message in a page of its own."""
    async with site(files(SCRIPT, kind)) as url:
        page = await browser.new_page()
        await page.goto(url)
        await page.wait_for_function("document.title === 'ready'")
        found = float(await page.evaluate(RUN, ROUNDS))
        await page.close()
        return found


async def claims(rounds: int) -> list[Claim]:
    kinds = ["compiled", "plain"] + ([SMALLER] if wheel(SMALLER) is not None else [])  # shown, and judged by nothing
    best = dict.fromkeys(["native", *kinds], float("inf"))
    async with chromium() as browser:
        for _ in range(rounds):  # the best of them all, since others may compute meanwhile
            best["native"] = min(best["native"], float(natively(SCRIPT, str(ROUNDS))))
            for kind in kinds:
                best[kind] = min(best[kind], await in_page(browser, kind))
    print("  ns a message: " + ", ".join(f"{kind} {value:.0f}" for kind, value in best.items()), flush=True)
    return [
        Claim("send and dispatch, of the uncompiled leg's", best["compiled"] / best["plain"], 0.55, False, "x"),
        Claim("send and dispatch, of native", best["compiled"] / best["native"], 3.0, False, "x"),
    ]
