"""The kernel: a team of blocks trains one network, many steps in one launch.

The blocks walk through the phases of the program together, with a barrier of the team after each. A team of
one block uses the block's own barrier; a larger one the grid's, in a cooperative launch; or the host
launches phase by phase, which needs no barrier. In all three the same work is dealt to the blocks, whose
number changes nothing but the time.

A fleet is a launch of many blocks, each of which trains a network: block i has record i of each table of
records and the i-th of the arenas, which lie one after another.
"""

from functools import lru_cache
from typing import Any

import numpy as np

from fastbp.engines.control import RUNNING
from fastbp.engines.cuda.control import make_bookkeeping
from fastbp.engines.cuda.gradient import ADD, APPLY, APPLY_STORED, WRITE
from fastbp.engines.cuda.jobs import (
    ELEMENTS,
    FEATURES,
    FIRST_JOB,
    GATHER,
    LAST_JOB,
    NORMS,
    PHASE_KIND,
    TILES,
)
from fastbp.engines.cuda.lowering import Selection
from fastbp.engines.cuda.phases import Data, Place, make_work
from fastbp.engines.cuda.target import SIMULATOR, cuda, device
from fastbp.engines.cuda.tiling import GPU, LARGE, SIMULATED, SMALL, Tiling
from fastbp.engines.cuda.uniforms import step_key

TILING = SIMULATED if SIMULATOR else GPU

# Kinds of teams.
RESIDENT = "resident"  # one block a network, the arena in its shared memory during a launch
FLEET = "fleet"  # one block a network
BLOCK = "block"  # one block and one network, or several blocks that are launched phase by phase
GRID = "grid"  # several blocks in a cooperative launch

SHARED_BYTES = 46 * 1024  # every GPU has 48 KB for a block, and the compiler takes a little
WHOLE_STEPS = -1  # in place of a phase
CLOSE = 1 << 30  # more than there are phases
MOST_KERNELS = 128  # that are kept: a search over all activations and solvers would fill the memory


def resident_elements(real: type, tiling: Tiling = TILING) -> int:
    """How large an arena may be that lies in shared memory."""
    itemsize = np.dtype(real).itemsize
    return (SHARED_BYTES - 8 * tiling.threads) // itemsize - tiling.pool(SMALL)


def launch_bounds(real: type, tiling: Tiling = TILING) -> tuple[int, int]:
    """Threads of a block and blocks of a multiprocessor, from which the compiler knows how many registers.

    Two blocks of float32, so that one computes while the other waits at a barrier; float64 takes twice the
    registers.
    """
    return tiling.threads, 2 if real is np.float32 else 1


def units_of_step(selection: Selection, n_phases: int, passes: int) -> int:
    """Phases that a step runs, counted through all its passes, as the kernel counts them."""
    applies = selection.solver is not None and (passes > 1 or selection.clip_norm)
    return passes * (n_phases - selection.max_norm) + applies + selection.max_norm


