"""A model as a function for code that Numba compiles.

The networks become the source of a function of the weights and of one row, with the sizes of the layers as
constants. Its machine code is kept in the cache of the kernels, named by that source: a network of the same
shape with other weights is not compiled again. The function that users call is compiled with their code. It
holds the address of the weights, as a dynamic one, so that Numba keeps no code in a cache that would go on
with old weights.
"""

import hashlib
import math
from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba import carray, types
from numba.core import cgutils
from numba.core.errors import TypingError
from numba.extending import intrinsic, overload, register_jitable

from fastbp.engines.cpu.simd import FUSED
from fastbp.engines.kernel_cache import KernelCache, settings
from fastbp.export.prediction import Prediction
from fastbp.export.python_language import PythonWriter
from fastbp.export.scores import write_means_and_stds, write_scores

# Sums of a row may be taken in any order, and products added with one rounding; NaN and infinities are kept.
OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy", "fastmath": {"reassoc", "contract"}}
VERSION = 2  # of what is not in the source of a kernel: the functions it calls, the types of its arguments

# The module that compiled functions name as theirs: not this one, since they are none of the engine's
# kernels. Numba imports it when it loads code from a cache, and reads nothing there.
MODULE = "math"

_weights: list[np.ndarray] = []  # compiled code holds their addresses


class _Cache(KernelCache):
    """The cache of a function that was made of a source."""

    def __init__(self, function: Any, options: Any, source: str) -> None:
        super().__init__(function, options)
        self._source = source

    def file_name(self, signature: Any, codegen: Any) -> str:
        known = (VERSION, self._source, repr(signature), repr(codegen.magic_tuple()), settings())
        options = sorted((name, str(value)) for name, value in self._options.items() if name != "fastmath")
        digest = hashlib.sha256(repr((known, options)).encode()).hexdigest()[:40]
        return f"export.kernel-{digest}"


@intrinsic
def rint(typingctx, x):
    def codegen(context, builder, signature, args):
        return builder.call(builder.module.declare_intrinsic("llvm.rint", [args[0].type]), args)

    return x(x), codegen


@intrinsic
def power_of_2(typingctx, n):
    """2ⁿ for an integral n held in a float, where it is a normal number."""

    def codegen(context, builder, signature, args):
        bits, fraction, bias = (32, 23, 127) if n == types.float32 else (64, 52, 1023)
        whole, small = ir.IntType(bits), ir.IntType(32)
        # of NaN it is any number: what is multiplied by the result is NaN then
        exponent = builder.fptosi(args[0], small)
        exponent = exponent if bits == 32 else builder.sext(exponent, whole)
        power = builder.shl(builder.add(exponent, whole(bias)), whole(fraction))
        return builder.bitcast(power, args[0].type)

    return n(n), codegen


@intrinsic
def fused(typingctx, a, b, c):
    def codegen(context, builder, signature, args):
        return builder.fma(*args)

    return a(a, b, c), codegen


def unfused(a, b, c):
    return a * b + c


unfused.__module__ = MODULE
# without a fused instruction the C library would be called
fma = fused if FUSED == "fma" else register_jitable(unfused)


def _stack(dtype: types.Float) -> Any:
    """Return a function of a literal number n: memory for n numbers, until the caller returns."""

    @intrinsic(prefer_literal=True)
    def stack(typingctx, size):
        if not isinstance(size, types.IntegerLiteral):
            return None
        n = size.literal_value

        def codegen(context, builder, signature, args):
            memory = cgutils.alloca_once(builder, context.get_data_type(dtype), size=n)
            memory.align = 64
            return memory

        return types.CPointer(dtype)(size), codegen

    return stack


STACKS = {np.dtype(kind): _stack(numba.from_dtype(np.dtype(kind))) for kind in (np.float32, np.float64)}


def source_of(prediction: Prediction, return_std: bool = False) -> tuple[str, np.ndarray]:
    """Return the source of the kernel of a prediction, and its constants in one vector."""
    writer = PythonWriter(prediction.dtype)

    def call(number: int, out: str) -> None:
        member = prediction.members[number]
        if member.head is None:
            writer.program(member.network, "x", out)
            return
        writer.array("raw", member.network.n_outputs)
        writer.program(member.network, "x", "raw")
        writer.program(member.head, "raw", out)

    writer.line("def kernel(w, x, out):")
    writer.depth = 1
    if return_std:
        write_means_and_stds(writer, prediction, call, "out[j]", f"out[{prediction.n_outputs} + j]")
    else:
        write_scores(writer, prediction, call)
    constants = np.concatenate([np.zeros(0, prediction.dtype), *writer.parts])
    return "\n".join(writer.lines) + "\n", constants


