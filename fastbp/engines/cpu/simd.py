"""A vector type for Numba: registers of the host's width, with arithmetic.

``Vector(float32)`` is one register (16 floats with AVX-512, 8 with AVX2, 4 elsewhere). LLVM legalises any
width, so that nothing here depends on the instruction set but speed.

No floating-point flags are set: a multiplication and an addition are fused where a formula says ``fma`` and
nowhere else, so that a formula gives the same bits wherever it is inlined.
"""

import itertools
import operator
import platform
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.registry import cpu_target
from numba.core.typing.templates import AbstractTemplate, infer_global, signature
from numba.extending import intrinsic, lower_builtin, models, overload, register_model

from fastbp.engines.cpu.constants import load_constant
from fastbp.functions import primitives

# Features of the host, or as NUMBA_CPU_FEATURES, NUMBA_CPU_NAME=generic or NUMBA_ENABLE_AVX say: code
# compiled for such a processor is the same on all that have more.
FEATURES = frozenset(cpu_target.target_context.codegen().magic_tuple()[2].split(","))
ARM = platform.machine().lower() in ("arm64", "aarch64")
X86 = platform.machine().lower() in ("x86_64", "amd64", "i686")
REGISTER_BYTES = 64 if "+avx512f" in FEATURES else 32 if "+avx2" in FEATURES else 16
FEW_REGISTERS = X86 and REGISTER_BYTES < 64  # 16; with AVX-512 and NEON there are 32
# Without a fused instruction llvm.fma would call the C library for each lane.
FUSED = "fma" if not X86 or "+fma" in FEATURES else "fmuladd"


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


def widen(context, builder, value, kind: types.Type, vector: Vector, in_memory: bool = FEW_REGISTERS):
    """`value` (a vector, a float or an integer) as `vector`; a literal read from memory, if asked for."""
    if isinstance(kind, Vector):
        return value
    scalar = None
    if in_memory and isinstance(value, ir.Constant) and isinstance(kind, types.Float):
        scalar = load_constant(builder, value.constant, element_type(vector.dtype))
    if scalar is None:
        scalar = context.cast(builder, value, kind, vector.dtype)
    return splat(builder, scalar, vector.lanes)


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


def _define_call(primitive, name: str, count: int = 1) -> None:
    """A primitive of `count` vectors or scalars that is an intrinsic of LLVM's.

    A primitive defined like an operator, and not by ``overload``, sees a literal as such. A literal of an
    `fma`, as a rule the coefficient of a polynomial, is read from memory: as an operand it costs nothing.
    """

    @infer_global(primitive)
    class Template(AbstractTemplate):
        def generic(self, args, kws):
            vector = _common(args)
            if len(args) == count and vector is not None:
                return signature(vector, *args)

    def lower(context, builder, sig, args):
        vector = sig.return_type
        pairs = zip(args, sig.args, strict=True)
        values = [widen(context, builder, v, t, vector, in_memory=True) for v, t in pairs]
        return call_llvm(builder, name, llvm_type(vector), values)

    for kinds in itertools.product((Vector, types.Number), repeat=count):
        if Vector in kinds:
            lower_builtin(primitive, *kinds)(lower)


_define_call(primitives.fma, FUSED, 3)
_define_call(primitives.sqrt, "sqrt")
_define_call(primitives.absolute, "fabs")
_define_call(primitives.rint, "rint")


@infer_global(primitives.select)
class SelectTemplate(AbstractTemplate):
    def generic(self, args, kws):
        if len(args) == 3 and isinstance(args[0], Mask) and (vector := _common(args[1:])) is not None:
            return signature(vector, *args)


def _select(context, builder, sig, args):
    vector = sig.return_type
    values = [widen(context, builder, v, t, vector) for v, t in zip(args[1:], sig.args[1:], strict=True)]
    return builder.select(args[0], *values)


for _pair in ((Vector, Vector), (Vector, types.Number), (types.Number, Vector)):
    lower_builtin(primitives.select, Mask, *_pair)(_select)


@infer_global(primitives.like)
class LikeTemplate(AbstractTemplate):
    def generic(self, args, kws):
        if len(args) == 2 and isinstance(args[0], Vector) and isinstance(args[1], types.Number):
            return signature(args[0], *args)


@lower_builtin(primitives.like, Vector, types.Number)
def _like(context, builder, sig, args):
    return widen(context, builder, args[1], sig.args[1], sig.return_type, in_memory=True)


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
