"""The interface of an op: the functions of its module, and their arguments.

A module of this package has

- ``forward(net, o, span)`` and ``backward(net, o, span)``, kernels with the same signature in every module:
  op number `o` of the network `net` (``arguments.Pointers``) on the registers of a `Span`;
- ``link(op, dtype)``, which compiles the registered functions that an op of the plan names, and returns what
  its row in the table of ops holds of them, a `Linked`;
- ``WHOLE``, whether its kernels take all registers of a thread at once, or at most the two of one panel.
"""

from typing import Any, NamedTuple

from fastbp.engines.compiler import jit
from fastbp.engines.cpu.arena import N_BUFFER_FIELDS
from fastbp.engines.cpu.arguments import Pointers
from fastbp.engines.cpu.blocks import Panels
from fastbp.engines.cpu.op_columns import WIDTH
from fastbp.engines.cpu.vector_memory import advance, lanes, pointer

PREDICTING, BY_ROW, BY_BATCH = range(3)


class Span(NamedTuple):
    """Registers of rows of the batch, and the properties of the whole pass.

    Attributes
    ----------
    first, last : int
        The registers first … last - 1.
    n_small : int
        The number of rows where there are few, all in the first register, else 0.
    key : int
        The key of the step's noise, 0 for none.
    row : int
        The number in the batch of the first row of register 0.
    mode : int
        BY_BATCH: training; the arena holds the statistics of the whole batch for the ops that need them.
        BY_ROW: training with running statistics. PREDICTING: also with these.
    """

    first: Any
    last: Any
    n_small: Any
    key: Any
    row: Any
    mode: Any


@jit
def part_of(span, first, last):
    """The registers first … last - 1 of a span."""
    return Span(first, last, span.n_small, span.key, span.row, span.mode)


@jit
def pointers_of(net):
    """The arrays of an ``arguments.Network`` as its ops take them."""
    return Pointers(
        pointer(net.table[0], 0),
        pointer(net.buffers[0], 0),
        pointer(net.transposed, 0),
        pointer(net.offsets, 0),
        pointer(net.params, 0),
        pointer(net.workspace, 0),
        pointer(net.losses, 0),
    )


@jit
def op_of(net, o):
    """The row of op `o` in the table of ops."""
    return advance(net.table, o * WIDTH)


@jit
def panels(net, buffer, field):
    """The activations (`field` ACTIVATION) or deltas (DELTA) of a buffer; its stride is the next field."""
    place = advance(net.buffers, buffer * N_BUFFER_FIELDS + field)
    return Panels(advance(net.workspace, place[0]), place[1])


@jit
def register(net, buffer, field, r):
    """The first feature of register `r` of rows in these panels; the next feature lies a panel further."""
    return register_in(panels(net, buffer, field), r)


@jit
def register_in(panels, r):
    """The first feature of register `r` of rows in some panels."""
    return advance(panels.start, (r // 2) * panels.stride + (r % 2) * lanes(panels.start))


class Linked(NamedTuple):
    """Entries of an op's row in the table that are not in the plan.

    Attributes
    ----------
    forward, backward : int
        Addresses of the op's registered function.
    derivative_of : int
        The buffer that holds the argument of the derivative.
    fills : int or None
        The buffer whose deltas the op writes or adds to; None where it turns the deltas of its outputs into
        deltas of its inputs in place.
    """

    forward: int = 0
    backward: int = 0
    derivative_of: int = 0
    fills: int | None = None
