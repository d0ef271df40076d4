"""Watch shoal work: a real stream, three origins that misbehave, peers that lie, and an independent player and judge.

    stream.py       makes the video (two renditions, fMP4 segments, hashes) once, into a cache folder
    origin.py       an HTTP origin with faults on a schedule, as a process of its own
    polluter.py     what makes one of the peers lie
    player.py       a player that knows nothing of shoal: libav over the proxy's URL
    judge.py        a tap between player and proxy that compares every byte with the file on disk
    figures.py      reports in, figures and a verdict out
    pieces.py       which source brought which bytes, for table and report alike
    table.py        the live view
    report_html.py  the story of every segment as one page that works offline; report_charts.py draws
    children.py     the processes and their logs; leash.py keeps them from outliving the demo
    run.py          all of it in order, and the end of every process it started

The player and the judge import nothing of shoal, so that their word is worth
something.  `python -m shoal.app.demo.origin`, `.player` and `.judge` run alone.
"""
