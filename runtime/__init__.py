"""Actors, mailboxes and schedulers; knows nothing of video, HTTP or browsers.

actor, ref, system      what users write and hold
dispatch, routers       handlers by type of message; several actors behind one ref
supervision, errors     what becomes of failures
events, streams, messages, statistics
                        what the runtime says of itself
life, ending, failing   how actors begin, end and fail; handling, keeping, belongings: what they may do meanwhile
extras/                 Prometheus and OpenTelemetry, imported by whoever wants them
core/                   what runs for every message; compiled
drivers/                who calls it: one module for each event loop
modes, crew, branch     actors on threads of their own; turns, watchdog, outsider belong to it
testing                 virtual time, probes, simulation by seeds
simulation/             what `testing` runs them with; imported by nothing else
"""

from .actor import Actor
from .clock import Clock, ManualClock, SystemClock
from .core.mailbox import Overflow
from .core.reply import Reply
from .dispatch import handler
from .drivers.base import TaskHandle
from .errors import (
    ActorError,
    ActorStopped,
    AskDropped,
    AskError,
    AskTimedOut,
    BehaviourLimit,
    ChildFailed,
    HandlerBlocked,
    HandlerFailed,
    LinkBroken,
    MailboxFull,
    NameTaken,
    NoRoutee,
    NotAvailable,
    NotHandlingAsk,
    NotInHand,
    StashFull,
    SystemNotRunning,
    ThreadsUnavailable,
    UnhandledMessage,
    WrongThread,
)
from .events import Events, EventSubscription
from .messages import DeadLetter, DeadLetterReason, Failure, MailboxSettings, NameChanged, StopReason, Terminated
from .ref import ActorRef
from .routers import Broadcast, ConsistentHash, Pool, RoundRobin, Router, SmallestMailbox
from .statistics import (
    ActorMetrics,
    ActorNode,
    ActorSnapshot,
    Counters,
    LoopDelay,
    LoopDelaySnapshot,
    SchedulerSnapshot,
    Snapshot,
)
from .streams import Stream, Subscription
from .supervision import Backoff, Directive, Restart, Strategy, Supervision
from .system import ActorSystem
from .watchdog import Stall

__all__ = [
    "Actor",
    "ActorError",
    "ActorMetrics",
    "ActorNode",
    "ActorRef",
    "ActorSnapshot",
    "ActorStopped",
    "ActorSystem",
    "AskDropped",
    "AskError",
    "AskTimedOut",
    "Backoff",
    "BehaviourLimit",
    "Broadcast",
    "ChildFailed",
    "Clock",
    "ConsistentHash",
    "Counters",
    "DeadLetter",
    "DeadLetterReason",
    "Directive",
    "EventSubscription",
    "Events",
    "Failure",
    "HandlerBlocked",
    "HandlerFailed",
    "LinkBroken",
    "LoopDelay",
    "LoopDelaySnapshot",
    "MailboxFull",
    "MailboxSettings",
    "ManualClock",
    "NameChanged",
    "NameTaken",
    "NoRoutee",
    "NotAvailable",
    "NotHandlingAsk",
    "NotInHand",
    "Overflow",
    "Pool",
    "Reply",
    "Restart",
    "RoundRobin",
    "Router",
    "SchedulerSnapshot",
    "SmallestMailbox",
    "Snapshot",
    "Stall",
    "StashFull",
    "StopReason",
    "Strategy",
    "Stream",
    "Subscription",
    "Supervision",
    "SystemClock",
    "SystemNotRunning",
    "TaskHandle",
    "Terminated",
    "ThreadsUnavailable",
    "UnhandledMessage",
    "WrongThread",
    "handler",
]
