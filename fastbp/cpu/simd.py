"""A vector type for Numba: registers of the host's width, with arithmetic, loads and stores.

``Vector(float32)`` is one register (16 floats with AVX-512, 8 with AVX2, 4 elsewhere). LLVM legalises any
width, so that nothing here depends on the instruction set but speed. Memory is reached through raw pointers
(``pointer(array, i)``): an index into a Numba array may be negative, and the wrap-around that Numba adds
for it defeats the vector code.

No floating-point flags are set: a multiplication and an addition are fused where a formula says ``fma`` and
nowhere else, so that a formula gives the same bits wherever it is inlined.
"""

import operator
import platform
from typing import Any

import llvmlite.binding
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.typing.templates import AbstractTemplate, infer_global, signature
from numba.extending import intrinsic, lower_builtin, models, overload, register_model
from numba.np.arrayobj import make_array

from fastbp.functions import primitives


def _register_bytes() -> int:
    features = llvmlite.binding.get_host_cpu_features()
    return 64 if features.get("avx512f") else 32 if features.get("avx2") else 16


X86 = platform.machine().lower() in ("x86_64", "amd64", "i686")
REGISTER_BYTES = _register_bytes()
# Without a fused instruction llvm.fma would call the C library for each lane.
FUSED = "fma" if not X86 or llvmlite.binding.get_host_cpu_features().get("fma") else "fmuladd"


class Vector(types.Type):
    """One vector register of `dtype`."""

    def __init__(self, dtype: types.Float) -> None:
        self.dtype = dtype
        self.lanes = REGISTER_BYTES * 8 // dtype.bitwidth
        super().__init__(name=f"Vector({dtype}, {self.lanes})")


class Mask(types.Type):
    """The result of comparing two vectors: one bit a lane."""

    def __init__(self, lanes: int) -> None:
        self.lanes = lanes
        super().__init__(name=f"Mask({lanes})")


def element_type(dtype: types.Float) -> ir.Type:
    return ir.FloatType() if dtype.bitwidth == 32 else ir.DoubleType()


def llvm_type(vector: Vector) -> ir.VectorType:
    return ir.VectorType(element_type(vector.dtype), vector.lanes)


def integer_type(vector: Vector) -> ir.VectorType:
    return ir.VectorType(ir.IntType(vector.dtype.bitwidth), vector.lanes)


@register_model(Vector)
class VectorModel(models.PrimitiveModel):
    def __init__(self, dmm, fe_type):
        super().__init__(dmm, fe_type, llvm_type(fe_type))


@register_model(Mask)
class MaskModel(models.PrimitiveModel):
    def __init__(self, dmm, fe_type):
        super().__init__(dmm, fe_type, ir.VectorType(ir.IntType(1), fe_type.lanes))


def splat(builder, scalar, lanes: int):
    """A vector with `scalar` in every lane."""
    vector = ir.VectorType(scalar.type, lanes)
    undefined = ir.Constant(vector, ir.Undefined)
    one = builder.insert_element(undefined, scalar, ir.IntType(32)(0))
    first = ir.Constant(ir.VectorType(ir.IntType(32), lanes), [0] * lanes)
    return builder.shuffle_vector(one, undefined, first)


def widen(context, builder, value, kind: types.Type, vector: Vector):
    """`value` (a vector, a float or an integer) as `vector`."""
    if isinstance(kind, Vector):
        return value
    return splat(builder, context.cast(builder, value, kind, vector.dtype), vector.lanes)


def call_llvm(builder, name: str, vector_type, args):
    """Call the LLVM intrinsic `name`, overloaded on a vector type (Numba's own helper refuses these)."""
    suffix = f"v{vector_type.count}f{32 if isinstance(vector_type.element, ir.FloatType) else 64}"
    kind = ir.FunctionType(vector_type, [a.type for a in args])
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, f"llvm.{name}.{suffix}"), args)


# --- operators -------------------------------------------------------------------------------------------


def _common(args) -> Any:
    """The vector type among the arguments if all the others are vectors of it or scalars, else None."""
    found = {a for a in args if isinstance(a, Vector)}
    if len(found) != 1 or not all(isinstance(a, Vector | types.Float | types.Integer) for a in args):
        return None
    return found.pop()


def _define(op, emit, result):
    @infer_global(op)
    class Template(AbstractTemplate):
        def generic(self, args, kws):
            vector = _common(args)
            if len(args) == 2 and vector is not None:
                return signature(result(vector), *args)

    def lower(context, builder, sig, args):
        vector = _common(sig.args)
        return emit(
            builder, *[widen(context, builder, a, t, vector) for a, t in zip(args, sig.args, strict=True)]
        )

    for pair in ((Vector, Vector), (Vector, types.Number), (types.Number, Vector)):
        lower_builtin(op, *pair)(lower)


