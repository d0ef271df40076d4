"""Spans of handled messages."""

import asyncio
import builtins
import logging

import pytest

from shoal.runtime import Actor, ActorSystem, HandlerFailed, NotAvailable
from shoal.runtime.extras.opentelemetry import trace
from shoal.runtime.testing import ManualSystem, run_virtual

pytest.importorskip("opentelemetry.sdk.trace")

from opentelemetry import trace as api
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter


class Worker(Actor):
    def receive(self, message):
        if message == "async":
            return self.slow()
        if message == "steps":
            return self.steps()
        if message == "fail":
            raise ValueError(message)
        return message

    async def slow(self):
        with api.get_tracer("test", tracer_provider=self.provider).start_as_current_span("inner"):
            await asyncio.sleep(1)
        return "slow"

    def steps(self):
        yield
        yield
        return "stepped"


@pytest.fixture
def provider():
    provider = TracerProvider()
    provider.exporter = InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(provider.exporter))
    Worker.provider = provider
    yield provider
    provider.shutdown()


def test_a_handled_message_is_a_span_with_path_and_type(provider):
    system = ManualSystem()
    trace(system, tracer_provider=provider)
    reply = system.spawn(Worker, name="w").ask("steps")
    system.run_until_idle()
    (span,) = provider.exporter.get_finished_spans()
    assert reply.result() == "stepped"
    assert span.name == "receive str"
    assert dict(span.attributes) == {"shoal.actor": "/w", "shoal.message": "str"}
    system.shut_down()


def test_a_span_lasts_until_the_coroutine_is_through_and_is_parent_of_its_spans(provider):
    async def main():
        async with ActorSystem() as system:
            trace(system, tracer_provider=provider)
            return await system.spawn(Worker).ask("async")

    assert run_virtual(main()) == "slow"
    inner, outer = provider.exporter.get_finished_spans()
    assert inner.parent.span_id == outer.context.span_id
    assert outer.end_time >= inner.end_time


def test_a_span_carries_the_error_of_its_handler(provider, caplog):
    caplog.set_level(logging.CRITICAL, "shoal.runtime")
    system = ManualSystem()
    trace(system, tracer_provider=provider)
    reply = system.spawn(Worker).ask("fail")
    system.run_until_idle()
    assert isinstance(reply.value, HandlerFailed)
    (span,) = provider.exporter.get_finished_spans()
    assert not span.status.is_ok
    assert [event.name for event in span.events] == ["exception"]
    system.shut_down()


def test_actors_that_started_before_are_left_as_they_are(provider):
    system = ManualSystem()
    ref = system.spawn(Worker)
    trace(system, tracer_provider=provider)
    ref.tell("x")
    system.run_until_idle()
    assert provider.exporter.get_finished_spans() == ()
    system.shut_down()


def test_without_the_package_the_error_says_what_to_install(monkeypatch):
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name.startswith("opentelemetry"):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(NotAvailable, match="pip install opentelemetry-api"):
        trace(ActorSystem())
