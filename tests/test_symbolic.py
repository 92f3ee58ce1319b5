"""Formulas recorded as expressions, against the formulas themselves."""

import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose

from fastbp.functions.activations import ACTIVATIONS
from fastbp.functions.parametric import PARAMETRICS
from fastbp.functions.symbolic.evaluation import evaluate
from fastbp.functions.symbolic.expression import FormulaError, from_list, to_list, variable
from fastbp.functions.symbolic.numpy_calls import CALLS
from fastbp.functions.symbolic.tracing import trace, trace_own

Z, DELTA, P, Q = map(variable, ("z", "delta", "p", "q"))
NUMBERS = np.linspace(-8, 8, 41)
UNARY = [f for f in CALLS if getattr(f, "nin", None) == 1 and f is not np.logical_not]


@pytest.mark.parametrize("entry", ACTIVATIONS, ids=lambda entry: entry.name)
def test_activations(entry):
    found = trace(entry.value, Z), trace(entry.backward, DELTA, Z)
    assert_allclose(evaluate(found[0], {"z": NUMBERS})[0], [entry.value(z) for z in NUMBERS], 1e-12, 1e-13)
    slopes = np.broadcast_to(evaluate(found[1], {"z": NUMBERS, "delta": 2.0})[0], NUMBERS.shape)
    assert_allclose(slopes, [entry.backward(2.0, z) for z in NUMBERS], 1e-12, 1e-13)


@pytest.mark.parametrize("entry", PARAMETRICS, ids=lambda entry: entry.name)
def test_functions_with_parameters(entry):
    (found,) = evaluate(trace(entry.value, Z, P, Q), {"z": NUMBERS, "p": 0.7, "q": 1.3})
    assert_allclose(found, [entry.value(z, 0.7, 1.3) for z in NUMBERS], 1e-12, 1e-13)


@pytest.mark.parametrize("function", UNARY, ids=lambda f: f.__name__)
def test_numpy_functions_of_one_number(function):
    (found,) = evaluate(trace_own(function, Z, name="f"), {"z": NUMBERS})
    with np.errstate(all="ignore"):
        assert_allclose(found, function(NUMBERS), rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize(
    "formula",
    [
        lambda z: z**3 - 2 * z**-2 + (z * z) ** 0.5,
        lambda z: np.where((z > 1) | ~(z < -1) & (z < 0.5), z, -z),
        lambda z: np.clip(z, -1, 2) + np.maximum(0, z) - np.minimum(z, 1) + abs(z) / 3,
        lambda z: np.logaddexp(z, 0.5) + 1 / (1 + np.exp(-z)) - +z,
        lambda z: np.log1p(z * z) + np.log1p(1e-9 * z),
        lambda z: np.abs(z) ** 1.7,
    ],
)
def test_formulas(formula):
    (found,) = evaluate(trace_own(formula, Z, name="f"), {"z": NUMBERS})
    with np.errstate(all="ignore"):
        assert_allclose(found, formula(NUMBERS), rtol=1e-9)


def test_rows():
    f, y = variable("f", row=True), variable("y", row=True)

    def softmax_loss(f, y):
        shifted = f - np.max(f)
        return np.log(np.sum(np.exp(shifted))) - np.sum(y * shifted) + 0 * np.mean(f) * np.min(f)

    (found,) = evaluate(
        trace_own(softmax_loss, f, y, name="loss"), {"f": [1.0, 2.0, 5.0], "y": [0.0, 1.0, 0.0], "n": 3.0}
    )
    assert_allclose(found, [softmax_loss(np.array([1.0, 2.0, 5.0]), np.array([0.0, 1.0, 0.0]))])


def test_equal_parts_are_one():
    (twice,) = trace_own(lambda z: np.exp(z) + np.exp(z), Z, name="f")
    assert twice.args[0] is twice.args[1]


def test_lists_and_pickles_give_the_same_expression():
    (found,) = trace_own(lambda z: np.where(z > 0, np.exp(-z), -0.0) * 1e-300, Z, name="f")
    assert from_list(to_list([found]))[0] is found
    assert pickle.loads(pickle.dumps(found)) is found


@pytest.mark.parametrize(
    "formula, words",
    [
        (lambda z: z if z > 0 else -z, "np.where"),
        (lambda z: max(z, 0), "np.maximum"),
        (lambda z: float(z), "np.exp"),
        (lambda z: np.arctan2(z, 1), "np.arctan2 cannot be compiled"),
        (lambda z: [a for a in z], "np.sum"),
        (lambda z: z + (z > 0), "a comparison is not a number"),
        (lambda z: np.where(z, 1, 2), "a comparison as its first"),
        (lambda z: "z", "not with 'z'"),
        (lambda z: None, "not with None"),
        (lambda z: np.sum(z), "not a single number"),
        (lambda z: 1 / 0, "ZeroDivisionError"),
        (lambda z: z + np.ones(3), "cannot be compiled|not with array"),
    ],
)
def test_what_cannot_be_compiled_is_said(formula, words):
    with pytest.raises(FormulaError, match=rf"value of 'mine'(?s:.*)({words})"):
        trace_own(formula, Z, name="value of 'mine'")
