"""Products of parameter blocks with panels of the batch, and other operations on whole panels.

A register stands for as many rows of the batch as it has lanes: register r lies in panel r // 2, half r % 2.
"""

from typing import Any, NamedTuple

from fastbp.engines.compiler import jit
from fastbp.engines.cpu.tile import TILE_ROWS, LeftOperand, Rows, product, rows_from
from fastbp.engines.cpu.transpose import scatter_block, transpose_block
from fastbp.engines.cpu.vector_memory import advance, lanes, load, store

# Blocks of weights that multiply the panels of the batch in turn: LONGEST_BLOCK steps of k of a panel and of
# weights take 32 KB in either dtype, as much as a first-level cache holds.
LONGEST_BLOCK = 128
ROW_BLOCK = 4 * TILE_ROWS
FEW_ROWS_BLOCK = 16


class Panels(NamedTuple):
    """Features of the rows of a batch: where the first panel begins, and how far it is to the next."""

    start: Any
    stride: Any


class Block(NamedTuple):
    """A parameter block in column panels (rows, ld)."""

    start: Any
    rows: Any
    ld: Any


@jit
def panels_of(workspace, buffers, buffer, field):
    """The activations (`field` ACTIVATION) or deltas (DELTA) of a buffer; its stride is the next field."""
    return Panels(advance(workspace, buffers[buffer, field]), buffers[buffer, field + 1])


@jit
def row_pitch(width, lanes):
    """Values from one of few rows to the next: a register more than needed, for other cache sets."""
    return (width + 2 * lanes - 1) // lanes * lanes


