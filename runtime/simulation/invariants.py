"""What holds of every run of every program, whatever it does.

    conservation       sent == handled + lost + dead letters + queued + in handling; after the end nothing is queued
    order              messages of one sender to one actor are handled in the order they were sent
    limits             no mailbox holds more than `messages_max`
    one at a time      no actor begins a message while another of its messages is in mid-way
    ends in order      children stop before their parents, and nothing happens in an actor that has stopped
    names              a name belongs to one living actor
    time               no deadline comes before its time, or before an earlier one; each ask ends by its own

The recorder notes those that show at the moment they happen; the rest is read
off the events and counters at the end.  Cost: linear in the number of events.
"""

from __future__ import annotations

from shoal.runtime.statistics import Counters

from .recording import Recorder

__all__ = ["broken"]


def broken(recorder: Recorder, counters: Counters, now_us: int) -> list[str]:
    """Sentences about what does not hold; empty if all is well."""
    return [*recorder.violations, *_counts(counters), *_lives(recorder), *_asks(recorder, now_us)]


def _counts(counters: Counters) -> list[str]:
    found = []
    dead = sum(counters.dead_letters.values())
    placed = counters.handled + counters.lost + dead + counters.queued + counters.handling
    if counters.sent != placed:
        found.append(
            f"{counters.sent} messages were sent, but {counters.handled} handled + {counters.lost} lost + {dead} dead "
            f"letters + {counters.queued} queued + {counters.handling} in handling are {placed}"
        )
    if min(counters.handling, counters.handled, counters.lost, counters.queued) < 0:
        found.append(
            f"{counters.handling} messages are in handling, {counters.handled} handled, {counters.lost} lost, "
            f"{counters.queued} queued: more ended than began"
        )
    if counters.actors < 0 or (counters.actors == 0 and (counters.queued or counters.handling)):
        found.append(
            f"with {counters.actors} actors left, {counters.queued} messages are queued and {counters.handling} in "
            "handling"
        )
    return found


def _lives(recorder: Recorder) -> list[str]:
    """Each path's life: spawn, then whatever, then stop; the parent's stop comes after it."""
    found = []
    alive: dict[str, None] = {}
    for now_us, what, path, rest in recorder.events:
        if what == "spawn":
            if path in alive:
                found.append(f"{path} was spawned at {now_us} us while an actor of that name lived")
            parent = path.rpartition("/")[0]
            if parent and parent not in alive:
                found.append(f"{path} was spawned at {now_us} us under a parent that did not live")
            alive[path] = None
        elif what == "stop":
            if path != "/" and path not in alive:
                found.append(f"{path} stopped at {now_us} us, but was not alive")
            alive.pop(path, None)
            left = [other for other in alive if other.startswith(path.rstrip("/") + "/")]
            if left:
                found.append(f"{path} stopped at {now_us} us before {', '.join(left)}")
        elif what in ("handle", "restart") and path not in alive:
            found.append(f"{path}: {what} {rest} at {now_us} us, after its stop")
    return found


def _asks(recorder: Recorder, now_us: int) -> list[str]:
    late = sum(1 for reply, deadline_us in recorder.asks if reply.is_waiting and deadline_us < now_us)
    return [f"{late} asks had not ended when their time was up"] if late else []
