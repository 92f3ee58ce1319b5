"""The registered functions, compiled for vector registers: loops over panels, called by address.

A panel holds the values of PANEL rows of the batch: one row of memory for each feature, two registers wide.
So a register holds one feature of as many rows of the batch as it has lanes, and a formula for one row of the
batch is computed for all these rows at once.
"""

from collections.abc import Callable
from functools import cache
from types import FunctionType, ModuleType

import numpy as np
from numba.extending import register_jitable

from fastbp.engines.compiler import address_of
from fastbp.engines.cpu import call
from fastbp.engines.cpu.uniforms import uniforms
from fastbp.engines.cpu.vector_memory import (
    advance,
    lane_numbers,
    lanes,
    load,
    load_scalar,
    spread,
    store,
    store_scalar,
    sum_lanes,
)
from fastbp.functions import activations, losses, primitives, scalar, schedules, solvers
from fastbp.functions import noise as noises
from fastbp.functions import normalisation as normalisations
from fastbp.functions import parametric as parametrics
from fastbp.functions import step as steps
from fastbp.functions.activations import ACTIVATIONS, GROUP_ACTIVATIONS, ROW_ACTIVATIONS
from fastbp.functions.losses import LOSSES
from fastbp.functions.noise import NOISES
from fastbp.functions.parametric import PARAMETRICS, Parametric
from fastbp.functions.schedules import N_PARAMETERS, RATE_SCHEDULES, warmed_up
from fastbp.functions.solvers import N_COEFFICIENTS, SOLVERS
from fastbp.functions.step import StepOptions, penalised_gradient, regularised_step


def _register(module: ModuleType) -> None:
    """Make the plain functions of a module callable from compiled code."""
    for value in vars(module).values():
        if isinstance(value, FunctionType) and value.__module__ == module.__name__:
            register_jitable(value)


for _module in (scalar, normalisations, activations, losses, noises, parametrics, solvers, schedules, steps):
    _register(_module)
for _entry in PARAMETRICS:  # blends are made in a loop
    register_jitable(_entry.value)
    register_jitable(_entry.backward)
for _l1 in (False, True):
    register_jitable(penalised_gradient(_l1))

fma, select = primitives.fma, primitives.select


def _forward_loop(value: Callable) -> Callable:
    def loop(z, a, n_rows, n_registers):
        step = lanes(a)
        for i in range(n_rows):
            for r in range(n_registers):
                at = (2 * i + r) * step
                store(a, at, value(load(z, at)))

    return loop


def _in_place_loop(value: Callable) -> Callable:
    """The same where z and a are one: with one pointer the compiler knows that elements do not overlap."""

    def loop(z, a, n_rows, n_registers):
        step = lanes(a)
        for i in range(n_rows):
            for r in range(n_registers):
                at = (2 * i + r) * step
                store(a, at, value(load(a, at)))

    return loop


def _backward_loop(backward: Callable) -> Callable:
    def loop(delta, v, n_rows, n_registers):
        step = lanes(v)
        for i in range(n_rows):
            for r in range(n_registers):
                at = (2 * i + r) * step
                store(delta, at, backward(load(delta, at), load(v, at)))

    return loop


def _row_forward_loop(value: Callable) -> Callable:
    def loop(z, a, n_rows, n_registers):
        step = lanes(a)
        for r in range(n_registers):
            at = r * step
            for i in range(n_rows):
                store(a, at + 2 * i * step, load(z, at + 2 * i * step))
            value((advance(a, at), 2 * step), n_rows)

    return loop


def _row_in_place_loop(value: Callable) -> Callable:
    def loop(z, a, n_rows, n_registers):
        step = lanes(a)
        for r in range(n_registers):
            value((advance(a, r * step), 2 * step), n_rows)

    return loop


def _row_backward_loop(backward: Callable) -> Callable:
    def loop(delta, a, n_rows, n_registers):
        step = lanes(a)
        for r in range(n_registers):
            backward((advance(delta, r * step), 2 * step), (advance(a, r * step), 2 * step), n_rows)

    return loop


def _group_forward_loop(value: Callable) -> Callable:
    def loop(z, a, n, k, n_registers):
        step = lanes(a)
        for j in range(n):
            for r in range(n_registers):
                store(a, (2 * j + r) * step, value((advance(z, (2 * j * k + r) * step), 2 * step), k))

    return loop


def _group_backward_loop(backward: Callable) -> Callable:
    def loop(delta, z, into, n, k, n_registers):
        step = lanes(z)
        for j in range(n):
            for r in range(n_registers):
                at = (2 * j * k + r) * step
                d = load(delta, (2 * j + r) * step)
                backward(d, (advance(z, at), 2 * step), (advance(into, at), 2 * step), k)

    return loop


