"""A function with parameters of each feature: learned scales, norms, blends."""

from collections.abc import Callable
from functools import cache

import numpy as np

from fastbp.engines.compiler import jit
from fastbp.engines.cpu import call
from fastbp.engines.cpu.arena import ACTIVATION, DELTA, ROWS_PADDED
from fastbp.engines.cpu.blocks import transpose_registers_of
from fastbp.engines.cpu.call import call_parametric, call_parametric_backward
from fastbp.engines.cpu.formulas import compiled
from fastbp.engines.cpu.op_columns import (
    BACKWARD,
    COLS,
    DESTINATION,
    FORWARD,
    LEARNED,
    N_OUT,
    OFFSET,
    OTHER,
    SOURCE,
)
from fastbp.engines.cpu.ops.interface import Linked, op_of, panels, register
from fastbp.engines.cpu.vector_memory import (
    advance,
    broadcast,
    lanes,
    load,
    load_scalar,
    store,
)
from fastbp.functions.parametric import PARAMETRICS, Parametric
from fastbp.plan.network import Op

WHOLE = False


@jit
def forward(net, o, span):
    """a = f(z, p, q) with the op's own parameters."""
    op = op_of(net, o)
    forward_with(net, op, span, advance(net.params, op[OFFSET]))


@jit
def forward_with(net, op, span, own):
    """a = f(z, p, q) with the parameters at `own`."""
    z = register(net, op[SOURCE], ACTIVATION, span.first)
    a = register(net, op[DESTINATION], ACTIVATION, span.first)
    call_parametric(op[FORWARD], (z, a, op[N_OUT], span.last - span.first, own))


@jit
def backward(net, o, span):
    """Deltas of the inputs, in place, and of the parameters, as the gradient's transposed operand."""
    op = op_of(net, o)
    delta = register(net, op[DESTINATION], DELTA, span.first)
    z = register(net, op[SOURCE], ACTIVATION, span.first)
    of_own = register(net, op[OTHER], DELTA, span.first)
    own = advance(net.params, op[OFFSET])
    call_parametric_backward(op[BACKWARD], (delta, z, op[N_OUT], span.last - span.first, own, of_own))
    if op[LEARNED]:
        operand, rows_padded = advance(net.workspace, net.transposed[o]), net.offsets[ROWS_PADDED]
        of_own_panels = panels(net, op[OTHER], DELTA)
        transpose_registers_of(of_own_panels, op[COLS], operand, rows_padded, span.first, span.last)


def link(op: Op, dtype: np.dtype) -> Linked:
    """Compile the function."""
    return Linked(*functions(PARAMETRICS.at(op.code).name, dtype))


@cache
def functions(name: str, dtype: np.dtype) -> tuple[int, int]:
    """Addresses of a function with parameters, forward and backward."""
    entry = PARAMETRICS[name]
    forward = compiled(_forward_loop(entry), call.PARAMETRIC, dtype)
    return forward, compiled(_backward_loop(entry), call.PARAMETRIC_BACKWARD, dtype)


def _forward_loop(entry: Parametric) -> Callable:
    value, two = entry.value, len(entry.start) > 1

    def loop(z, a, n, n_registers, own):
        n_lanes = lanes(a)
        for i in range(n):
            p = broadcast(a, load_scalar(own, i))
            q = broadcast(a, load_scalar(own, n + i)) if two else p
            for r in range(n_registers):
                at = (2 * i + r) * n_lanes
                store(a, at, value(load(z, at), p, q))

    return loop


def _backward_loop(entry: Parametric) -> Callable:
    backward, two, learned = entry.backward, len(entry.start) > 1, entry.learned

    def loop(delta, z, n, n_registers, own, of_own):
        n_lanes = lanes(delta)
        for i in range(n):
            p = broadcast(delta, load_scalar(own, i))
            q = broadcast(delta, load_scalar(own, n + i)) if two else p
            for r in range(n_registers):
                at = (2 * i + r) * n_lanes
                slope, of_p, of_q = backward(load(delta, at), load(z, at), p, q)
                store(delta, at, slope)
                if learned:
                    store(of_own, at, of_p)
                if learned and two:
                    store(of_own, at + 2 * n * n_lanes, of_q)

    return loop
