"""A residual connection: the sum of two buffers."""

import numpy as np

from fastbp.engines.compiler import jit
from fastbp.engines.cpu.arena import ACTIVATION, DELTA
from fastbp.engines.cpu.blocks import add_panels, copy_panels
from fastbp.engines.cpu.op_columns import ACCUMULATES, DESTINATION, N_OUT, OTHER, SOURCE
from fastbp.engines.cpu.ops.interface import Linked, op_of, register
from fastbp.plan.network import Op

WHOLE = False


@jit
def forward(net, o, span):
    """a = z + other."""
    op = op_of(net, o)
    z = register(net, op[SOURCE], ACTIVATION, span.first)
    other = register(net, op[OTHER], ACTIVATION, span.first)
    a = register(net, op[DESTINATION], ACTIVATION, span.first)
    add_panels(z, other, a, op[N_OUT], span.last - span.first)


@jit
def backward(net, o, span):
    """Deltas of the other buffer: the same, or added to those of another op."""
    op = op_of(net, o)
    delta = register(net, op[DESTINATION], DELTA, span.first)
    other = register(net, op[OTHER], DELTA, span.first)
    if op[ACCUMULATES]:
        add_panels(delta, other, other, op[N_OUT], span.last - span.first)
    else:
        copy_panels(delta, other, op[N_OUT], span.last - span.first)


def link(op: Op, dtype: np.dtype) -> Linked:
    """No registered function."""
    return Linked(fills=op.other)
