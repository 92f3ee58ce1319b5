"""Operations on the weights after a step: limits of norms, averages."""

import math
from functools import cache

import numpy as np

from fastbp.engines.compiler import jit
from fastbp.engines.cpu.call import LIMIT_NORMS
from fastbp.engines.cpu.formulas import compiled
from fastbp.engines.cpu.op_columns import COLS, DENSE, IN_MAJOR, KIND, LAYOUT, LD, N_IN, OFFSET, ROWS
from fastbp.engines.cpu.vector_memory import broadcast, lane_numbers, lanes, load, pointer, store, sum_lanes
from fastbp.functions.primitives import fma, select, sqrt


def limit_norms(team, table, params, limit):
    """Scale the incoming weights of each unit, its bias left out, to a Euclidean norm of at most `limit`.

    Kernels call it by address, so that only fits that need it wait for its compilation.
    """
    for o in range(table.shape[0]):
        if table[o, KIND] != DENSE:
            continue
        if table[o, LAYOUT] == IN_MAJOR:
            limit_columns(team, table[o], params, limit)
        else:
            limit_rows(team, table[o], params, limit)


@cache
def limit_norms_address(dtype: np.dtype) -> int:
    """Address of `limit_norms`."""
    return compiled(limit_norms, LIMIT_NORMS, dtype)


@jit
def limit_columns(team, op, params, limit):
    """The units of an in-major block are its columns: as many at a time as a register has lanes."""
    rows, ld, n_in = op[ROWS], op[LD], op[N_IN]
    n_lanes = lanes(pointer(params, 0))
    n_registers = -(-op[COLS] // n_lanes)
    thread, n_threads = team.thread, team.n_threads
    for r in range(n_registers * thread // n_threads, n_registers * (thread + 1) // n_threads):
        column = r * n_lanes
        w = pointer(params, op[OFFSET] + column // ld * rows * ld + column % ld)
        squares = broadcast(w, 0.0)
        for i in range(n_in):
            value = load(w, i * ld)
            squares = fma(value, value, squares)
        norm = sqrt(squares)
        factor = select(norm > limit, limit / norm, 1.0)
        for i in range(n_in):
            store(w, i * ld, load(w, i * ld) * factor)


@jit
def limit_rows(team, op, params, limit):
    """The units of an out-major block are its rows."""
    rows, ld, n_in = op[ROWS], op[LD], op[N_IN]
    n_lanes = lanes(pointer(params, 0))
    for i in range(rows * team.thread // team.n_threads, rows * (team.thread + 1) // team.n_threads):
        w = pointer(params, op[OFFSET] + i * ld)
        squares = broadcast(w, 0.0)
        for column in range(0, n_in, n_lanes):
            value = load(w, column // ld * rows * ld + column % ld)
            value = select(lane_numbers(w) < float(n_in - column), value, 0.0)
            squares = fma(value, value, squares)
        norm = math.sqrt(sum_lanes(squares))
        factor = limit / norm if norm > limit else 1.0
        for column in range(0, n_in, n_lanes):
            at = column // ld * rows * ld + column % ld
            value = load(w, at)
            store(w, at, select(lane_numbers(w) < float(n_in - column), value * factor, value))


@jit
def average_weights(team, params, average, fraction):
    """Move `average`, of as many values as `params`, by `fraction` of the way to the weights."""
    w = pointer(params, 0)
    n_lanes = lanes(w)
    n = params.shape[0] // n_lanes
    for i in range(n * team.thread // team.n_threads, n * (team.thread + 1) // team.n_threads):
        old = load(average, i * n_lanes)
        store(average, i * n_lanes, fma(load(w, i * n_lanes) - old, broadcast(w, fraction), old))
