"""Weight gradients, tile by tile over the whole batch, and what is done with each tile while it is hot.

The tiles of all layers are numbered through; a thread takes a contiguous range of the numbers. A tile sums
over all rows of the pass in their order, so the result does not depend on who computes it.
"""

from fastbp.compiler import jit
from fastbp.cpu.arena import (
    ACTIVATION,
    ACTIVATION_STRIDE,
    BIAS,
    COLS,
    DELTA,
    DELTA_STRIDE,
    DENSE,
    DESTINATION,
    IN_MAJOR,
    KIND,
    LAYOUT,
    LD,
    N_IN,
    OFFSET,
    ROWS,
    ROWS_PADDED,
    SCRATCH,
    SCRATCH_SIZE,
    SOURCE,
)
from fastbp.cpu.functions import ACCUMULATE, update
from fastbp.cpu.simd import advance, lanes, pointer
from fastbp.cpu.tile import TILE_ROWS, product

# What is done with a tile of the gradient.
APPLY, WRITE, ADD, APPLY_STORED = range(4)


@jit
def count_tiles(table, panel):
    """Tiles of all parameter blocks."""
    total = 0
    for o in range(table.shape[0]):
        if table[o, KIND] == DENSE:
            total += -(-table[o, ROWS] // TILE_ROWS) * -(-table[o, COLS] // panel)
    return total


@jit
def gradient_tiles(
    table,
    buffers,
    transposed,
    special,
    params,
    moments,
    work,
    gradient,
    thread,
    n_threads,
    n_rows,
    mode,
    solver,
    penalty,
    c,
    penalties,
):
    """A thread's share of the tiles.

    Parameters
    ----------
    params, gradient : (n_parameters,), in/out
    moments : (n_states · n_parameters,), in/out
    n_rows : int
        Rows of the pass.
    mode : int
        APPLY: the solver's step at once, `gradient` unused. WRITE, ADD: into `gradient`. APPLY_STORED: the
        solver's step from `gradient`, nothing computed.
    penalty : float
        λ of the L2 penalty ½λ‖W‖², added to the gradient of all but biases when a step is made.
    c : tuple of 6 floats
        The solver's coefficients.
    penalties : (n_tiles,), out
        Each tile's penalty before the step.
    """
    w = pointer(work, 0)
    step = lanes(w)
    panel = 2 * step
    scratch = advance(w, special[SCRATCH] + thread * special[SCRATCH_SIZE])
    total = count_tiles(table, panel)
    first, last = total * thread // n_threads, total * (thread + 1) // n_threads
    base = 0
    for o in range(table.shape[0]):
        if table[o, KIND] != DENSE:
            continue
        rows, cols, ld = table[o, ROWS], table[o, COLS], table[o, LD]
        n_down = -(-rows // TILE_ROWS)
        n_tiles = n_down * -(-cols // panel)
        in_major = table[o, LAYOUT] == IN_MAJOR
        if in_major:
            a = advance(w, buffers[table[o, SOURCE], ACTIVATION])
            a_stride = buffers[table[o, SOURCE], ACTIVATION_STRIDE]
        else:
            a = advance(w, buffers[table[o, DESTINATION], DELTA])
            a_stride = buffers[table[o, DESTINATION], DELTA_STRIDE]
        bias_row = table[o, N_IN] if in_major else -1
        bias_col = -1 if in_major or table[o, BIAS] == 0 else table[o, N_IN]
        for tile in range(max(first - base, 0), min(last - base, n_tiles)):
            down, j = tile % n_down, tile // n_down
            i = down * rows // n_down
            tile_height = (down + 1) * rows // n_down - i
            column = j * panel
            registers = 2 if cols - column > step else 1
            at = table[o, OFFSET] + column // ld * rows * ld + i * ld + column % ld
            stored = mode == WRITE or mode == APPLY_STORED
            g, ldg = (pointer(gradient, at), ld) if stored else (scratch, panel)
            if mode != APPLY_STORED:
                product(
                    g,
                    ldg,
                    advance(a, i * panel),
                    panel,
                    1,
                    n_rows,
                    panel,
                    a_stride - panel + 1,
                    advance(w, transposed[o] + j * special[ROWS_PADDED] * panel),
                    panel,
                    tile_height,
                    registers,
                )
            if mode != WRITE:
                update(
                    ACCUMULATE if mode == ADD else solver,
                    (
                        pointer(gradient, at) if mode == ADD else pointer(params, at),
                        g,
                        ldg,
                        pointer(moments, at),
                        pointer(moments, params.shape[0] + at),
                        ld,
                        tile_height,
                        registers,
                        penalty,
                        bias_row - i,
                        bias_col - column,
                        c,
                        pointer(penalties, base + tile),
                    ),
                )
        base += n_tiles
