"""A function of all features of a row: softmax, layer normalisation. Its kernels are the activations'."""

from collections.abc import Callable
from functools import cache

import numpy as np

from fastbp.engines.cpu import call
from fastbp.engines.cpu.formulas import compiled
from fastbp.engines.cpu.ops import elementwise
from fastbp.engines.cpu.ops.interface import Linked
from fastbp.engines.cpu.vector_memory import advance, lanes, load, store
from fastbp.functions.activations import ROW_ACTIVATIONS
from fastbp.plan.network import Op

WHOLE = False
forward, backward = elementwise.forward, elementwise.backward


def link(op: Op, dtype: np.dtype) -> Linked:
    """Compile the function."""
    name = ROW_ACTIVATIONS.at(op.code).name
    of = op.source if ROW_ACTIVATIONS[name].from_input else op.target
    return Linked(*functions(name, dtype), derivative_of=of)


@cache
def functions(name: str, dtype: np.dtype) -> tuple[int, int]:
    """Addresses of a function of rows, forward and backward."""
    entry = ROW_ACTIVATIONS[name]
    make_loop = _forward_loop if entry.from_input else _in_place_loop
    forward = compiled(make_loop(entry.value), call.ACTIVATION, dtype)
    return forward, compiled(_backward_loop(entry.backward), call.ACTIVATION_BACKWARD, dtype)


def _forward_loop(value: Callable) -> Callable:
    def loop(z, a, n_rows, n_registers):
        n_lanes = lanes(a)
        for r in range(n_registers):
            at = r * n_lanes
            for i in range(n_rows):
                store(a, at + 2 * i * n_lanes, load(z, at + 2 * i * n_lanes))
            value((advance(a, at), 2 * n_lanes), n_rows)

    return loop


def _in_place_loop(value: Callable) -> Callable:
    def loop(z, a, n_rows, n_registers):
        n_lanes = lanes(a)
        for r in range(n_registers):
            value((advance(a, r * n_lanes), 2 * n_lanes), n_rows)

    return loop


def _backward_loop(backward: Callable) -> Callable:
    def loop(delta, a, n_rows, n_registers):
        n_lanes = lanes(a)
        for r in range(n_registers):
            at = r * n_lanes
            backward((advance(delta, at), 2 * n_lanes), (advance(a, at), 2 * n_lanes), n_rows)

    return loop
