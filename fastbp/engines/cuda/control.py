"""The books of a fit, kept by one block in float64: learning rate, loss, epochs, stopping rule.

`open_step` works out what a step needs, `close_step` enters what it brought. They use the same rules as the
CPU's training loop (``fastbp.engines.cpu.step``), in the same order.
"""

from functools import cache
from typing import Any, NamedTuple

import numpy as np

from fastbp.engines.cuda.arena import (
    FACTOR,
    GRADIENT_NORM,
    LARGEST_NORM,
    LIMIT,
    PENALTY,
    SHARE,
    SHARE_OF_DECAY,
    SHARE_OF_MOMENTS,
    STRENGTH,
)
from fastbp.engines.cuda.lowering import Selection, rules
from fastbp.engines.cuda.sums import make_block_sum
from fastbp.engines.cuda.target import device, inlined
from fastbp.engines.cuda.tiling import Tiling
from fastbp.functions.normalisation import MOMENTUM

RUNNING, CONVERGED, MAX_EPOCHS, NON_FINITE = range(4)

# The int64 control array: constants of the fit, offsets into the arena, then the cursor. STEPS_BEFORE, those
# before this launch, stays as it is while STEPS goes on.
(
    N_DATA,
    BATCH,
    PASS,
    LOSS_TILES,
    PENALTY_TILES,
    ROWS_OF_TILE,
    N_PARAMETERS,
    MOMENTS,
    GRADIENT_AT,
    COEFFICIENTS,
    PARTIALS,
    PENALTIES,
    SQUARES,
    ARENA_SIZE,
    UPDATING,
    WEIGHTED,
    SEED,
    EPOCH_STEPS,
    TOTAL_STEPS,
    AVERAGE_AFTER,
    SCHEDULE,
    MONITOR_LOSS,
    EPOCH_LIMIT,
    STATUS,
    STEPS_BEFORE,
    AT,
    POSITION,
    STEP_OF_EPOCH,
    STEPS,
    STEPS_HERE,
    SAMPLES,
    EPOCHS,
    EPOCHS_HERE,
    STALE,
    CURVE_USED,
    BAD_PARAMETERS,
    N_INTS,
) = range(37)
# The float64 control array.
(
    RATE,
    RATE_INIT,
    POWER_T,
    H0,
    H1,
    H2,
    H3,
    ALPHA,
    L2,
    L1,
    DECAY,
    CLIP,
    CLIP_NORM,
    MAX_NORM,
    AVERAGE_RATE,
    S0,
    S1,
    S2,
    S3,
    TOL,
    PATIENCE,
    MEAN_WEIGHT,
    STEP_LOSS,
    EPOCH_LOSS,
    BEST,
    N_FLOATS,
) = range(26)


class Books(NamedTuple):
    """The device functions `open_step` and `close_step`."""

    open_step: Any
    close_step: Any