for _op, _name in (
    (operator.add, "fadd"),
    (operator.sub, "fsub"),
    (operator.mul, "fmul"),
    (operator.truediv, "fdiv"),
):
    _define(_op, lambda builder, x, y, name=_name: getattr(builder, name)(x, y), lambda vector: vector)

for _op, _sign in (
    (operator.lt, "<"),
    (operator.le, "<="),
    (operator.gt, ">"),
    (operator.ge, ">="),
    (operator.eq, "=="),
):
    _define(
        _op,
        lambda builder, x, y, sign=_sign: builder.fcmp_ordered(sign, x, y),
        lambda vector: Mask(vector.lanes),
    )


@infer_global(operator.neg)
class NegationTemplate(AbstractTemplate):
    def generic(self, args, kws):
        if len(args) == 1 and isinstance(args[0], Vector):
            return signature(args[0], *args)


@lower_builtin(operator.neg, Vector)
def _negate(context, builder, sig, args):
    return builder.fneg(args[0])


# --- primitives of the formulas --------------------------------------------------------------------------


@intrinsic
def _fma(typingctx, a, b, c):
    vector = _common((a, b, c))

    def codegen(context, builder, sig, args):
        values = [widen(context, builder, v, t, vector) for v, t in zip(args, sig.args, strict=True)]
        return call_llvm(builder, FUSED, llvm_type(vector), values)

    return vector(a, b, c), codegen


@intrinsic
def _select(typingctx, condition, a, b):
    vector = _common((a, b))

    def codegen(context, builder, sig, args):
        values = [widen(context, builder, v, t, vector) for v, t in zip(args[1:], sig.args[1:], strict=True)]
        return builder.select(args[0], *values)

    return vector(condition, a, b), codegen


def _unary(name: str) -> Any:
    @intrinsic
    def call(typingctx, x):
        def codegen(context, builder, sig, args):
            return call_llvm(builder, name, llvm_type(x), args)

        return x(x), codegen

    return call


_sqrt, _fabs, _rint = _unary("sqrt"), _unary("fabs"), _unary("rint")

FORMATS = {32: (23, 127), 64: (52, 1023)}  # bits of the fraction, bias of the exponent


def constants(kind: ir.VectorType, value: int):
    return ir.Constant(kind, [value] * kind.count)


@intrinsic
def _scale(typingctx, x, n):
    def codegen(context, builder, sig, args):
        integers = integer_type(x)
        fraction, bias = FORMATS[x.dtype.bitwidth]
        # NaN converts to an arbitrary integer: x is NaN then, and so is the product.
        power = builder.add(builder.fptosi(args[1], integers), constants(integers, bias))
        power = builder.shl(power, constants(integers, fraction))
        return builder.fmul(args[0], builder.bitcast(power, llvm_type(x)))

    return x(x, n), codegen


@intrinsic
def _exponent(typingctx, x):
    def codegen(context, builder, sig, args):
        integers = integer_type(x)
        fraction, bias = FORMATS[x.dtype.bitwidth]
        bits = builder.lshr(builder.bitcast(args[0], integers), constants(integers, fraction))
        return builder.sitofp(builder.sub(bits, constants(integers, bias)), llvm_type(x))

    return x(x), codegen


@intrinsic
def _mantissa(typingctx, x):
    def codegen(context, builder, sig, args):
        integers = integer_type(x)
        fraction, bias = FORMATS[x.dtype.bitwidth]
        bits = builder.and_(builder.bitcast(args[0], integers), constants(integers, (1 << fraction) - 1))
        bits = builder.or_(bits, constants(integers, bias << fraction))
        return builder.bitcast(bits, llvm_type(x))

    return x(x), codegen


@overload(primitives.single, inline="always")
def _single_overload(x):
    if isinstance(x, Vector):
        return (lambda x: True) if x.dtype.bitwidth == 32 else (lambda x: False)


@overload(primitives.fma)
def _fma_overload(a, b, c):
    if _common((a, b, c)) is not None:
        return lambda a, b, c: _fma(a, b, c)


@overload(primitives.select)
def _select_overload(condition, a, b):
    if isinstance(condition, Mask):
        return lambda condition, a, b: _select(condition, a, b)


@overload(primitives.sqrt)
def _sqrt_overload(x):
    if isinstance(x, Vector):
        return lambda x: _sqrt(x)


@overload(primitives.absolute)
def _absolute_overload(x):
    if isinstance(x, Vector):
        return lambda x: _fabs(x)


