"""The bookkeeping of a fit, kept by one block in float64: learning rate, loss, epochs, stopping rule.

`open_step` computes the coefficients of a step, `close_step` enters its loss, by the rules of
``fastbp.engines.control``.
"""

from functools import cache
from typing import Any, NamedTuple

import numpy as np

from fastbp.engines.control import NON_FINITE, RUNNING
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

INT, FLOAT = np.int64, np.float64
# Record of a launch, beside the control record.
LAUNCH = np.dtype(
    [
        # Constants: offsets into the arena, and its size
        ("arena_size", INT),
        ("n_parameters", INT),
        ("moments", INT),
        ("gradient", INT),
        ("coefficients", INT),
        ("partials", INT),
        ("penalties", INT),
        ("squares", INT),
        # Constants: the program
        ("loss_tiles", INT),
        ("penalty_tiles", INT),
        ("tile_rows", INT),
        ("has_solver", INT),
        ("has_weights", INT),
        # Constant: where the losses of this network's epochs begin
        ("curve_start", INT),
        # Cursor: where in the order the next step begins; steps before this launch; steps of this trainer
        ("order_position", INT),
        ("steps_before", INT),
        ("steps_here", INT),
        # Results
        ("step_loss", FLOAT),
        ("has_bad_parameters", INT),
    ],
    align=True,
)


class Bookkeeping(NamedTuple):
    """The device functions of this file."""

    open_step: Any
    close_step: Any
    find_bad_parameters: Any


@cache
def make_bookkeeping(real: type, tiling: Tiling, selection: Selection) -> Bookkeeping:
    """Compile lazily for the dtype of the arena."""
    threads, updates, l1 = tiling.threads, selection.solver is not None, selection.l1
    scheduled, averages = selection.schedule is not None, selection.averages
    clip_norm, max_norm, batch_norm = selection.clip_norm, selection.max_norm, selection.batch_norm
    rule = rules(selection.solver, selection.schedule)
    factor, block_sum = rule.factor, make_block_sum(threads)
    coefficients, end_epoch = rule.coefficients, rule.end_epoch
    batch_weight, l2_of_batch, average_fraction = rule.batch_weight, rule.l2_of_batch, rule.average_fraction

    @device
    def open_step(fit, launch, memory, batch_rows):
        """By one thread: the step's coefficients into the arena."""
        weight = batch_weight(fit, batch_rows)
        at = launch.coefficients
        memory[at + FACTOR] = real(np.float64(1.0) / weight)
        if updates:
            h = (fit.hyper[0], fit.hyper[1], fit.hyper[2], fit.hyper[3])
            rate = fit.rate
            if scheduled:
                constants = fit.schedule_constants
                p = (constants[0], constants[1], constants[2], constants[3])
                steps, total = np.float64(fit.epoch_steps), np.float64(fit.total_steps)
                rate *= factor(np.float64(fit.steps), steps, total, p)
            c = coefficients(rate, h, np.float64(fit.steps + 1))
            memory[at] = real(c[0])
            memory[at + 1] = real(c[1])
            memory[at + 2] = real(c[2])
            memory[at + 3] = real(c[3])
            memory[at + 4] = real(c[4])
            memory[at + 5] = real(c[5])
            memory[at + PENALTY] = real(l2_of_batch(fit, weight))
            memory[at + STRENGTH] = real(fit.l1)
            memory[at + SHARE_OF_DECAY] = real(rate * fit.weight_decay)
            memory[at + LIMIT] = real(fit.clip_value)
            if clip_norm:
                memory[at + GRADIENT_NORM] = real(fit.clip_norm)
            if max_norm:
                memory[at + LARGEST_NORM] = real(fit.max_norm)
            if batch_norm:
                share = max(np.float64(MOMENTUM), np.float64(1.0) / (fit.steps + 1))
                memory[at + SHARE_OF_MOMENTS] = real(share * batch_rows / fit.batch_rows)
            if averages:
                memory[at + SHARE] = real(average_fraction(fit, fit.steps))

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
    def close_step(fit, launch, memory, curve, scratch, tid, batch_rows):
        """By all threads of one block: enter the loss of the step that has just ended."""
        passes = (batch_rows + fit.pass_rows - 1) // fit.pass_rows
        rest = batch_rows - (passes - 1) * fit.pass_rows
        tiles = (passes - 1) * launch.loss_tiles + (rest + launch.tile_rows - 1) // launch.tile_rows
        # Read before the barriers of the sums, for after them one thread opens the next step.
        penalised = updates and (l1 or memory[launch.coefficients + PENALTY] != real(0.0))
        loss = total(memory, launch.partials, tiles, scratch, tid)
        penalty = np.float64(0.0)
        if penalised:
            penalty = total(memory, launch.penalties, launch.penalty_tiles, scratch, tid)
        if tid == 0:
            if not is_finite(loss):
                fit.status = NON_FINITE
            launch.step_loss = loss + penalty
            fit.steps += 1
            launch.steps_here += 1
            fit.step_of_epoch += 1
            fit.epoch_loss += batch_rows * (loss + penalty)
            if fit.step_of_epoch == fit.epoch_steps and fit.status == RUNNING:
                end_epoch(fit, curve)

    @device
    def find_bad_parameters(launch, memory, place):
        """By all threads of all blocks: note whether any parameter is not finite."""
        rank, size, tid = place
        for i in range(rank * threads + tid, launch.n_parameters, size * threads):
            if memory[i] - memory[i] != real(0.0):
                launch.has_bad_parameters = 1

    return Bookkeeping(open_step, close_step, find_bad_parameters)
