"""The tables that the kernel walks through: kinds of phases and of jobs, and their columns."""

from dataclasses import dataclass

import numpy as np

from fastbp.engines.cuda.arena import NOWHERE, ArenaOffsets

GATHER, TILES, ROWS, NORMS, ELEMENTS, FEATURES = range(6)  # phases
FORWARD, BACKWARD, GRADIENT = range(3)  # jobs of TILES
ROW_FORWARD, LOSS, ROW_BACKWARD, ELEMENT_BACKWARD, LARGEST = range(5)  # jobs of ROWS
ROWS_OF_DATA, INPUT_NOISE = range(2)  # jobs of GATHER
# Jobs of ELEMENTS.
ACTIVATE, DISTURB, ADD, PARAMETRIC, GROUP = range(5)
ACTIVATE_BACKWARD, DISTURB_BACKWARD, ADD_BACKWARD, PARAMETRIC_BACKWARD, GROUP_BACKWARD = range(5, 10)
STANDARDISE_BACKWARD = 10
STATISTICS, DELTA_SUMS = range(2)  # jobs of FEATURES

# Columns of the phases.
PHASE_KIND, FIRST_JOB, LAST_JOB, N_PHASE_FIELDS = range(4)

# Columns of the jobs. M, N, K: sizes of a product, BATCH_ROWS for the rows of the pass. CODE: an activation
# of the selection; of GATHER, NORMS and FEATURES, log2 of the threads along a row; of LOSS, where its
# parameters are.
# AUX: of FORWARD, where the product itself is kept, or NOWHERE; of BACKWARD, the values whose derivative is
# wanted; of LOSS and GATHER, the weights. FIRST_TILE: tiles of the phase before this job's.
# CONSTANTS: of GRADIENT, the factors of the learning rate of weights and of biases.
# NOISE: the noise after the activation, or NOWHERE; with the op's number DRAW, its CONSTANTS, and forward
# DISTURBED, where the result goes. ADDED: the term added after that (forward) or before it (backward), and
# SUM, where the sum is kept; NOWHERE for none.
# ROWS: A the values, B the targets, C the deltas, N their width.
# GATHER: A the inputs, N their width, B the targets, K their width.
# ELEMENTS: A the values, C the result or the deltas, B what is added, the parameters, the moments of the
# batch or the deltas of groups, K how many parameters or pieces, AUX where derivatives by parameters go, or
# the weights.
# FEATURES: A the values or the outputs, C the deltas, B the batch's moments, K the running ones, AUX the
# weights.
# NORMS: C a layer's parameters, M their rows, N their columns, K the rows without the bias.
FIELD_NAMES = (
    "JOB_KIND", "CODE", "SHAPE", "A", "A_ROW", "A_COL", "B", "B_ROW", "B_COL", "C",
    "M", "N", "K", "ONE_M", "ONE_K", "AUX", "FIRST_TILE", "NOISE", "DRAW", "CONSTANTS", "DISTURBED",
    "ADDED", "SUM",
)  # fmt: skip
FIELDS = {name: column for column, name in enumerate(FIELD_NAMES)}
(
    JOB_KIND, CODE, SHAPE, A, A_ROW, A_COL, B, B_ROW, B_COL, C,
    M, N, K, ONE_M, ONE_K, AUX, FIRST_TILE, NOISE, DRAW, CONSTANTS, DISTURBED, ADDED, SUM,
) = FIELDS.values()  # fmt: skip
N_FIELDS = len(FIELDS)
BATCH_ROWS = -1
UNROLLED = 4  # rows that a thread gathers at once


@dataclass(frozen=True)
class Program:
    """The tables that the kernel reads.

    Attributes
    ----------
    phases, jobs : int64 tables
    layout : ArenaOffsets
    pass_rows : int
        Rows that go through the phases at once.
    loss_tiles, penalty_tiles : int
        Partial sums of a pass, of a step.
    most_tiles : int
        Of any phase: more blocks would have nothing to do.
    """

    phases: np.ndarray
    jobs: np.ndarray
    layout: ArenaOffsets
    pass_rows: int
    loss_tiles: int
    penalty_tiles: int
    most_tiles: int


def make_job(kind: int, **values: int) -> list[int]:
    """A row of the table of jobs, by the names of its columns."""
    job = [0] * N_FIELDS
    job[JOB_KIND] = kind
    job[ONE_M] = job[ONE_K] = job[NOISE] = job[ADDED] = job[SUM] = NOWHERE
    for name, value in values.items():
        job[FIELDS[name]] = value
    return job
