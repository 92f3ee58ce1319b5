"""The arguments of kernels, in groups: plain tuples from Python, whose types Numba finds soonest, and named
tuples within kernels.
"""

from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numba import types


class Network(NamedTuple):
    """A network and the memory that it is computed in.

    Attributes
    ----------
    table : (n_ops, n_fields) int64
        The ops (``op_table.link``).
    buffers, transposed, tiles, offsets : int64
        Of the arena (``arena.Arena``).
    params : flat vector
    workspace : flat vector
        The arena.
    losses : float64
        The loss of each register of rows of a pass, out; empty for prediction.
    """

    table: Any
    buffers: Any
    transposed: Any
    tiles: Any
    offsets: Any
    params: Any
    workspace: Any
    losses: Any


class Pointers(NamedTuple):
    """The first elements of a network's arrays, all that its ops need: sizes are in the tables."""

    table: Any
    buffers: Any
    transposed: Any
    offsets: Any
    params: Any
    workspace: Any
    losses: Any


class Data(NamedTuple):
    """Rows of the user's arrays, which are flat.

    Attributes
    ----------
    values, indices, indptr
        X; `indptr` is empty where it is dense.
    n_inputs : int
        Columns of X.
    index : uint32
        Numbers of the rows that are meant; empty for all.
    targets, n_targets
        Of all rows, and how many a row has.
    weights
        Of all rows; empty for none.
    order : uint32
        The rows trained on, in the order in which they are taken.
    starts : int64, scratch
        Where the rows of a pass begin.
    """

    values: Any
    indices: Any
    indptr: Any
    n_inputs: Any
    index: Any
    targets: Any
    n_targets: Any
    weights: Any
    order: Any
    starts: Any


class Solver(NamedTuple):
    """The memory of a solver.

    Attributes
    ----------
    moments : (n_moments · n_parameters,), in/out
    gradient : (n_parameters,), out
        Empty where none is kept.
    penalties : (2 · n_tiles,), scratch
        Of each tile; then each tile's sum of squares.
    factors : (n_threads · RULE_SIZE,) float64, scratch
        Of the learning rate, by a schedule of the step.
    """

    moments: Any
    gradient: Any
    penalties: Any
    factors: Any


class Tile(NamedTuple):
    """A tile of weights and its gradient.

    Attributes
    ----------
    w, g : pointer
        The first weight and its gradient.
    ld, ldg : int
        The distances from one row of them to the next.
    n_rows, n_registers : int
    bias_row, bias_col : int
        The row or the column of the biases, beyond the tile or negative where there is none.
    """

    w: Any
    ld: Any
    g: Any
    ldg: Any
    n_rows: Any
    n_registers: Any
    bias_row: Any
    bias_col: Any


class Team(NamedTuple):
    """A thread among those that run a kernel together; `sync` is their barrier."""

    thread: Any
    n_threads: Any
    sync: Any


INT, REAL = types.int64, types.float64


def team_type(real: types.Float) -> types.Type:
    """The type of a `Team`."""
    return types.BaseTuple.from_types((INT, INT, INT[::1]), Team)


def tile_type(real: types.Float) -> types.Type:
    """The type of a `Tile`."""
    p = types.CPointer(real)
    return types.BaseTuple.from_types((p, INT, p, INT, INT, INT, INT, INT), Tile)


def moments_type(real: types.Float) -> types.Type:
    """The type of the pointers to a tile's three moments."""
    return types.UniTuple(types.CPointer(real), 3)


def table_type(real: types.Float) -> types.Type:
    """The type of a table of integers, whatever the network's dtype."""
    return INT[:, ::1]


def network_type(real: types.Float) -> types.Type:
    """The type of a `Network` whose numbers are of type `real`."""
    table, vector, values = table_type(real), INT[::1], real[::1]
    members = (table, table, vector, table, vector, values, values, REAL[::1])
    return types.BaseTuple.from_types(members, Network)


@cache
def real_type(dtype: np.dtype) -> types.Float:
    """Numba's type of a network's numbers."""
    return types.float32 if dtype == np.float32 else types.float64
