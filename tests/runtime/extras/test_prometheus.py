"""What Prometheus gets to see."""

import asyncio
import builtins
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from shoal.runtime import Actor, ActorSystem, MailboxSettings, NotAvailable
from shoal.runtime.extras.prometheus import register
from shoal.runtime.testing import ManualSystem

prometheus_client = pytest.importorskip("prometheus_client")


class Worker(Actor):
    def receive(self, message):
        return message


def exposition(system, **options):
    registry = prometheus_client.CollectorRegistry()
    register(system, registry, **options)
    return prometheus_client.generate_latest(registry).decode()


def test_the_exposition_has_the_systems_counters_and_named_actors():
    system = ManualSystem(metrics=True)
    ref = system.spawn(Worker, name="one")
    system.spawn(Worker).tell("unnamed")
    for _ in range(3):
        ref.tell("x")
    system.run_until_idle()
    text = exposition(system, name="test")
    for line in (
        'shoal_sent_total{system="test"} 4.0',
        'shoal_actors{system="test"} 2.0',
        'shoal_actor_handled_total{actor="/one",system="test"} 3.0',
        'shoal_actor_queued_peak{actor="/one",system="test"} 3.0',
        'shoal_actor_wait_seconds_bucket{actor="/one",le="+Inf",system="test"} 0.0',
    ):
        assert line in text
    assert 'actor="/$' not in text
    system.shut_down()


def test_dead_letters_are_by_reason():
    system = ManualSystem()
    ref = system.spawn(Worker)
    ref.stop()
    system.run_until_idle()
    ref.tell("late")
    assert 'shoal_dead_letters_total{reason="stopped",system="default"} 1.0' in exposition(system)
    system.shut_down()


def test_the_number_of_actors_with_lines_of_their_own_is_bounded():
    system = ManualSystem()
    for n in range(5):
        system.spawn(Worker, name=f"w{n}")
    text = exposition(system, actors_max=2)
    assert text.count("shoal_actor_queued{") == 2
    system.shut_down()


def test_a_scrape_from_another_thread_gets_its_snapshot_from_the_loop():
    async def main():
        async with ActorSystem() as system:
            await system.spawn(Worker, name="one").ask("x")
            return await asyncio.to_thread(exposition, system)

    assert 'shoal_handled_total{system="default"} 1.0' in asyncio.run(main())


def test_a_scrape_of_a_blocked_loop_fails_in_time():
    async def main():
        async with ActorSystem() as system:
            with ThreadPoolExecutor(1) as pool:
                scrape = pool.submit(exposition, system, timeout_s=0.05)
                with pytest.raises(NotAvailable, match="blocked"):
                    scrape.result(timeout=60)  # which blocks the loop: that is what this is about

    asyncio.run(main())


def test_without_the_package_the_error_says_what_to_install(monkeypatch):
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name.startswith("prometheus_client"):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(NotAvailable, match="pip install prometheus-client"):
        register(ActorSystem())


def test_the_runtime_and_its_extras_import_no_package_by_themselves():
    code = (
        "import sys, shoal.runtime, shoal.runtime.extras.prometheus, shoal.runtime.extras.opentelemetry\n"
        "print([m for m in sys.modules if m.startswith(('prometheus_client', 'opentelemetry'))])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"


def test_events_that_were_dropped_are_by_reason():
    system = ManualSystem()
    system.events.subscribe(int, system.spawn(Worker, mailbox=MailboxSettings(1)))
    for number in range(3):
        system.events.publish(number)
    assert 'shoal_events_dropped_total{reason="mailbox_full",system="default"} 2.0' in exposition(system)
    system.shut_down()
