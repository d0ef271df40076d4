"""A simulator of viewers, peers and CDNs in virtual time, for the real decision code and others'.

scenario.py     what is simulated          scenarios.py   the usual ones
flows.py        max-min fair rates         traces.py      recorded lines
world.py        virtual time, CDNs         viewer.py      a viewer: player, strategy, line
player.py       buffer and bitrates        transfer.py    a request's round trips and bytes
neighbours.py   whom it meets, what is told film.py       a run looked at second by second
references.py   others' policies           policies.py    all of them, by name
outcome.py      what came of it         compare.py     policies against each other, seed by seed
oracle.py       what no policy can beat
"""
