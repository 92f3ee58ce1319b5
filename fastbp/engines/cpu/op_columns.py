"""Columns of the CPU's table of ops: those of the plan, of the blocks of parameters, and the engine's own."""

from fastbp.engines.cpu.layout import MatrixOrder
from fastbp.plan.network import FIELD, Kind

# Of the plan, as constants that kernels can read.
KIND, SOURCE, DESTINATION, OTHER = FIELD["kind"], FIELD["source"], FIELD["target"], FIELD["other"]
N_IN, N_OUT = FIELD["n_in"], FIELD["n_out"]
TRAINING, PREDICTION = FIELD["training"], FIELD["prediction"]
OP_CONSTANTS, LEARNED, SYNC = FIELD["constants"], FIELD["learned"], FIELD["sync"]
DENSE = int(Kind.DENSE)  # a value of KIND

# ``ParameterLayout.columns``: the op's block of parameters as this engine stores it.
OFFSET, ROWS, COLS, LD, LAYOUT = range(len(FIELD), len(FIELD) + 5)
IN_MAJOR = int(MatrixOrder.IN_MAJOR)  # a value of LAYOUT

# The engine's own.
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
