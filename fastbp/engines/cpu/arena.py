"""The work memory of a network: one array, sized once from the plan; nothing is allocated inside a step.

Rows of the batch are cut into panels of PANEL rows. A buffer of width n holds, panel after panel, one memory
row of PANEL values for each feature:

    activations  (panel, padded(n + 1), PANEL)   feature n is the constant 1 that a bias multiplies,
                                                 0 where the layer that reads it has none
    deltas       (panel, padded(n), PANEL)       derivative of the loss by the buffer's values
    transposed   (column panel, batch row, PANEL) for each dense layer: the operand of its weight gradient
                                                 that runs along the columns of the parameter block;
                                                 for each parametric op: the deltas of its parameters

Padding rows are zero and stay zero, so that a product may run over them.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numba import types

from fastbp.engines.cpu.layout import aligned_zeros, panel_layout
from fastbp.engines.cpu.op_columns import IN_MAJOR
from fastbp.engines.cpu.simd import Vector
from fastbp.engines.cpu.tile import TILE_ROWS
from fastbp.plan.network import Kind, NetworkPlan, padded

# Columns of the table of buffers.
ACTIVATION, ACTIVATION_STRIDE, DELTA, DELTA_STRIDE, CONSTANT, N_BUFFER_FIELDS = range(6)
# Offsets of what does not belong to one buffer.
(
    TARGET,
    TARGET_STRIDE,
    WEIGHT,
    SCRATCH,
    SCRATCH_SIZE,
    ROWS_PADDED,
    GROUP_PANELS,
    FEW_ROWS,
    FEW_ROWS_LIMIT,
    CONSTANTS,
    RULES,
    ONES,
    SYNCED,
    N_OFFSETS,
) = range(14)
RULE_SIZE = 32  # values of a thread's coefficients: threads share no cache line

# Columns of the table of gradient tiles.
(
    TILE_LEFT,
    TILE_JUMP,
    TILE_RIGHT,
    TILE_HEIGHT,
    TILE_REGISTERS,
    TILE_PARAMETERS,
    TILE_PITCH,
    TILE_BIAS_ROW,
    TILE_BIAS_COL,
    TILE_RATES,
    N_TILE_FIELDS,
) = range(11)

GROUP_BYTES = 1 << 20  # activations that a thread takes through the network at a time: half of a usual L2
BLOCK_BYTES = 1 << 19  # of the left operand of a gradient, while the right one goes by
PASS_BYTES = 64 << 20  # activations of a batch; a larger batch is computed in several passes
PREDICTION_ROWS = 256
PREDICTION_BYTES = 8 << 20  # activations of a thread in prediction, unless the weights take more


@lru_cache
def lanes_of(dtype: np.dtype) -> int:
    """Values in one register."""
    return Vector(types.float32 if dtype == np.float32 else types.float64).lanes


@dataclass(frozen=True)
class Arena:
    """Offsets into the work array, and its size.

    Attributes
    ----------
    buffers : int64 array of shape (n_buffers, N_BUFFER_FIELDS)
        Offset and panel stride of the activations and deltas of each buffer; its constant feature. Of a
        buffer that has deltas only, the "activations" are a place for statistics of the batch.
    transposed : int64 array of shape (n_ops,)
        Offset of the transposed operand of an op with parameters.
    tiles : int64 array of shape (n_tiles, N_TILE_FIELDS)
        All tiles of the weight gradients.
    offsets : int64 array of shape (N_OFFSETS,)
        Its entry SYNCED is the engine's: the address of the kernel of batch normalisation, 0 for none.
    size : int
        Values in all.
    rows : int
        Rows of the batch that one pass computes.
    places, values : arrays of one length
        Offsets and values of what is constant and not 0 (`constants_of`).
    """

    buffers: np.ndarray
    transposed: np.ndarray
    tiles: np.ndarray
    offsets: np.ndarray
    size: int
    rows: int
    places: np.ndarray
    values: np.ndarray

    def allocate(self) -> np.ndarray:
        """The work array: zeros, but for what is constant."""
        workspace = aligned_zeros(self.size, self.values.dtype)
        workspace[self.places] = self.values
        return workspace


def bytes_per_row(network: NetworkPlan) -> int:
    """Work memory that training takes for a row of the batch."""
    operands = sum(block.cols for block in panel_layout(network).blocks)
    return (2 * sum(network.widths) + operands) * network.dtype.itemsize


def pass_rows(network: NetworkPlan, batch: int, n_bytes: int | None = None) -> int:
    """Rows of a batch that are computed at a time: all, unless their activations take more than `n_bytes`."""
    panel = 2 * lanes_of(network.dtype)
    limit = max(512, (PASS_BYTES if n_bytes is None else n_bytes) // bytes_per_row(network)) // panel * panel
    return min(batch, limit)


def prediction_rows(network: NetworkPlan, n_rows: int, n_threads: int) -> int:
    """Rows that a thread computes at a time in prediction: whole panels, at least one.

    The wider a network, the fewer: all threads together take no more memory for them than the weights do,
    or PREDICTION_BYTES each. The weights pass through the caches once for each of these blocks.
    """
    panel = 2 * lanes_of(network.dtype)
    itemsize = network.dtype.itemsize
    n_bytes = max(PREDICTION_BYTES, network.n_parameters * itemsize // n_threads)
    rows = n_bytes // (sum(network.widths) * itemsize) // panel * panel
    return min(PREDICTION_ROWS, max(rows, panel), padded(n_rows, panel))


@lru_cache(maxsize=64)
def plan_arena(
    network: NetworkPlan, rows: int, n_threads: int, training: bool, n_small: bool = True
) -> Arena:
    """Lay out the work memory for passes of `rows` rows.

    For prediction there are no deltas and no transposed operands, and each thread has an arena of its own.
    `n_small` tells whether a panel may have the operands of `few_rows_times_block`, as large as some rows.
    """
    lanes = lanes_of(network.dtype)
    panel = 2 * lanes
    panels = padded(rows, panel) // panel
    size = 0

    def take(n: int) -> int:
        nonlocal size
        start, size = size, size + padded(n, panel)
        return start

    # Where an op's output is as wide as its input, it turns the deltas of the one into those of the other.
    own_deltas_of = (Kind.DENSE, Kind.GROUP)  # their outputs differ from their inputs in width
    same_deltas = {
        op.target: op.source for op in network.ops if op.kind not in own_deltas_of and op.target != op.source
    }
    own_deltas = {op.other: op for op in network.parametric}
    buffers = np.zeros((len(network.widths), N_BUFFER_FIELDS), dtype=np.int64)
    for op in network.dense:
        buffers[op.source, CONSTANT] = op.bias
    for i, (row, width) in enumerate(zip(buffers, network.widths, strict=True)):
        if i in own_deltas:
            # of a batch: mean, variance, two sums for the way back
            row[ACTIVATION] = take(2 * width) if training and own_deltas[i].sync else 0
        else:
            row[ACTIVATION_STRIDE] = padded(width + 1, lanes) * panel
            row[ACTIVATION] = take(panels * row[ACTIVATION_STRIDE])
        if training and same_deltas.get(i, i) != i:
            row[DELTA : DELTA_STRIDE + 1] = buffers[same_deltas[i], DELTA : DELTA_STRIDE + 1]
        elif training and (i > 0 or i in same_deltas.values()):  # else nothing learns before the inputs
            row[DELTA_STRIDE] = padded(width, lanes) * panel
            row[DELTA] = take(panels * row[DELTA_STRIDE])
    transposed = np.zeros(len(network.ops), dtype=np.int64)
    offsets = np.zeros(N_OFFSETS, dtype=np.int64)
    if training:
        for i, block in enumerate(panel_layout(network).blocks):
            if block.cols:
                transposed[i] = take(padded(block.cols, panel) * panels * panel)
        offsets[TARGET_STRIDE] = padded(network.n_targets, lanes) * panel
        offsets[TARGET] = take(panels * offsets[TARGET_STRIDE])
        offsets[WEIGHT] = take(panels * panel)
    offsets[SCRATCH_SIZE] = TILE_ROWS * panel
    offsets[SCRATCH] = take(n_threads * offsets[SCRATCH_SIZE])
    offsets[CONSTANTS] = take(len(network.constants))
    offsets[ONES] = take(panel)
    offsets[RULES] = take(n_threads * RULE_SIZE)
    if panels == 1 and n_small:
        longest = max(max(p + 1, q) for p, q in network.layer_shapes) + 2 * lanes
        offsets[FEW_ROWS_LIMIT] = min(lanes, TILE_ROWS)
        offsets[FEW_ROWS] = take((TILE_ROWS + lanes) * longest)
    offsets[ROWS_PADDED] = panels * panel
    widest = max(p + q for p, q in network.layer_shapes) * network.dtype.itemsize
    offsets[GROUP_PANELS] = min(16, max(1, GROUP_BYTES // (widest * panel)))
    tiles = plan_tiles(network, buffers, transposed, offsets[ONES], rows, lanes) if training else NO_TILES
    return Arena(
        buffers, transposed, tiles, offsets, size, rows, *constants_of(network, buffers, offsets, rows)
    )


def constants_of(
    network: NetworkPlan, buffers: np.ndarray, offsets: np.ndarray, rows: int
) -> tuple[np.ndarray, np.ndarray]:
    """Offsets and values of the constant feature of each buffer, of the network's constants, and of ones."""
    panel = 2 * lanes_of(network.dtype)
    ones = np.arange(panel)
    places = [offsets[CONSTANTS] + np.arange(len(network.constants)), offsets[ONES] + ones]
    values = [np.array(network.constants, network.dtype), np.ones(panel, network.dtype)]
    panels = np.arange(padded(rows, panel) // panel)[:, None]
    for (offset, stride, _, _, constant), width in zip(buffers, network.widths, strict=True):
        if stride and constant:
            places.append((offset + panels * stride + width * panel + ones).ravel())
            values.append(np.full(len(places[-1]), constant, network.dtype))
    return np.concatenate(places), np.concatenate(values)


NO_TILES = np.zeros((0, N_TILE_FIELDS), np.int64)


def plan_tiles(
    network: NetworkPlan, buffers: np.ndarray, transposed: np.ndarray, ones: int, rows: int, lanes: int
) -> np.ndarray:
    """List the tiles of all weight gradients, each at most TILE_ROWS × PANEL.

    A tile is the product of a left operand, rows of a buffer's panels, with a right operand, a column panel
    of the layer's transposed buffer; both run over the rows of the batch. The order goes through all column
    panels with a block of left rows that stays in cache, then on to the next block. The left operand of a
    parametric op is the panel of `ones`, for all rows the same.
    """
    panel = 2 * lanes
    rows_padded = padded(rows, panel)
    tables = [NO_TILES]
    for op, block, right in zip(network.ops, panel_layout(network).blocks, transposed, strict=True):
        if not (op.cols and op.learned):
            continue
        in_major, ld = block.order == IN_MAJOR, block.ld
        if op.kind == Kind.PARAMETRIC:
            left = np.array((ones, 0))
        else:
            left = buffers[op.source, ACTIVATION:] if in_major else buffers[op.target, DELTA:]
        n_down, n_across = -(-block.rows // TILE_ROWS), -(-block.cols // panel)
        n_together = max(1, BLOCK_BYTES // (TILE_ROWS * rows_padded * network.dtype.itemsize))
        down, across = (grid.ravel() for grid in np.meshgrid(np.arange(n_down), np.arange(n_across)))
        order = np.lexsort((down, across, down // n_together))
        down, across = down[order], across[order]
        first, column = down * block.rows // n_down, across * panel
        table = np.zeros((len(down), N_TILE_FIELDS), np.int64)
        table[:, TILE_LEFT] = left[0] + first * panel
        table[:, TILE_JUMP] = left[1] - panel + 1
        table[:, TILE_RIGHT] = right + column * rows_padded
        table[:, TILE_HEIGHT] = (down + 1) * block.rows // n_down - first
        table[:, TILE_REGISTERS] = np.where(block.cols - column > lanes, 2, 1)
        table[:, TILE_PARAMETERS] = block.offset + column // ld * block.rows * ld + first * ld + column % ld
        table[:, TILE_PITCH] = ld
        n_inputs = 0 if op.kind == Kind.PARAMETRIC else op.n_in
        table[:, TILE_BIAS_ROW] = n_inputs - first if in_major else -1
        table[:, TILE_BIAS_COL] = n_inputs - column if op.bias and not in_major else -1
        table[:, TILE_RATES] = op.constants
        tables.append(table)
    return np.concatenate(tables)