@cache
def make_books(real: type, tiling: Tiling, selection: Selection) -> Books:
    """Compile lazily for the dtype of the arena."""
    threads, updates, l1 = tiling.threads, selection.solver is not None, selection.l1
    scheduled, averages = selection.schedule is not None, selection.averages
    clip_norm, max_norm, batch_norm = selection.clip_norm, selection.max_norm, selection.batch_norm
    rule = rules(selection.solver, selection.schedule)
    factor, block_sum = rule.factor, make_block_sum(threads)
    coefficients, rate_after_epoch, check_convergence = (
        rule.coefficients,
        rule.rate_after_epoch,
        rule.check_convergence,
    )

    @device
    def open_step(ints, floats, memory, batch_rows):
        """By one thread: the step's coefficients into the arena."""
        weight = batch_rows * floats[MEAN_WEIGHT]
        at = ints[COEFFICIENTS]
        memory[at + FACTOR] = real(np.float64(1.0) / weight)
        if updates:
            h = (floats[H0], floats[H1], floats[H2], floats[H3])
            rate = floats[RATE]
            if scheduled:
                p = (floats[S0], floats[S1], floats[S2], floats[S3])
                steps, total = np.float64(ints[EPOCH_STEPS]), np.float64(ints[TOTAL_STEPS])
                rate *= factor(np.float64(ints[STEPS]), steps, total, p)
            c = coefficients(rate, h, np.float64(ints[STEPS] + 1))
            memory[at] = real(c[0])
            memory[at + 1] = real(c[1])
            memory[at + 2] = real(c[2])
            memory[at + 3] = real(c[3])
            memory[at + 4] = real(c[4])
            memory[at + 5] = real(c[5])
            memory[at + PENALTY] = real(floats[ALPHA] / weight + floats[L2])
            memory[at + STRENGTH] = real(floats[L1])
            memory[at + SHARE_OF_DECAY] = real(rate * floats[DECAY])
            memory[at + LIMIT] = real(floats[CLIP])
            if clip_norm:
                memory[at + GRADIENT_NORM] = real(floats[CLIP_NORM])
            if max_norm:
                memory[at + LARGEST_NORM] = real(floats[MAX_NORM])
            if batch_norm:
                share = max(np.float64(MOMENTUM), np.float64(1.0) / (ints[STEPS] + 1))
                memory[at + SHARE_OF_MOMENTS] = real(share * batch_rows / ints[BATCH])
            if averages:
                # As on the CPU: until the mean of all steps moves more slowly, that mean.
                made = ints[STEPS] + 1 - ints[AVERAGE_AFTER]
                share = max(floats[AVERAGE_RATE], np.float64(1.0) / max(made, 1))
                memory[at + SHARE] = real(share)

    @device
    def end_epoch(ints, floats, curve):
        """Book the loss of a finished epoch; then schedule and stopping rule."""
        loss = floats[EPOCH_LOSS] / ints[N_DATA]
        floats[EPOCH_LOSS] = 0.0
        curve[ints[CURVE_USED]] = loss
        ints[CURVE_USED] += 1
        ints[EPOCHS] += 1
        ints[EPOCHS_HERE] += 1
        ints[SAMPLES] += ints[N_DATA]
        ints[STEP_OF_EPOCH] = 0
        floats[RATE] = rate_after_epoch(
            ints[SCHEDULE], floats[RATE], floats[RATE_INIT], floats[POWER_T], ints[SAMPLES]
        )
        if not is_finite(loss):
            ints[STATUS] = NON_FINITE
            return
        if ints[MONITOR_LOSS]:
            rate, best, stale, converged = check_convergence(
                ints[SCHEDULE], floats[RATE], loss, floats[BEST], ints[STALE], floats[TOL], floats[PATIENCE]
            )
            floats[RATE] = rate
            floats[BEST] = best
            ints[STALE] = stale
            if converged:
                ints[STATUS] = CONVERGED
        if ints[EPOCHS_HERE] == ints[EPOCH_LIMIT] and ints[STATUS] == RUNNING:
            ints[STATUS] = MAX_EPOCHS

    @device
    def is_finite(x):
        return x - x == 0.0

    @inlined
    def total(memory, first, n, scratch, tid):
        """Σ memory[first : first + n] in a fixed order, by all threads of the block."""
        value = np.float64(0.0)
        for i in range(tid, n, threads):
            value += np.float64(memory[first + i])
        return block_sum(scratch, tid, value)

    @device
    def close_step(ints, floats, memory, curve, scratch, tid, batch_rows):
        """By all threads of one block: what the step that has just ended brought."""
        passes = (batch_rows + ints[PASS] - 1) // ints[PASS]
        rest = batch_rows - (passes - 1) * ints[PASS]
        tiles = (passes - 1) * ints[LOSS_TILES] + (rest + ints[ROWS_OF_TILE] - 1) // ints[ROWS_OF_TILE]
        # Read before the barriers of the sums, for behind them one thread opens the next step.
        penalised = updates and (l1 or memory[ints[COEFFICIENTS] + PENALTY] != real(0.0))
        loss = total(memory, ints[PARTIALS], tiles, scratch, tid)
        penalty = np.float64(0.0)
        if penalised:
            penalty = total(memory, ints[PENALTIES], ints[PENALTY_TILES], scratch, tid)
        if tid == 0:
            if not is_finite(loss):
                ints[STATUS] = NON_FINITE
            floats[STEP_LOSS] = loss + penalty
            ints[STEPS] += 1
            ints[STEPS_HERE] += 1
            ints[STEP_OF_EPOCH] += 1
            floats[EPOCH_LOSS] += batch_rows * (loss + penalty)
            if ints[STEP_OF_EPOCH] * ints[BATCH] >= ints[N_DATA] and ints[STATUS] == RUNNING:
                end_epoch(ints, floats, curve)

    return Books(open_step, close_step)
