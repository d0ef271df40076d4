"""A run of the runtime's benchmarks as plots, a page, and the table of benchmarks/README.md.

    build/peers-venv/bin/python benchmarks/report.py     out/bench-runtime.json to .png and .html beside it
    python benchmarks/report.py --markdown               the table, on stdout
    python benchmarks/report.py --publish                put it into the README, and the run into results/

`make bench-runtime` does the first at its end.  The plots are matplotlib's, which tools/install-bench-peers installs
beside the peers; where it is not, the page has the tables only, and says so.
"""

from __future__ import annotations

import argparse
import html
import io
import json
import statistics
import sys
from pathlib import Path
from typing import Any

__all__ = ["markdown", "page", "published"]

HERE = Path(__file__).resolve().parent
README = HERE / "README.md"
RESULTS = HERE / "results" / "runtime.jsonl"
BEGIN, END = "<!-- figures: by report.py -->", "<!-- end of figures -->"
COLOURS = {  # ours stands out; the same runtime has the same colour in every plot
    "shoal": "#d1495b",
    "shoal, threaded": "#edae49",
    "erlang": "#30638e",
    "caf": "#00798c",
    "asyncio_queue": "#6b8f71",
    "xoscar": "#8d99ae",
    "pykka": "#a68a64",
    "thespian": "#b8a9c9",
    "threads": "#555555",
}
STYLE = """body { font: 15px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 2rem auto; padding: 0 1rem }
table { border-collapse: collapse; margin: 1rem 0 }
td, th { padding: .25rem .8rem; border-bottom: 1px solid #ddd; text-align: left }
td.n { text-align: right; font-variant-numeric: tabular-nums } .no { color: #b00020; font-weight: 600 }
svg { max-width: 100%; height: auto }"""
FACTOR_MAX = 16  # what is farther from its bound is drawn there
Run = dict[str, Any]


def headline(run: Run) -> str:
    where = run["machine"]
    return (
        f"{where['cores']} cores ({where['cpu']}), load {where['load']:.1f} at the end, Python {where['python']}, "
        f"commit {where['commit']}, {where['time']}; medians of {run['rounds']} rounds"
    )


def median(rows: list[dict[str, float]], name: str = "per_cpu_s") -> float | None:
    values = [row[name] for row in rows if name in row]
    return statistics.median(values) if values else None


def rates(run: Run, part: str) -> dict[str, dict[str, float]]:
    """Operations per CPU-second: by workload, by runtime; what was not measured is not there."""
    found: dict[str, dict[str, float]] = {}
    for work, runtimes in run[part].items():
        of_work = {runtime: rate for runtime, rows in runtimes.items() if (rate := median(rows)) is not None}
        if of_work:
            found[work] = of_work
    return {work: of_work for work, of_work in found.items() if len(of_work) > 1}


def with_unit(value: float | None, unit: str) -> str:
    return "not measured" if value is None else f"{value:,.4g} {unit}".strip()


def markdown(run: Run) -> str:
    """The README's table: a line for each claim, in bold what does not hold."""
    lines = ["| claim | file | figure | bound | goal |", "| --- | --- | --- | --- | --- |"]
    last = None
    for claim in run["claims"]:
        figure = with_unit(claim["figure"], claim["unit"])
        figure = f"**{figure}**" if claim["holds"] is False else figure
        bound = f"{'at least' if claim['at_least'] else 'at most'} {with_unit(claim['bound'], claim['unit'])}"
        goal = "" if claim["goal"] is None else with_unit(claim["goal"], claim["unit"])
        file = "" if claim["file"] == last else f"`runtime_claims/{claim['file']}.py`"
        last = claim["file"]
        lines.append(f"| {claim['claim']} | {file} | {figure} | {bound} | {goal} |")
    savina = rates(run, "savina")
    if savina:
        lines += ["", "| Savina, per CPU-second | cooperative | threaded | Erlang |", "| --- | --- | --- | --- |"]
        for work, of_work in savina.items():
            cells = [of_work.get(runtime) for runtime in ("shoal", "shoal, threaded", "erlang")]
            shown = " | ".join("not measured" if rate is None else f"{rate:,.0f}" for rate in cells)
            lines.append(f"| {work.replace('_', ' ')} | {shown} |")
    return "\n".join(lines) + "\n"


def published(readme: str, run: Run) -> str:
    """The README with this run's figures between its marks; ValueError where they are not."""
    before, begin, rest = readme.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"the README lacks the marks {BEGIN!r} and {END!r}, between which the figures stand")
    return f"{before}{BEGIN}\n{headline(run)}.\n\n{markdown(run)}{END}{after}"


def bars(axis: Any, found: dict[str, dict[str, float]], title: str) -> None:
    """Groups of bars, a group for each workload, on a scale of powers of ten."""
    names = [runtime for runtime in COLOURS if any(runtime in of_work for of_work in found.values())]
    width = 0.85 / len(names)
    for place, runtime in enumerate(names):
        at = [
            group + (place - (len(names) - 1) / 2) * width for group, of in enumerate(found.values()) if runtime in of
        ]
        high = [of_work[runtime] for of_work in found.values() if runtime in of_work]
        axis.bar(at, high, width, label=runtime, color=COLOURS[runtime])
    axis.set_xticks(range(len(found)), [work.replace("_", "\n") for work in found])
    axis.set_yscale("log")
    axis.set_ylabel("operations per CPU-second")
    axis.set_title(title, loc="left")
    axis.grid(axis="y", alpha=0.3)
    axis.set_axisbelow(True)
    axis.legend(ncols=len(names), fontsize="small", loc="upper center", bbox_to_anchor=(0.5, -0.14), frameon=False)


