"""An atomic barrier for threads that run the same kernel, and the gate before the first.

Waiting spins for a few microseconds, then yields to the scheduler: with more threads than cores the team
still makes progress.
"""

import sys

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numba.np.arrayobj import make_array

from fastbp.engines.compiler import jit
from fastbp.engines.cpu.simd import ARM, X86

# In the int64 array of a team, a cache line apart.
ARRIVED, GENERATION, ENTERED, BROKEN = 0, 16, 32, 40
SYNC_SIZE = 48
SPINS = 2000

_yield_now = types.ExternalFunction(
    "SwitchToThread" if sys.platform == "win32" else "sched_yield", types.int32()
)


def _element(context, builder, kind, array, i):
    return builder.gep(make_array(kind)(context, builder, array).data, [i])


@intrinsic
def _fetch_add(typingctx, array, i, value):
    def codegen(context, builder, sig, args):
        return builder.atomic_rmw("add", _element(context, builder, array, *args[:2]), args[2], "seq_cst")

    return types.int64(array, types.intp, types.int64), codegen


@intrinsic
def _load_acquire(typingctx, array, i):
    def codegen(context, builder, sig, args):
        return builder.load_atomic(_element(context, builder, array, *args), "acquire", 8)

    return types.int64(array, types.intp), codegen


@intrinsic
def _pause(typingctx):
    """Tell the core that it spins; nothing where the instruction set has no word for it."""

    def codegen(context, builder, sig, args):
        if X86:
            kind = ir.FunctionType(ir.VoidType(), [])
            builder.call(cgutils.get_or_insert_function(builder.module, kind, "llvm.x86.sse2.pause"), [])
        elif ARM:
            kind = ir.FunctionType(ir.VoidType(), [ir.IntType(32)])
            hint = cgutils.get_or_insert_function(builder.module, kind, "llvm.aarch64.hint")
            builder.call(hint, [ir.IntType(32)(1)])
        return context.get_dummy_value()

    return types.void(), codegen


@jit
def enter(sync, n_threads):
    """Wait until all threads of the team have entered the kernel; False where one of them cannot.

    A thread is still in Python on its way here and may fail there. After this gate none does, so that no
    thread waits at a barrier for one that never comes.

    Parameters
    ----------
    sync : int64 array of SYNC_SIZE, in/out
        The team's own, zero at first; its entry BROKEN is set from outside by a thread that failed.
    n_threads : int
        0 for a call that is to do nothing.
    """
    if n_threads <= 1:
        return n_threads == 1
    _fetch_add(sync, ENTERED, 1)
    spins = 0
    while _load_acquire(sync, ENTERED) < n_threads:
        if _load_acquire(sync, BROKEN) != 0:
            return False
        spins = _spin(spins)
    return True


@jit
def _spin(spins):
    """Pass a moment, of which `spins` have passed."""
    if spins < SPINS:
        _pause()
        return spins + 1
    _yield_now()
    return spins


@jit
def barrier(sync, n_threads):
    """Wait until all threads of the team have come here.

    Parameters
    ----------
    sync : int64 array of SYNC_SIZE, in/out
        The team's own, zero at first.
    n_threads : int
    """
    if n_threads == 1:
        return
    generation = _load_acquire(sync, GENERATION)
    if _fetch_add(sync, ARRIVED, 1) == n_threads - 1:
        sync[ARRIVED] = 0
        _fetch_add(sync, GENERATION, 1)
        return
    spins = 0
    while _load_acquire(sync, GENERATION) == generation:
        spins = _spin(spins)
