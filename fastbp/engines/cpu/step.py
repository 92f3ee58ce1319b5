"""The training loop: steps and epochs, without a return to Python.

A step has two phases. First each thread takes its rows of the batch through forward and backward; then, when
all have come to the barrier, each takes its tiles of the weight gradients over the whole batch and applies
the solver to the tile at once. A second barrier ends the step. No gradient is summed over threads, so the
result does not depend on their number.
"""

import math

import numpy as np
from numba.extending import register_jitable

from fastbp.engines import control as rules
from fastbp.engines.compiler import jit
from fastbp.engines.control import NON_FINITE, RUNNING
from fastbp.engines.cpu import lowering
from fastbp.engines.cpu.arena import FEW_ROWS_LIMIT, RULE_SIZE, RULES, SYNCED, WEIGHT
from fastbp.engines.cpu.arguments import Data, Network, Solver, Team
from fastbp.engines.cpu.barrier import barrier, enter
from fastbp.engines.cpu.call import call_coefficients, call_limit_norms, call_schedule, call_synced
from fastbp.engines.cpu.float_mode import flush_subnormals, restore_mode
from fastbp.engines.cpu.gather import gather_inputs, gather_targets, gather_weights, locate
from fastbp.engines.cpu.gradient import ADD, APPLY, APPLY_STORED, SQUARES, WRITE, gradient_tiles
from fastbp.engines.cpu.network import forward_and_backward
from fastbp.engines.cpu.post_step import average_weights
from fastbp.engines.cpu.uniforms import step_key
from fastbp.engines.cpu.vector_memory import advance, lanes, load_scalar, pointer, store_scalar
from fastbp.engines.shuffle import shuffle_order
from fastbp.functions.normalisation import MOMENTUM
from fastbp.functions.solvers import N_COEFFICIENTS

register_jitable(rules.apply_stopping_rule)  # `end_epoch` calls it
batch_weight, l2_of_batch = jit(rules.batch_weight), jit(rules.l2_of_batch)
average_fraction, end_epoch = jit(rules.average_fraction), jit(rules.end_epoch)


