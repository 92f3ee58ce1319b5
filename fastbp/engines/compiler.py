"""The only place that calls Numba's compiler: its options, and the cache that kernels are kept in."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import llvmlite.binding as llvm
import numba
from numba import types
from numba.core.compiler import Compiler
from numba.core.compiler_lock import global_compiler_lock

from fastbp.engines.kernel_cache import KernelCache

# In IEEE arithmetic: NaN must be seen. Kernels allocate nothing and keep no array: counting references
# (atomically) would take half the time of a small network's step.
OPTIONS = {"error_model": "numpy", "_nrt": False}


@contextmanager
def _loops_as_written(codegen: Any) -> Iterator[None]:
    """While kernels are compiled, LLVM does not unroll loops.

    The loops of kernels hold as many registers as there are. Unrolled by a factor that depends on the
    processor, they move some of them to the stack, and how long that takes depends on where the stack begins.
    """
    with global_compiler_lock:
        usual = getattr(codegen, "_pass_builder", None)
        if usual is None:  # another Numba: slower on some processors, and right
            yield
            return

        def without_unrolling(**options: Any) -> Any:
            builder = usual(**options)
            builder._pto.loop_unrolling = False
            return llvm.create_pass_builder(builder._tm, builder._pto)  # a builder keeps a copy of them

        codegen._pass_builder = without_unrolling
        try:
            yield
        finally:
            codegen._pass_builder = usual


class _KernelCompiler(Compiler):
    def compile_extra(self, func: Any) -> Any:
        with _loops_as_written(self.state.targetctx.codegen()):
            return super().compile_extra(func)


def njit(function: Any, **options: Any) -> Any:
    """Numba's dispatcher of a function; RuntimeError where Numba is told not to compile."""
    if numba.config.DISABLE_JIT:
        raise RuntimeError(
            "fastbp cannot compute with NUMBA_DISABLE_JIT=1 (numba.config.DISABLE_JIT): its kernels exist as "
            "compiled code only. Unset it before Python starts."
        )
    return numba.njit(**options, **OPTIONS, pipeline_class=_KernelCompiler)(function)


def jit(function: Any) -> Any:
    """Compile lazily, without the GIL, cached on disk if possible."""
    dispatcher = njit(function, nogil=True)
    dispatcher._cache = KernelCache(function, dispatcher.targetoptions)
    resolve = dispatcher.get_call_template

    def without_literals(args: Any, kws: Any) -> Any:
        # A constant argument has a type of its own; each would be compiled separately.
        return resolve(
            [types.unliteral(a) for a in args], {name: types.unliteral(a) for name, a in kws.items()}
        )

    dispatcher.get_call_template = without_literals
    return dispatcher


_compiled: list[Any] = []  # machine code must stay where it is


def address_of(function: Any, argument_types: tuple[types.Type, ...]) -> int:
    """The address of the machine code of a function that returns nothing; compiled now unless it is cached.

    Its calling convention is Numba's own (``fastbp.engines.cpu.call``).
    """
    dispatcher = njit(function, no_cpython_wrapper=True)
    dispatcher._cache = KernelCache(function, dispatcher.targetoptions)
    dispatcher.compile(argument_types)
    result = dispatcher.overloads[argument_types]
    _compiled.append(dispatcher)
    return result.library.get_pointer_to_function(result.fndesc.llvm_func_name)
