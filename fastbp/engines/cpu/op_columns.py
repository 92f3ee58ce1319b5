"""Columns of the CPU's table of ops, after those of the plan and of the blocks of parameters."""

from fastbp.engines.cpu.arena import LAYOUT

(
    NUMBER,  # of the op's kernels in ``ops.OPS``
    WHOLE,  # whether these take all registers of a thread at once, or at most the two of one panel
    FORWARD,  # address of the op's registered function
    BACKWARD,
    DERIVATIVE_OF,  # the buffer that holds the argument of its derivative
    RUNS_BACKWARD,  # whether anything learns: the op itself, or what lies below it
    LEARNS,  # whether parameters lie below the op, so that its deltas are needed
    ACCUMULATES,  # whether deltas from another op are there already when this one adds its own
) = range(LAYOUT + 1, LAYOUT + 9)
N_COLUMNS = 8
WIDTH = LAYOUT + 1 + N_COLUMNS  # of the whole table
