"""The only place that calls Numba's compiler: its options and the cache stamp.

Numba stamps a cached kernel with the kernel's own file, so that a change in another module that it calls
would be served stale. Here every kernel is stamped with a digest of all sources that kernels come from.
"""

import contextlib
import hashlib
from pathlib import Path
from typing import Any

import numba
from numba import types
from numba.core.caching import FunctionCache, IndexDataCacheFile

# All that a kernel is made of: the engines, the formulas, the tables' columns, the compiler's options.
KERNEL_SOURCES = ("cpu/**/*.py", "functions/**/*.py", "plan.py", "training_plan.py", "compiler.py")


def source_digest(root: Path) -> str:
    """SHA-256 over the names and contents of the kernel sources below `root`."""
    digest = hashlib.sha256()
    for path in sorted(path for pattern in KERNEL_SOURCES for path in root.glob(pattern)):
        digest.update(str(path.relative_to(root)).encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


DIGEST = source_digest(Path(__file__).parent)


class PackageCache(FunctionCache):
    """Numba's cache of a function on disk, stamped with `DIGEST`."""

    def __init__(self, py_func: Any) -> None:
        super().__init__(py_func)
        stamp = (self._impl.locator.get_source_stamp(), DIGEST)
        self._cache_file = IndexDataCacheFile(self._cache_path, self._impl.filename_base, stamp)

    # A folder that went away, a full disk, a damaged file: that costs time, and nothing else.

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        try:
            return super().load_overload(sig, target_context)
        except Exception:
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        with contextlib.suppress(Exception):
            super().save_overload(sig, data)


# In IEEE arithmetic: NaN must be seen. Kernels allocate nothing and keep no array: counting references
# (atomically) would take half the time of a small network's step.
OPTIONS = {"error_model": "numpy", "_nrt": False}


def njit(function: Any, **options: Any) -> Any:
    """Numba's dispatcher of a function; RuntimeError where Numba is told not to compile."""
    if numba.config.DISABLE_JIT:
        raise RuntimeError(
            "fastbp cannot compute with NUMBA_DISABLE_JIT=1 (numba.config.DISABLE_JIT): its kernels exist as "
            "compiled code only. Unset it before Python starts."
        )
    return numba.njit(**options, **OPTIONS)(function)


def jit(function: Any) -> Any:
    """Compile lazily, without the GIL, cached on disk if possible."""
    dispatcher = njit(function, nogil=True)
    try:
        dispatcher._cache = PackageCache(function)
    except RuntimeError:
        pass  # no folder to write to: compiled anew in each process
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

    Its calling convention is Numba's own (``fastbp.cpu.call``).
    """
    dispatcher = njit(function, no_cpython_wrapper=True)
    with contextlib.suppress(RuntimeError):
        dispatcher._cache = PackageCache(function)
    dispatcher.compile(argument_types)
    result = dispatcher.overloads[argument_types]
    _compiled.append(dispatcher)
    return result.library.get_pointer_to_function(result.fndesc.llvm_func_name)
