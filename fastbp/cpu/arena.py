"""The work memory of a network: one array, sized once from the plan; nothing is allocated inside a step.

Rows of the batch are cut into panels of PANEL rows. A buffer of width n holds, panel after panel, one memory
row of PANEL values for each feature:

    activations  (panel, padded(n + 1), PANEL)   feature n is the constant 1 that a bias multiplies
    deltas       (panel, padded(n), PANEL)       derivative of the loss by the buffer's values
    transposed   (column panel, batch row, PANEL) for each dense layer: the operand of its weight gradient
                                                 that runs along the columns of the parameter block

Padding rows are zero and stay zero, so that a product may run over them.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numba import types

from fastbp.cpu.simd import Vector
from fastbp.cpu.tile import TILE_ROWS
from fastbp.plan import FIELD, Kind, Layout, NetworkPlan, aligned_zeros, padded

# Columns of the table of buffers.
ACTIVATION, ACTIVATION_STRIDE, DELTA, DELTA_STRIDE = range(4)
# Offsets of what does not belong to one buffer.
TARGET, TARGET_STRIDE, WEIGHT, SCRATCH, SCRATCH_SIZE, ROWS_PADDED, GROUP, N_SPECIAL = range(8)
# Fields of ops, as constants that kernels can read.
KIND, CODE, SOURCE, DESTINATION = FIELD["kind"], FIELD["code"], FIELD["source"], FIELD["target"]
N_IN, N_OUT, BIAS, OFFSET = FIELD["n_in"], FIELD["n_out"], FIELD["bias"], FIELD["offset"]
ROWS, COLS, LD, LAYOUT = FIELD["rows"], FIELD["cols"], FIELD["ld"], FIELD["layout"]
TRAINING, PREDICTION = FIELD["training"], FIELD["prediction"]
DENSE, ELEMENTWISE, ROW, LOSS = (int(k) for k in (Kind.DENSE, Kind.ELEMENTWISE, Kind.ROW, Kind.LOSS))
IN_MAJOR = int(Layout.IN_MAJOR)

GROUP_BYTES = 1 << 20  # activations that a thread takes through the network at a time: half of a usual L2
PASS_BYTES = 64 << 20  # activations of a batch; a larger batch is computed in several passes


def lanes_of(dtype: np.dtype) -> int:
    """Values in one register."""
    return Vector(types.float32 if dtype == np.float32 else types.float64).lanes


@dataclass(frozen=True)
class Arena:
    """Offsets into the work array, and its size.

    Attributes
    ----------
    buffers : int64 array of shape (n_buffers, 4)
        Offset and panel stride of the activations and deltas of each buffer.
    transposed : int64 array of shape (n_ops,)
        Offset of a dense op's transposed operand.
    special : int64 array of shape (N_SPECIAL,)
    size : int
        Values in all.
    rows : int
        Rows of the batch that one pass computes.
    """

    buffers: np.ndarray
    transposed: np.ndarray
    special: np.ndarray
    size: int
    rows: int

    def allocate(self, network: NetworkPlan) -> np.ndarray:
        """The work array: zeros, but for the constant feature of each buffer."""
        work = aligned_zeros(self.size, network.dtype)
        panel = 2 * lanes_of(network.dtype)
        widths = [network.n_inputs, *(n_out for _, n_out in network.layer_shapes)]
        for (offset, stride, _, _), width in zip(self.buffers, widths, strict=True):
            if stride:
                panels = padded(self.rows, panel) // panel
                view = work[offset : offset + panels * stride].reshape(panels, stride)
                view[:, width * panel : (width + 1) * panel] = 1
        return work


def bytes_per_row(network: NetworkPlan) -> int:
    """Work memory that training takes for a row of the batch."""
    widths = [network.n_inputs, *(n_out for _, n_out in network.layer_shapes)]
    return (2 * sum(widths) + sum(op.cols for op in network.dense)) * network.dtype.itemsize


def pass_rows(network: NetworkPlan, batch: int) -> int:
    """Rows of a batch that are computed at a time: all, unless their activations take too much memory."""
    panel = 2 * lanes_of(network.dtype)
    limit = max(512, PASS_BYTES // bytes_per_row(network)) // panel * panel
    return min(batch, limit)


@lru_cache(maxsize=64)
def plan_arena(network: NetworkPlan, rows: int, n_threads: int, training: bool) -> Arena:
    """Lay out the work memory for passes of `rows` rows.

    For prediction there are no deltas and no transposed operands, and each thread has an arena of its own.
    """
    lanes = lanes_of(network.dtype)
    panel = 2 * lanes
    panels = padded(rows, panel) // panel
    size = 0

    def take(n: int) -> int:
        nonlocal size
        start, size = size, size + padded(n, panel)
        return start

    widths = [network.n_inputs, *(n_out for _, n_out in network.layer_shapes)]
    buffers = np.zeros((len(widths), 4), dtype=np.int64)
    for row, width in zip(buffers, widths, strict=True):
        row[ACTIVATION_STRIDE] = padded(width + 1, lanes) * panel
        row[ACTIVATION] = take(panels * row[ACTIVATION_STRIDE])
        if training:
            row[DELTA_STRIDE] = padded(width, lanes) * panel
            row[DELTA] = take(panels * row[DELTA_STRIDE])
    transposed = np.zeros(len(network.ops), dtype=np.int64)
    special = np.zeros(N_SPECIAL, dtype=np.int64)
    if training:
        for i, op in enumerate(network.ops):
            if op.kind == Kind.DENSE:
                transposed[i] = take(padded(op.cols, panel) * panels * panel)
        special[TARGET_STRIDE] = padded(network.n_targets, lanes) * panel
        special[TARGET] = take(panels * special[TARGET_STRIDE])
        special[WEIGHT] = take(panels * panel)
    special[SCRATCH_SIZE] = TILE_ROWS * panel
    special[SCRATCH] = take(n_threads * special[SCRATCH_SIZE])
    special[ROWS_PADDED] = panels * panel
    widest = max(p + q for p, q in network.layer_shapes) * network.dtype.itemsize
    special[GROUP] = min(16, max(1, GROUP_BYTES // (widest * panel)))
    return Arena(buffers, transposed, special, size, rows)
