"""Loads and stores of registers through raw pointers.

An index into a Numba array may be negative, and the wrap-around that Numba adds for it defeats vector code.
So kernels take ``pointer(array, i)`` once, and reach memory through it.
"""

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, overload
from numba.np.arrayobj import make_array

from fastbp.engines.cpu.simd import Vector, llvm_type, splat, widen
from fastbp.functions import primitives


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


def align_stack(function: ir.Function) -> None:
    """Align a function's frame to its registers.

    Otherwise spilled registers would lie across two cache lines in one process and not in another.
    """
    set.add(function.attributes, '"stackrealign"')  # llvmlite knows the names of other attributes only


@intrinsic
def lanes(typingctx, p):
    """How many elements of a pointer's type a register holds: a compile-time constant."""
    n = Vector(p.dtype).lanes

    def codegen(context, builder, sig, args):
        return ir.IntType(64)(n)

    return types.intp(p), codegen


def vector_address(builder, p, i, vector: Vector):
    align_stack(builder.function)
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


@intrinsic
def broadcast(typingctx, p, value):
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
    """The register at element `i`, with zeros after its first `count` lanes; no more memory is read."""
    kind = llvm_type(vector)
    zero = ir.Constant(kind, [0.0] * vector.lanes)
    align = ir.IntType(32)(vector.dtype.bitwidth // 8)
    address = vector_address(builder, p, i, vector)
    mask = _first_lanes(builder, vector, count)
    return _masked(builder, "load", vector, kind, [address, align, mask, zero])


def store_first(builder, value, p, i, vector: Vector, count):
    """Store the first `count` lanes at element `i`; memory after these is not written."""
    align = ir.IntType(32)(vector.dtype.bitwidth // 8)
    address = vector_address(builder, p, i, vector)
    mask = _first_lanes(builder, vector, count)
    _masked(builder, "store", vector, ir.VoidType(), [value, address, align, mask])


@intrinsic
def store_first_lanes(typingctx, p, value, count):
    """Store the first `count` lanes of a register."""

    def codegen(context, builder, sig, args):
        store_first(builder, args[1], args[0], ir.IntType(64)(0), value, args[2])
        return context.get_dummy_value()

    return types.void(p, value, types.intp), codegen


# A row of the batch is one lane of `n` registers: the pair (pointer to the first, distance between them).


@overload(primitives.get)
def _get_overload(row, j):
    if isinstance(row, types.BaseTuple):
        return lambda row, j: load(row[0], j * row[1])


@overload(primitives.put)
def _put_overload(row, j, value):
    if isinstance(row, types.BaseTuple):
        return lambda row, j, value: store(row[0], j * row[1], value)
