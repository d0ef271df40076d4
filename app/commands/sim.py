"""shoal sim: policies against each other on simulated swarms, and recorded sessions again."""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console as Screen

from shoal.balancer.config import BalancerConfig
from shoal.balancer.errors import ConfigurationError, RecordingError
from shoal.balancer.recording import Replayed, lines_of, replay
from shoal.balancer.sim.compare import compare
from shoal.balancer.sim.outcome import Outcome
from shoal.balancer.sim.policies import LIGHT, NAMES, ORACLE
from shoal.balancer.sim.scenarios import SCENARIOS
from shoal.balancer.sim.traces import BadTrace, Trace, parse

from ..console import Console
from ..options import balancer_config
from ..sim import on_ray, plots
from ..sim.jobs import OURS, Crowd, Job, film, jobs_of, parse_fault, play
from ..sim.report import about, page
from ..sim.sweep import Kept, sweep
from ..sim.table import differences, figures

EXAMPLE = "shoal sim vod --viewers 10 --seeds 5"
VIEWERS_MAX = 100_000  # of these a run takes hours and gigabytes, or minutes with the light model
SEEDS_MAX = 10_000
_FILMS_MAX = 2  # ours and one beside it; each is a run more
_FILMED_VIEWERS_MAX = 1_000  # of more a picture of rows shows nothing, and the run takes long


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("scenario", nargs="?", choices=sorted(SCENARIOS), default="vod", help="what is simulated (vod)")
    parser.add_argument("--viewers", type=_count(VIEWERS_MAX), default=10, help="how many there are (10)")
    parser.add_argument("--seeds", type=_count(SEEDS_MAX), default=5, help="how many runs of each policy (5)")
    parser.add_argument(
        "--policies",
        default=",".join(NAMES),
        metavar="A,B",
        help=f"which, the first against the others (all: {', '.join(NAMES)}), or {LIGHT}: ours simplified, for crowds",
    )
    crowd = parser.add_argument_group("what goes wrong")
    crowd.add_argument("--polluters", type=_share, default=0.0, metavar="SHARE", help="viewers that send wrong bytes")
    crowd.add_argument("--free-riders", type=_share, default=0.0, metavar="SHARE", help="viewers that offer nothing")
    crowd.add_argument("--liars", type=_share, default=0.0, metavar="SHARE", help="viewers that say they hold all")
    crowd.add_argument("--leaving", type=float, metavar="SECONDS", help="viewers leave after so long, on average")
    crowd.add_argument(
        "--fault", action="append", default=[], metavar="CDN=KIND@BEGIN-END", help="as a=hang@20-40; may be repeated"
    )
    crowd.add_argument(
        "--traces",
        type=Path,
        nargs="+",
        metavar="DIR",
        help="lines of viewers, a set in each: files of `time_s Mbit/s`",
    )
    parser.add_argument("--config", metavar="FILE", help="settings of our balancer, TOML or JSON")
    parser.add_argument("--workers", type=_count(1024), help="processes (one for each core)")
    parser.add_argument(
        "--ray",
        nargs="?",
        const=on_ray.LOCAL,
        metavar="ADDRESS",
        help="run on that Ray cluster, or on one that is started here (pip install 'shoal[ray]')",
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help="keep every run there; a sweep goes on from it")
    parser.add_argument(
        "--html", type=Path, metavar="FILE", help="write a page with plots (pip install 'shoal[plots]')"
    )
    parser.add_argument("--plots", type=Path, metavar="DIR", help="write the plots by themselves, as PNG")
    again = parser.add_mutually_exclusive_group()
    again.add_argument("--replay", type=int, metavar="SEED", help="one seed of our policy, all of its outcome as JSON")
    again.add_argument(
        "--replay-session", type=Path, metavar="FILE", help="what --record or a page wrote, decided again"
    )


