"""One page of HTML with the figures, the pictures and the seeds of a sweep; nothing outside it is needed.

Pictures stand in it as images, so that its Content-Security-Policy can forbid everything else.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
from collections.abc import Mapping, Sequence
from html import escape
from string import Template

import shoal
from shoal.balancer.sim.compare import FIGURES, Comparison, Figure, Interval, compare
from shoal.balancer.sim.film import Film
from shoal.balancer.sim.outcome import Outcome

from . import plots

__all__ = ["about", "page"]

_SWARM = (
    "Above: what each source sends. In the middle: a row for each viewer, coloured by the seconds that it has "
    "buffered, red while it waits for its first picture or the next. Below: a row for each segment, coloured by the "
    "share of the viewers present that hold it."
)
_SEED_ROWS_MAX = 2_000  # of all sets together; a page of more is no longer read
_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 84rem; margin: 2rem auto; padding: 0 1rem; color: #22262b }
h1 { font-size: 1.5rem; margin-bottom: 0 } h2 { font-size: 1.15rem; margin: 2.2rem 0 .4rem } h3 { font-size: 1rem }
p { max-width: 60rem } .quiet { color: #6a7078 } img { max-width: 100%; height: auto }
table { border-collapse: collapse; font-size: .88rem; font-variant-numeric: tabular-nums; margin: .4rem 0 1rem }
th { text-align: left; font-weight: 500; color: #6a7078 }
td, th { padding: .2rem .9rem .2rem 0; border-bottom: 1px solid #e0ddd6 }
td.n, th.n { text-align: right } .good { color: #2b7a4b; font-weight: 600 } .bad { color: #b3372f; font-weight: 600 }
code { background: #f5f3ee; padding: .1rem .3rem } .wide { overflow-x: auto } summary { cursor: pointer }
""".strip()
_PAGE = Template("""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'sha256-$style_hash'">
<title>$title</title>
<style>$style</style>
</head>
<body>
<h1>$title</h1>
<p class="quiet">$about</p>
$parts
</body>
</html>
""")


def page(
    title: str, about: str, sets: Mapping[str, Sequence[Outcome]], films: Mapping[str, Film], film_title: str
) -> str:
    """The whole page.  `films` is by policy, may be empty.  Needs matplotlib: see `plots.check`."""
    digest = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
    drawn = {name: _image(plots.svg(figure), name) for name, figure in plots.all_of(sets, films).items()}
    parts = [f"<h2>Policies</h2>{drawn['figures']}"]
    if "differences" in drawn:
        parts.append(f"<h2>Differences</h2>{drawn['differences']}")
    if "swarm" in drawn:
        parts.append(f'<h2>{escape(film_title)}</h2><p class="quiet">{_SWARM}</p>{drawn["swarm"]}')
    for name, outcomes in sets.items():
        parts.append(f"<h2>{escape(name)}</h2>{_tables(compare(outcomes))}")
    parts.append(_seeds(sets))
    return _PAGE.substitute(
        style=_STYLE, style_hash=digest, title=escape(title), about=escape(about), parts="\n".join(parts)
    )


def about(args: argparse.Namespace) -> str:
    """What was asked for, but for its defaults and where results go."""
    words = {
        "polluters": f"{args.polluters:.0%} of the viewers send wrong bytes" if args.polluters else "",
        "riders": f"{args.free_riders:.0%} offer nothing" if args.free_riders else "",
        "liars": f"{args.liars:.0%} say that they hold all" if args.liars else "",
        "leaving": f"viewers leave after {args.leaving:g} s on average" if args.leaving else "",
        "faults": f"faults: {', '.join(args.fault)}" if args.fault else "",
        "config": f"settings of {args.config}" if args.config else "",
    }
    said = [text for text in words.values() if text]
    return f"shoal {shoal.__version__}; seeds 1 to {args.seeds}{''.join('; ' + text for text in said)}"


def _image(svg: str, alt: str) -> str:
    data = base64.b64encode(svg.encode()).decode()
    return f'<img alt="{escape(alt)}" src="data:image/svg+xml;base64,{data}">'


def _tables(comparisons: Sequence[Comparison]) -> str:
    rows = [
        _row(comparison.policy, *(_cell(_number(comparison.figures[f.key], f)) for f in FIGURES))
        for comparison in comparisons
    ]
    found = [_table("policy", rows)]
    if len(comparisons) > 1:
        rows = [
            _row(other.policy, *(_judged(other.difference[f.key], f) for f in FIGURES)) for other in comparisons[1:]
        ]
        found.append(_table(f"{comparisons[0].policy}, minus", rows))
    return "".join(found)


def _seeds(sets: Mapping[str, Sequence[Outcome]]) -> str:
    """Every run, so that one that looks odd can be replayed."""
    rows = [
        f"<tr><td>{escape(name)}</td><td>{escape(o.policy)}</td><td class='n'>{o.seed}</td>"
        + "".join(_cell(f"{o.figures()[f.key] / f.scale:.{f.digits}f}") for f in FIGURES)
        + "</tr>"
        for name, outcomes in sets.items()
        for o in outcomes
    ]
    left = len(rows) - _SEED_ROWS_MAX
    more = f'<p class="quiet">{left} more runs are not shown.</p>' if left > 0 else ""
    head = f"<tr><th>set</th><th>policy</th><th class='n'>seed</th>{_heads()}</tr>"
    return (
        f"<h2>Seeds</h2><details><summary>{len(rows)} runs</summary><div class='wide'><table>{head}"
        f"{''.join(rows[:_SEED_ROWS_MAX])}</table></div>{more}</details>"
        '<p class="quiet"><code>shoal sim SCENARIO --replay SEED</code>, with the same options, gives the same run '
        "again, byte for byte.</p>"
    )


def _heads() -> str:
    return "".join(f"<th class='n'>{escape(f'{f.title} {f.unit}'.strip())}</th>" for f in FIGURES)


def _table(first: str, rows: Sequence[str]) -> str:
    return f"<div class='wide'><table><tr><th>{escape(first)}</th>{_heads()}</tr>{''.join(rows)}</table></div>"


def _row(name: str, *cells: str) -> str:
    return f"<tr><td>{escape(name)}</td>{''.join(cells)}</tr>"


def _cell(text: str, kind: str = "") -> str:
    return f"<td class='n {kind}'>{escape(text)}</td>" if kind else f"<td class='n'>{escape(text)}</td>"


def _number(value: Interval, figure: Figure) -> str:
    mean = f"{value.mean / figure.scale:.{figure.digits}f}"
    mean = mean.removeprefix("-") if not float(mean) else mean
    return mean if not value.half else f"{mean} ± {value.half / figure.scale:.{figure.digits}f}"


def _judged(value: Interval, figure: Figure) -> str:
    if not (value.is_above_zero or value.is_below_zero):
        return _cell(_number(value, figure))
    return _cell(_number(value, figure), "good" if value.is_above_zero == figure.more_is_better else "bad")
