"""A system's figures for Prometheus, through the package prometheus-client.

    from shoal.runtime.extras.prometheus import register

    register(system)                       # in the default registry
    prometheus_client.start_http_server(9000)

Figures are taken when Prometheus asks, from a snapshot: nothing is counted
twice, and nothing is done in between.  A scrape from another thread, as the
server above makes it, waits until the system's loop has made the snapshot.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

from shoal.runtime.errors import NotAvailable

if TYPE_CHECKING:
    from shoal.runtime.statistics import ActorSnapshot, Counters, Snapshot
    from shoal.runtime.system import ActorSystem

__all__ = ["SystemCollector", "register"]

_COUNTERS = {
    "sent": "Messages taken by tell, ask or send.",
    "handled": "Messages handled.",
    "lost": "Messages lost in a handler that raised or was cancelled.",
    "refused": "Calls that raised MailboxFull.",
    "late_replies": "Answers for which nobody waited any more.",
    "restarts": "Restarts of actors.",
    "failures": "Failures of actors.",
}
_GAUGES = {
    "queued": "Messages that wait in mailboxes.",
    "handling": "Messages in handlers.",
    "actors": "Living actors.",
}


class SystemCollector:
    """What prometheus-client calls a custom collector."""

    def __init__(self, system: ActorSystem, *, name: str, actors_max: int, timeout_s: float) -> None:
        self._system = system
        self._name = name
        self._actors_max = actors_max
        self._timeout_s = timeout_s

    def describe(self) -> list[Any]:
        """Nothing: a system that has not started has no figures, and may be registered."""
        return []

    def collect(self) -> Iterator[Any]:
        snapshot = self._take()
        if snapshot is None:
            return
        yield from self._of_system(snapshot.counters)
        yield from self._of_loop(snapshot)
        yield from self._of_actors([actor for actor in snapshot.actors if "/$" not in actor.path][: self._actors_max])

    def _take(self) -> Snapshot | None:
        """None of a system that has not started: it has no figures, and others in the registry have theirs."""
        life = self._system._life  # noqa: SLF001, extras belong to the runtime
        loop = life.loop
        if not life.was_started:
            return None
        if loop is None or loop is _running_loop() or loop.is_closed():  # a closed one runs nobody: the last figures
            return self._system.snapshot()
        taken: Future[Snapshot] = Future()

        def take() -> None:
            try:
                taken.set_result(self._system.snapshot())
            except Exception as error:  # the scraping thread's to raise
                taken.set_exception(error)

        loop.call_soon_threadsafe(take)
        try:
            return taken.result(self._timeout_s)
        except TimeoutError as error:
            raise NotAvailable(f"the system's loop gave no snapshot in {self._timeout_s} s; is it blocked?") from error

    def _of_system(self, counters: Counters) -> Iterator[Any]:
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        for key, text in _COUNTERS.items():
            counter = CounterMetricFamily(f"shoal_{key}", text, labels=["system"])
            counter.add_metric([self._name], getattr(counters, key))
            yield counter
        for key, text in _GAUGES.items():
            gauge = GaugeMetricFamily(f"shoal_{key}", text, labels=["system"])
            gauge.add_metric([self._name], getattr(counters, key))
            yield gauge
        dead = CounterMetricFamily("shoal_dead_letters", "Messages nobody handled.", labels=["system", "reason"])
        for reason, count in counters.dead_letters.items():
            dead.add_metric([self._name, reason], count)
        yield dead
        dropped = CounterMetricFamily("shoal_events_dropped", "Events not heard.", labels=["system", "reason"])
        for reason, count in counters.events_dropped.items():
            dropped.add_metric([self._name, reason], count)
        yield dropped

    def _of_loop(self, snapshot: Snapshot) -> Iterator[Any]:
        from prometheus_client.core import GaugeMetricFamily

        delay = GaugeMetricFamily(
            "shoal_loop_delay_seconds", "How late the loop's callbacks come.", labels=["system", "quantile"]
        )
        delay.add_metric([self._name, "0.5"], snapshot.loop_delay.p50_us / 1e6)
        delay.add_metric([self._name, "0.99"], snapshot.loop_delay.p99_us / 1e6)
        yield delay

    def _of_actors(self, actors: list[ActorSnapshot]) -> Iterator[Any]:
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

        labels = ["system", "actor"]
        queued = GaugeMetricFamily("shoal_actor_queued", "Messages that wait for the actor.", labels=labels)
        peak = GaugeMetricFamily("shoal_actor_queued_peak", "The most that have waited.", labels=labels)
        restarts = CounterMetricFamily("shoal_actor_restarts", "Restarts of the actor.", labels=labels)
        handled = CounterMetricFamily("shoal_actor_handled", "Messages the actor took.", labels=labels)
        run_time = CounterMetricFamily("shoal_actor_run_seconds", "Time in its handlers.", labels=labels)
        waits = HistogramMetricFamily(
            "shoal_actor_wait_seconds", "From having something to do until it ran.", labels=labels
        )
        for actor in actors:
            values = [self._name, actor.path]
            queued.add_metric(values, actor.queued)
            restarts.add_metric(values, actor.restarts)
            if actor.metrics is None:
                continue
            peak.add_metric(values, actor.metrics.queued_peak)
            handled.add_metric(values, actor.metrics.handled)
            run_time.add_metric(values, actor.metrics.run_time_us / 1e6)
            waits.add_metric(values, _buckets(actor.metrics.waits_log2), None)
        yield from (queued, peak, restarts, handled, run_time, waits)


def register(
    system: ActorSystem,
    registry: Any = None,
    *,
    name: str = "default",
    actors_max: int = 200,
    timeout_s: float = 5.0,
) -> SystemCollector:
    """Have a system's figures in a registry (the default one if None); `registry.unregister` takes them out.

    `name` is the label `system`.  Actors with names have lines of their own, at
    most `actors_max`, since each is a time series; those of `metrics=True` are
    there only then.  NotAvailable without prometheus-client.
    """
    try:
        import prometheus_client
    except ImportError as error:
        raise NotAvailable("figures for Prometheus need a package; pip install prometheus-client") from error
    collector = SystemCollector(system, name=name, actors_max=actors_max, timeout_s=timeout_s)
    (registry or prometheus_client.REGISTRY).register(collector)
    return collector


def _buckets(counts: tuple[int, ...]) -> list[tuple[str, float]]:
    """Cumulative, by upper bound in seconds."""
    found, seen = [], 0
    for bucket, count in enumerate(counts[:-1]):
        seen += count
        found.append((str((1 << bucket) / 1e6), float(seen)))
    return [*found, ("+Inf", float(seen + counts[-1]))]


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
