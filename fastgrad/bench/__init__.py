"""The side-by-side comparison that `fastgrad bench` runs: one run, interleaved, medians, ratios.

`command` reads the arguments and runs the sections; a section (`steps`, `ops`, ...) fills tables; `results` is what a run
is made of, `report` and `chart` show it. `contenders` holds the training step as each library writes it.
"""
