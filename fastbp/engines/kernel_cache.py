"""The compiler's cache on disk, in place of Numba's: never stale, and never needed.

Numba stamps a cached function with the file that it stands in, so that a change in another module that it
calls is served stale, and one file lists the signatures of a function, so that two processes that compile at
the same time may mix them up. Here a kernel is a file of its own, named by all that its machine code depends
on.
"""

import hashlib
import os
import pickle
import re
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import FunctionType
from typing import Any

import llvmlite
import llvmlite.binding
import numba
import numpy as np
from numba.core.caching import NullCache
from numba.core.compiler import CompileResult
from numba.core.serialize import dumps

import fastbp
from fastbp.engines import cache_folder, compile_notice
from fastbp.engines.kernel_sources import describe, kernel_modules

# Settings of Numba's that do not change a kernel's code. All others count, also those of a later Numba.
WITHOUT_EFFECT = re.compile("CACHE|CUDA|THREAD|GDB_BINARY|COLOR_SCHEME|SHOW_HELP|WARN")


@cache
def sources() -> dict[str, str]:
    """Module -> description, of all that kernels come from; empty where it cannot be looked at."""
    try:
        return {name: describe(code) for name, code in kernel_modules(fastbp.__path__).items()}
    except Exception:
        return {}  # an unusual loader: then nothing is cached


@cache
def stamp() -> str:
    """Of all kernels of this process: sources and versions."""
    versions = (
        numba.__version__,
        llvmlite.__version__,
        llvmlite.binding.llvm_version_info,
        np.__version__,
        sys.version,
        sys.implementation.cache_tag,
        getattr(sys, "abiflags", ""),
    )
    return cache_folder.stamp_of(repr((sorted(sources().items()), versions)))


def settings() -> str:
    """Numba's settings (``NUMBA_OPT`` and its like), which a program may change while it runs."""
    values = vars(numba.config).items()
    return repr(
        sorted((name, repr(v)) for name, v in values if name.isupper() and not WITHOUT_EFFECT.search(name))
    )


faults: list[str] = []  # why kernels of this process could not be kept


class KernelCache(NullCache):
    """The cache of one function, as Numba's dispatchers want it.

    Parameters
    ----------
    function : function
    options : mapping
        Options of the compiler.
    """

    def __init__(self, function: FunctionType, options: Mapping[str, Any]) -> None:
        self._function, self._options = function, options

    @property
    def cache_path(self) -> str | None:
        """The folder that new kernels go to."""
        folders = _folders()
        return str(folders[-1]) if folders else None

    def file_name(self, signature: Any, codegen: Any) -> str:
        """The file of the kernel for types of arguments and a processor."""
        parts = (
            describe(self._function, sources()),
            repr(sorted(self._options.items())),
            repr(signature),
            repr(codegen.magic_tuple()),  # system, processor and its features
            settings(),
        )
        digest = hashlib.sha256("\n".join(parts).encode()).hexdigest()[:40]
        place = f"{self._function.__module__}.{self._function.__qualname__}".removeprefix("fastbp.")
        return f"{re.sub('[^A-Za-z0-9_.]', '', place)}-{digest}"

    # Whatever goes wrong here costs time, and nothing else.

    def load_overload(self, signature: Any, target_context: Any) -> Any:
        """The kernel; None where it has to be compiled, of which the user is told."""
        try:
            target_context.refresh()
            payload = cache_folder.read(_folders(), self.file_name(signature, target_context.codegen()))
            if payload is not None:
                return CompileResult._rebuild(target_context, *pickle.loads(payload))
        except Exception:
            pass
        try:
            compile_notice.give(self.cache_path)
        except Exception:
            pass
        return None

    def save_overload(self, signature: Any, result: Any) -> None:
        """Keep the kernel, if possible."""
        try:
            if not result.lifted and not result.library.has_dynamic_globals:
                name = self.file_name(signature, result.library.codegen)
                cache_folder.write(_folders()[-1], name, dumps(result._reduce()))
        except Exception as fault:
            faults.append(str(fault))


def folder_to_write() -> tuple[Path | None, list[OSError]]:
    """The folder that new kernels go to, and the reasons why better ones cannot be used.

    None where there is no such folder, or where ``NUMBA_CACHE_DIR`` names one that cannot be used.
    """
    if not sources():
        return None, [OSError("the code of this package cannot be looked at, as a stamp for the kernels")]
    wish = numba.config.CACHE_DIR
    found, obstacles = cache_folder.survey(wish, stamp())
    usable = found and os.access(found[-1], os.W_OK) and not (wish and obstacles)
    return found[-1] if usable else None, obstacles


def _folders() -> list[Path]:
    return cache_folder.survey(numba.config.CACHE_DIR, stamp())[0] if sources() else []
