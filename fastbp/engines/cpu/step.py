"""The training loop: steps and epochs, without a return to Python.

A step has two phases. First each thread takes its rows of the batch through forward and backward; then, when
all have come to the barrier, each takes its tiles of the weight gradients over the whole batch and applies
the solver to the tile at once. A second barrier ends the step. No gradient is summed over threads, so the
result does not depend on their number.
"""

import math

import numpy as np

from fastbp.engines.compiler import jit
from fastbp.engines.cpu import lowering
from fastbp.engines.cpu.arena import FEW_ROWS_LIMIT, RULE_SIZE, RULES, SYNCED
from fastbp.engines.cpu.barrier import barrier, enter
from fastbp.engines.cpu.call import call
from fastbp.engines.cpu.float_mode import flush_subnormals, restore_mode
from fastbp.engines.cpu.gather import gather_inputs, gather_targets, gather_weights, locate
from fastbp.engines.cpu.gradient import ADD, APPLY, APPLY_STORED, SQUARES, WRITE, gradient_tiles
from fastbp.engines.cpu.network import forward_and_backward
from fastbp.engines.cpu.post_step import average_weights, limit_norms
from fastbp.engines.cpu.uniforms import step_key
from fastbp.engines.cpu.vector_memory import advance, lanes, load_scalar, pointer, store_scalar
from fastbp.engines.shuffle import shuffle_order
from fastbp.functions.normalisation import MOMENTUM
from fastbp.functions.schedules import check_convergence, rate_after_epoch
from fastbp.functions.solvers import N_COEFFICIENTS

RUNNING, CONVERGED, MAX_EPOCHS, NON_FINITE = range(4)

# The int64 control array: constants of the fit, then its cursor.
(
    N_DATA,
    N_INPUTS,
    N_TARGETS,
    BATCH,
    PASS,
    SHUFFLE,
    NOISY,
    SEED,
    UPDATE,
    COEFFICIENTS,
    ACCUMULATE,
    SQUARES_OF,
    RATE_SCHEDULE,
    TOTAL_STEPS,
    AVERAGE,
    AVERAGE_AFTER,
    SCHEDULE,
    MONITOR_LOSS,
    EPOCH_LIMIT,
    STATUS,
    POSITION,
    STEP_OF_EPOCH,
    STEPS,
    SAMPLES,
    EPOCHS,
    EPOCHS_HERE,
    STALE,
    CURVE_USED,
    LOADED,
    N_INTS,
) = range(30)
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
    EPOCH_LOSS,
    BEST,
    N_FLOATS,
) = range(25)


@jit
def end_epoch(ints, floats, order, index, curve):
    """Book the loss of a finished epoch; then schedule, stopping rule and the order of the next."""
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
    if not np.isfinite(loss):
        ints[STATUS] = NON_FINITE
        return
    if ints[MONITOR_LOSS]:
        rate, best, stale, converged = check_convergence(
            ints[SCHEDULE], floats[RATE], loss, floats[BEST], ints[STALE], floats[TOL], floats[PATIENCE]
        )
        floats[RATE], floats[BEST], ints[STALE] = rate, best, stale
        if converged:
            ints[STATUS] = CONVERGED
    if ints[EPOCHS_HERE] == ints[EPOCH_LIMIT] and ints[STATUS] == RUNNING:
        ints[STATUS] = MAX_EPOCHS
    # Where one batch takes all rows, their order changes nothing but rounding.
    if ints[SHUFFLE] and ints[STATUS] == RUNNING and ints[BATCH] < ints[N_DATA]:
        shuffle_order(order, index, ints[SEED], ints[EPOCHS])


