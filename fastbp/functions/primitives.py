"""Operations besides + - * / that the formulas use.

Here they are defined for Python floats, NumPy scalars and NumPy rows. An engine replaces them with
instructions of its vector type. All comparisons with NaN are false, as in IEEE 754.
"""

import math

import numpy as np


def single(x):
    """Return True if `x` is float32: formulas then use a shorter polynomial."""
    return getattr(x, "dtype", None) == np.float32


def select(condition, a, b):
    """`a` where `condition` holds, else `b`; neither branch may have side effects."""
    return a if condition else b


def like(x, value):
    """The constant `value`, as wide as `x`."""
    return value


def fma(a, b, c):
    """a·b + c with one rounding where the hardware has it."""
    return a * b + c


def sqrt(x):
    """√x, correctly rounded."""
    return math.sqrt(x)


def absolute(x):
    """|x|."""
    return abs(x)


def rint(x):
    """The nearest integer as a float, ties to even; NaN and infinities stay."""
    return np.rint(x)


def scale(x, n):
    """x·2ⁿ for an integral n held in a float, where both 2ⁿ and the result are normal numbers."""
    return math.ldexp(x, int(n)) if math.isfinite(n) else x


def exponent(x):
    """⌊log₂ x⌋ of a positive normal number, as a float."""
    return float(math.frexp(x)[1] - 1)


def mantissa(x):
    """x / 2^exponent(x) in [1, 2) of a positive normal number."""
    return math.frexp(x)[0] * 2.0


def get(row, j):
    """Element `j` of one row of the batch (an output, a target)."""
    return row[j]


def put(row, j, value):
    """Set element `j` of one row of the batch."""
    row[j] = value
