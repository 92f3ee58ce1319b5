"""The only place that calls Numba's compiler: its options, and the cache that kernels are kept in."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import llvmlite.binding as llvm
import numba
from numba import types
from numba.core import sigutils
from numba.core.caching import NullCache
from numba.core.codegen import JITCodeLibrary
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


# Not "internal": the linker of compiled code knows such functions by name, and would take one that LLVM has
# fitted to its only caller for another kernel's of the same name.
PRIVATE = "private"


class _LinkedLibrary(JITCodeLibrary):
    """The code of a kernel inside others: it is optimised and emitted as a part of theirs only.

    Numba's own libraries are optimised and emitted once more at each level of calls above them, which takes
    half the time of a first fit.
    """

    def _optimize_final_module(self) -> None:
        pass

    def _finalize_final_module(self) -> None:
        self._finalize_dynamic_globals()
        self._verify_declare_only_symbols()
        self._finalized = True


class _EntryLibrary(JITCodeLibrary):
    """The code of a kernel that Python calls, and of the kernels inside it.

    These are private to it, so that LLVM sees all their calls and inlines what is called once: the steps of
    the smallest networks take a quarter less. Not so in functions that are called by address, whose formulas
    would then hold more constants than there are registers.
    """

    def _optimize_final_module(self) -> None:
        for function in self._final_module.functions:
            if not function.is_declaration and function.linkage == llvm.Linkage.linkonce_odr:
                function.linkage = PRIVATE
        super()._optimize_final_module()


class _Linked:
    """Placeholder for the entry point of a kernel that has none: other kernels find it by this object."""


class _KernelCompiler(Compiler):
    _under_way = 0  # compilations, one inside the other; changed under Numba's lock

    def compile_extra(self, func: Any) -> Any:
        is_inner = _KernelCompiler._under_way > 0
        if is_inner:
            flags, codegen = self.state.flags, self.state.targetctx.codegen()
            flags.no_compile = flags.no_cpython_wrapper = flags.no_cfunc_wrapper = True
            self.state.library = _LinkedLibrary(codegen, func.__qualname__)
        elif not self.state.flags.no_cpython_wrapper:
            self.state.library = _EntryLibrary(self.state.targetctx.codegen(), func.__qualname__)
            self.state.library.enable_object_caching()
        _KernelCompiler._under_way += 1
        try:
            with _loops_as_written(self.state.targetctx.codegen()):
                result = super().compile_extra(func)
        finally:
            _KernelCompiler._under_way -= 1
        if is_inner:
            result = result._replace(entry_point=_Linked())
            self.state.targetctx.insert_user_function(result.entry_point, result.fndesc, [result.library])
        return result


def is_linked(result: Any) -> bool:
    """Whether a compiled kernel is a part of others only."""
    return isinstance(result.entry_point, _Linked)


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
    add, compile = dispatcher.add_overload, dispatcher.compile

    def add_overload(result: Any) -> None:
        if is_linked(result):
            dispatcher.overloads[tuple(result.signature.args)] = result
        else:
            add(result)

    def compile_once(signature: Any) -> Any:
        with global_compiler_lock:
            if _KernelCompiler._under_way:
                kept, dispatcher._cache = dispatcher._cache, NullCache()  # a part has no code of its own
                try:
                    return compile(signature)
                finally:
                    dispatcher._cache = kept
            arguments = tuple(sigutils.normalize_signature(signature)[0])
            known = dispatcher.overloads.get(arguments)
            if known is not None and is_linked(known):  # Python calls a kernel that was only a part of others
                del dispatcher.overloads[arguments]
            return compile(signature)

    dispatcher.add_overload, dispatcher.compile = add_overload, compile_once
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