@lru_cache(maxsize=MOST_KERNELS)
def make_kernel(real: type, team: str, selection: Selection, tiling: Tiling = TILING) -> Any:
    """The kernel for one dtype, kind of team and selection of functions.

    The kernel's parameters, in their order:

    phases, jobs : int64 tables, in
        See ``program``.
    arena : (n_networks * size,), in/out
        Parameters, moments, gradients, activations.
    X, targets, weights : flat, in
        All rows of the data.
    order : int32, in
        Rows in the order of their use, epoch after epoch; a network begins at its `order_position`.
    control, launches : arrays of n_networks records, in/out
        See ``engines.control`` and ``control.LAUNCH``. Networks whose training has ended are left alone.
    curve : float64, out
        Losses of the epochs that end in this launch; a network's begin at its `curve_start`.
    n_steps : int
        At most; an end of training ends a launch, too.
    phase : int
        WHOLE_STEPS; or the one phase to run, counted through all passes of a step; or CLOSE, which runs none
        and closes the step whose phases were launched one by one.
    """
    resident, grid, fleet = team == RESIDENT, team == GRID, team in (RESIDENT, FLEET)
    bookkeeping = make_bookkeeping(real, tiling, selection)
    open_step, close_step = bookkeeping.open_step, bookkeeping.close_step
    find_bad_parameters = bookkeeping.find_bad_parameters
    work = make_work(real, tiling, only_small=resident, selection=selection)
    gather, do_tiles, do_rows, limit_norms = work.gather, work.tiles, work.rows, work.norms
    do_elements, do_features = work.elements, work.features
    elements, batch_norm, trains = selection.elements, selection.batch_norm, selection.loss is not None
    clip_norm, max_norm, draws = selection.clip_norm, selection.max_norm, selection.draws
    threads = tiling.threads
    mask = threads - 1
    pool_size = tiling.pool(SMALL) if resident else max(tiling.pool(SMALL), tiling.pool(LARGE))
    own_size = resident_elements(real, tiling) if resident else 1

    @device
    def barrier():
        cuda.syncthreads()
        if grid:
            cuda.cg.this_grid().sync()

    @device
    def close(fit, launch, memory, curve, scratch, tid, batch_rows):
        if fleet:
            close_step(fit, launch, memory, curve[launch.curve_start :], scratch, tid, batch_rows)
        else:
            close_step(fit, launch, memory, curve, scratch, tid, batch_rows)

    @device
    def run(phases, jobs, memory, pool, scratch, data, fit, launch, curve, extent):
        # In 32 bits: a thread has few registers, and 64 bits take two.
        tid = np.int32(cuda.threadIdx.x & mask)
        rank, size = np.int32(0), np.int32(1)
        if not fleet:
            rank, size = np.int32(cuda.blockIdx.x), np.int32(cuda.gridDim.x)
        place, (n_steps, only) = Place(rank, size, tid), extent
        n_phases = np.int32(phases.shape[0] - 1 if max_norm else phases.shape[0])  # of a pass
        at, position = np.int32(launch.order_position), np.int32(fit.position)
        batch_rows = np.int32(min(fit.batch_rows, fit.n_rows - position))
        before = batch_rows  # rows of the step before
        done, running = np.int32(0), True
        while running and done < n_steps:
            key = step_key(fit.seed, launch.steps_before + done) if draws else np.uint64(0)
            passes = np.int32((batch_rows + fit.pass_rows - 1) // fit.pass_rows)
            n_units = np.int32(passes * n_phases)
            if (passes > 1 or clip_norm) and launch.has_solver == 1:
                n_units = np.int32(n_units + 1)
            if max_norm:
                n_units = np.int32(n_units + 1)
            end = n_units if only < 0 else np.int32(min(only + 1, n_units))
            for unit in range(np.int32(max(only, 0)), end):
                n_pass = np.int32(unit // n_phases)
                phase = np.int32(unit - n_pass * n_phases)
                start = np.int32(n_pass * fit.pass_rows)
                n_rows = np.int32(min(fit.pass_rows, batch_rows - start))
                mode = np.int32(APPLY)
                if n_pass == passes:
                    # The gradients again, then NORMS; NORMS alone where no gradients are kept.
                    following = phase == 1 or (passes == 1 and not clip_norm)
                    mode = np.int32(APPLY_STORED)
                    phase = n_phases if max_norm and following else np.int32(n_phases - 1)
                elif passes > 1 or clip_norm or launch.has_solver == 0:
                    mode = np.int32(WRITE if n_pass == 0 else ADD)
                if unit == 0 and rank == 0:
                    # While the others gather; nobody reads the records before the next barrier.
                    if done > 0:
                        close(fit, launch, memory, curve, scratch, tid, before)
                    if tid == 0:
                        open_step(fit, launch, memory, batch_rows)
                kind = phases[phase, PHASE_KIND]
                first_job, last_job = np.int32(phases[phase, FIRST_JOB]), np.int32(phases[phase, LAST_JOB])
                if kind == GATHER:
                    first_row = at + start
                    gather(
                        memory, jobs, first_job, last_job, data, launch, first_row, start, n_rows, key, place
                    )
                elif kind == TILES:
                    do_tiles(memory, jobs, first_job, last_job, pool, launch, mode, start, n_rows, key, place)
                elif elements and kind == ELEMENTS:
                    do_elements(memory, jobs, first_job, last_job, start, n_rows, key, place)
                elif batch_norm and kind == FEATURES:
                    do_features(memory, jobs, first_job, pool, launch, n_rows, place)
                elif max_norm and kind == NORMS:
                    limit_norms(memory, jobs, first_job, last_job, pool, launch, place)
                else:
                    do_rows(memory, jobs, first_job, last_job, pool, launch, n_pass, n_rows, place)
                barrier()
                if unit == 0 and fit.status != RUNNING:
                    running = False
                    break
            if running:
                done = np.int32(done + 1)
                before = batch_rows
                at = np.int32(at + batch_rows)
                position = np.int32(position + batch_rows)
                if position == fit.n_rows:
                    position = np.int32(0)
                batch_rows = np.int32(min(fit.batch_rows, fit.n_rows - position))
        if trains and (only == WHOLE_STEPS or only == CLOSE):
            if rank == 0:
                if running and done > 0:
                    close(fit, launch, memory, curve, scratch, tid, before)
                if tid == 0:
                    launch.order_position = at
                    fit.position = position
            if launch.has_solver == 1:
                find_bad_parameters(launch, memory, place)

    def kernel(phases, jobs, arena, X, targets, weights, order, control, launches, curve, n_steps, phase):
        # One by one: Numba takes longer to find the type of a tuple of device arrays.
        if SIMULATOR:
            # It knows no alignment, and threads that ask at the same time would get an array each.
            for turn in range(threads):
                if cuda.threadIdx.x == turn:
                    pool = cuda.shared.array(pool_size, real)
                    scratch = cuda.shared.array(threads, np.float64)
                    own = cuda.shared.array(own_size, real)
                cuda.syncthreads()
        else:
            pool = cuda.shared.array(pool_size, real, alignment=16)
            scratch = cuda.shared.array(threads, np.float64)
            own = cuda.shared.array(own_size, real)
        data, extent = Data(X, targets, weights, order), (n_steps, phase)
        network = cuda.blockIdx.x if fleet else 0
        fit, launch = control[network], launches[network]
        if fleet and fit.status != RUNNING:
            return
        if resident:
            n = launch.arena_size
            first = network * n
            for i in range(cuda.threadIdx.x, n, threads):
                own[i] = arena[first + i]
            cuda.syncthreads()
            run(phases, jobs, own, pool, scratch, data, fit, launch, curve, extent)
            cuda.syncthreads()
            for i in range(cuda.threadIdx.x, n, threads):
                arena[first + i] = own[i]
        elif fleet:
            memory = arena[network * launch.arena_size :]
            run(phases, jobs, memory, pool, scratch, data, fit, launch, curve, extent)
        else:
            run(phases, jobs, arena, pool, scratch, data, fit, launch, curve, extent)

    kernel.__name__ = f"train_{team}_{np.dtype(real).name}"
    return cuda.jit(kernel) if SIMULATOR else cuda.jit(launch_bounds=launch_bounds(real, tiling))(kernel)
