"""A function that makes one feature of each k neighbours, into a buffer of its own: maxout."""

from collections.abc import Callable
from functools import cache

import numpy as np

from fastbp.engines.compiler import jit
from fastbp.engines.cpu import call
from fastbp.engines.cpu.arena import ACTIVATION, DELTA
from fastbp.engines.cpu.call import call_group, call_group_backward
from fastbp.engines.cpu.formulas import compiled
from fastbp.engines.cpu.op_columns import BACKWARD, DESTINATION, FORWARD, N_IN, N_OUT, SOURCE
from fastbp.engines.cpu.ops.interface import Linked, op_of, register
from fastbp.engines.cpu.vector_memory import advance, lanes, load, store
from fastbp.functions.activations import GROUP_ACTIVATIONS
from fastbp.plan.network import Op

WHOLE = False


@jit
def forward(net, o, span):
    """a[j] = f(z[k·j], …, z[k·j + k - 1])."""
    op = op_of(net, o)
    n, k = op[N_OUT], op[N_IN] // op[N_OUT]
    z = register(net, op[SOURCE], ACTIVATION, span.first)
    a = register(net, op[DESTINATION], ACTIVATION, span.first)
    call_group(op[FORWARD], (z, a, n, k, span.last - span.first))


@jit
def backward(net, o, span):
    """Deltas of the inputs, from the deltas of the outputs and the inputs."""
    op = op_of(net, o)
    n, k = op[N_OUT], op[N_IN] // op[N_OUT]
    delta = register(net, op[DESTINATION], DELTA, span.first)
    z = register(net, op[SOURCE], ACTIVATION, span.first)
    into = register(net, op[SOURCE], DELTA, span.first)
    call_group_backward(op[BACKWARD], (delta, z, into, n, k, span.last - span.first))


def link(op: Op, dtype: np.dtype) -> Linked:
    """Compile the function."""
    addresses = functions(GROUP_ACTIVATIONS.at(op.code).name, dtype)
    return Linked(*addresses, derivative_of=op.source, fills=op.source)


@cache
def functions(name: str, dtype: np.dtype) -> tuple[int, int]:
    """Addresses of a function of groups, forward and backward."""
    entry = GROUP_ACTIVATIONS[name]
    forward = compiled(_forward_loop(entry.value), call.GROUP, dtype)
    return forward, compiled(_backward_loop(entry.backward), call.GROUP_BACKWARD, dtype)


def _forward_loop(value: Callable) -> Callable:
    def loop(z, a, n, k, n_registers):
        n_lanes = lanes(a)
        for j in range(n):
            for r in range(n_registers):
                inputs = advance(z, (2 * j * k + r) * n_lanes), 2 * n_lanes
                store(a, (2 * j + r) * n_lanes, value(inputs, k))

    return loop


def _backward_loop(backward: Callable) -> Callable:
    def loop(delta, z, into, n, k, n_registers):
        n_lanes = lanes(z)
        for j in range(n):
            for r in range(n_registers):
                at = (2 * j * k + r) * n_lanes
                d = load(delta, (2 * j + r) * n_lanes)
                backward(d, (advance(z, at), 2 * n_lanes), (advance(into, at), 2 * n_lanes), k)

    return loop
