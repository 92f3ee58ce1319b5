"""Compile the kernels for a processor, and write the loops in their machine code to standard output.

    python -m machine_code.compile TARGET PART...       # in the folder bench

A part is "product", "kernels", "functions" or "extras" (of the solvers, all combinations). Each line written
is a function: where it comes from and its loops, as JSON.

This is a process of its own: before Numba is imported it is told the processor, and then nothing that is
compiled can be called. Nothing is read from the cache of kernels, and nothing is put there.
"""

import json
import os
import platform
import re
import sys
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from .listing import functions, loops
from .targets import TARGETS, Target

CHECKOUT = Path(__file__).resolve().parents[2]
FOLDERS = ("fastbp", "engines", "cpu", "ops")
# Modules whose loops belong to one registered function.
FUNCTIONS = [[name] for name in ("functions", "lowering", "elementwise", "row", "group", "noise")]
FUNCTIONS += [["parametric"], ["loss"]]
FAMILIES = {"tile": "product"}  # others have the name of their module in fastbp.engines.cpu


def main() -> None:
    name, *parts = sys.argv[1:]
    target = TARGETS[name]
    os.environ |= {"NUMBA_CPU_NAME": name, "NUMBA_CPU_FEATURES": target.features}
    platform.machine = lambda: target.machine
    sys.path[:0] = [str(CHECKOUT), str(CHECKOUT / "tests")]
    compile_for(name, target)
    record = Recorder(target)
    keep_listings(record)
    warnings.simplefilter("ignore")
    compilers = {"product": product, "kernels": kernels, "functions": loops_of_functions, "extras": extras}
    for part in parts:
        compilers[part](record)


def compile_for(name: str, target: Target) -> None:
    """Let Numba emit code for the target, and call none of it."""
    import llvmlite.binding as llvm
    from numba.core import codegen, config, cpu

    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    llvm.get_process_triple = lambda: target.triple

    class NoEngine:
        """Stands for the one that puts machine code into memory."""

        def __getattr__(self, name: str) -> Callable:
            return lambda *args, **options: 0

    def init(self: Any, module: Any) -> None:
        self._tm_features = target.features
        self._tm = llvm.Target.from_triple(target.triple).create_target_machine(
            cpu=name,
            features=target.features,
            opt=config.OPT,
            reloc="static",
            codemodel="jitdefault",
            jit=True,
        )
        self._engine, self._target_data = NoEngine(), self._tm.target_data
        self._data_layout = str(self._target_data)
        self._loopvect, self._opt_level = (True, 3) if config.OPT.is_opt_max else (False, 0)

    def executable(self: Any, library: Any, *args: Any) -> Callable:
        library._ensure_finalized()  # as when its address is asked for: while loops stay as they are written
        return [].append  # a built-in function, a new one for each kernel

    codegen.CPUCodegen._init = init
    codegen.JITCodeLibrary._finalize_specific = lambda self: None
    codegen.JITCodeLibrary.get_pointer_to_function = lambda self, name: 0
    cpu.CPUContext.get_executable = executable


class Recorder:
    """Writes down the loops of each function, once."""

    def __init__(self, target: Target) -> None:
        self.is_arm, self.piece, self._known = target.is_arm, "", set[tuple]()

    def __call__(self, kernel: str, dtype: str, listing: str) -> None:
        for function in functions(listing):
            code = (function.name, *function.instructions)
            if "cpython" in function.name or "cfunc" in function.name or code in self._known:
                continue
            self._known.add(code)
            place = [part for part in _parts(function.name) if part not in FOLDERS]
            entry = {
                "family": self._family(function.name, place),
                "kernel": self.piece if place[:1] in FUNCTIONS and self.piece else kernel,
                "function": ".".join(place[:2]),
                "dtype": dtype,
                "loops": loops(function, self.is_arm),
            }
            print(json.dumps(entry), flush=True)

    def _family(self, name: str, place: list[str]) -> str:
        if place[:1] in FUNCTIONS and self.piece:
            return self.piece.split(",")[0].split(" ")[0]
        return FAMILIES.get(place[0], place[0]) if place else name


def _parts(symbol: str) -> list[str]:
    """The qualified name in a symbol that Numba made: each part behind its length."""
    found, rest = [], symbol.lstrip("_").removeprefix("ZN")
    while match := re.match(r"\d+", rest):
        length, rest = int(match[0]), rest[match.end() :]
        found.append(rest[:length])
        rest = rest[length:]
    return found


def keep_listings(record: Recorder) -> None:
    """In the place of the cache of kernels."""
    from numba.core.caching import NullCache

    from fastbp.engines import compiler

    class Listings(NullCache):
        def __init__(self, function: Any, options: Any) -> None:
            self.name = f"{function.__module__}.{function.__qualname__}".removeprefix("fastbp.")

        def save_overload(self, signature: Any, result: Any) -> None:
            dtype = "float32" if "float32" in str(result.signature) else "float64"
            record(self.name, dtype, result.library.get_asm_str())

    compiler.KernelCache = Listings
    compiler.PRIVATE = "internal"  # nothing is run, and listings name the functions


def product(record: Recorder) -> None:
    """The tile of a matrix product."""
    from numba import types

    from fastbp.engines.cpu import tile

    for dtype in (types.float32, types.float64):
        tile.product.compile(tile.product_types(dtype))


def kernels(record: Recorder) -> None:
    """Training, gradients, predictions: what the engine would call, compiled for the arguments it passes."""
    from combinations import make_data, make_network, make_training
    from numba import typeof

    from fastbp.engines.cpu import engine, step
    from fastbp.engines.dataset import Dataset

    class Called(Exception):
        pass

    def compiled(kernel: Any) -> Callable:
        def call(*args: Any) -> None:
            kernel.compile(tuple(typeof(argument) for argument in args))
            raise Called

        return call

    step.train, step.loss_and_gradient = compiled(step.train), compiled(step.loss_and_gradient)
    engine.predict = compiled(engine.predict)
    record.piece = ""
    for dtype in ("float32", "float64"):
        network = make_network(dtype)
        X, targets, start = make_data(network, 40)
        with (
            suppress(Called),
            engine.Trainer(
                network, make_training(shuffle=False), Dataset(X, targets), start, n_jobs=1
            ) as trainer,
        ):
            trainer.train(1)
        with suppress(Called):
            engine.loss_and_gradient(network, start, Dataset(X, targets), 0.0, 0.0, n_jobs=1)
        with suppress(Called):
            engine.forward(network, start, X, n_jobs=1)


def loops_of_functions(record: Recorder, every_extra: bool = False) -> None:
    """Whatever a network may name; of the solvers' extras none, each alone, and all."""
    from fastbp import precompile
    from fastbp.functions.step import StepOptions

    counts = range(len(StepOptions._fields) + 1) if every_extra else (0, 1, len(StepOptions._fields))
    for dtype in precompile.DTYPES:
        for piece in precompile._registered(dtype):
            if not piece.name.startswith("solver ") or piece.name.count(" + ") in counts:
                record.piece = piece.name
                piece.compile()


def extras(record: Recorder) -> None:
    """The same with every combination of extras."""
    loops_of_functions(record, every_extra=True)


if __name__ == "__main__":
    main()
