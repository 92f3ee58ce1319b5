"""Ops that no product of matrices takes along: a thread takes an element through a chain of them."""

from typing import Any

import numpy as np

from fastbp.engines.cuda import jobs as table
from fastbp.engines.cuda.arena import NOWHERE
from fastbp.engines.cuda.batch_norm import make_standardise_backward
from fastbp.engines.cuda.jobs import (
    ACTIVATE,
    ACTIVATE_BACKWARD,
    ADD,
    ADD_BACKWARD,
    AUX,
    CODE,
    CONSTANTS,
    DISTURB,
    DISTURB_BACKWARD,
    DRAW,
    GROUP,
    GROUP_BACKWARD,
    JOB_KIND,
    NOISE,
    PARAMETRIC,
    PARAMETRIC_BACKWARD,
    STANDARDISE_BACKWARD,
)
from fastbp.engines.cuda.lowering import Selection, formulas
from fastbp.engines.cuda.target import device, inlined
from fastbp.engines.cuda.tiling import Tiling
from fastbp.engines.cuda.uniforms import make_uniform, op_key

A, B, C, K, N = table.A, table.B, table.C, table.K, table.N


def make_elements(real: type, tiling: Tiling, selection: Selection) -> Any:
    """The device function for the phase ELEMENTS.

    Elements are numbered row by row; the elements of a group op are its outputs. A thread goes through its
    elements job by job. The next job of the chain reads an element in the thread that has written it, so that
    no barrier is needed.
    """
    do, threads = formulas(real, selection), tiling.threads
    activate, activate_backward = do.activate, do.activate_backward
    disturb, disturb_backward, uniform = do.disturb, do.disturb_backward, make_uniform(real)
    group, group_backward = do.group, do.group_backward
    parametric, parametric_backward = do.parametric, do.parametric_backward
    noisy, adds, groups = bool(selection.noises), selection.adds, bool(selection.groups)
    parametrics, batch_norm = bool(selection.parametrics), selection.batch_norm
    trains = selection.loss is not None
    standardise_backward = make_standardise_backward(real)

    @inlined
    def forward(memory, jobs, job, kind, key, start, n, e):
        code, k, values, to = jobs[job, CODE], jobs[job, K], jobs[job, A], jobs[job, C]
        if kind == ACTIVATE:
            memory[to + e] = activate(code, memory[values + e])
        if noisy and kind == DISTURB:
            u, constants = uniform(key, start * n + e), memory[jobs[job, CONSTANTS] :]
            memory[to + e] = disturb(jobs[job, NOISE], memory[values + e], u, constants)
        if adds and kind == ADD:
            memory[to + e] = memory[values + e] + memory[jobs[job, B] + e]
        if parametrics and kind == PARAMETRIC:
            p = jobs[job, B] + e % n
            memory[to + e] = parametric(code, memory[values + e], memory[p], memory[p + k - n])
        if groups and kind == GROUP:
            memory[to + e] = group(code, (memory, values + e * k, 1), k)

    @inlined
    def backward(memory, jobs, job, kind, key, start, n, e):
        code, k, values, to = jobs[job, CODE], jobs[job, K], jobs[job, A], jobs[job, C]
        if kind == ACTIVATE_BACKWARD:
            memory[to + e] = activate_backward(code, memory[to + e], memory[values + e])
        if noisy and kind == DISTURB_BACKWARD:
            u, constants = uniform(key, start * n + e), memory[jobs[job, CONSTANTS] :]
            memory[to + e] = disturb_backward(jobs[job, NOISE], memory[to + e], u, constants)
        if adds and kind == ADD_BACKWARD:
            memory[to + e] = memory[jobs[job, B] + e]
        if parametrics and kind == PARAMETRIC_BACKWARD:
            j, of_own = e % n, jobs[job, AUX]
            p = jobs[job, B] + j
            slope, of_p, of_q = parametric_backward(
                code, memory[to + e], memory[values + e], memory[p], memory[p + k - n]
            )
            memory[to + e] = slope
            if of_own != NOWHERE:
                at = of_own + e // n * k + j
                memory[at] = of_p
                if k > n:
                    memory[at + n] = of_q
        if groups and kind == GROUP_BACKWARD:
            at = e * k
            group_backward(code, memory[jobs[job, B] + e], (memory, values + at, 1), (memory, to + at, 1), k)
        if batch_norm and kind == STANDARDISE_BACKWARD:
            standardise_backward(memory, jobs, job, n, e)

    @device
    def elements(memory, jobs, first_job, last_job, start, n_rows, key_of_step, place):
        rank, size, tid = place
        n = np.int32(jobs[first_job, N])
        for job in range(first_job, last_job):
            kind = jobs[job, JOB_KIND]
            key = op_key(key_of_step, jobs[job, DRAW]) if noisy else kind
            for e in range(np.int32(rank * threads + tid), np.int32(n_rows * n), np.int32(size * threads)):
                forward(memory, jobs, job, kind, key, start, n, e)
                if trains:
                    backward(memory, jobs, job, kind, key, start, n, e)

    return elements
