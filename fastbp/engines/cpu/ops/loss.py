"""The loss, the last op: its values by register of rows, and the deltas that the way back begins with."""

from collections.abc import Callable
from functools import cache

import numpy as np

from fastbp.engines.compiler import jit
from fastbp.engines.cpu import call
from fastbp.engines.cpu.arena import ACTIVATION, CONSTANTS, DELTA, TARGET, TARGET_STRIDE, WEIGHT
from fastbp.engines.cpu.blocks import Panels
from fastbp.engines.cpu.call import call_loss
from fastbp.engines.cpu.formulas import compiled
from fastbp.engines.cpu.op_columns import FORWARD, N_OUT, SOURCE
from fastbp.engines.cpu.ops.interface import Linked, op_of, register, register_in
from fastbp.engines.cpu.vector_memory import (
    advance,
    lanes,
    load,
    store_scalar,
    sum_lanes,
)
from fastbp.functions.losses import LOSSES
from fastbp.plan.network import Op

WHOLE = False


@jit
def forward(net, o, span):
    """Weighted losses, summed by register, and their derivatives by the outputs."""
    op, offsets, w = op_of(net, o), net.offsets, net.workspace
    targets = Panels(advance(w, offsets[TARGET]), offsets[TARGET_STRIDE])
    arguments = (
        register(net, op[SOURCE], ACTIVATION, span.first),
        register_in(targets, span.first),
        register(net, op[SOURCE], DELTA, span.first),
        advance(w, offsets[WEIGHT] + span.first * lanes(w)),
        op[N_OUT],
        span.last - span.first,
        advance(w, offsets[CONSTANTS]),
        advance(net.losses, span.first),
    )
    call_loss(op[FORWARD], arguments)


@jit
def backward(net, o, span):
    """Nothing: the deltas are there."""


def link(op: Op, dtype: np.dtype) -> Linked:
    """Compile the loss."""
    return Linked(function(LOSSES.at(op.code).name, dtype))


@cache
def function(name: str, dtype: np.dtype) -> int:
    """Address of a loss."""
    return compiled(_loop(LOSSES[name].row), call.LOSS, dtype)


def _loop(row: Callable) -> Callable:
    def loop(z, y, delta, weight, n, n_registers, constants, sums):
        n_lanes = lanes(z)
        for r in range(n_registers):
            at = r * n_lanes
            value = row(
                (advance(z, at), 2 * n_lanes),
                (advance(y, at), 2 * n_lanes),
                (advance(delta, at), 2 * n_lanes),
                n,
                load(weight, at),
                constants,
            )
            store_scalar(sums, r, sum_lanes(value))

    return loop
