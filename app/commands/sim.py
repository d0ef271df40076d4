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
from shoal.balancer.recording import replay
from shoal.balancer.sim.compare import compare
from shoal.balancer.sim.outcome import Outcome
from shoal.balancer.sim.policies import NAMES
from shoal.balancer.sim.scenarios import SCENARIOS
from shoal.balancer.sim.traces import BadTrace, Trace, parse

from ..console import Console
from ..options import balancer_config
from ..sim.jobs import OURS, Crowd, Job, jobs_of, parse_fault, play
from ..sim.sweep import Kept, sweep
from ..sim.table import differences, figures

EXAMPLE = "shoal sim vod --viewers 10 --seeds 5"
VIEWERS_MAX = 100_000  # beyond, a run takes days
SEEDS_MAX = 10_000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("scenario", nargs="?", choices=sorted(SCENARIOS), default="vod", help="what is simulated (vod)")
    parser.add_argument("--viewers", type=_count(VIEWERS_MAX), default=10, help="how many there are (10)")
    parser.add_argument("--seeds", type=_count(SEEDS_MAX), default=5, help="how many runs of each policy (5)")
    parser.add_argument(
        "--policies",
        default=",".join(NAMES),
        metavar="A,B",
        help=f"which, the first against the others (all: {', '.join(NAMES)})",
    )
    crowd = parser.add_argument_group("what goes wrong")
    crowd.add_argument("--polluters", type=_share, default=0.0, metavar="SHARE", help="viewers that send wrong bytes")
    crowd.add_argument("--free-riders", type=_share, default=0.0, metavar="SHARE", help="viewers that offer nothing")
    crowd.add_argument("--liars", type=_share, default=0.0, metavar="SHARE", help="viewers that say they hold all")
    crowd.add_argument("--leaving", type=float, metavar="SECONDS", help="viewers leave after so long, on average")
    crowd.add_argument(
        "--fault", action="append", default=[], metavar="CDN=KIND@BEGIN-END", help="as a=hang@20-40; may be repeated"
    )
    crowd.add_argument("--traces", type=Path, metavar="DIR", help="lines of viewers: files of `time_s Mbit/s`")
    parser.add_argument("--config", metavar="FILE", help="settings of our balancer, TOML or JSON")
    parser.add_argument("--workers", type=_count(1024), help="processes (one for each core)")
    parser.add_argument("--out", type=Path, metavar="DIR", help="keep every run there; a sweep goes on from it")
    again = parser.add_mutually_exclusive_group()
    again.add_argument("--replay", type=int, metavar="SEED", help="one seed of our policy, all of its outcome as JSON")
    again.add_argument("--replay-session", type=Path, metavar="FILE", help="what --record wrote, decided again")


async def run(args: argparse.Namespace, console: Console) -> int:
    if args.replay_session is not None:
        return _replay_session(args.replay_session, console)
    policies = _policies(args.policies)
    crowd = Crowd(
        viewers=args.viewers,
        polluters=args.polluters,
        free_riders=args.free_riders,
        liars=args.liars,
        leaving_s=args.leaving,
        faults=tuple(parse_fault(text) for text in args.fault),
        traces=_traces(args.traces),
    )
    config = balancer_config(args.config)
    if args.replay is not None:
        outcome = play(Job(scenario=args.scenario, seed=args.replay, policy=OURS, crowd=crowd, config=config))
        sys.stdout.write(msgspec.json.encode(outcome).decode() + "\n")
        return 0
    return await _sweep(args, policies, crowd, config, console)


async def _sweep(
    args: argparse.Namespace, policies: list[str], crowd: Crowd, config: BalancerConfig, console: Console
) -> int:
    jobs = jobs_of(args.scenario, policies, range(1, args.seeds + 1), crowd, config)
    kept = None if args.out is None else Kept(args.out / "runs.jsonl")
    try:
        # On a thread, so that an interrupt reaches us at once.
        outcomes = await asyncio.to_thread(
            sweep, jobs, workers=args.workers, kept=kept, progress=_Progress(console.json)
        )
    finally:
        if kept is not None:
            kept.close()
    _show(args, outcomes, console)
    return 4 if any(outcome.wrong_bytes for outcome in outcomes if outcome.policy == OURS) else 0


def _show(args: argparse.Namespace, outcomes: list[Outcome], console: Console) -> None:
    comparisons = compare(outcomes)
    if console.json:
        for outcome in outcomes:
            console.event(
                "run", "", scenario=outcome.scenario, policy=outcome.policy, seed=outcome.seed, **outcome.figures()
            )
        console.event("compared", "", comparisons=msgspec.to_builtins(comparisons))
        return
    screen = Screen(highlight=False)
    title = f"{args.scenario}: {args.viewers} viewers, {args.seeds} seeds"
    screen.print(figures(comparisons, title))
    if len(comparisons) > 1:
        screen.print()
        screen.print(differences(comparisons))
    screen.print("\n± is half of the 95 % interval over seeds; differences are taken seed by seed.", style="dim")


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
        with path.open("rb") as lines:
            again = replay(lines)
    except OSError as error:
        raise RecordingError(f"{path} cannot be read: {error.strerror}") from error
    fields: dict[str, Any] = msgspec.to_builtins(again)
    lost = f"; {again.events_lost} events at the end were not recorded" if again.events_lost else ""
    if again.difference is None:
        console.event("replayed", f"{again.events} events, {again.actions} actions, all as recorded{lost}", **fields)
        return 0
    d = again.difference
    text = f"{path}:{d.line}: at {d.now_us} us {d.event}\n  recorded {list(d.recorded)}\n  now      {list(d.replayed)}"
    console.event("replayed", text, **fields)
    return 1


def _policies(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    unknown = [name for name in names if name not in NAMES]
    if unknown or not names or len(set(names)) != len(names):
        raise ConfigurationError(f"--policies {text!r}: each once, of {', '.join(NAMES)}")
    return names


def _traces(folder: Path | None) -> tuple[Trace, ...]:
    if folder is None:
        return ()
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
