"""The scalar functions in vector registers: within 4 ulp of the truth over their whole range."""

import numba
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_less
from scipy.special import ndtr, ndtri
from scipy.stats import chisquare

import fastbp.engines.cpu.formulas  # noqa: F401  makes the formulas callable from compiled code
from fastbp.engines.cpu.arena import lanes_of
from fastbp.engines.cpu.uniforms import uniforms
from fastbp.engines.cpu.vector_memory import load, pointer, store
from fastbp.engines.flat_data import flat_view
from fastbp.engines.shuffle import shuffle_order
from fastbp.functions import random, scalar
from fastbp.functions.initialisers import INITIALISERS, Initialiser
from fastbp.functions.registry import Registry

# The truth in more digits than the dtype has.
TRUTH = {
    "exp": np.exp,
    "tanh": np.tanh,
    "logistic": lambda x: np.where(x < 0, np.exp(x), 1) / (1 + np.exp(-np.abs(x))),
    "log": np.log,
    "log1p_exp_neg": lambda x: np.log1p(np.exp(-x)),
    "expm1": np.expm1,
}


def test_normal_cdf():
    """Close to 1 to the last bits; in the lower tail within what e to the minus z² / 2 allows."""
    for dtype in (np.float32, np.float64):
        z = np.linspace(-12, 12, 4001).astype(dtype)
        got = evaluate("normal_cdf", z)
        eps = np.finfo(dtype).eps
        truth = ndtr(z.astype(np.float64))
        assert_array_less(np.abs(got - truth), truth * eps * (4 + z**2) + np.finfo(dtype).tiny)


def test_normal_quantile():
    for dtype in (np.float32, np.float64):
        u = ((np.arange(2**14) * 512 + 0.5) * 2.0**-23).astype(dtype)
        u = np.concatenate([u, np.array([0.5, 1.5, 2**23 - 0.5]) * 2.0**-23]).astype(dtype)
        assert_allclose(evaluate("normal_quantile", u), ndtri(u.astype(np.float64)), rtol=2e-6, atol=3e-7)


def test_uniform_numbers():
    """The same in registers as in Python; even in each bit, and neighbours know nothing of one another."""
    key = random.noise_key(7, 3, 2)
    lanes = lanes_of(np.float64)

    @numba.njit
    def fill(out, lanes, key):
        for i in range(0, out.shape[0], lanes):
            store(pointer(out, 0), i, uniforms(pointer(out, 0), i * 3, 3, key))

    out = np.empty(1 << 16)
    fill(out, lanes, np.int64(np.uint64(key)))
    assert out[:100].tolist() == [random.uniform(key, 3 * i) for i in range(100)]
    counts = np.histogram(out, bins=256, range=(0, 1))[0]
    assert chisquare(counts).pvalue > 1e-4
    assert abs(np.corrcoef(out[:-1], out[1:])[0, 1]) < 0.015
    other = np.empty_like(out)
    fill(other, lanes, np.int64(np.uint64(random.noise_key(7, 4, 2))))
    assert abs(np.corrcoef(out, other)[0, 1]) < 0.015


def compile_for_rows(function):
    @numba.njit(error_model="numpy")
    def run(x, out, lanes):
        for i in range(0, x.shape[0], lanes):
            store(pointer(out, 0), i, function(load(pointer(x, 0), i)))

    return run


COMPILED = {
    name: compile_for_rows(getattr(scalar, name))
    for name in [*TRUTH, "normal_cdf", "normal_quantile", "sin", "cos"]
}


def evaluate(name, x):
    """The function on a vector of any length."""
    lanes = lanes_of(x.dtype)
    padded = np.concatenate([x, np.zeros(-len(x) % lanes, x.dtype)])
    out = np.empty_like(padded)
    COMPILED[name](padded, out, lanes)
    return out[: len(x)]


def points(name, dtype):
    """Random points and every binade of the range, both signs."""
    rng = np.random.RandomState(0)
    info = np.finfo(dtype)
    tiny = np.ldexp(1.0, np.arange(info.minexp, info.maxexp - 1)) * rng.uniform(
        1, 2, info.maxexp - 1 - info.minexp
    )
    limit = np.log(float(info.max))
    x = np.concatenate([rng.uniform(-limit, limit, 20_000), rng.normal(size=20_000), tiny, -tiny])
    if name == "log":
        x = np.abs(x)
    if name == "log1p_exp_neg":
        x = np.abs(x)
        x = x[x < limit - 1]
    if name == "expm1":
        x = x[x <= 40]
    if name in ("exp", "logistic"):
        # Where the result is a normal number.
        x = x[x > np.log(float(info.tiny))]
    return x.astype(dtype)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", TRUTH)