@overload(primitives.rint)
def _rint_overload(x):
    if isinstance(x, Vector):
        return lambda x: _rint(x)


@overload(primitives.scale)
def _scale_overload(x, n):
    if isinstance(x, Vector):
        return lambda x, n: _scale(x, n)


@overload(primitives.exponent)
def _exponent_overload(x):
    if isinstance(x, Vector):
        return lambda x: _exponent(x)


@overload(primitives.mantissa)
def _mantissa_overload(x):
    if isinstance(x, Vector):
        return lambda x: _mantissa(x)


# A row of the batch is one lane of `n` registers: the pair (pointer to the first, distance between them).


@overload(primitives.get)
def _get_overload(row, j):
    if isinstance(row, types.BaseTuple):
        return lambda row, j: load(row[0], j * row[1])


@overload(primitives.put)
def _put_overload(row, j, value):
    if isinstance(row, types.BaseTuple):
        return lambda row, j, value: store(row[0], j * row[1], value)


# --- memory ----------------------------------------------------------------------------------------------


@intrinsic
def pointer(typingctx, array, i):
    """The address of element `i` of a one-dimensional contiguous array."""

    def codegen(context, builder, sig, args):
        data = make_array(array)(context, builder, args[0]).data
        return builder.gep(data, [context.cast(builder, args[1], i, types.intp)])

    return types.CPointer(array.dtype)(array, i), codegen


@intrinsic
def advance(typingctx, p, n):
    """The pointer `n` elements further."""

    def codegen(context, builder, sig, args):
        return builder.gep(args[0], [args[1]])

    return p(p, types.intp), codegen


@intrinsic
def lanes(typingctx, p):
    """How many elements of a pointer's type a register holds: a compile-time constant."""
    n = Vector(p.dtype).lanes

    def codegen(context, builder, sig, args):
        return ir.IntType(64)(n)

    return types.intp(p), codegen


def vector_address(builder, p, i, vector: Vector):
    return builder.bitcast(builder.gep(p, [i]), llvm_type(vector).as_pointer())


@intrinsic
def load(typingctx, p, i):
    """The register at element `i`; any alignment."""
    vector = Vector(p.dtype)

    def codegen(context, builder, sig, args):
        value = builder.load(vector_address(builder, args[0], args[1], vector))
        value.align = vector.dtype.bitwidth // 8
        return value

    return vector(p, types.intp), codegen


@intrinsic
def store(typingctx, p, i, value):
    """Store a register (or a scalar in all its lanes) at element `i`; any alignment."""
    vector = Vector(p.dtype)

    def codegen(context, builder, sig, args):
        wide = widen(context, builder, args[2], value, vector)
        builder.store(wide, vector_address(builder, args[0], args[1], vector)).align = (
            vector.dtype.bitwidth // 8
        )
        return context.get_dummy_value()

    return types.void(p, types.intp, value), codegen


@intrinsic
def load_scalar(typingctx, p, i):
    """Element `i`."""

    def codegen(context, builder, sig, args):
        return builder.load(builder.gep(args[0], [args[1]]))

    return p.dtype(p, types.intp), codegen


@intrinsic
def store_scalar(typingctx, p, i, value):
    """Set element `i`."""

    def codegen(context, builder, sig, args):
        builder.store(context.cast(builder, args[2], value, p.dtype), builder.gep(args[0], [args[1]]))
        return context.get_dummy_value()

    return types.void(p, types.intp, value), codegen


ARM = platform.machine().lower() in ("arm64", "aarch64")
FLUSH_X86 = 0x8040  # MXCSR: results below the normal range become zero, such operands count as zero
FLUSH_ARM = 1 << 24  # FPCR: the same


@intrinsic
def flush_subnormals(typingctx):
    """Let this thread count numbers below the normal range as zero; returns what `restore_mode` takes.

    Moments and gradients of units that have died shrink into that range and stay there, where a core takes
    a hundred times as long for an operation.
    """

    def codegen(context, builder, sig, args):
        i32, i64 = ir.IntType(32), ir.IntType(64)
        if X86:
            place = cgutils.alloca_once(builder, i32)
            _mxcsr(builder, "stmxcsr", place)
            old = builder.load(place)
            builder.store(builder.or_(old, i32(FLUSH_X86)), place)
            _mxcsr(builder, "ldmxcsr", place)
            return builder.zext(old, i64)
        if ARM:
            get = cgutils.get_or_insert_function(
                builder.module, ir.FunctionType(i64, []), "llvm.aarch64.get.fpcr"
            )
            old = builder.call(get, [])
            _set_fpcr(builder, builder.or_(old, i64(FLUSH_ARM)))
            return old
        return i64(0)

    return types.int64(), codegen


