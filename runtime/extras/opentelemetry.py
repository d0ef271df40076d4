"""A span for each message handled, through the package opentelemetry-api.

    from shoal.runtime.extras.opentelemetry import trace

    trace(system)        # actors that start or restart from now on have spans

A span lasts from the handler's call until its coroutine or generator is through;
it carries the actor's path and the message's type, and the error if it raised.
Spans that a handler opens are its children.  Nothing is carried from the sender
to the receiver: messages have no room for a context, so each span is a root
unless the handler runs in a context that has one.

A system without this call pays nothing, not even the import.
"""

from __future__ import annotations

from types import CoroutineType, GeneratorType
from typing import TYPE_CHECKING, Any

from shoal.runtime.errors import NotAvailable

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from shoal.runtime.core.cell import Cell
    from shoal.runtime.system import ActorSystem

__all__ = ["trace"]


def trace(system: ActorSystem, *, tracer_provider: Any = None) -> None:
    """Make spans, by the global tracer provider if none is given.  NotAvailable without opentelemetry-api."""
    try:
        from opentelemetry import trace as api
    except ImportError as error:
        raise NotAvailable("spans need a package; pip install opentelemetry-api") from error
    tracer = api.get_tracer("shoal.runtime", tracer_provider=tracer_provider)

    def instrument(cell: Cell, function: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
        path = cell.path()

        def receive(actor: Any, message: Any) -> Any:
            kind = type(message).__name__
            span = tracer.start_span(f"receive {kind}", attributes={"shoal.actor": path, "shoal.message": kind})
            is_over = True
            try:
                with api.use_span(span, end_on_exit=False, record_exception=True, set_status_on_exception=True):
                    result = function(actor, message)
                if type(result) is CoroutineType:
                    is_over = False
                    return _in_span(api, span, result)
                if type(result) is GeneratorType:
                    is_over = False
                    return _steps_in_span(api, span, result)
                return result
            finally:
                if is_over:
                    span.end()

        return receive

    system._life.observe(instrument)  # noqa: SLF001, extras belong to the runtime


async def _in_span(api: Any, span: Any, coroutine: Any) -> Any:
    with api.use_span(span, end_on_exit=True, record_exception=True, set_status_on_exception=True):
        return await coroutine


def _steps_in_span(api: Any, span: Any, generator: Generator[Any, Any, Any]) -> Generator[Any, Any, Any]:
    """The span is not current while others run between two steps."""
    try:
        while True:
            with api.use_span(span, end_on_exit=False, record_exception=True, set_status_on_exception=True):
                try:
                    step = next(generator)
                except StopIteration as stop:
                    return stop.value
            yield step
    finally:
        generator.close()
        span.end()
