"""The table of ops with the CPU's columns: kernels, addresses of functions, and how deltas pass."""

from functools import lru_cache

import numpy as np

from fastbp.engines.cpu.layout import ParameterLayout
from fastbp.engines.cpu.op_columns import (
    ACCUMULATES,
    BACKWARD,
    DERIVATIVE_OF,
    FORWARD,
    LEARNS,
    N_COLUMNS,
    NUMBER,
    RUNS_BACKWARD,
    WHOLE,
)
from fastbp.engines.cpu.ops import NUMBERS, OPS, key_of


@lru_cache(maxsize=64)
def link(layout: ParameterLayout) -> np.ndarray:
    """The table of ops with the CPU's columns; registered functions are compiled.

    After those of the plan: the blocks of parameters (``ParameterLayout.columns``), then the op's kernels.
    """
    network = layout.network
    more = np.zeros((len(network.ops), N_COLUMNS), np.int64)
    table = np.hstack([network.table, layout.columns, more])
    fills: list[int | None] = []
    learns = {0: 0}
    for row, op in zip(table, network.ops, strict=True):
        module = OPS[key_of(op)]
        linked = module.link(op, network.dtype)
        below = learns[op.source if linked.fills is None else linked.fills]
        own = int(op.cols > 0 and op.learned)
        row[NUMBER], row[WHOLE] = NUMBERS[key_of(op)], module.WHOLE
        row[FORWARD], row[BACKWARD], row[DERIVATIVE_OF] = linked[:3]
        row[RUNS_BACKWARD], row[LEARNS] = own or below, below
        if op.target not in learns:
            learns[op.target] = own or learns[op.source]
        fills.append(linked.fills)
    filled: set[int] = set()
    for row, buffer in zip(table[::-1], fills[::-1], strict=True):
        if buffer is not None:
            row[ACCUMULATES] = buffer in filled
            filled.add(buffer)
    return table
