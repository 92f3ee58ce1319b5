"""``fastbp.functions.primitives`` for a CUDA thread, in float32 or float64.

Nothing here looks at the width of its argument: each dtype has a set of its own, made by `primitives`, whose
constants are of that dtype. A Python float in a float32 kernel would be computed in float64.
"""

import math
from collections.abc import Callable

import numpy as np

from fastbp.engines.cuda.target import cuda, device


def primitives(real: type) -> dict[str, Callable]:
    """Name -> device function.

    Parameters
    ----------
    real : numpy.float32 or numpy.float64
    """
    is_single = real is np.float32
    integer = np.int32 if is_single else np.int64
    digits = integer(23 if is_single else 52)  # of the mantissa, without its first
    bias = integer(127 if is_single else 1023)
    exponent_mask = integer(2 * bias + 1)
    mantissa_mask = integer((1 << int(digits)) - 1)
    bits_of_one = integer(int(bias) << int(digits))
    whole = real(2.0 ** int(digits))  # from here on every number is an integer
    zero = real(0.0)

    @device
    def single(x):
        return is_single

    @device
    def select(condition, a, b):
        return a if condition else b

    @device
    def like(x, value):
        return real(value)

    @device
    def fma(a, b, c):
        return cuda.fma(a, b, c)

    @device
    def sqrt(x):
        return real(math.sqrt(x))

    @device
    def absolute(x):
        return abs(x)

    @device
    def rint(x):
        # The sum has no digits after the point, and the hardware rounds it to even.
        shift = -whole if x < zero else whole
        return (x + shift) - shift if abs(x) < whole else x

    @device
    def scale(x, n):
        # NaN becomes some integer: x is NaN then, too.
        power = integer(integer(integer(n) + bias) << digits)
        return x * power.view(real)

    @device
    def exponent(x):
        return real(integer(integer(x.view(integer) >> digits) & exponent_mask) - bias)

    @device
    def mantissa(x):
        return integer(integer(x.view(integer) & mantissa_mask) | bits_of_one).view(real)

    # A row of the batch is (array, offset, stride): element j lies at offset + j · stride.

    @device
    def get(row, j):
        return row[0][row[1] + j * row[2]]

    @device
    def put(row, j, value):
        row[0][row[1] + j * row[2]] = value

    functions = (single, select, like, fma, sqrt, absolute, rint, scale, exponent, mantissa, get, put)
    return {function.py_func.__name__: function for function in functions}