def compiled_kernel(source: str, dtype: np.dtype) -> Any:
    """Compile the source of a kernel, or load it from the cache."""
    names: dict[str, Any] = {
        "__name__": MODULE,
        "math": math,
        "np": np,
        "carray": carray,
        "stack": STACKS[dtype],
        "F": dtype.type,
        "fma": fma,
        "rint": rint,
        "power_of_2": power_of_2,
        "nan": np.nan,
        "inf": np.inf,
    }
    exec(compile(source, "<exported by fastbp>", "exec"), names)
    dispatcher = numba.njit(**OPTIONS)(names["kernel"])
    dispatcher._cache = _Cache(names["kernel"], dispatcher.targetoptions, source)
    row = numba.from_dtype(dtype)[::1]
    dispatcher.compile(types.void(row, row, row))
    return dispatcher


def numba_function(source: str, constants: np.ndarray, n_inputs: int, n_outputs: int) -> Any:
    """Return the function of rows; see `to_numba` of the estimators."""
    dtype = constants.dtype
    kernel, weights = compiled_kernel(source, dtype), _pointer_to(constants)
    stack, kind, n_constants = STACKS[dtype], numba.from_dtype(dtype), len(constants)
    n_sides = (n_inputs, n_outputs)
    wrong_inputs = f"x must have {n_inputs} numbers in a row."
    wrong_outputs = f"out must have {n_outputs} numbers in a row."

    def row(x, out):
        if len(x) != n_sides[0]:
            raise ValueError(wrong_inputs)
        if len(out) != n_sides[1]:
            raise ValueError(wrong_outputs)
        a, b = carray(stack(n_inputs), n_inputs), carray(stack(n_outputs), n_outputs)
        for i in range(n_inputs):
            a[i] = x[i]
        kernel(carray(weights(), n_constants), a, b)
        for j in range(n_outputs):
            out[j] = b[j]

    row.__module__ = MODULE
    register_jitable(row)

    def call(x, out=None):
        raise NotImplementedError

    @overload(call)
    def implementation(x, out=None):
        chosen = _choose(x, out, row, stack, kind, n_outputs)
        chosen.__module__ = MODULE
        return chosen

    def predict(x, out=None):
        return call(x, out)

    predict.__module__ = MODULE
    function = numba.njit(nogil=True)(predict)
    function.__reduce_ex__ = lambda protocol: (numba_function, (source, constants, n_inputs, n_outputs))
    return function


def _pointer_to(constants: np.ndarray) -> Any:
    """A function without arguments that returns the address of an array in compiled code."""
    constants = np.ascontiguousarray(constants)
    _weights.append(constants)
    kind = numba.from_dtype(constants.dtype)

    @intrinsic
    def weights(typingctx):
        def codegen(context, builder, signature, args):
            address = context.add_dynamic_addr(builder, constants.ctypes.data, info="weights of a model")
            return builder.bitcast(address, context.get_value_type(signature.return_type))

        return types.CPointer(kind)(), codegen

    return weights


def _choose(x: Any, out: Any, row: Callable, stack: Any, kind: Any, n: int) -> Callable:
    """The implementation for arguments of these types."""
    own_out = out is None or isinstance(out, types.NoneType | types.Omitted)
    is_row = isinstance(x, types.BaseTuple) or (isinstance(x, types.Array) and x.ndim == 1)
    is_batch = isinstance(x, types.Array) and x.ndim == 2
    if not (is_row or is_batch):
        raise TypingError("x must be a row of numbers (an array or a tuple), or an array of rows.")
    if not own_out:
        wanted = (1,) if is_row else (1, 2) if n == 1 else (2,)
        if not (isinstance(out, types.Array) and out.ndim in wanted):
            dimensions = " or ".join(map(str, wanted))
            raise TypingError(f"out must be an array of {dimensions} dimensions for this x.")
    if is_row:
        return _of_row(own_out, row, stack, kind, n)
    return _of_batch(own_out, not own_out and out.ndim == 1, row, kind, n)


def _of_row(own_out: bool, row: Callable, stack: Any, kind: Any, n: int) -> Callable:
    if not own_out:

        def into(x, out=None):
            row(x, out)
            return out

        return into
    if n == 1:

        def number(x, out=None):
            one = carray(stack(1), 1)
            row(x, one)
            return one[0]

        return number

    def array(x, out=None):
        one = np.empty(n, kind)
        row(x, one)
        return one

    return array


def _of_batch(own_out: bool, flat: bool, row: Callable, kind: Any, n: int) -> Callable:
    if own_out and n == 1:

        def numbers(x, out=None):
            column = np.empty((len(x), 1), kind)
            for i in range(len(x)):
                row(x[i], column[i])
            return column[:, 0]

        return numbers
    if own_out:

        def arrays(x, out=None):
            rows = np.empty((len(x), n), kind)
            for i in range(len(x)):
                row(x[i], rows[i])
            return rows

        return arrays
    wrong = "out must have as many rows as x."
    if flat:

        def into_column(x, out=None):
            if len(out) != len(x):
                raise ValueError(wrong)
            for i in range(len(x)):
                row(x[i], out[i : i + 1])
            return out

        return into_column

    def into_rows(x, out=None):
        if len(out) != len(x):
            raise ValueError(wrong)
        for i in range(len(x)):
            row(x[i], out[i])
        return out

    return into_rows
