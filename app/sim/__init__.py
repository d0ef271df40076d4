"""`shoal sim`: simulated swarms, many at a time.

jobs.py     what is to be run          sweep.py    runs it on all cores, and goes on where it was stopped
table.py    what people see            report.py   one page with plots
"""