async def run(args: argparse.Namespace, console: Console) -> int:
    if args.replay_session is not None:
        return _replay_session(args.replay_session, console)
    if args.html is not None or args.plots is not None:
        plots.check()
    if args.ray is not None:
        on_ray.check()
    policies = _policies(args.policies)
    config = balancer_config(args.config)
    crowds = _crowds(args)
    if args.replay is not None:
        if len(crowds) > 1:
            raise ConfigurationError(f"--replay plays one run: give one folder of --traces, not {len(crowds)}")
        (crowd,) = crowds.values()
        outcome = play(Job(scenario=args.scenario, seed=args.replay, policy=OURS, crowd=crowd, config=config))
        sys.stdout.write(msgspec.json.encode(outcome).decode() + "\n")
        return 0
    return await _sweep(args, policies, crowds, config, console)


def _crowds(args: argparse.Namespace) -> dict[str, Crowd]:
    """What is played, by the name of its lines; without recorded ones, by the scenario's."""
    crowd = Crowd(
        viewers=args.viewers,
        polluters=args.polluters,
        free_riders=args.free_riders,
        liars=args.liars,
        leaving_s=args.leaving,
        faults=tuple(parse_fault(text) for text in args.fault),
    )
    if args.traces is None:
        return {args.scenario: crowd}
    names = [folder.resolve().name for folder in args.traces]
    if len(set(names)) < len(names):
        raise ConfigurationError(f"--traces: two folders have one name, of {names}; each set is called by its own")
    return {
        name: msgspec.structs.replace(crowd, traces=_traces(folder))
        for name, folder in zip(names, args.traces, strict=True)
    }


async def _sweep(
    args: argparse.Namespace, policies: list[str], crowds: dict[str, Crowd], config: BalancerConfig, console: Console
) -> int:
    seeds = range(1, args.seeds + 1)
    jobs = [job for crowd in crowds.values() for job in jobs_of(args.scenario, policies, seeds, crowd, config)]
    kept = None if args.out is None else Kept(args.out / "runs.jsonl")
    try:
        # On a thread, so that an interrupt reaches us at once.
        outcomes = await asyncio.to_thread(
            sweep, jobs, workers=args.workers, ray=args.ray, kept=kept, progress=_Progress(console.json)
        )
    finally:
        if kept is not None:
            kept.close()
    each = len(policies) * len(seeds)
    sets = {name: outcomes[place * each : (place + 1) * each] for place, name in enumerate(crowds)}
    for name, found in sets.items():
        _show(args, name, found, console)
    if args.html is not None or args.plots is not None:
        await asyncio.to_thread(_draw, args, sets, jobs, console)
    return 4 if any(outcome.wrong_bytes for outcome in outcomes if outcome.policy == OURS) else 0


def _show(args: argparse.Namespace, name: str, outcomes: list[Outcome], console: Console) -> None:
    comparisons = compare(outcomes)
    if console.json:
        for outcome in outcomes:
            figures_of = outcome.figures()
            console.event(
                "run", "", set=name, scenario=outcome.scenario, policy=outcome.policy, seed=outcome.seed, **figures_of
            )
        console.event("compared", "", set=name, comparisons=msgspec.to_builtins(comparisons))
        return
    screen = Screen(highlight=False)
    title = args.scenario if name == args.scenario else f"{args.scenario}, {name}"
    screen.print(figures(comparisons, f"{title}: {args.viewers} viewers, {args.seeds} seeds"))
    if len(comparisons) > 1:
        screen.print()
        screen.print(differences(comparisons))
    screen.print("\n± is half of the 95 % interval over seeds; differences are taken seed by seed.", style="dim")