@jit
def one_pass(
    thread,
    n_threads,
    table,
    buffers,
    transposed,
    offsets,
    params,
    workspace,
    values,
    indices,
    indptr,
    n_inputs,
    targets,
    n_targets,
    weights,
    order,
    starts,
    position,
    n_rows,
    factor,
    sums,
    loaded,
    key,
    row,
    share,
    sync,
):
    """A thread's rows of one pass, from the data to the deltas; returns the registers of the whole pass.

    With `loaded` the arena holds these rows already: a batch of all rows, since the step before. `key` is the
    step's key of noise, 0 for none; `row` the number of the pass's first row in the batch; `share` that of
    the batch in running statistics, negative where these take the place of the batch's.
    """
    step = lanes(pointer(workspace, 0))
    n_registers = -(-n_rows // step)
    first, last = n_registers * thread // n_threads, n_registers * (thread + 1) // n_threads
    if not loaded:
        locate(order, position, n_rows, n_targets, starts, first, last, step)
        gather_targets(offsets, workspace, targets, n_targets, starts, first, last)
        locate(order, position, n_rows, 1 if indptr.shape[0] > 0 else n_inputs, starts, first, last, step)
        gather_inputs(buffers, offsets, workspace, values, indices, indptr, n_inputs, starts, first, last)
        gather_weights(offsets, workspace, weights, order, position, n_rows, factor, first, last)
    n_small = n_rows if n_rows <= offsets[FEW_ROWS_LIMIT] else 0
    if offsets[SYNCED] != 0 and share >= 0.0:
        call(
            offsets[SYNCED],
            (
                table,
                buffers,
                transposed,
                offsets,
                params,
                workspace,
                n_registers,
                first,
                last,
                n_small,
                key,
                row,
                share,
                sums,
                thread,
                n_threads,
                sync,
            ),
        )
    else:
        forward_and_backward(
            table, buffers, transposed, offsets, params, workspace, first, last, n_small, key, row, sums
        )
    return n_registers


@jit
def train(
    thread,
    n_threads,
    max_steps,
    stop_at_epoch_end,
    table,
    buffers,
    transposed,
    tiles,
    offsets,
    ints,
    floats,
    params,
    moments,
    workspace,
    gradient,
    values,
    indices,
    indptr,
    targets,
    weights,
    order,
    index,
    starts,
    steps_coefficients,
    sums,
    penalties,
    curve,
    sync,
):
    """Up to `max_steps` steps; all threads of a team call it with the same arguments but `thread`.

    Thread 0 keeps the books. What it writes between the barriers of a step is read by others behind the
    second, or at the end of an epoch behind a third.

    Parameters
    ----------
    ints, floats : control arrays, in/out
    params, moments : flat vectors, in/out
    values, indices, indptr : the data, flat; `indptr` is empty where it is dense
    targets, weights : of all rows; `weights` empty for none
    order : (rows trained on,) uint32, in/out
        Their numbers, in the order in which this epoch takes them.
    index : uint32
        Their numbers; empty where they are all rows.
    starts : (rows of a pass, padded) int64, scratch
    steps_coefficients : (n_threads · RULE_SIZE,) float64, scratch
        For the factor of a schedule.
    sums : (registers of a pass,), scratch
    penalties : (2 · n_tiles,), scratch
    curve : out
        Losses of the epochs finished by this call; it returns when it is full.
    sync : the team's barrier

    Returns
    -------
    int
        Steps made; nothing was done where it is negative, since not all threads came.
    """
    if not enter(sync, n_threads):
        return -1
    mode = flush_subnormals()
    n_data, batch, pass_rows = ints[N_DATA], ints[BATCH], ints[PASS]
    position, steps, loaded = ints[POSITION], ints[STEPS], ints[LOADED] == 1
    factor = pointer(steps_coefficients, thread * RULE_SIZE)
    rule = pointer(workspace, offsets[RULES] + thread * RULE_SIZE)
    regular = advance(rule, N_COEFFICIENTS)  # behind the coefficients: what does not depend on the solver
    epoch_steps = -(-n_data // batch)
    by_norm = ints[SQUARES_OF] != 0
    n_tiles = tiles.shape[0]
    done = 0
    while done < max_steps and ints[STATUS] == RUNNING and ints[CURVE_USED] < curve.shape[0]:
        batch_rows = min(batch, n_data - position)
        weight = batch_rows * floats[MEAN_WEIGHT]
        penalty = floats[ALPHA] / weight + floats[L2]
        rate = floats[RATE]
        if ints[RATE_SCHEDULE] != 0:
            call(
                ints[RATE_SCHEDULE],
                (float(steps), float(epoch_steps), float(ints[TOTAL_STEPS]), pointer(floats, S0), factor),
            )
            rate *= load_scalar(factor, 0)
        call(
            ints[COEFFICIENTS],
            (rate, pointer(floats, H0), float(steps + 1), rule),
        )
        store_scalar(regular, lowering.PENALTY, penalty)
        store_scalar(regular, lowering.L1, floats[L1])
        store_scalar(regular, lowering.DECAY, rate * floats[DECAY])
        store_scalar(regular, lowering.LIMIT, floats[CLIP])
        loss = 0.0
        single = batch_rows <= pass_rows and not by_norm
        key = step_key(ints[SEED], steps) if ints[NOISY] else 0
        for start in range(0, batch_rows, pass_rows):
            rows = min(pass_rows, batch_rows - start)
            n_registers = one_pass(
                thread,
                n_threads,
                table,
                buffers,
                transposed,
                offsets,
                params,
                workspace,
                values,
                indices,
                indptr,
                ints[N_INPUTS],
                targets,
                ints[N_TARGETS],
                weights,
                order,
                starts,
                position + start,
                rows,
                1.0 / weight,
                sums,
                loaded,
                key,
                start,
                max(MOMENTUM, 1.0 / (steps + 1)) * batch_rows / batch,
                sync,
            )
            loaded = rows == n_data
            barrier(sync, n_threads)
            if thread == 0:
                for r in range(n_registers):
                    loss += sums[r]
                if not np.isfinite(loss):
                    ints[STATUS] = NON_FINITE
            gradient_tiles(
                tiles,
                offsets,
                params,
                moments,
                workspace,
                gradient,
                thread,
                n_threads,
                rows,
                APPLY if single else WRITE if start == 0 else ADD,
                ints[UPDATE] if single else ints[ACCUMULATE],
                rule,
                regular,
                penalties,
            )
            barrier(sync, n_threads)
        if by_norm:
            gradient_tiles(
                tiles,
                offsets,
                params,
                moments,
                workspace,
                gradient,
                thread,
                n_threads,
                0,
                SQUARES,
                ints[SQUARES_OF],
                rule,
                regular,
                penalties,
            )
            barrier(sync, n_threads)
            total = 0.0
            for i in range(n_tiles, 2 * n_tiles):
                total += penalties[i]
            norm = math.sqrt(total)
            scale = floats[CLIP_NORM] / norm if norm > floats[CLIP_NORM] else 1.0
            store_scalar(regular, lowering.SCALE, scale)
        if not single:
            gradient_tiles(
                tiles,
                offsets,
                params,
                moments,
                workspace,
                gradient,
                thread,
                n_threads,
                0,
                APPLY_STORED,
                ints[UPDATE],
                rule,
                regular,
                penalties,
            )
            barrier(sync, n_threads)
        if floats[MAX_NORM] > 0.0:
            limit_norms(table, params, floats[MAX_NORM], thread, n_threads)
            barrier(sync, n_threads)
        if ints[AVERAGE] != 0:
            # Until the mean of all steps moves more slowly, that mean: it forgets the start.
            made = steps + 1 - ints[AVERAGE_AFTER]
            share = max(floats[AVERAGE_RATE], 1.0 / made) if made > 0 else 1.0
            average = pointer(moments, moments.shape[0] - params.shape[0])
            average_weights(params, average, share, thread, n_threads)
        done += 1
        steps += 1
        position += batch_rows
        if thread == 0:
            for i in range(n_tiles):
                loss += penalties[i]
            floats[EPOCH_LOSS] += batch_rows * loss
            ints[STEP_OF_EPOCH] += 1
        if position == n_data:
            position = 0
            if thread == 0 and ints[STATUS] == RUNNING:
                end_epoch(ints, floats, order, index, curve)
            barrier(sync, n_threads)
            if stop_at_epoch_end:
                break
    if thread == 0:
        ints[POSITION], ints[STEPS], ints[LOADED] = position, steps, int(loaded)
    restore_mode(mode)
    return done


@jit
def loss_and_gradient(
    thread,
    n_threads,
    pass_rows,
    table,
    buffers,
    transposed,
    tiles,
    offsets,
    params,
    workspace,
    gradient,
    values,
    indices,
    indptr,
    n_inputs,
    targets,
    n_targets,
    weights,
    order,
    starts,
    sums,
    total_weight,
    loaded,
    accumulate,
    sync,
):
    """Loss of all rows without penalties, and its gradient into `gradient`; every thread returns the loss.

    It is NaN where nothing was computed, since not all threads came.
    """
    if not enter(sync, n_threads):
        return np.nan
    mode = flush_subnormals()
    n_data = order.shape[0]
    loss = 0.0
    for start in range(0, n_data, pass_rows):
        rows = min(pass_rows, n_data - start)
        n_registers = one_pass(
            thread,
            n_threads,
            table,
            buffers,
            transposed,
            offsets,
            params,
            workspace,
            values,
            indices,
            indptr,
            n_inputs,
            targets,
            n_targets,
            weights,
            order,
            starts,
            start,
            rows,
            1.0 / total_weight,
            sums,
            loaded,
            0,
            start,
            -1.0,
            sync,
        )
        barrier(sync, n_threads)
        for r in range(n_registers):
            loss += sums[r]
        gradient_tiles(
            tiles,
            offsets,
            params,
            params,
            workspace,
            gradient,
            thread,
            n_threads,
            rows,
            WRITE if start == 0 else ADD,
            accumulate,
            pointer(workspace, 0),
            pointer(workspace, 0),
            sums,
        )
        barrier(sync, n_threads)
    restore_mode(mode)
    return loss