def _noise_loop(value: Callable) -> Callable:
    def loop(z, a, n, n_registers, row, key, constants):
        step = lanes(a)
        for i in range(n):
            for r in range(n_registers):
                at = (2 * i + r) * step
                if key == 0:
                    store(a, at, load(z, at))
                else:
                    u = uniforms(a, (row + r * step) * n + i, n, key)
                    store(a, at, value(load(z, at), u, constants))

    return loop


def _parametric_loop(entry: Parametric) -> Callable:
    value, two = entry.value, len(entry.start) > 1

    def loop(z, a, n, n_registers, own):
        step = lanes(a)
        for i in range(n):
            p = spread(a, load_scalar(own, i))
            q = spread(a, load_scalar(own, n + i)) if two else p
            for r in range(n_registers):
                at = (2 * i + r) * step
                store(a, at, value(load(z, at), p, q))

    return loop


def _parametric_backward_loop(entry: Parametric) -> Callable:
    backward, two, learned = entry.backward, len(entry.start) > 1, entry.learned

    def loop(delta, z, n, n_registers, own, of_own):
        step = lanes(delta)
        for i in range(n):
            p = spread(delta, load_scalar(own, i))
            q = spread(delta, load_scalar(own, n + i)) if two else p
            for r in range(n_registers):
                at = (2 * i + r) * step
                slope, of_p, of_q = backward(load(delta, at), load(z, at), p, q)
                store(delta, at, slope)
                if learned:
                    store(of_own, at, of_p)
                if learned and two:
                    store(of_own, at + 2 * n * step, of_q)

    return loop


def _loss_loop(row: Callable) -> Callable:
    def loop(z, y, delta, weight, n, n_registers, constants, sums):
        step = lanes(z)
        for r in range(n_registers):
            at = r * step
            value = row(
                (advance(z, at), 2 * step),
                (advance(y, at), 2 * step),
                (advance(delta, at), 2 * step),
                n,
                load(weight, at),
                constants,
            )
            store_scalar(sums, r, sum_lanes(value))

    return loop


# What holds for all tiles of a step, whatever the solver; PENALTY is the strength of the L2 penalty.
PENALTY, L1, DECAY, LIMIT, SCALE = range(5)


@cache
def _jitable_step(update: Callable, options: StepOptions) -> Callable:
    """The step of a parameter as a function that compiled code calls."""
    step = regularised_step(update, options)
    register_jitable(step)
    return step


