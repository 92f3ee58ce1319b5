"""Noise of a step: dropout, Gaussian noise. Random numbers are a function of seed, step, op, row and unit."""

from collections.abc import Callable
from functools import cache

import numpy as np

from fastbp.engines.compiler import jit
from fastbp.engines.cpu import call
from fastbp.engines.cpu.arena import ACTIVATION, CONSTANTS, DELTA, DESTINATION, N_OUT, OP_CONSTANTS, SOURCE
from fastbp.engines.cpu.blocks import panels_of, register_of
from fastbp.engines.cpu.call import call_noise
from fastbp.engines.cpu.formulas import compiled
from fastbp.engines.cpu.op_columns import BACKWARD, FORWARD
from fastbp.engines.cpu.ops.interface import Linked
from fastbp.engines.cpu.uniforms import op_key, uniforms
from fastbp.engines.cpu.vector_memory import advance, lanes, load, pointer, store
from fastbp.functions.noise import NOISES
from fastbp.plan.network import Op

WHOLE = False


@jit
def forward(net, o, span):
    """a = f(z, u) with uniform random numbers u; a copy of z where the step has no noise."""
    op, w = net.table[o], pointer(net.workspace, 0)
    z = register_of(panels_of(w, net.buffers, op[SOURCE], ACTIVATION), span.first)
    a = register_of(panels_of(w, net.buffers, op[DESTINATION], ACTIVATION), span.first)
    apply_noise(net, o, span, op[FORWARD], z, a)


@jit
def backward(net, o, span):
    """The deltas' own function of the same random numbers, in place."""
    op, w = net.table[o], pointer(net.workspace, 0)
    delta = register_of(panels_of(w, net.buffers, op[DESTINATION], DELTA), span.first)
    apply_noise(net, o, span, op[BACKWARD], delta, delta)


@jit
def apply_noise(net, o, span, function, source, target):
    """Call a noise, or its derivative, for the registers of a span."""
    op, w = net.table[o], pointer(net.workspace, 0)
    key = op_key(span.key, o) if span.key != 0 else 0
    row = span.row + span.first * lanes(w)
    constants = advance(w, net.offsets[CONSTANTS] + op[OP_CONSTANTS])
    call_noise(function, (source, target, op[N_OUT], span.last - span.first, row, key, constants))


def link(op: Op, dtype: np.dtype) -> Linked:
    """Compile the noise."""
    return Linked(*functions(NOISES.names()[op.code], dtype), derivative_of=op.target)


@cache
def functions(name: str, dtype: np.dtype) -> tuple[int, int]:
    """Addresses of a noise and of its derivative."""
    entry = NOISES[name]
    forward = compiled(_loop(entry.value), call.NOISE, dtype)
    return forward, compiled(_loop(entry.backward), call.NOISE, dtype)


def _loop(value: Callable) -> Callable:
    def loop(z, a, n, n_registers, row, key, constants):
        n_lanes = lanes(a)
        for i in range(n):
            for r in range(n_registers):
                at = (2 * i + r) * n_lanes
                if key == 0:
                    store(a, at, load(z, at))
                else:
                    u = uniforms(a, (row + r * n_lanes) * n + i, n, key)
                    store(a, at, value(load(z, at), u, constants))

    return loop
