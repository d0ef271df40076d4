"""Every program that holds on every schedule."""

from . import scenarios_of_ends, scenarios_of_life, scenarios_of_messages, scenarios_of_model

__all__ = ["PROGRAMS"]

PROGRAMS = [
    *scenarios_of_messages.SCENARIOS,
    *scenarios_of_life.SCENARIOS,
    *scenarios_of_ends.SCENARIOS,
    *scenarios_of_model.SCENARIOS,
]