@jit
def one_pass(team, net, data, position, n_rows, factor, loaded, key, row, share):
    """A thread's rows of one pass, from the data to the deltas; returns the registers of the whole pass.

    With `loaded` the arena holds these rows already: a batch of all rows, since the step before. `key` is the
    step's key of noise, 0 for none; `row` the number of the pass's first row in the batch; `share` that of
    the batch in running statistics, negative where these take the place of the batch's.
    """
    step = lanes(pointer(net.workspace, 0))
    n_registers = -(-n_rows // step)
    first = n_registers * team.thread // team.n_threads
    last = n_registers * (team.thread + 1) // team.n_threads
    if not loaded:
        order, starts = data.order, data.starts
        locate(order, starts, position, n_rows, data.n_targets, first, last, step)
        gather_targets(net, data, first, last)
        width = 1 if data.indptr.shape[0] > 0 else data.n_inputs
        locate(order, starts, position, n_rows, width, first, last, step)
        gather_inputs(net, data, first, last)
        weights = pointer(net.workspace, net.offsets[WEIGHT])
        gather_weights(weights, data.weights, order, position, n_rows, factor, first, last)
    n_small = n_rows if n_rows <= net.offsets[FEW_ROWS_LIMIT] else 0
    if net.offsets[SYNCED] != 0 and share >= 0.0:
        arguments = team, net, first, last, n_registers, n_small, key, row, share
        call_synced(net.offsets[SYNCED], arguments)
    else:
        forward_and_backward(net, first, last, n_small, key, row)
    return n_registers


@jit
def prepare_step(fit, execution, steps, weight, factor, rule):
    """Write what all tiles of a step use into `rule`: `steps` steps came before, its batch has `weight`."""
    rate = fit.rate
    if execution.schedule != 0:
        constants = pointer(fit.schedule_constants, 0)
        arguments = float(steps), float(fit.epoch_steps), float(fit.total_steps), constants, factor
        call_schedule(execution.schedule, arguments)
        rate *= load_scalar(factor, 0)
    call_coefficients(execution.coefficients, (rate, pointer(fit.hyper, 0), float(steps + 1), rule))
    regular = advance(rule, N_COEFFICIENTS)  # after the coefficients: values that every solver has
    store_scalar(regular, lowering.PENALTY, l2_of_batch(fit, weight))
    store_scalar(regular, lowering.L1, fit.l1)
    store_scalar(regular, lowering.DECAY, rate * fit.weight_decay)
    store_scalar(regular, lowering.LIMIT, fit.clip_value)


@jit
def add_up(total, values, first, last):
    """`total` and the values first … last, in this order."""
    for i in range(first, last):
        total += values[i]
    return total


@jit
def scale_to_norm(limit, penalties, n_tiles, rule):
    """Write the factor that scales the whole gradient to a norm of at most the limit into `rule`."""
    norm = math.sqrt(add_up(0.0, penalties, n_tiles, 2 * n_tiles))
    scale = limit / norm if norm > limit else 1.0
    store_scalar(advance(rule, N_COEFFICIENTS), lowering.SCALE, scale)


@jit
def apply_stored(team, net, solver, fit, execution, rule):
    """Apply the solver to a gradient that several passes have added up or that is clipped by its norm."""
    if execution.squares != 0:
        gradient_tiles(team, net, solver, 0, SQUARES, execution.squares, rule)
        barrier(team.sync, team.n_threads)
        scale_to_norm(fit.clip_norm, solver.penalties, net.tiles.shape[0], rule)
    gradient_tiles(team, net, solver, 0, APPLY_STORED, execution.update, rule)
    barrier(team.sync, team.n_threads)


@jit
def close_epoch(fit, execution, data, curve):
    """Enter the epoch's loss and apply the stopping rule; shuffle the rows for the next epoch, if any."""
    end_epoch(fit, curve)
    if execution.shuffles and fit.status == RUNNING:
        shuffle_order(data.order, data.index, fit.seed, fit.epochs)


@jit
def train(
    thread, n_threads, max_steps, stop_at_epoch_end, network, data, solver, control, execution, curve, sync
):
    """Up to `max_steps` steps; all threads of a team call it with the same arguments but `thread`.

    Thread 0 keeps the control record. What it writes between the barriers of a step is read by others after
    the second, or at the end of an epoch after a third. Returns the steps made; a negative number where not
    all threads came, and nothing was done.

    Parameters
    ----------
    network, data, solver : tuple, members of `arguments.Network`, `Data` and `Solver`
    control, execution : arrays of records (``engines.control``, ``execution``), in/out
    curve : losses of the epochs finished by this call, which returns when it is full, out
    sync : the team's barrier
    """
    if not enter(sync, n_threads):
        return -1
    mode = flush_subnormals()
    team, net, data, solver = Team(thread, n_threads, sync), Network(*network), Data(*data), Solver(*solver)
    fit, execution = control[0], execution[0]
    n_rows, pass_rows, n_tiles = fit.n_rows, fit.pass_rows, net.tiles.shape[0]
    position, steps, loaded = fit.position, fit.steps, execution.is_loaded == 1
    factor = pointer(solver.factors, thread * RULE_SIZE)
    rule = pointer(net.workspace, net.offsets[RULES] + thread * RULE_SIZE)
    done = 0
    while done < max_steps and fit.status == RUNNING and fit.curve_used < curve.shape[0]:
        batch_rows = min(fit.batch_rows, n_rows - position)
        weight = batch_weight(fit, batch_rows)
        prepare_step(fit, execution, steps, weight, factor, rule)
        loss = 0.0
        single = batch_rows <= pass_rows and execution.squares == 0
        key = step_key(fit.seed, steps) if execution.has_noise else 0
        share = max(MOMENTUM, 1.0 / (steps + 1)) * batch_rows / fit.batch_rows
        for start in range(0, batch_rows, pass_rows):
            rows = min(pass_rows, batch_rows - start)
            first = position + start
            n_registers = one_pass(team, net, data, first, rows, 1.0 / weight, loaded, key, start, share)
            loaded = rows == n_rows
            barrier(sync, n_threads)
            if thread == 0:
                loss = add_up(loss, net.losses, 0, n_registers)
                if not np.isfinite(loss):
                    fit.status = NON_FINITE
            task = APPLY if single else WRITE if start == 0 else ADD
            function = execution.update if single else execution.accumulate
            gradient_tiles(team, net, solver, rows, task, function, rule)
            barrier(sync, n_threads)
        if not single:
            apply_stored(team, net, solver, fit, execution, rule)
        if execution.limit_norms != 0:
            call_limit_norms(execution.limit_norms, (team, net.table, net.params, fit.max_norm))
            barrier(sync, n_threads)
        if execution.has_average:
            average = pointer(solver.moments, solver.moments.shape[0] - net.params.shape[0])
            average_weights(team, net.params, average, average_fraction(fit, steps))
        done += 1
        steps += 1
        position += batch_rows
        if thread == 0:
            fit.epoch_loss += batch_rows * add_up(loss, solver.penalties, 0, n_tiles)
            fit.step_of_epoch += 1
        if position == n_rows:
            position = 0
            if thread == 0 and fit.status == RUNNING:
                close_epoch(fit, execution, data, curve)
            barrier(sync, n_threads)
            if stop_at_epoch_end:
                break
    if thread == 0:
        fit.position, fit.steps, execution.is_loaded = position, steps, int(loaded)
    restore_mode(mode)
    return done


@jit
def loss_and_gradient(
    thread, n_threads, network, data, gradient, pass_rows, total_weight, loaded, accumulate, sync
):
    """Loss of all rows without penalties, and its gradient into `gradient`; every thread returns the loss.

    It is NaN where nothing was computed, since not all threads came.
    """
    if not enter(sync, n_threads):
        return np.nan
    mode = flush_subnormals()
    team, net, data = Team(thread, n_threads, sync), Network(*network), Data(*data)
    solver = Solver(net.params, gradient, net.losses, net.losses)  # but for the gradient, none
    n_rows = data.order.shape[0]
    loss = 0.0
    for start in range(0, n_rows, pass_rows):
        rows = min(pass_rows, n_rows - start)
        n_registers = one_pass(team, net, data, start, rows, 1.0 / total_weight, loaded, 0, start, -1.0)
        barrier(sync, n_threads)
        loss = add_up(loss, net.losses, 0, n_registers)
        task = WRITE if start == 0 else ADD
        gradient_tiles(team, net, solver, rows, task, accumulate, pointer(net.workspace, 0))
        barrier(sync, n_threads)
    restore_mode(mode)
    return loss
