"""The machine code of the kernels for processors that are not at hand: the parts of ``bench/spills.py``.

`targets` names the processors, `compile` compiles for one of them in a process of its own, and `listing`
finds the loops in what the compiler wrote and counts what they do.
"""
