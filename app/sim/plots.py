"""The pictures of a sweep, drawn by matplotlib (`pip install 'shoal[plots]'`).

    figures(sets)        each policy's mean over seeds, with its 95 % interval and each seed
    differences(sets)    the first policy minus each other, seed by seed: left or right of nothing
    swarm(films)         one seed over time: who sends, who waits, which segments are where

A set is a name (of its recorded lines) with the outcomes played on it.  Each function
gives a matplotlib figure; `svg` and `save` write one, the same bytes for the same input.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from shoal.balancer.errors import ConfigurationError
from shoal.balancer.sim.compare import FIGURES, Comparison, Figure, Interval, compare
from shoal.balancer.sim.film import ABSENT, PEERS, WAITING, Film
from shoal.balancer.sim.outcome import Outcome

__all__ = ["DRAWN", "all_of", "check", "differences", "figures", "save", "svg", "swarm"]

Sets = Mapping[str, Sequence[Outcome]]

DRAWN = ("offload", "stall_s", "startup_s", "bitrate", "cost_per_gb")  # of FIGURES: what one chooses a policy by
GOOD, BAD, OPEN = "#2b7a4b", "#b3372f", "#8a8f96"
COLOURS = {  # ours stands out; the same policy has the same colour in every picture
    "shoal": "#c8553d",
    "p2p-media-loader": "#3b7ea1",
    "hls.js": "#6b8f71",
    "one-cdn": "#8d99ae",
    "cheapest-cdn": "#5b8a8a",
    "round-robin": "#a68a64",
    "best-score": "#7d6b9d",
    "oracle": "#444444",
}
SOURCES = ("#2f6fb5", "#6fa8dc", "#b6d3ee", "#4d5f86")  # CDNs; peers have a colour of their own
PEERS_COLOUR = "#e0a030"
_BY_MAGNITUDE = ("stall_s",)  # a policy without failover stalls a hundred times as long: linear only up to 1 s
_SEEDS_MAX = 60  # strokes of one policy; more are a bar
_SETTINGS: Any = {
    "svg.hashsalt": "shoal",  # else ids in the file are random
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "figure.facecolor": "white",
}


def check() -> None:
    """ConfigurationError where matplotlib is not installed; before hours of runs, and not after."""
    try:
        import matplotlib as mpl  # noqa: F401
    except ImportError:
        raise ConfigurationError(
            "pictures are matplotlib's, which is not installed: pip install 'shoal[plots]'"
        ) from None


def figures(sets: Sets) -> Any:
    """Rows: sets; columns: figures; in each the policies, one below the other."""
    figure, axes, chosen = _grid(sets, "Means over seeds with their 95 % intervals; a stroke is a seed")
    for row, outcomes in enumerate(sets.values()):
        comparisons = compare(outcomes)
        for column, what in enumerate(chosen):
            _draw_figures(axes[row][column], comparisons, outcomes, what)
    return figure


def differences(sets: Sets) -> Any:
    """As `figures`: the first policy minus each other; coloured where the interval excludes nothing."""
    figure, axes, chosen = _grid(sets, f"{_first(sets)} minus the others, seed by seed: green is surely better", less=1)
    for row, outcomes in enumerate(sets.values()):
        others = compare(outcomes)[1:]
        for column, what in enumerate(chosen):
            _draw_differences(axes[row][column], others, what)
    return figure


def swarm(films: Mapping[str, Film]) -> Any:
    """A column for each policy: what sources send, what viewers have buffered, where segments are."""
    plt = _pyplot()
    figure, axes = plt.subplots(
        3, len(films), figsize=(6.2 * len(films) + 0.8, 9), squeeze=False, sharex="col", layout="constrained"
    )
    most = max(
        sum(film.rates[name][at] for name in film.rates) for film in films.values() for at in range(len(film.seconds))
    )
    for column, (policy, film) in enumerate(films.items()):
        _draw_rates(axes[0][column], film, most, policy)
        waiting = _draw_buffers(plt, axes[1][column], film)
        held = _draw_held(axes[2][column], film)
        axes[2][column].set_xlabel("seconds")
        if column == len(films) - 1:
            figure.colorbar(waiting, ax=axes[1][column], label="buffered, s", pad=0.01)
            figure.colorbar(held, ax=axes[2][column], label="share of viewers", pad=0.01)
    return figure


def all_of(sets: Sets, films: Mapping[str, Film]) -> dict[str, Any]:
    """Those that there is something to draw of, by name."""
    found = {"figures": figures(sets)}
    if any(len({outcome.policy for outcome in outcomes}) > 1 for outcomes in sets.values()):
        found["differences"] = differences(sets)
    if films:
        found["swarm"] = swarm(films)
    return found


def svg(figure: Any) -> str:
    """The picture as SVG text, and the end of the figure."""
    with _pyplot().rc_context(_SETTINGS):
        out = io.StringIO()
        figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
        _pyplot().close(figure)
    return out.getvalue()


def save(figure: Any, path: Path) -> None:
    """The picture as a file of the format that its name ends in, and the end of the figure."""
    with _pyplot().rc_context(_SETTINGS):
        figure.savefig(path, dpi=110, metadata={"Date": None} if path.suffix == ".svg" else {"Software": None})
        _pyplot().close(figure)


def _pyplot() -> Any:
    import matplotlib as mpl

    mpl.use("Agg")  # draws without a screen
    import matplotlib.pyplot as plt

    plt.rcParams.update(_SETTINGS)
    return plt


def _first(sets: Sets) -> str:
    return next(iter(sets.values()))[0].policy


def _grid(sets: Sets, title: str, *, less: int = 0) -> tuple[Any, Any, list[Figure]]:
    chosen = [figure for key in DRAWN for figure in FIGURES if figure.key == key]
    policies = max(len(dict.fromkeys(outcome.policy for outcome in outcomes)) for outcomes in sets.values()) - less
    height = len(sets) * (0.27 * policies + 0.75) + 0.7
    figure, axes = _pyplot().subplots(
        len(sets), len(chosen), figsize=(13, height), squeeze=False, sharey="row", layout="constrained"
    )
    figure.suptitle(title, x=0.01, ha="left", fontsize=11)
    for row, name in enumerate(sets):
        for column, what in enumerate(chosen):
            axes[row][column].grid(axis="x", alpha=0.3)
            axes[row][column].set_axisbelow(True)
            axes[row][column].tick_params(axis="y", length=0)
            if what.key in _BY_MAGNITUDE:
                axes[row][column].set_xscale("symlog", linthresh=1.0)
                axes[row][column].xaxis.set_major_formatter("{x:g}")
            else:
                axes[row][column].locator_params(axis="x", nbins=4)
            if row == 0:
                wish = "more is better" if what.more_is_better else "less is better"
                unit = what.unit if what.key != "offload" else "share of bytes"
                name_of = "from peers" if what.key == "offload" else what.title
                axes[row][column].set_title(f"{name_of}, {unit}\n({wish})")
        axes[row][0].set_ylabel(name, rotation=0, ha="right", va="center", fontweight="bold", labelpad=8)
    return figure, axes, chosen


def _draw_figures(axis: Any, comparisons: Sequence[Comparison], outcomes: Sequence[Outcome], what: Figure) -> None:
    for place, comparison in enumerate(comparisons[::-1]):
        colour = COLOURS.get(comparison.policy, OPEN)
        seeds = [o.figures()[what.key] / what.scale for o in outcomes if o.policy == comparison.policy]
        if len(seeds) <= _SEEDS_MAX:
            axis.plot(seeds, [place] * len(seeds), "|", color="black", alpha=0.5, markersize=7, zorder=3)
        _bar(axis, place, comparison.figures[what.key], what, colour)
    axis.set_yticks(range(len(comparisons)), [comparison.policy for comparison in comparisons[::-1]])
    axis.set_ylim(-0.6, len(comparisons) - 0.4)
    ends = [_ends(comparison.figures[what.key], what) for comparison in comparisons]
    axis.set_xlim(0, 1.06 * max(_least(what), *(end for _, end in ends)))


def _draw_differences(axis: Any, others: Sequence[Comparison], what: Figure) -> None:
    for place, comparison in enumerate(others[::-1]):
        found = comparison.difference[what.key]
        sure = found.is_above_zero or found.is_below_zero
        colour = OPEN if not sure else GOOD if found.is_above_zero == what.more_is_better else BAD
        _bar(axis, place, found, what, colour)
    ends = [_ends(comparison.difference[what.key], what) for comparison in others]
    most = 1.06 * max(_least(what), *(end for _, end in ends))
    axis.set_xlim(1.06 * min(-_least(what), *(begin for begin, _ in ends)), most)
    axis.axvline(0, color="black", linewidth=1)
    axis.set_yticks(range(len(others)), [comparison.policy for comparison in others[::-1]])
    axis.set_ylim(-0.6, len(others) - 0.4)


def _ends(value: Interval, what: Figure) -> tuple[float, float]:
    half = value.half or 0.0
    return (value.mean - half) / what.scale, (value.mean + half) / what.scale


def _least(what: Figure) -> float:
    """The axis goes at least so far: what is less is nothing in the tables."""
    return float(10.0 ** (1 - what.digits))


def _bar(axis: Any, place: int, value: Interval, what: Figure, colour: str) -> None:
    half = None if value.half is None else value.half / what.scale
    axis.errorbar(
        value.mean / what.scale, place, xerr=half, fmt="o", color=colour, markersize=5, capsize=3, linewidth=2
    )


def _draw_rates(axis: Any, film: Film, most: float, title: str) -> None:
    names = [name for name in film.rates if name != PEERS]
    colours = [SOURCES[place % len(SOURCES)] for place in range(len(names))]
    rows = [[rate * 8 / 1e6 for rate in film.rates[name]] for name in (*names, PEERS)]
    labels = [*(f"CDN {name}" for name in names), PEERS]
    axis.stackplot(film.seconds, rows, labels=labels, colors=[*colours, PEERS_COLOUR], step="pre", linewidth=0)
    axis.set_ylim(0, max(most, 1.0) * 8 / 1e6 * 1.05)
    axis.set_ylabel("sent to viewers, Mbit/s")
    axis.set_title(title, fontweight="bold")
    axis.legend(loc="upper right", fontsize="small", ncols=len(labels), frameon=False)


def _draw_buffers(plt: Any, axis: Any, film: Film) -> Any:
    """A row for each viewer; grey before it comes and after it has gone, red while it waits."""
    import numpy as np

    seen = np.array(film.buffers).T
    seen = seen[np.argsort((seen > ABSENT).argmax(axis=1), kind="stable")]
    shown = np.ma.masked_where(seen < WAITING, seen)
    colours = plt.get_cmap("YlGnBu").with_extremes(under=BAD, bad="#eeeeee")
    end = film.seconds[-1] if film.seconds else 1.0
    picture = axis.imshow(
        shown, aspect="auto", interpolation="nearest", cmap=colours, vmin=0.0, extent=(0, end, len(seen), 0)
    )
    axis.set_ylabel("viewers, as they come\n(red: waits)")
    return picture


def _draw_held(axis: Any, film: Film) -> Any:
    """A row for each segment: how it spreads."""
    import numpy as np

    count = max((len(row) for row in film.held), default=1)
    first = next((at for at in range(count) if any(len(row) > at and row[at] > 0 for row in film.held)), 0)
    seen = np.array([[*row, *[0.0] * (count - len(row))][first:] for row in film.held]).T
    shown = np.ma.masked_where(seen <= 0.0, seen)
    end = film.seconds[-1] if film.seconds else 1.0
    picture = axis.imshow(
        shown,
        aspect="auto",
        interpolation="nearest",
        cmap="viridis",
        vmin=0.0,
        vmax=1.0,
        origin="lower",
        extent=(0, end, first, count),
    )
    axis.set_ylabel("segments held")
    return picture