def test_within_four_ulp(name, dtype):
    if dtype == np.float64 and np.finfo(np.longdouble).nmant <= 52:
        pytest.skip("no wider type here to compare with")
    x = points(name, dtype)
    with np.errstate(all="ignore"):
        truth = TRUTH[name](x.astype(np.longdouble))
        rounded = truth.astype(dtype)
        got = evaluate(name, x)
        ulp = np.spacing(np.abs(rounded)).astype(np.longdouble)
        error = np.where(np.isinf(rounded) & (got == rounded), 0, np.abs(got - truth) / ulp)
    worst = np.argmax(error)
    assert error[worst] <= 4, (x[worst], got[worst], truth[worst])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", ["sin", "cos"])
def test_sine_and_cosine_within_four_ulp_of_one(name, dtype):
    rng = np.random.RandomState(0)
    multiples = np.arange(-2000, 2001) * (np.pi / 4)  # zeros, extremes and where the quadrant changes
    x = np.concatenate([rng.uniform(-1e4, 1e4, 20_000), rng.normal(size=20_000), multiples]).astype(dtype)
    truth = getattr(np, name)(x.astype(np.float64))
    assert np.abs(evaluate(name, x) - truth).max() <= 4 * np.finfo(dtype).eps / 2
    assert np.isnan(evaluate(name, np.array([np.nan, np.inf], dtype))).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("name", "at_minus", "at_zero", "at_plus"),
    [
        ("exp", 0.0, 1.0, np.inf),
        ("tanh", -1.0, 0.0, 1.0),
        ("logistic", 0.0, 0.5, 1.0),
        ("log", np.nan, -np.inf, np.inf),
    ],
)
def test_infinities_and_nan(name, at_minus, at_zero, at_plus, dtype):
    got = evaluate(name, np.array([-np.inf, 0.0, np.inf, np.nan], dtype))
    np.testing.assert_array_equal(got, np.array([at_minus, at_zero, at_plus, np.nan], dtype))


def test_the_plain_bodies_are_the_same_formulas():
    for x in (-3.0, -0.1, 0.0, 0.2, 1.0, 20.0):
        assert scalar.exp(x) == pytest.approx(np.exp(x), rel=1e-14)
        assert scalar.tanh(x) == pytest.approx(np.tanh(x), rel=1e-14)
        assert scalar.logistic(x) == pytest.approx(1 / (1 + np.exp(-x)), rel=1e-14)
    assert scalar.log(0.3) == pytest.approx(np.log(0.3), rel=1e-14)


@pytest.mark.parametrize("n", [1, 2, 7, 200])
def test_compiled_shuffle_is_the_plain_one(n):
    order = np.empty(n, np.uint32)
    rows = np.arange(3, 2 * n + 3, 2)
    for seed, epoch in ((0, 0), (1, 0), (2**62 + 17, 5)):
        expected = random.permutation(seed, epoch, n)
        shuffle_order(order, flat_view([], np.uint32), seed, epoch)
        np.testing.assert_array_equal(order, expected)
        np.testing.assert_array_equal(np.sort(order), np.arange(n))
        shuffle_order(order, flat_view(rows, np.uint32), seed, epoch)
        np.testing.assert_array_equal(order, rows[expected])


def test_shuffle_is_uniform():
    # Each of the 6 orders of 3 rows comes up 1000 times in 6000 epochs, within 5 standard deviations.
    orders = [tuple(random.permutation(3, epoch, 3)) for epoch in range(6000)]
    counts = np.array([orders.count(o) for o in sorted(set(orders))])
    assert len(counts) == 6
    assert np.abs(counts - 1000).max() < 5 * np.sqrt(6000 * (1 / 6) * (5 / 6))


def test_registry_refuses_a_second_entry_of_a_name():
    registry = Registry("initialiser")
    registry.add(Initialiser("glorot", "", INITIALISERS["glorot"].draw))
    with pytest.raises(ValueError, match=r"'glorot' is registered already"):
        registry.add(Initialiser("glorot", "", INITIALISERS["glorot"].draw))