@intrinsic
def restore_mode(typingctx, old):
    """Go back to the floating-point mode that `flush_subnormals` found."""

    def codegen(context, builder, sig, args):
        if X86:
            place = cgutils.alloca_once(builder, ir.IntType(32))
            builder.store(builder.trunc(args[0], ir.IntType(32)), place)
            _mxcsr(builder, "ldmxcsr", place)
        elif ARM:
            _set_fpcr(builder, args[0])
        return context.get_dummy_value()

    return types.void(types.int64), codegen


def _mxcsr(builder, name: str, place) -> None:
    address = builder.bitcast(place, ir.IntType(8).as_pointer())
    kind = ir.FunctionType(ir.VoidType(), [address.type])
    builder.call(cgutils.get_or_insert_function(builder.module, kind, f"llvm.x86.sse.{name}"), [address])


def _set_fpcr(builder, value) -> None:
    kind = ir.FunctionType(ir.VoidType(), [value.type])
    builder.call(cgutils.get_or_insert_function(builder.module, kind, "llvm.aarch64.set.fpcr"), [value])


@intrinsic
def spread(typingctx, p, value):
    """A register of the pointer's type with `value` in every lane."""
    vector = Vector(p.dtype)

    def codegen(context, builder, sig, args):
        return widen(context, builder, args[1], value, vector)

    return vector(p, value), codegen


@intrinsic
def lane_numbers(typingctx, p):
    """The register 0, 1, 2, …"""
    vector = Vector(p.dtype)

    def codegen(context, builder, sig, args):
        return ir.Constant(llvm_type(vector), [float(i) for i in range(vector.lanes)])

    return vector(p), codegen


@intrinsic
def sum_lanes(typingctx, x):
    """The sum over the lanes, in the order of a binary tree, as a float64."""

    def codegen(context, builder, sig, args):
        value, n = args[0], x.lanes
        while n > 1:
            n //= 2
            undefined = ir.Constant(value.type, ir.Undefined)
            index = ir.VectorType(ir.IntType(32), n)
            low = builder.shuffle_vector(value, undefined, ir.Constant(index, list(range(n))))
            high = builder.shuffle_vector(value, undefined, ir.Constant(index, list(range(n, 2 * n))))
            value = builder.fadd(low, high)
        return context.cast(
            builder, builder.extract_element(value, ir.IntType(32)(0)), x.dtype, types.float64
        )

    return types.float64(x), codegen


def _first_lanes(builder, vector: Vector, count):
    """The mask of the first `count` lanes."""
    kind = ir.VectorType(ir.IntType(64), vector.lanes)
    numbers = ir.Constant(kind, list(range(vector.lanes)))
    return builder.icmp_signed("<", numbers, splat(builder, count, vector.lanes))


def _masked(builder, name: str, vector: Vector, result, args):
    """llvm.masked.load or store, whose names carry the vector's type and the pointer's."""
    function = ir.FunctionType(result, [a.type for a in args])
    full_name = f"llvm.masked.{name}.v{vector.lanes}f{vector.dtype.bitwidth}.p0"
    return builder.call(cgutils.get_or_insert_function(builder.module, function, full_name), args)


