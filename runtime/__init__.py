"""Actors, mailboxes and schedulers; knows nothing of video, HTTP or browsers.

actor, ref, system      what users write and hold
supervision, errors     what becomes of failures
messages, statistics    what the runtime says of itself
life, belongings        how actors begin and end
core/                   what runs for every message; compiled
drivers/                who calls it: one module for each event loop
testing                 virtual time and probes
"""

from .actor import Actor
from .clock import Clock, ManualClock, SystemClock
from .core.mailbox import Overflow
from .core.reply import Reply
from .drivers.base import TaskHandle
from .errors import (
    ActorError,
    ActorStopped,
    AskDropped,
    AskError,
    AskTimedOut,
    ChildFailed,
    HandlerFailed,
    MailboxFull,
    NameTaken,
    NotHandlingAsk,
    SystemNotRunning,
)
from .messages import DeadLetter, DeadLetterReason, Failure, MailboxSettings, StopReason, Terminated
from .ref import ActorRef
from .statistics import ActorSnapshot, Counters, LoopDelay, LoopDelaySnapshot, Snapshot
from .streams import Stream, Subscription
from .supervision import Directive, Restart, Supervision
from .system import ActorSystem

__all__ = [
    "Actor",
    "ActorError",
    "ActorRef",
    "ActorSnapshot",
    "ActorStopped",
    "ActorSystem",
    "AskDropped",
    "AskError",
    "AskTimedOut",
    "ChildFailed",
    "Clock",
    "Counters",
    "DeadLetter",
    "DeadLetterReason",
    "Directive",
    "Failure",
    "HandlerFailed",
    "LoopDelay",
    "LoopDelaySnapshot",
    "MailboxFull",
    "MailboxSettings",
    "ManualClock",
    "NameTaken",
    "NotHandlingAsk",
    "Overflow",
    "Reply",
    "Restart",
    "Snapshot",
    "StopReason",
    "Stream",
    "Subscription",
    "Supervision",
    "SystemClock",
    "SystemNotRunning",
    "TaskHandle",
    "Terminated",
]
