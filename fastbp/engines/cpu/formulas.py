"""The registered formulas: callable from compiled code, and compiled within the loops around them.

A panel holds the values of PANEL rows of the batch: one row of memory for each feature, two registers wide.
So a register holds one feature of as many rows of the batch as it has lanes, and a formula for one row of the
batch is computed for all these rows at once.
"""

from collections.abc import Callable
from types import FunctionType, ModuleType

import numpy as np
from numba.extending import register_jitable

from fastbp.engines.compiler import address_of
from fastbp.engines.cpu.call import Prototype
from fastbp.functions import activations, losses, noise, normalisation, parametric, scalar, schedules, solvers
from fastbp.functions import step as steps
from fastbp.functions.parametric import PARAMETRICS
from fastbp.functions.step import penalised_gradient


def _register(module: ModuleType) -> None:
    """Make the plain functions of a module callable from compiled code."""
    for value in vars(module).values():
        if isinstance(value, FunctionType) and value.__module__ == module.__name__:
            register_jitable(value)


for _module in (scalar, normalisation, activations, losses, noise, parametric, solvers, schedules, steps):
    _register(_module)
for _entry in PARAMETRICS:  # blends are made in a loop
    register_jitable(_entry.value)
    register_jitable(_entry.backward)
for _l1 in (False, True):
    register_jitable(penalised_gradient(_l1))


def compiled(loop: Callable, prototype: Prototype, dtype: np.dtype) -> int:
    """The address of a loop, compiled for the prototype's arguments in networks of a dtype."""
    return address_of(loop, prototype.types_for(dtype))
