"""The fault matrix: programs that publish, each struck by one fault, and what is found at the sink afterwards.

`make faults` prints the table, the tests run a short form of every row. A row starts real programs (`program`) through a
`Stage`, strikes them, lets the next start deliver what is left, and counts: what `publish` had returned for is in a mapping
that survives the death of the program (`tally`), what arrived is read from the sink (`sinks`), and `judgement` compares.
"""
