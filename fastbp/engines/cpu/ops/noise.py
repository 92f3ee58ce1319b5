"""Noise of a step: dropout, Gaussian noise. Random numbers are a function of seed, step, op, row and unit."""

from collections.abc import Callable
from functools import cache

import numpy as np

from fastbp.engines.compiler import jit
from fastbp.engines.cpu import call
from fastbp.engines.cpu.arena import ACTIVATION, CONSTANTS, DELTA
from fastbp.engines.cpu.call import call_noise
from fastbp.engines.cpu.formulas import compiled
from fastbp.engines.cpu.op_columns import BACKWARD, DESTINATION, FORWARD, N_OUT, OP_CONSTANTS, SOURCE
from fastbp.engines.cpu.ops.interface import Linked, op_of, register
from fastbp.engines.cpu.uniforms import op_key, uniforms
from fastbp.engines.cpu.vector_memory import advance, lanes, load, store
from fastbp.functions.noise import NOISES
from fastbp.plan.network import Op

WHOLE = False


@jit
def forward(net, o, span):
    """a = f(z, u) with uniform random numbers u; a copy of z where the step has no noise."""
    op = op_of(net, o)
    z = register(net, op[SOURCE], ACTIVATION, span.first)
    a = register(net, op[DESTINATION], ACTIVATION, span.first)
    apply_noise(net, o, span, FORWARD, z, a)


@jit
def backward(net, o, span):
    """The deltas' own function of the same random numbers, in place."""
    delta = register(net, op_of(net, o)[DESTINATION], DELTA, span.first)
    apply_noise(net, o, span, BACKWARD, delta, delta)


@jit
def apply_noise(net, o, span, function, source, target):
    """Call the op's FORWARD or BACKWARD `function`."""
    op = op_of(net, o)
    key = op_key(span.key, o) if span.key != 0 else 0
    row = span.row + span.first * lanes(source)
    constants = advance(net.workspace, net.offsets[CONSTANTS] + op[OP_CONSTANTS])
    call_noise(op[function], (source, target, op[N_OUT], span.last - span.first, row, key, constants))


def link(op: Op, dtype: np.dtype) -> Linked:
    """Compile the noise."""
    return Linked(*functions(NOISES.at(op.code).name, dtype), derivative_of=op.target)


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
