"""The table of a sweep: a row for each policy, and below it ours against each, seed by seed."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from shoal.balancer.sim.compare import FIGURES, Comparison, Figure, Interval

__all__ = ["differences", "figures"]


def figures(comparisons: Sequence[Comparison], title: str) -> Table:
    """Means over seeds, with half of their 95 % intervals."""
    table = _table(title)
    for row in comparisons:
        table.add_row(row.policy, *(_number(row.figures[f.key], f) for f in FIGURES))
    return table


def differences(comparisons: Sequence[Comparison]) -> Table:
    """The first policy minus each other, seed by seed; green where it is surely better, red where surely worse."""
    table = _table(f"{comparisons[0].policy}, minus")
    for row in comparisons[1:]:
        table.add_row(row.policy, *(_judged(row.difference[f.key], f) for f in FIGURES))
    return table


def _table(title: str) -> Table:
    # 78 columns: an interval stands below its mean.
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("policy", no_wrap=True)
    for figure in FIGURES:
        table.add_column(f"{figure.title}\n{figure.unit}", justify="right", no_wrap=True)
    return table


def _number(value: Interval, figure: Figure) -> str:
    mean, half = (f"{part / figure.scale:.{figure.digits}f}" for part in (value.mean, value.half or 0.0))
    mean = mean.removeprefix("-") if not float(mean) else mean
    return f"{mean}\n±{half}" if float(half) else mean


def _judged(value: Interval, figure: Figure) -> Text:
    text = Text(_number(value, figure))
    if value.is_above_zero or value.is_below_zero:
        text.stylize("green" if value.is_above_zero == figure.more_is_better else "red")
    return text
