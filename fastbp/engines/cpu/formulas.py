"""The registered formulas: callable from compiled code, and compiled within the loops around them.

A panel holds the values of PANEL rows of the batch: one row of memory for each feature, two registers wide.
So a register holds one feature of as many rows of the batch as it has lanes, and a formula for one row of the
batch is computed for all these rows at once.
"""

from collections.abc import Callable
from types import FunctionType

import numpy as np
from numba.extending import register_jitable

from fastbp.engines.compiler import address_of
from fastbp.engines.cpu.call import Prototype
from fastbp.functions import activations, losses, noise, normalisation, parametric, scalar, schedules, solvers
from fastbp.functions import step as steps
from fastbp.functions.step import penalised_gradient

FORMULAS = "fastbp.functions"


_registered: set[Callable] = set()


def _register(function: Callable) -> None:
    """Make a plain function callable from compiled code, and those that its enclosed variables hold."""
    if function not in _registered:
        _registered.add(function)
        register_jitable(function)
        register_enclosed(function)


def register_enclosed(function: Callable) -> None:
    """Make the formulas that a loop is written around callable from it."""
    for cell in getattr(function, "__closure__", None) or ():
        value = cell.cell_contents
        if isinstance(value, FunctionType) and value.__module__.startswith(FORMULAS):
            _register(value)


for _module in (scalar, normalisation, activations, losses, noise, parametric, solvers, schedules, steps):
    for _value in vars(_module).values():
        if isinstance(_value, FunctionType) and _value.__module__ == _module.__name__:
            _register(_value)
for _l1 in (False, True):
    _register(penalised_gradient(_l1))


def compiled(loop: Callable, prototype: Prototype, dtype: np.dtype) -> int:
    """The address of a loop, compiled for the prototype's arguments in networks of a dtype."""
    register_enclosed(loop)
    return address_of(loop, prototype.types_for(dtype))
