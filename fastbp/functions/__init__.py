"""Formulas, each written once as a plain Python function.

Nothing in this package imports Numba. The functions use only arithmetic and the primitives of
``primitives.py``, so that the same source runs in the interpreter on floats, and is compiled by an engine for
vector registers or GPU threads, on first use.
"""
