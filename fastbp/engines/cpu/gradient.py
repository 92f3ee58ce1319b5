"""Weight gradients, tile by tile over the whole batch, and what is done with each tile while it is hot.

The tiles of all layers are listed in the arena; a thread takes a contiguous range of the list. A tile sums
over all rows of the pass in their order, so the result does not depend on who computes it.
"""

from fastbp.engines.compiler import jit
from fastbp.engines.cpu.arena import (
    CONSTANTS,
    SCRATCH,
    SCRATCH_SIZE,
    TILE_BIAS_COL,
    TILE_BIAS_ROW,
    TILE_HEIGHT,
    TILE_JUMP,
    TILE_LEFT,
    TILE_PARAMETERS,
    TILE_PITCH,
    TILE_RATES,
    TILE_REGISTERS,
    TILE_RIGHT,
)
from fastbp.engines.cpu.call import call
from fastbp.engines.cpu.tile import product
from fastbp.engines.cpu.vector_memory import advance, lanes, pointer

# What is done with a tile of the gradient.
APPLY, WRITE, ADD, APPLY_STORED, SQUARES = range(5)


@jit
def gradient_tiles(
    tiles,
    offsets,
    params,
    moments,
    workspace,
    gradient,
    thread,
    n_threads,
    n_rows,
    mode,
    update,
    coefficients,
    regular,
    penalties,
):
    """A thread's share of the tiles.

    Parameters
    ----------
    tiles : (n_tiles, n_fields), in
        See ``arena.plan_tiles``.
    params, gradient : (n_parameters,), in/out
    moments : (n_states · n_parameters,), in/out
    n_rows : int
        Rows of the pass.
    mode : int
        APPLY: the solver's step at once, `gradient` unused. WRITE, ADD: into `gradient`. APPLY_STORED: the
        solver's step from `gradient`, nothing computed. SQUARES: the sum of squares of `gradient`.
    update : int
        Address of the solver's loop; in mode ADD, of the loop that adds; in SQUARES, of the one that sums.
    coefficients, regular : pointer
        The solver's, and the strengths of penalties and limits (``cpu.functions``).
    penalties : (2 · n_tiles,), out
        Each tile's penalty before the step; then each tile's sum of squares.
    """
    w = pointer(workspace, 0)
    panel = 2 * lanes(w)
    scratch = advance(w, offsets[SCRATCH] + thread * offsets[SCRATCH_SIZE])
    n_tiles = tiles.shape[0]
    stored = mode == WRITE or mode == APPLY_STORED or mode == SQUARES
    first_sum = n_tiles if mode == SQUARES else 0
    for tile in range(n_tiles * thread // n_threads, n_tiles * (thread + 1) // n_threads):
        at, pitch = tiles[tile, TILE_PARAMETERS], tiles[tile, TILE_PITCH]
        height, registers = tiles[tile, TILE_HEIGHT], tiles[tile, TILE_REGISTERS]
        g, ldg = (pointer(gradient, at), pitch) if stored else (scratch, panel)
        if mode != APPLY_STORED and mode != SQUARES:
            product(
                g,
                ldg,
                advance(w, tiles[tile, TILE_LEFT]),
                panel,
                1,
                n_rows,
                panel,
                tiles[tile, TILE_JUMP],
                advance(w, tiles[tile, TILE_RIGHT]),
                panel,
                0,
                height,
                registers,
            )
        if mode != WRITE:
            call(
                update,
                (
                    pointer(gradient, at) if mode == ADD else pointer(params, at),
                    g,
                    ldg,
                    pointer(moments, at),
                    pointer(moments, params.shape[0] + at),
                    pointer(moments, 2 * params.shape[0] + at),
                    pitch,
                    height,
                    registers,
                    tiles[tile, TILE_BIAS_ROW],
                    tiles[tile, TILE_BIAS_COL],
                    coefficients,
                    regular,
                    advance(w, offsets[CONSTANTS] + tiles[tile, TILE_RATES]),
                    pointer(penalties, first_sum + tile),
                ),
            )
