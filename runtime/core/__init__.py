"""The compiled island: what runs for every message.

    mailbox     a ring of waiting messages, and the lane that goes ahead of them
    timers      deadlines in microseconds
    reply       one question and its answer
    cell        one actor's life as a table
    birth       a new actor's cell, ref and instance
    stats       what one actor has done, if metrics are on
    ready       the cells that have something to do, in order
    scheduler   who runs next; the only place where messages leave mailboxes
    handle      the sending end, from which ActorRef is made
    host        what the island asks of the rest of the runtime

Every module but `host` has a `.pxd` twin: with it the same source becomes C.
Nothing here imports from outside this folder and the standard library, waits,
or knows of an event loop.
"""