def against_bounds(axis: Any, claims: list[dict[str, Any]]) -> None:
    """How far each figure is from its bound, as a factor: right of 1 it holds."""
    shown = [claim for claim in claims if claim["figure"] is not None][::-1]

    def factor(claim: dict[str, Any], value: float) -> float:
        if claim["at_least"]:
            return max(value / claim["bound"], 1 / FACTOR_MAX)
        return min(claim["bound"] / value, FACTOR_MAX) if value > 0 else FACTOR_MAX  # a loss within noise is none

    factors = [factor(claim, claim["figure"]) for claim in shown]
    colours = ["#00798c" if claim["holds"] else "#d1495b" for claim in shown]
    axis.barh(range(len(shown)), [value - 1 for value in factors], left=1, color=colours)
    goals = [(place, factor(claim, claim["goal"])) for place, claim in enumerate(shown) if claim["goal"]]
    axis.scatter([at for _, at in goals], [place for place, _ in goals], marker="|", s=160, color="black", label="goal")
    axis.set_yticks(range(len(shown)), [claim["claim"] for claim in shown], fontsize="small")
    axis.axvline(1, color="black", linewidth=1)
    axis.set_xscale("log")
    ticks = (0.25, 0.5, 1, 2, 4, 8, 16)
    axis.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axis.minorticks_off()
    axis.set_xlim(min(0.4, *factors) * 0.9, max(2, *factors) * 1.1)
    axis.set_title("How many times better than its bound (right of 1: it holds)", loc="left")
    axis.grid(axis="x", alpha=0.3)
    axis.set_axisbelow(True)
    axis.legend(loc="lower right", bbox_to_anchor=(1, 1), frameon=False)


def draw(run: Run, png: Path) -> str:
    """Write the PNG; the same as SVG text, for the page.  ImportError without matplotlib."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    measured, savina = rates(run, "rates"), rates(run, "savina")
    parts = [bool(run["claims"]), bool(measured), bool(savina)]
    heights = [
        height for height, is_there in zip((1.3 + 0.29 * len(run["claims"]), 5, 5), parts, strict=True) if is_there
    ]
    figure, axes = plt.subplots(
        len(heights), 1, figsize=(12, sum(heights)), height_ratios=heights, squeeze=False, layout="constrained"
    )
    left = iter(axes[:, 0])
    if parts[0]:
        against_bounds(next(left), run["claims"])
    if parts[1]:
        bars(next(left), measured, "The runtime and its peers")
    if parts[2]:
        bars(next(left), savina, "Savina's micro set")
    figure.savefig(png, dpi=110)
    text = io.StringIO()
    figure.savefig(text, format="svg")
    svg = text.getvalue()
    return svg[svg.index("<svg") :]


def page(run: Run, svg: str | None) -> str:
    """One file of HTML with nothing outside it."""
    rows = []
    for claim in run["claims"]:
        words = {True: "yes", False: '<span class="no">no</span>', None: "not measured"}[claim["holds"]]
        bound = f"{'≥' if claim['at_least'] else '≤'} {with_unit(claim['bound'], claim['unit'])}"
        goal = "" if claim["goal"] is None else with_unit(claim["goal"], claim["unit"])
        cells = "".join(
            f'<td class="n">{html.escape(cell)}</td>'
            for cell in (with_unit(claim["figure"], claim["unit"]), bound, goal)
        )
        rows.append(f"<tr><td>{html.escape(claim['claim'])}</td>{cells}<td>{words}</td></tr>")
    tables = [
        "<h2>Claims</h2><table><tr><th>claim<th>figure<th>bound<th>goal<th>holds</tr>",
        *rows,
        "</table>",
    ]
    for part, title in (("rates", "Operations per CPU-second"), ("savina", "Savina's micro set, per CPU-second")):
        found = rates(run, part)
        names = [runtime for runtime in COLOURS if any(runtime in of_work for of_work in found.values())]
        if not found:
            continue
        tables.append(
            f"<h2>{title}</h2><table><tr><th>work{''.join(f'<th>{html.escape(name)}' for name in names)}</tr>"
        )
        for work, of_work in found.items():
            cells = "".join(
                f'<td class="n">{f"{of_work[name]:,.0f}" if name in of_work else ""}</td>' for name in names
            )
            tables.append(f"<tr><td>{html.escape(work.replace('_', ' '))}</td>{cells}</tr>")
        tables.append("</table>")
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>shoal: the runtime measured</title>'
        f"<style>{STYLE}</style><h1>The runtime, measured</h1><p>{html.escape(headline(run))}</p>"
        f"{svg or '<p>No plots: matplotlib was not installed.</p>'}{''.join(tables)}</html>\n"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", nargs="?", type=Path, default=Path("out/bench-runtime.json"))
    parser.add_argument("--markdown", action="store_true")
    parser.add_argument("--publish", action="store_true")
    options = parser.parse_args()
    run: Run = json.loads(options.run.read_text())
    if options.markdown:
        print(markdown(run), end="")
        return 0
    if options.publish:
        README.write_text(published(README.read_text(), run))
        with RESULTS.open("a") as lines:
            lines.write(json.dumps(run) + "\n")
        return 0
    try:
        svg = draw(run, options.run.with_suffix(".png"))
    except ImportError:
        print("no plots: matplotlib is not installed (tools/install-bench-peers): skipped", file=sys.stderr)
        svg = None
    options.run.with_suffix(".html").write_text(page(run, svg))
    print(f"{options.run.with_suffix('.html')}{'' if svg is None else ' and .png'} written")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