@jit
def block_length(k_total, ld):
    """Steps of k in a block: about equal blocks, none a small remainder, and multiples of ld."""
    n_blocks = -(-k_total // LONGEST_BLOCK)
    return -(-k_total // (n_blocks * ld)) * ld


@jit
def tiles_times_panels(c, weights, b, add, n_rows, first, last):
    """`n_rows` rows of weights, in tiles of equal height, times registers first … last of the batch.

    Within a panel of the batch all tiles come one after another: the panel is then in first-level cache.
    """
    n_lanes = lanes(c.start)
    panel = 2 * n_lanes
    n_tiles = -(-n_rows // TILE_ROWS)
    height, taller = n_rows // n_tiles, n_rows % n_tiles
    r = first
    while r < last:
        half = r % 2
        registers = 2 if half == 0 and r + 1 < last else 1
        to = advance(c.start, (r // 2) * c.stride + half * n_lanes)
        of = advance(b.start, (r // 2) * b.stride + half * n_lanes)
        i = 0
        for tile in range(n_tiles):
            rows = height + (tile < taller)
            part = rows_from(weights, i)
            product(Rows(advance(to, i * panel), panel), part, Rows(of, panel), add, rows, registers)
            i += rows
        r += registers


@jit
def times_block(c, block, n, b, first, last, add):
    """C = Wᵀ·B: an output for each of the first `n` columns of a parameter block, a sum over its rows.

    Parameters
    ----------
    c : Panels, out
        Of `n` features.
    block : Block
    b : Panels, in
        Of as many features as the block has rows.
    add : int
        1 to add to the values in `c`.
    """
    panel = 2 * lanes(c.start)
    start, rows, ld = block
    block_rows = block_length(rows, 1)
    for k in range(0, rows, block_rows):
        for j in range(0, n, ld):
            steps = min(block_rows, rows - k)
            tiles_times_panels(
                Panels(advance(c.start, j * panel), c.stride),
                LeftOperand(advance(start, j * rows + k * ld), 1, ld, steps, block_rows, 0),
                Panels(advance(b.start, k * panel), b.stride),
                int(k > 0 or add != 0),
                min(ld, n - j),
                first,
                last,
            )


@jit
def times_transposed_block(c, block, n, cols, b, first, last, add):
    """C = W·B: an output for each of the first `n` rows of a parameter block, a sum over its columns."""
    panel = 2 * lanes(c.start)
    start, rows, ld = block
    block_cols = block_length(cols, ld)
    for k in range(0, cols, block_cols):
        for i in range(0, n, ROW_BLOCK):
            steps = min(block_cols, cols - k)
            tiles_times_panels(
                Panels(advance(c.start, i * panel), c.stride),
                LeftOperand(advance(start, k * rows + i * ld), ld, 1, steps, ld, rows * ld - ld + 1),
                Panels(advance(b.start, k * panel), b.stride),
                int(k > 0 or add != 0),
                min(ROW_BLOCK, n - i),
                first,
                last,
            )


@jit
def few_rows_times_block(c, block, n, b, n_rows, constant, scratch):
    """C = Wᵀ·B for a batch of up to TILE_ROWS rows: vectors run along the outputs, not along the batch.

    So all lanes work. Each element is the same chain of additions as in `times_block`. Lanes beyond `n_rows`
    repeat the first row.

    Parameters
    ----------
    c, b : Panels
        One panel; `c` gets the `constant` after its `n` features.
    scratch : pointer
        TILE_ROWS rows of inputs, a register's rows of outputs, each `row_pitch` long.
    """
    start, rows, ld = block
    n_lanes = lanes(start)
    panel = 2 * n_lanes
    x_pitch, y_pitch = row_pitch(rows, n_lanes), row_pitch(n, n_lanes)
    y = advance(scratch, TILE_ROWS * x_pitch)
    for k in range(0, rows, n_lanes):
        of = advance(b.start, k * panel)
        scatter_block(of, panel, advance(scratch, k), x_pitch, n_rows, min(n_lanes, rows - k))
    # Whole vectors only; rows of another length than a panel's are the user's own, and end where they end.
    n_whole = n if ld % n_lanes == 0 else n // n_lanes * n_lanes
    # Long rows of weights are read along, few at a time, as caches expect.
    block_rows = rows if ld <= panel else FEW_ROWS_BLOCK
    for k in range(0, rows, block_rows):
        for j in range(0, n_whole, panel):
            steps = min(block_rows, rows - k)
            weights = advance(start, j // ld * ld * rows + k * ld + j % ld)
            product(
                Rows(advance(y, j), y_pitch),
                LeftOperand(advance(scratch, k), x_pitch, 1, steps, rows, 0),
                Rows(weights, ld),
                int(k > 0),
                n_rows,
                1 if n_whole - j <= n_lanes else 2,
            )
    for j in range(0, n_whole, n_lanes):
        first = load(y, j)
        for i in range(n_rows, n_lanes):
            store(y, i * y_pitch + j, first)
        transpose_block(advance(y, j), y_pitch, advance(c.start, j * panel), panel)
    if n_whole < n:
        remainder = Panels(advance(c.start, n_whole * panel), c.stride)
        times_block(remainder, Block(advance(start, n_whole), rows, ld), n - n_whole, b, 0, 1, 0)
    store(c.start, n * panel, float(constant))


@jit
def transpose_registers_of(source, n, target, rows_padded, first, last):
    """Write `n` features of registers first … last as column panels (column panel, batch row, PANEL)."""
    n_lanes = lanes(source.start)
    panel = 2 * n_lanes
    for r in range(first, last):
        start = advance(source.start, (r // 2) * source.stride + (r % 2) * n_lanes)
        for f in range(0, n, n_lanes):
            column = (f // panel) * rows_padded * panel + f % panel
            transpose_block(
                advance(start, f * panel), panel, advance(target, column + r * n_lanes * panel), panel
            )


@jit
def add_panels(a, b, c, n, n_registers):
    """c = a + b, `n` features of one or two registers of rows."""
    n_lanes = lanes(a)
    for i in range(n):
        for r in range(n_registers):
            at = (2 * i + r) * n_lanes
            store(c, at, load(a, at) + load(b, at))


@jit
def copy_panels(a, c, n, n_registers):
    """c = a."""
    n_lanes = lanes(a)
    for i in range(n):
        for r in range(n_registers):
            at = (2 * i + r) * n_lanes
            store(c, at, load(a, at))
