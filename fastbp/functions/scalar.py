"""exp, log, tanh and their kin, within 4 ulp in float32 and float64.

No table look-ups and no branches, so that one text serves a float, a vector register and a GPU thread. Each
is a range reduction, then a Taylor polynomial long enough for the dtype, evaluated by Horner's rule with
fused multiply-adds (Muller, "Elementary Functions", 3rd ed., chapters 3 and 11). NaN stays NaN.
"""

from fastbp.functions.primitives import (
    absolute,
    exponent,
    fma,
    mantissa,
    rint,
    scale,
    select,
    single,
)

LOG2_E = 1.4426950408889634
# ln 2 as a sum of two floats, the first with trailing zeros, so that n·HI is exact (Cody and Waite).
LN2_HI_SINGLE, LN2_LO_SINGLE = 0.693359375, -2.12194440e-4
LN2_HI, LN2_LO = 6.93147180369123816490e-01, 1.90821492927058770002e-10
SQRT_2 = 1.4142135623730951
INFINITY = float("inf")
NAN = float("nan")


def expm1_reduced(r):
    """exp(r) − 1 for |r| ≤ ½ ln 2: r + r²/2! + r³/3! + …"""
    if single(r):
        p = fma(r, 1.0 / 5040, 1.0 / 720)
    else:
        p = fma(r, 1.0 / 6227020800, 1.0 / 479001600)
        p = fma(p, r, 1.0 / 39916800)
        p = fma(p, r, 1.0 / 3628800)
        p = fma(p, r, 1.0 / 362880)
        p = fma(p, r, 1.0 / 40320)
        p = fma(p, r, 1.0 / 5040)
        p = fma(p, r, 1.0 / 720)
    p = fma(p, r, 1.0 / 120)
    p = fma(p, r, 1.0 / 24)
    p = fma(p, r, 1.0 / 6)
    p = fma(p, r, 0.5)
    return fma(p * r, r, r)


def reduce_by_ln2(x, n):
    """x − n·ln 2, with the rounding error of ln 2 made good."""
    if single(x):
        return fma(n, -LN2_LO_SINGLE, fma(n, -LN2_HI_SINGLE, x))
    return fma(n, -LN2_LO, fma(n, -LN2_HI, x))


def exp(x):
    """eˣ = 2ⁿ·eʳ with n = round(x / ln 2); 0 and infinity beyond the range of the dtype."""
    if single(x):
        x = select(x > 90.0, 90.0, x)
        x = select(x < -105.0, -105.0, x)
    else:
        x = select(x > 711.0, 711.0, x)
        x = select(x < -750.0, -750.0, x)
    n = rint(x * LOG2_E)
    y = expm1_reduced(reduce_by_ln2(x, n)) + 1.0
    # In two halves: 2ⁿ alone may overflow or be subnormal where the product is representable.
    half = rint(n * 0.5)
    return scale(scale(y, half), n - half)


def expm1(x):
    """eˣ − 1 = 2ⁿ·(eʳ − 1) + (2ⁿ − 1), exact near zero. For x ≤ 40."""
    x = select(x < -40.0, -40.0, x)
    n = rint(x * LOG2_E)
    one = scale(n * 0.0 + 1.0, n)
    return fma(one, expm1_reduced(reduce_by_ln2(x, n)), one - 1.0)


def tanh(x):
    """Hyperbolic tangent, t / (t + 2) with t = e^(2|x|) − 1, and the sign of x."""
    size = absolute(x)
    size = select(size > 20.0, 20.0, size)
    t = expm1(size + size)
    y = t / (t + 2.0)
    return select(x < 0.0, -y, y)


def logistic(x):
    """1 / (1 + e⁻ˣ), written so that e to a positive power never occurs."""
    e = exp(-absolute(x))
    return select(x < 0.0, e, 1.0) / (e + 1.0)


def atanh_series(s):
    """atanh(s) − s for |s| ≤ ⅓, as s³/3 + s⁵/5 + …"""
    q = s * s
    if single(s):
        p = fma(q, 1.0 / 17, 1.0 / 15)
    else:
        p = fma(q, 1.0 / 35, 1.0 / 33)
        p = fma(p, q, 1.0 / 31)
        p = fma(p, q, 1.0 / 29)
        p = fma(p, q, 1.0 / 27)
        p = fma(p, q, 1.0 / 25)
        p = fma(p, q, 1.0 / 23)
        p = fma(p, q, 1.0 / 21)
        p = fma(p, q, 1.0 / 19)
        p = fma(p, q, 1.0 / 17)
        p = fma(p, q, 1.0 / 15)
    p = fma(p, q, 1.0 / 13)
    p = fma(p, q, 1.0 / 11)
    p = fma(p, q, 1.0 / 9)
    p = fma(p, q, 1.0 / 7)
    p = fma(p, q, 1.0 / 5)
    p = fma(p, q, 1.0 / 3)
    return p * q * s


def log(x):
    """ln x = n·ln 2 + 2 atanh((m − 1) / (m + 1)), m in [√½, √2]; subnormal numbers count as zero."""
    return select(x > 0.0, select(x < INFINITY, log_positive(x), x), select(x < 0.0, NAN, x - INFINITY))


def log_positive(x):
    """ln x of a positive normal number."""
    n = exponent(x)
    m = mantissa(x)
    high = m > SQRT_2
    n = select(high, n + 1.0, n)
    m = select(high, m * 0.5, m)
    f = m - 1.0
    s = f / (f + 2.0)
    # 2s = f − s·f, which keeps the digits that the division lost.
    tail = fma(2.0, atanh_series(s), -s * f)
    if single(x):
        return fma(n, LN2_HI_SINGLE, fma(n, LN2_LO_SINGLE, tail) + f)
    return fma(n, LN2_HI, fma(n, LN2_LO, tail) + f)


def log1p_exp_neg(x):
    """ln(1 + e⁻ˣ) for x ≥ 0, by atanh: 1 + e = (1 + s) / (1 − s) with s = e / (e + 2)."""
    e = exp(-x)
    s = e / (e + 2.0)
    return 2.0 * (atanh_series(s) + s)
