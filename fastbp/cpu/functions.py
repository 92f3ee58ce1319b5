"""The registered functions, compiled for vector registers: loops over panels, one arm for each entry.

A panel holds the values of PANEL rows of the batch: one row of memory for each feature, two registers wide.
So a register holds one feature of as many rows of the batch as it has lanes, and a formula for one row of the
batch is computed for all these rows at once.
"""

from collections.abc import Callable
from types import FunctionType, ModuleType

from numba.extending import register_jitable

from fastbp.cpu.memory import advance, lane_numbers, lanes, load, spread, store, store_scalar, sum_lanes
from fastbp.cpu.switch import make_switch
from fastbp.functions import activations, losses, primitives, scalar, schedules, solvers
from fastbp.functions.activations import ACTIVATIONS, ROW_ACTIVATIONS
from fastbp.functions.losses import LOSSES
from fastbp.functions.solvers import SOLVERS


def _register(module: ModuleType) -> None:
    """Make the plain functions of a module callable from compiled code."""
    for value in vars(module).values():
        if isinstance(value, FunctionType) and value.__module__ == module.__name__:
            register_jitable(value)


for _module in (scalar, activations, losses, solvers, schedules):
    _register(_module)

fma, select = primitives.fma, primitives.select


def _forward_arm(value: Callable) -> Callable:
    def arm(a, n_rows, n_registers):
        step = lanes(a)
        for i in range(n_rows):
            for r in range(n_registers):
                at = (2 * i + r) * step
                store(a, at, value(load(a, at)))

    return arm


def _backward_arm(backward: Callable) -> Callable:
    def arm(delta, a, n_rows, n_registers):
        step = lanes(a)
        for i in range(n_rows):
            for r in range(n_registers):
                at = (2 * i + r) * step
                store(delta, at, backward(load(delta, at), load(a, at)))

    return arm


def _row_forward_arm(value: Callable) -> Callable:
    def arm(a, n_rows, n_registers):
        step = lanes(a)
        for r in range(n_registers):
            value((advance(a, r * step), 2 * step), n_rows)

    return arm


def _row_backward_arm(backward: Callable) -> Callable:
    def arm(delta, a, n_rows, n_registers):
        step = lanes(a)
        for r in range(n_registers):
            backward((advance(delta, r * step), 2 * step), (advance(a, r * step), 2 * step), n_rows)

    return arm


def _loss_arm(row: Callable) -> Callable:
    def arm(z, y, delta, weight, n, n_registers, sums):
        step = lanes(z)
        for r in range(n_registers):
            at = r * step
            value = row(
                (advance(z, at), 2 * step),
                (advance(y, at), 2 * step),
                (advance(delta, at), 2 * step),
                n,
                load(weight, at),
            )
            store_scalar(sums, r, sum_lanes(value))

    return arm


def _update_arm(update: Callable, n_states: int) -> Callable:
    def arm(w, g, ldg, s, t, ld, n_rows, n_registers, penalty, bias_row, bias_col, c, sums):
        step = lanes(w)
        squares = spread(w, 0.0)
        for i in range(n_rows):
            row_penalty = 0.0 if i == bias_row else penalty
            for r in range(n_registers):
                at = i * ld + r * step
                value = load(w, at)
                is_bias = lane_numbers(w) == float(bias_col - r * step)
                pull = select(is_bias, 0.0, spread(w, row_penalty)) * value
                squares = fma(pull, value, squares)
                gradient = load(g, i * ldg + r * step) + pull
                first = load(s, at) if n_states > 0 else value
                second = load(t, at) if n_states > 1 else value
                value, first, second = update(value, gradient, first, second, c)
                store(w, at, value)
                if n_states > 0:
                    store(s, at, first)
                if n_states > 1:
                    store(t, at, second)
        store_scalar(sums, 0, 0.5 * sum_lanes(squares))

    return arm


def _coefficients_arm(coefficients: Callable) -> Callable:
    def arm(rate, h0, h1, h2, step, out):
        c = coefficients(rate, h0, h1, h2, step)
        for i in range(6):
            out[i] = c[i]

    return arm


def _accumulate_arm(w, g, ldg, s, t, ld, n_rows, n_registers, penalty, bias_row, bias_col, c, sums):
    """Not a solver: adds the gradient of a tile to that of the whole batch, kept in `w`."""
    step = lanes(w)
    for i in range(n_rows):
        for r in range(n_registers):
            at = i * ld + r * step
            store(w, at, load(w, at) + load(g, i * ldg + r * step))


# Codes are the registries'; ACCUMULATE comes behind the solvers.
ACCUMULATE = len(SOLVERS)

activate = make_switch([_forward_arm(entry.value) for entry in ACTIVATIONS])
activate_backward = make_switch([_backward_arm(entry.backward) for entry in ACTIVATIONS])
activate_rows = make_switch([_row_forward_arm(entry.value) for entry in ROW_ACTIVATIONS])
activate_rows_backward = make_switch([_row_backward_arm(entry.backward) for entry in ROW_ACTIVATIONS])
compute_loss = make_switch([_loss_arm(entry.row) for entry in LOSSES])
update = make_switch([*(_update_arm(entry.update, entry.n_states) for entry in SOLVERS), _accumulate_arm])
coefficients = make_switch([_coefficients_arm(entry.coefficients) for entry in SOLVERS])