def _draw(args: argparse.Namespace, sets: dict[str, list[Outcome]], jobs: list[Job], console: Console) -> None:
    """The page and the plots; the first seed of the first two policies is played once more, to be looked at."""
    filmed = [
        job
        for job in jobs
        if job.seed == jobs[0].seed and job.crowd == jobs[0].crowd and job.policy not in (ORACLE, LIGHT)
    ]
    films = {job.policy: film(job) for job in filmed[:_FILMS_MAX]} if args.viewers <= _FILMED_VIEWERS_MAX else {}
    written = []
    try:
        if args.html is not None:
            title = f"shoal sim {args.scenario}: {args.viewers} viewers, {args.seeds} seeds"
            text = page(title, about(args), sets, films, f"Seed {jobs[0].seed} over time, {next(iter(sets))}")
            args.html.parent.mkdir(parents=True, exist_ok=True)
            args.html.write_text(text, "utf-8")
            written.append(args.html)
        if args.plots is not None:
            args.plots.mkdir(parents=True, exist_ok=True)
            for name, figure in plots.all_of(sets, films).items():
                plots.save(figure, args.plots / f"{name}.png")
                written.append(args.plots / f"{name}.png")
    except OSError as error:
        raise ConfigurationError(f"{error.filename} cannot be written: {error.strerror}") from error
    console.event("drawn", f"written: {', '.join(map(str, written))}", files=[str(path) for path in written])


class _Progress:
    """A line on a terminal's stderr; elsewhere nothing."""

    def __init__(self, is_json: bool) -> None:
        self._is_shown = not is_json and sys.stderr.isatty()

    def __call__(self, done: int, everything: int) -> None:
        if self._is_shown:
            end = "\r" if done < everything else "\r\033[K"
            sys.stderr.write(f"{done} of {everything} runs{end}")
            sys.stderr.flush()


def _replay_session(path: Path, console: Console) -> int:
    try:
        with path.open("rb") as file:
            again = replay(lines_of(file))
    except OSError as error:
        raise RecordingError(f"{path} cannot be read: {error.strerror}") from error
    fields: dict[str, Any] = msgspec.to_builtins(again)
    if again.difference is None:
        text = f"{again.events} events, {again.actions} actions, all as recorded{_lost(again)}"
        console.event("replayed", text, **fields)
        return 0
    d = again.difference
    text = f"{path}:{d.line}: at {d.now_us} us {d.event}\n  recorded {list(d.recorded)}\n  now      {list(d.replayed)}"
    console.event("replayed", text, **fields)
    return 1


def _lost(again: Replayed) -> str:
    if not again.events_lost:
        return ""
    when = "" if again.lost_us is None else f", from {again.lost_us[0] / 1e6:.1f} to {again.lost_us[1] / 1e6:.1f} s,"
    why = f": {again.why_lost}" if again.why_lost else ""
    return f"; {again.events_lost} events at the end{when} were not recorded{why}"


def _policies(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    known = (*NAMES, LIGHT)
    if not names or len(set(names)) != len(names) or any(name not in known for name in names):
        raise ConfigurationError(f"--policies {text!r}: each once, of {', '.join(known)}")
    return names


def _traces(folder: Path) -> tuple[Trace, ...]:
    try:
        paths = sorted(path for path in folder.rglob("*") if path.is_file() and path.suffix in (".txt", ".log", ""))
        found = tuple(parse(path.read_text("utf-8"), name=str(path)) for path in paths if path.stem != "LICENSE")
    except OSError as error:
        raise ConfigurationError(f"--traces {folder} cannot be read: {error.strerror}") from error
    except (BadTrace, UnicodeDecodeError) as error:
        raise ConfigurationError(f"--traces {folder}: {error}") from error
    if not found:
        raise ConfigurationError(f"--traces {folder}: there is no file of `time_s Mbit/s` lines (.txt or .log) in it")
    return found


def _count(most: int) -> Any:
    def parsed(text: str) -> int:
        if not (text.isascii() and text.isdigit() and 1 <= int(text) <= most):
            raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 to {most}")
        return int(text)

    return parsed


def _share(text: str) -> float:
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a share, 0 to 1")
    return share
