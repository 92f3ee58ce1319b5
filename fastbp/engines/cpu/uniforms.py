"""Uniform random numbers in vector registers: ``fastbp.functions.random.uniform`` for a register's lanes."""

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from fastbp.engines.compiler import jit
from fastbp.engines.cpu.simd import Vector, llvm_type, splat
from fastbp.engines.shuffle import GOLDEN, mix64
from fastbp.functions import random

NOISE = np.uint64(random.NOISE)


@intrinsic
def uniforms(typingctx, p, counter, stride, key):
    """The register of numbers ``counter + lane · stride`` of the stream `key`, of the pointer's type."""
    vector = Vector(p.dtype)

    def codegen(context, builder, sig, args):
        _, counter, stride, key = args
        n = vector.lanes
        word = ir.IntType(32)
        kind = ir.VectorType(word, n)

        def constant(value):
            return ir.Constant(kind, [value] * n)

        def spread(value):
            return splat(builder, builder.trunc(value, word), n)

        def fold(h, shift):
            return builder.xor(h, builder.lshr(h, constant(shift)))

        lane = builder.mul(ir.Constant(kind, list(range(n))), spread(stride))
        h = builder.mul(builder.add(spread(counter), lane), constant(random.GOLDEN_32))
        h = fold(builder.add(h, spread(key)), 16)
        h = fold(builder.mul(h, constant(random.FIRST_32)), 15)
        h = builder.xor(h, spread(builder.lshr(key, ir.IntType(64)(32))))
        h = fold(builder.mul(h, constant(random.SECOND_32)), 15)
        real = llvm_type(vector)
        u = builder.sitofp(builder.lshr(h, constant(9)), real)
        u = builder.fadd(u, ir.Constant(real, [0.5] * n))
        return builder.fmul(u, ir.Constant(real, [2.0**-23] * n))

    return vector(p, types.int64, types.int64, types.int64), codegen


@jit
def step_key(seed, step):
    """The key of a step's noise: never 0, which means none."""
    return np.int64(mix64(mix64(np.uint64(seed) + NOISE * GOLDEN) + np.uint64(step) * GOLDEN) | np.uint64(1))


@jit
def op_key(key, op):
    """Key of the random numbers of one op in a step."""
    return np.int64(mix64(np.uint64(key) + np.uint64(op) * GOLDEN) | np.uint64(1))
