"""An activation of single numbers: in place, or into its own buffer if its derivative needs the input."""

from collections.abc import Callable
from functools import cache

import numpy as np

from fastbp.engines.compiler import jit
from fastbp.engines.cpu import call
from fastbp.engines.cpu.arena import ACTIVATION, DELTA
from fastbp.engines.cpu.call import call_activation, call_activation_backward
from fastbp.engines.cpu.formulas import compiled
from fastbp.engines.cpu.op_columns import BACKWARD, DERIVATIVE_OF, DESTINATION, FORWARD, N_OUT, SOURCE
from fastbp.engines.cpu.ops.interface import Linked, op_of, register
from fastbp.engines.cpu.vector_memory import lanes, load, store
from fastbp.functions.activations import ACTIVATIONS
from fastbp.plan.network import Op

WHOLE = False


@jit
def forward(net, o, span):
    """a = f(z)."""
    op = op_of(net, o)
    z = register(net, op[SOURCE], ACTIVATION, span.first)
    a = register(net, op[DESTINATION], ACTIVATION, span.first)
    call_activation(op[FORWARD], (z, a, op[N_OUT], span.last - span.first))


@jit
def backward(net, o, span):
    """delta · f', in place."""
    op = op_of(net, o)
    delta = register(net, op[DESTINATION], DELTA, span.first)
    v = register(net, op[DERIVATIVE_OF], ACTIVATION, span.first)
    call_activation_backward(op[BACKWARD], (delta, v, op[N_OUT], span.last - span.first))


def link(op: Op, dtype: np.dtype) -> Linked:
    """Compile the activation."""
    name = ACTIVATIONS.at(op.code).name
    of = op.source if ACTIVATIONS[name].from_input else op.target
    return Linked(*functions(name, dtype), derivative_of=of)


@cache
def functions(name: str, dtype: np.dtype) -> tuple[int, int]:
    """Addresses of an activation, forward and backward."""
    entry = ACTIVATIONS[name]
    make_loop = _forward_loop if entry.from_input else _in_place_loop
    forward = compiled(make_loop(entry.value), call.ACTIVATION, dtype)
    return forward, compiled(_backward_loop(entry.backward), call.ACTIVATION_BACKWARD, dtype)


def _forward_loop(value: Callable) -> Callable:
    """The loop of ``call.ACTIVATION`` around a formula."""

    def loop(z, a, n_rows, n_registers):
        n_lanes = lanes(a)
        for i in range(n_rows):
            for r in range(n_registers):
                at = (2 * i + r) * n_lanes
                store(a, at, value(load(z, at)))

    return loop


def _in_place_loop(value: Callable) -> Callable:
    """The same where z and a are one: with one pointer the compiler knows that elements do not overlap."""

    def loop(z, a, n_rows, n_registers):
        n_lanes = lanes(a)
        for i in range(n_rows):
            for r in range(n_registers):
                at = (2 * i + r) * n_lanes
                store(a, at, value(load(a, at)))

    return loop


def _backward_loop(backward: Callable) -> Callable:
    def loop(delta, v, n_rows, n_registers):
        n_lanes = lanes(v)
        for i in range(n_rows):
            for r in range(n_registers):
                at = (2 * i + r) * n_lanes
                store(delta, at, backward(load(delta, at), load(v, at)))

    return loop
