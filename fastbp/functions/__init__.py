"""The mathematics: each formula written once, as a plain Python body.

Nothing in this package imports Numba. The bodies use only arithmetic and the primitives of
``primitives.py``, so that the same text runs in the interpreter on floats, and is compiled by an engine for
a vector register or for a GPU thread. An engine compiles them when it first needs them.
"""
