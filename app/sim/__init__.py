"""`shoal sim`: simulated swarms, many at a time.

jobs.py     what is to be run          sweep.py    runs it on all cores, and goes on where it was stopped
on_ray.py   runs it on many machines   table.py    what people see
report.py   one page with plots        plots.py    what is drawn on it
"""
