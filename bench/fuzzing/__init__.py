"""Random use of the estimators, and what must hold of it: the parts of ``bench/fuzz.py``.

A case is a short program, drawn as text (`parameters`, `data`, `calls`, `case`); it is run statement by
statement (`run`), and after each one the `oracles` look at what it raised, warned of and left behind.
"""