def _update_loop(update: Callable, n_states: int, options: StepOptions) -> Callable:
    l1, decay, _, _, factors = options
    step_of = _jitable_step(update, options)

    def loop(
        w, g, ldg, s, t, u, ld, n_rows, n_registers, bias_row, bias_col, coefficients, regular, rates, sums
    ):
        step = lanes(w)
        squares = spread(w, 0.0)
        sizes = spread(w, 0.0)
        c = (
            spread(w, coefficients[0]),
            spread(w, coefficients[1]),
            spread(w, coefficients[2]),
            spread(w, coefficients[3]),
            spread(w, coefficients[4]),
            spread(w, coefficients[5]),
        )
        for i in range(n_rows):
            is_bias_row = i == bias_row
            penalty = spread(w, 0.0 if is_bias_row else regular[PENALTY])
            for r in range(n_registers):
                at = i * ld + r * step
                value = load(w, at)
                is_bias = lane_numbers(w) == float(bias_col - r * step)
                l2 = select(is_bias, 0.0, penalty)
                strength = share = factor = l2
                if l1:
                    strength = select(is_bias, 0.0, spread(w, 0.0 if is_bias_row else regular[L1]))
                if decay:
                    share = select(is_bias, 0.0, spread(w, 0.0 if is_bias_row else regular[DECAY]))
                if factors:
                    factor = spread(w, load_scalar(rates, 1 if is_bias_row else 0))
                    factor = select(is_bias, spread(w, load_scalar(rates, 1)), factor)
                limit, scale = spread(w, regular[LIMIT]), spread(w, regular[SCALE])
                first = load(s, at) if n_states > 0 else value
                second = load(t, at) if n_states > 1 else value
                third = load(u, at) if n_states > 2 else value
                value, first, second, third, squares, sizes = step_of(
                    value,
                    load(g, i * ldg + r * step),
                    first,
                    second,
                    third,
                    c,
                    (l2, strength, share, limit, scale, factor),
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


def _accumulate_loop(
    w, g, ldg, s, t, u, ld, n_rows, n_registers, bias_row, bias_col, c, regular, rates, sums
):
    """Not a solver: adds the gradient of a tile to that of the whole batch, kept in `w`."""
    step = lanes(w)
    for i in range(n_rows):
        for r in range(n_registers):
            at = i * ld + r * step
            store(w, at, load(w, at) + load(g, i * ldg + r * step))


def _squares_loop(l1: bool) -> Callable:
    """Not a solver: the sum of squares of a tile's gradient, penalties included."""
    penalised = penalised_gradient(l1)

    def loop(
        w, g, ldg, s, t, u, ld, n_rows, n_registers, bias_row, bias_col, coefficients, regular, rates, sums
    ):
        step = lanes(w)
        squares = spread(w, 0.0)
        for i in range(n_rows):
            is_bias_row = i == bias_row
            penalty = spread(w, 0.0 if is_bias_row else regular[PENALTY])
            for r in range(n_registers):
                value = load(w, i * ld + r * step)
                is_bias = lane_numbers(w) == float(bias_col - r * step)
                l2 = select(is_bias, 0.0, penalty)
                strength = l2
                if l1:
                    strength = select(is_bias, 0.0, spread(w, 0.0 if is_bias_row else regular[L1]))
                gradient = penalised(value, load(g, i * ldg + r * step), l2, strength)
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
def activation(name: str, row: bool, dtype: np.dtype) -> tuple[int, int]:
    """Addresses of an activation, forward and backward."""
    if row:
        whole = ROW_ACTIVATIONS[name]
        make_loop = _row_forward_loop if whole.from_input else _row_in_place_loop
        forward, backward = make_loop(whole.value), _row_backward_loop(whole.backward)
    else:
        entry = ACTIVATIONS[name]
        make_loop = _forward_loop if entry.from_input else _in_place_loop
        forward, backward = make_loop(entry.value), _backward_loop(entry.backward)
    kinds = call.ACTIVATION.types_for(dtype), call.ACTIVATION_BACKWARD.types_for(dtype)
    return address_of(forward, kinds[0]), address_of(backward, kinds[1])


@cache
def group_activation(name: str, dtype: np.dtype) -> tuple[int, int]:
    """Addresses of an activation that makes one feature of several, forward and backward."""
    entry = GROUP_ACTIVATIONS[name]
    forward = address_of(_group_forward_loop(entry.value), call.GROUP.types_for(dtype))
    return forward, address_of(_group_backward_loop(entry.backward), call.GROUP_BACKWARD.types_for(dtype))


@cache
def noise(name: str, dtype: np.dtype) -> tuple[int, int]:
    """Addresses of a noise and of its derivative."""
    kinds, entry = call.NOISE.types_for(dtype), NOISES[name]
    return address_of(_noise_loop(entry.value), kinds), address_of(_noise_loop(entry.backward), kinds)


@cache
def parametric(name: str, dtype: np.dtype) -> tuple[int, int]:
    """Addresses of a function with parameters, forward and backward."""
    entry = PARAMETRICS[name]
    forward = address_of(_parametric_loop(entry), call.PARAMETRIC.types_for(dtype))
    return forward, address_of(_parametric_backward_loop(entry), call.PARAMETRIC_BACKWARD.types_for(dtype))


@cache
def loss(name: str, dtype: np.dtype) -> int:
    """Address of a loss."""
    return address_of(_loss_loop(LOSSES[name].row), call.LOSS.types_for(dtype))


@cache
def update(solver: str, options: StepOptions, dtype: np.dtype) -> int:
    """Address of a solver's step on a tile."""
    entry = SOLVERS[solver]
    return address_of(_update_loop(entry.update, entry.n_states, options), call.TILE.types_for(dtype))


@cache
def accumulate(dtype: np.dtype) -> int:
    """Address of the loop that adds a tile to the gradient of the whole batch."""
    return address_of(_accumulate_loop, call.TILE.types_for(dtype))


@cache
def squares(l1: bool, dtype: np.dtype) -> int:
    """Address of the loop that sums a tile's squares."""
    return address_of(_squares_loop(l1), call.TILE.types_for(dtype))


@cache
def coefficients(solver: str, dtype: np.dtype) -> int:
    """Address of a solver's coefficients, computed in float64, kept in `dtype`."""
    return address_of(_coefficients_loop(SOLVERS[solver].coefficients), call.COEFFICIENTS.types_for(dtype))


@cache
def schedule(name: str) -> int:
    """Address of a schedule's factor."""
    loop = _schedule_loop(RATE_SCHEDULES[name].factor)
    return address_of(loop, call.SCHEDULE.types_for(np.dtype(float)))
