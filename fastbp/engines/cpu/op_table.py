"""The table of ops with the CPU's columns: addresses of functions, and how deltas pass."""

from functools import lru_cache

import numpy as np

from fastbp.engines.cpu import lowering
from fastbp.engines.cpu.arena import LAYOUT
from fastbp.engines.cpu.layout import ParameterLayout
from fastbp.functions.activations import ACTIVATIONS, GROUP_ACTIVATIONS, ROW_ACTIVATIONS
from fastbp.functions.losses import LOSSES
from fastbp.functions.noise import NOISES
from fastbp.functions.parametric import PARAMETRICS
from fastbp.plan.network import Kind

# Columns after those of the layout.
FORWARD, BACKWARD, DERIVATIVE_OF, LEARNS, ACCUMULATES = range(LAYOUT + 1, LAYOUT + 6)


@lru_cache(maxsize=64)
def link(layout: ParameterLayout) -> np.ndarray:
    """The table of a network's ops with the CPU's columns.

    First those of the blocks of parameters (``ParameterLayout.columns``); then FORWARD and BACKWARD,
    addresses of the op's function; DERIVATIVE_OF, the buffer whose values its derivative is a function of;
    LEARNS, whether weights lie below the op's input, so that deltas go on there; ACCUMULATES, whether deltas
    from another op are there already when this one adds its own.
    """
    network = layout.network
    more = np.zeros((len(network.ops), 5), np.int64)
    learns = {0: 0}
    for row, op in zip(more, network.ops, strict=True):
        if op.kind == Kind.LOSS:
            row[0] = lowering.loss(LOSSES.names()[op.code], network.dtype)
        elif op.kind == Kind.ROW:
            name = ROW_ACTIVATIONS.names()[op.code]
            of = op.source if ROW_ACTIVATIONS[name].from_input else op.target
            row[:3] = *lowering.activation(name, True, network.dtype), of
        elif op.kind == Kind.ELEMENTWISE:
            name = ACTIVATIONS.names()[op.code]
            of = op.source if ACTIVATIONS[name].from_input else op.target
            row[:3] = *lowering.activation(name, False, network.dtype), of
        elif op.kind == Kind.NOISE:
            row[:3] = *lowering.noise(NOISES.names()[op.code], network.dtype), op.target
        elif op.kind == Kind.PARAMETRIC:
            row[:2] = lowering.parametric(PARAMETRICS.names()[op.code], network.dtype)
        elif op.kind == Kind.GROUP:
            row[:3] = *lowering.group_activation(GROUP_ACTIVATIONS.names()[op.code], network.dtype), op.source
        row[3] = learns[op.source] if op.kind != Kind.ADD else learns[op.other]
        if op.target not in learns:
            learns[op.target] = int(op.cols > 0 and op.learned) or learns[op.source]
    filled: set[int] = set()
    for row, op in zip(more[::-1], network.ops[::-1], strict=True):
        reads = {Kind.DENSE: op.source, Kind.ADD: op.other}.get(Kind(op.kind))
        if reads is not None:
            row[4] = reads in filled
            filled.add(reads)
    return np.hstack([network.table, layout.columns, more])