def load_first(builder, p, i, vector: Vector, count):
    """The register at element `i`, with zeros behind its first `count` lanes, which are not read."""
    kind = llvm_type(vector)
    zero = ir.Constant(kind, [0.0] * vector.lanes)
    align = ir.IntType(32)(vector.dtype.bitwidth // 8)
    address = vector_address(builder, p, i, vector)
    mask = _first_lanes(builder, vector, count)
    return _masked(builder, "load", vector, kind, [address, align, mask, zero])


def store_first(builder, value, p, i, vector: Vector, count):
    """Store the first `count` lanes at element `i`; what lies behind is not written."""
    align = ir.IntType(32)(vector.dtype.bitwidth // 8)
    address = vector_address(builder, p, i, vector)
    mask = _first_lanes(builder, vector, count)
    _masked(builder, "store", vector, ir.VoidType(), [value, address, align, mask])


def transpose_registers(builder, rows, rounds: int):
    """Transpose L registers of L lanes by log2(L) rounds of shuffles; the first `rounds` are done here.

    Round r exchanges blocks of 2^r lanes between rows 2^r apart; the rounds may come in any order.
    """
    n = len(rows)
    index = ir.VectorType(ir.IntType(32), n)
    for step in (1 << r for r in range(rounds)):
        low = ir.Constant(index, [i if not i & step else n + i - step for i in range(n)])
        high = ir.Constant(index, [i + step if not i & step else n + i for i in range(n)])
        new = list(rows)
        for i in range(n):
            if not i & step:
                a, b = rows[i], rows[i + step]
                new[i] = builder.shuffle_vector(a, b, low)
                new[i + step] = builder.shuffle_vector(a, b, high)
        rows = new
    return rows


def load_transposed(builder, p, starts, vector: Vector):
    """The transpose of the L × L block whose rows begin at elements `starts` of pointer `p`.

    The last round, which exchanges halves of registers, is done by loading halves: a core has one unit for
    shuffles across a register, but several for loads.
    """
    n, half = vector.lanes, vector.lanes // 2
    kind = ir.VectorType(llvm_type(vector).element, half)
    whole = ir.Constant(ir.VectorType(ir.IntType(32), n), list(range(n)))

    def load_half(row, first):
        at = builder.gep(p, [builder.add(starts[row], ir.IntType(64)(first))])
        value = builder.load(builder.bitcast(at, kind.as_pointer()))
        value.align = vector.dtype.bitwidth // 8
        return value

    rows = [
        builder.shuffle_vector(load_half(i % half, first), load_half(i % half + half, first), whole)
        for i, first in ((i, 0 if i < half else half) for i in range(n))
    ]
    return transpose_registers(builder, rows, half.bit_length() - 1)


def store_rows(builder, rows, p, stride, vector: Vector):
    """Store registers `stride` elements apart."""
    for i, row in enumerate(rows):
        at = builder.mul(stride, ir.IntType(64)(i))
        builder.store(row, vector_address(builder, p, at, vector)).align = vector.dtype.bitwidth // 8


@intrinsic
def store_first_lanes(typingctx, p, value, count):
    """Store the first `count` lanes of a register."""

    def codegen(context, builder, sig, args):
        store_first(builder, args[1], args[0], ir.IntType(64)(0), value, args[2])
        return context.get_dummy_value()

    return types.void(p, value, types.intp), codegen


@intrinsic
def transpose_block(typingctx, source, row_stride, target, target_stride):
    """Transpose an L × L block from rows at `source` to rows at `target` (strides in elements)."""
    vector = Vector(source.dtype)

    def codegen(context, builder, sig, args):
        source, row_stride, target, target_stride = args
        starts = [builder.mul(row_stride, ir.IntType(64)(i)) for i in range(vector.lanes)]
        store_rows(builder, load_transposed(builder, source, starts, vector), target, target_stride, vector)
        return context.get_dummy_value()

    return types.void(source, types.intp, target, types.intp), codegen


@intrinsic
def gather_block(typingctx, source, starts, column, count, target, target_stride):
    """Transpose columns ``column … column + count`` of L gathered rows into rows at `target`.

    Row i begins at ``starts[i]`` (an offset in elements); rows of the target behind `count` become zero.
    """
    vector = Vector(source.dtype)

    def codegen(context, builder, sig, args):
        source, starts, column, count, target, target_stride = args
        n = vector.lanes
        at = [builder.load(builder.gep(starts, [ir.IntType(64)(i)])) for i in range(n)]
        at = [builder.add(start, column) for start in at]
        with builder.if_else(builder.icmp_signed("<", count, ir.IntType(64)(n))) as (partly, wholly):
            with partly:
                rows = [load_first(builder, source, start, vector, count) for start in at]
                rows = transpose_registers(builder, rows, n.bit_length() - 1)
                store_rows(builder, rows, target, target_stride, vector)
            with wholly:
                rows = load_transposed(builder, source, at, vector)
                store_rows(builder, rows, target, target_stride, vector)
        return context.get_dummy_value()

    n = types.intp
    return types.void(source, types.CPointer(types.int64), n, n, target, n), codegen


@intrinsic
def scatter_block(typingctx, source, row_stride, target, target_stride, n_rows, count):
    """Transpose an L × L block into the first `n_rows` rows at `target`, `count` columns of each."""
    vector = Vector(source.dtype)

    def codegen(context, builder, sig, args):
        source, row_stride, target, target_stride, n_rows, count = args
        starts = [builder.mul(row_stride, ir.IntType(64)(i)) for i in range(vector.lanes)]
        for i, row in enumerate(load_transposed(builder, source, starts, vector)):
            with builder.if_then(builder.icmp_signed("<", ir.IntType(64)(i), n_rows)):
                at = builder.mul(target_stride, ir.IntType(64)(i))
                store_first(builder, row, target, at, vector, count)
        return context.get_dummy_value()

    n = types.intp
    return types.void(source, n, target, n, n, n), codegen
