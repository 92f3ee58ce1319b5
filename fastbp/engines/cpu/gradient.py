"""Weight gradients, tile by tile over the whole batch, and the solver's step while a tile is in cache.

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
from fastbp.engines.cpu.arguments import Tile
from fastbp.engines.cpu.call import call_tile
from fastbp.engines.cpu.tile import LeftOperand, Rows, product
from fastbp.engines.cpu.vector_memory import advance, lanes, pointer
from fastbp.functions.solvers import N_COEFFICIENTS

# Uses of a tile of the gradient.
APPLY, WRITE, ADD, APPLY_STORED, SQUARES = range(5)


@jit
def gradient_tiles(team, net, solver, n_rows, mode, function, rule):
    """The tiles of one thread.

    Parameters
    ----------
    team, net, solver
        See ``arguments``. In/out are parameters and the solver's memory: of `penalties` each tile's penalty
        before the step; in mode SQUARES each tile's sum of squares, after those.
    n_rows : int
        Rows of the pass.
    mode : int
        APPLY: the solver's step at once, no gradient kept. WRITE, ADD: into the gradient. APPLY_STORED: the
        solver's step from the gradient, nothing computed. SQUARES: the sum of squares of the gradient.
    function : int
        Address of the solver's loop; in mode ADD, of the loop that adds; in SQUARES, of the one that sums.
    rule : pointer
        The solver's coefficients, then the strengths of penalties and limits (``lowering``).
    """
    tiles, offsets, thread, n_threads = net.tiles, net.offsets, team.thread, team.n_threads
    w = pointer(net.workspace, 0)
    panel, n_parameters = 2 * lanes(w), net.params.shape[0]
    scratch = advance(w, offsets[SCRATCH] + thread * offsets[SCRATCH_SIZE])
    n_tiles = tiles.shape[0]
    stored = mode == WRITE or mode == APPLY_STORED or mode == SQUARES
    first_sum = n_tiles if mode == SQUARES else 0
    for i in range(n_tiles * thread // n_threads, n_tiles * (thread + 1) // n_threads):
        tile = pointer(tiles[i], 0)
        at, pitch = tile[TILE_PARAMETERS], tile[TILE_PITCH]
        height, registers = tile[TILE_HEIGHT], tile[TILE_REGISTERS]
        g, ldg = (pointer(solver.gradient, at), pitch) if stored else (scratch, panel)
        if mode != APPLY_STORED and mode != SQUARES:
            left = LeftOperand(advance(w, tile[TILE_LEFT]), panel, 1, n_rows, panel, tile[TILE_JUMP])
            product(Rows(g, ldg), left, Rows(advance(w, tile[TILE_RIGHT]), panel), 0, height, registers)
        if mode != WRITE:
            into = pointer(solver.gradient, at) if mode == ADD else pointer(net.params, at)
            moments = (
                pointer(solver.moments, at),
                pointer(solver.moments, n_parameters + at),
                pointer(solver.moments, 2 * n_parameters + at),
            )
            bias_row, bias_col = tile[TILE_BIAS_ROW], tile[TILE_BIAS_COL]
            rates = advance(w, offsets[CONSTANTS] + tile[TILE_RATES])
            sums = pointer(solver.penalties, first_sum + i)
            weights = Tile(into, pitch, g, ldg, height, registers, bias_row, bias_col)
            call_tile(function, (weights, moments, rule, advance(rule, N_COEFFICIENTS), rates, sums))
