"""Solvers and schedules, compiled for vector registers: loops over tiles of weights, called by address."""

from collections.abc import Callable
from functools import cache

import numpy as np

from fastbp.engines.cpu import call
from fastbp.engines.cpu.formulas import compiled
from fastbp.engines.cpu.vector_memory import (
    broadcast,
    lane_numbers,
    lanes,
    load,
    load_scalar,
    store,
    store_scalar,
    sum_lanes,
)
from fastbp.functions.primitives import fma, select
from fastbp.functions.schedules import N_PARAMETERS, RATE_SCHEDULES, warmed_up
from fastbp.functions.solvers import N_COEFFICIENTS, SOLVERS
from fastbp.functions.step import StepOptions, penalised_gradient, regularised_step

# Values for all tiles of a step, whatever the solver; PENALTY is the strength of the L2 penalty.
PENALTY, L1, DECAY, LIMIT, SCALE = range(5)


def _update_loop(update: Callable, n_states: int, options: StepOptions) -> Callable:
    l1, decay, _, _, factors = options
    step_of = regularised_step(update, options)

    def loop(tile, moments, coefficients, regular, rates, sums):
        w, ld, g, ldg = tile.w, tile.ld, tile.g, tile.ldg
        n_rows, n_registers, bias_row, bias_col = tile.n_rows, tile.n_registers, tile.bias_row, tile.bias_col
        s, t, u = moments
        n_lanes = lanes(w)
        squares = broadcast(w, 0.0)
        sizes = broadcast(w, 0.0)
        c = (
            broadcast(w, coefficients[0]),
            broadcast(w, coefficients[1]),
            broadcast(w, coefficients[2]),
            broadcast(w, coefficients[3]),
            broadcast(w, coefficients[4]),
            broadcast(w, coefficients[5]),
        )
        for i in range(n_rows):
            is_bias_row = i == bias_row
            penalty = broadcast(w, 0.0 if is_bias_row else regular[PENALTY])
            for r in range(n_registers):
                at = i * ld + r * n_lanes
                value = load(w, at)
                is_bias = lane_numbers(w) == float(bias_col - r * n_lanes)
                l2 = select(is_bias, 0.0, penalty)
                strength = decayed = factor = l2
                if l1:
                    strength = select(is_bias, 0.0, broadcast(w, 0.0 if is_bias_row else regular[L1]))
                if decay:
                    decayed = select(is_bias, 0.0, broadcast(w, 0.0 if is_bias_row else regular[DECAY]))
                if factors:
                    factor = broadcast(w, load_scalar(rates, 1 if is_bias_row else 0))
                    factor = select(is_bias, broadcast(w, load_scalar(rates, 1)), factor)
                limit, scale = broadcast(w, regular[LIMIT]), broadcast(w, regular[SCALE])
                first = load(s, at) if n_states > 0 else value
                second = load(t, at) if n_states > 1 else value
                third = load(u, at) if n_states > 2 else value
                value, first, second, third, squares, sizes = step_of(
                    value,
                    load(g, i * ldg + r * n_lanes),
                    first,
                    second,
                    third,
                    c,
                    (l2, strength, decayed, limit, scale, factor),
                    squares,
                    sizes,
                )
                store(w, at, value)
                if n_states > 0:
                    store(s, at, first)
                if n_states > 1:
                    store(t, at, second)
                if n_states > 2:
                    store(u, at, third)
        store_scalar(sums, 0, 0.5 * sum_lanes(squares) + sum_lanes(sizes))

    return loop


def _accumulate_loop(tile, moments, coefficients, regular, rates, sums):
    """Not a solver: adds the gradient of a tile to that of the whole batch, kept in `w`."""
    w, ld, g, ldg = tile.w, tile.ld, tile.g, tile.ldg
    n_lanes = lanes(w)
    for i in range(tile.n_rows):
        for r in range(tile.n_registers):
            at = i * ld + r * n_lanes
            store(w, at, load(w, at) + load(g, i * ldg + r * n_lanes))


def _squares_loop(l1: bool) -> Callable:
    """Not a solver: the sum of squares of a tile's gradient, penalties included."""
    penalised = penalised_gradient(l1)

    def loop(tile, moments, coefficients, regular, rates, sums):
        w, ld, g, ldg = tile.w, tile.ld, tile.g, tile.ldg
        n_rows, n_registers, bias_row, bias_col = tile.n_rows, tile.n_registers, tile.bias_row, tile.bias_col
        n_lanes = lanes(w)
        squares = broadcast(w, 0.0)
        for i in range(n_rows):
            is_bias_row = i == bias_row
            penalty = broadcast(w, 0.0 if is_bias_row else regular[PENALTY])
            for r in range(n_registers):
                value = load(w, i * ld + r * n_lanes)
                is_bias = lane_numbers(w) == float(bias_col - r * n_lanes)
                l2 = select(is_bias, 0.0, penalty)
                strength = l2
                if l1:
                    strength = select(is_bias, 0.0, broadcast(w, 0.0 if is_bias_row else regular[L1]))
                gradient = penalised(value, load(g, i * ldg + r * n_lanes), l2, strength)
                squares = fma(gradient, gradient, squares)
        store_scalar(sums, 0, sum_lanes(squares))

    return loop


def _coefficients_loop(coefficients: Callable) -> Callable:
    def loop(rate, h, step, out):
        c = coefficients(rate, (h[0], h[1], h[2], h[3]), step)
        for i in range(N_COEFFICIENTS):
            store_scalar(out, i, c[i])

    return loop


def _schedule_loop(factor: Callable) -> Callable:
    def loop(step, epoch_steps, total, p, out):
        out[0] = warmed_up(factor(step, epoch_steps, total, p), step, p[N_PARAMETERS - 1])

    return loop


@cache
def update(solver: str, options: StepOptions, dtype: np.dtype) -> int:
    """Address of a solver's step on a tile."""
    entry = SOLVERS[solver]
    return compiled(_update_loop(entry.update, entry.n_states, options), call.TILE, dtype)


@cache
def accumulate(dtype: np.dtype) -> int:
    """Address of the loop that adds a tile to the gradient of the whole batch."""
    return compiled(_accumulate_loop, call.TILE, dtype)


@cache
def squares(l1: bool, dtype: np.dtype) -> int:
    """Address of the loop that sums a tile's squares."""
    return compiled(_squares_loop(l1), call.TILE, dtype)


@cache
def coefficients(solver: str, dtype: np.dtype) -> int:
    """Address of a solver's coefficients, computed in float64, kept in `dtype`."""
    return compiled(_coefficients_loop(SOLVERS[solver].coefficients), call.COEFFICIENTS, dtype)


@cache
def schedule(name: str) -> int:
    """Address of a schedule's factor."""
    return compiled(_schedule_loop(RATE_SCHEDULES[name].factor), call.SCHEDULE, np.dtype(float))
