"""Deterministic simulation: one seed decides who runs next, and the same seed decides it again.

choosers      who is next: uniformly at random, by random priorities (PCT), or as recorded
recording     what happened, as events, and as text that is equal byte for byte
recorded      the runtime's own parts, which tell the recording what they do
faults        crashes, slow handlers, full mailboxes, lost and late timers
invariants    what must hold of every run: conservation, order, one message at a time, ends in order
running       `simulate`: one run of a program
exploring     `explore`: many; the first that fails names its seed

Used through `shoal.runtime.testing`.  Nothing here is imported by a system that
is not simulated.
"""
