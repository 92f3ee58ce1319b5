"""out_bias="data": before any training the network predicts what is best for all rows alike."""

import data
import numpy as np
import pytest
from helpers import assert_same_bits
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import logit
from tolerances import CLOSED_FORM

from fastbp import BPClassifier, BPRegressor
from fastbp.estimators.output_bias import RANGES, inverse, quantile
from fastbp.functions.activations import ACTIVATIONS

# A step so short that it is lost in rounding.
NO_TRAINING = {"solver": "sgd", "learning_rate_init": 1e-300, "max_iter": 1, "random_state": 0}
FLAT = {**NO_TRAINING, "out_init": "zeros", "out_bias": "data"}


def inputs(n):
    return np.random.RandomState(0).normal(size=(n, 3))


# Classes


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("out_activation", ["auto", "softmax"])
def test_ten_percent_of_positives(out_activation, dtype):
    y = np.arange(200) % 10 == 3
    model = BPClassifier((4,), out_activation=out_activation, **FLAT).fit(inputs(200).astype(dtype), y)
    assert_allclose(model.predict_proba(inputs(7).astype(dtype)), [[0.9, 0.1]] * 7, rtol=1e-6)
    if out_activation == "auto":
        assert_allclose(model.intercepts_[-1], logit(0.1), rtol=1e-6)


@pytest.mark.parametrize("loss", ["log_loss", "squared_error", "focal"])
@pytest.mark.parametrize("out_activation", ["auto", "logistic"])
def test_shares_of_classes(out_activation, loss):
    y = np.repeat(["a", "b", "c"], [20, 50, 30])
    model = BPClassifier((4,), loss=loss, out_activation=out_activation, **FLAT).fit(inputs(100), y)
    assert_allclose(model.predict_proba(inputs(2)), [[0.2, 0.5, 0.3]] * 2, **CLOSED_FORM)


def test_loss_before_training_is_the_entropy_of_the_classes():
    y = np.repeat([0, 1, 2], [20, 50, 30])
    shares = np.array([0.2, 0.5, 0.3])
    model = BPClassifier((4,), alpha=0, batch_size=100, **FLAT).fit(inputs(100), y)
    assert_allclose(model.loss_curve_[0], -(shares * np.log(shares)).sum(), **CLOSED_FORM)


def test_weights_count():
    y = np.arange(100) % 4 == 0
    w = np.where(y, 3.0, 1.0)
    weighted = BPClassifier((4,), **FLAT).fit(inputs(100), y, w)
    assert_allclose(weighted.predict_proba(inputs(1)), [[0.5, 0.5]], **CLOSED_FORM)
    balanced = BPClassifier((4,), class_weight="balanced", **FLAT).fit(inputs(100), y)
    assert_allclose(balanced.predict_proba(inputs(1)), [[0.5, 0.5]], **CLOSED_FORM)


def test_each_label_for_itself():
    X, Y = data.multilabel()
    model = BPClassifier((4,), **FLAT).fit(X, Y)
    assert_allclose(model.predict_proba(X[:1])[0], Y.mean(axis=0), **CLOSED_FORM)


@pytest.mark.parametrize("loss", ["hinge", "squared_hinge"])
def test_outputs_that_are_compared_with_signs(loss):
    y = np.arange(100) % 4 == 0
    model = BPClassifier((4,), loss=loss, **FLAT).fit(inputs(100), y)
    assert_allclose(model.decision_function(inputs(1)), [-0.5], **CLOSED_FORM)


def test_a_class_without_rows_counts_as_half_a_row():
    y = np.arange(50) % 2
    model = BPClassifier((4,), **FLAT).partial_fit(inputs(50), y, classes=[0, 1, 2])
    assert_allclose(model.predict_proba(inputs(1)), [np.array([0.5, 0.5, 0.01]) / 1.01], **CLOSED_FORM)
    two = BPClassifier((4,), **FLAT).partial_fit(inputs(50), np.ones(50), classes=[0, 1])
    assert_allclose(two.predict_proba(inputs(1)), [[0.01, 0.99]], **CLOSED_FORM)
    one = BPClassifier((4,), **FLAT).fit(inputs(50), np.ones(50))
    assert_array_equal(one.predict(inputs(1)), [1])


# Regression

MEAN = {
    "squared_error": "identity",
    "mean_squared_error": "tanh",
    "sum_squared_error": "softplus",
    "log_loss": "logistic",
    "poisson": "exp",
    "gamma": "exp",
    "tweedie": "exp",
}


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("loss", MEAN)
def test_mean(loss, weighted):
    rng = np.random.RandomState(3)
    Y, w = rng.uniform(0.1, 0.9, size=(60, 2)), rng.uniform(0, 2, 60) if weighted else None
    model = BPRegressor((4,), loss=loss, out_activation=MEAN[loss], **FLAT).fit(inputs(60), Y, w)
    assert_allclose(model.predict(inputs(1))[0], np.average(Y, axis=0, weights=w), **CLOSED_FORM)


@pytest.mark.parametrize("loss", ["absolute_error", "huber", "log_cosh"])
@pytest.mark.parametrize("n", [60, 61])
def test_median(loss, n):
    Y = np.random.RandomState(3).exponential(size=(n, 2))
    model = BPRegressor((4,), loss=loss, **FLAT).fit(inputs(n), Y)
    assert_allclose(model.predict(inputs(1))[0], np.median(Y, axis=0), **CLOSED_FORM)


def test_quantiles():
    y = np.random.RandomState(3).permutation(100) + 1.0
    one = BPRegressor((4,), loss="pinball", loss_params={"quantile": 0.9}, **FLAT).fit(inputs(100), y)
    assert_allclose(one.predict(inputs(1)), [90.5], **CLOSED_FORM)
    levels = {"quantile": [0.1, 0.25, 0.9]}
    several = BPRegressor((4,), loss="pinball", loss_params=levels, **FLAT).fit(inputs(100), y)
    assert_allclose(several.predict(inputs(1)), [[10.5, 25.5, 90.5]], **CLOSED_FORM)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("k", [1, 2])
def test_mean_and_standard_deviation(k, weighted):
    rng = np.random.RandomState(3)
    Y, w = (
        50 + 9 * rng.exponential(size=(60, k))[:, slice(None) if k > 1 else 0],
        rng.uniform(0, 2, 60) if weighted else None,
    )
    model = BPRegressor((4,), loss="gaussian_nll", **FLAT).fit(inputs(60), Y, w)
    mean, std = model.predict(inputs(1), return_std=True)
    expected = np.average(Y, axis=0, weights=w)
    assert_allclose(np.ravel(mean), expected, **CLOSED_FORM)
    expected = np.sqrt(np.average((Y - expected) ** 2, axis=0, weights=w))
    assert_allclose(np.ravel(std), expected, **CLOSED_FORM)


def test_dropout_does_not_disturb():
    y = np.arange(100.0)
    for quantiles, expected in ((0.9, [89.5]), ([0.1, 0.9], [[9.5, 89.5]])):
        params = {"loss": "pinball", "loss_params": {"quantile": quantiles}, "dropout": 0.3}
        model = BPRegressor((4,), input_dropout=0.2, **params, **FLAT).fit(inputs(100), y)
        assert_allclose(model.predict(inputs(1)), expected, **CLOSED_FORM)


@pytest.mark.parametrize("values", [np.zeros(50), np.repeat([1.0, 5.0], [45, 5])])
def test_quantiles_that_are_equal_stay_finite_and_in_order(values):
    levels = {"quantile": [0.2, 0.5, 0.7]}
    model = BPRegressor((4,), loss="pinball", loss_params=levels, **FLAT).fit(inputs(50), values)
    (predicted,) = model.predict(inputs(1))
    assert np.isfinite(model.intercepts_[-1]).all()
    assert (np.diff(predicted) > 0).all()
    assert np.abs(predicted - values[0]).max() < 0.1


@pytest.mark.parametrize("level", [0.05, 0.3, 0.5, 0.77])
def test_weighted_quantiles_are_those_of_repeated_rows(level):
    rng = np.random.RandomState(0)
    values, counts = rng.normal(size=40), rng.randint(0, 4, 40)
    repeated = np.repeat(values, counts)
    expected = np.quantile(repeated, level, method="averaged_inverted_cdf")
    assert quantile(values, counts.astype(float), level) == expected
    assert quantile(repeated, np.ones(len(repeated)), level) == expected


def test_no_constant_has_a_smaller_loss():
    rng = np.random.RandomState(3)
    y, w = rng.gamma(2.0, size=80), rng.uniform(0, 2, 80)
    losses = ["squared_error", "absolute_error", "pinball", "poisson", "gamma", "tweedie", "gaussian_nll"]
    for loss in losses:
        params = {"quantile": 0.3} if loss == "pinball" else None
        model = BPRegressor((2,), loss=loss, loss_params=params, alpha=0, **FLAT).fit(inputs(80), y, w)
        best = model.loss_and_gradients(inputs(80), y, w).loss
        for step in (-0.05, 0.05):
            model.intercepts_[-1] += step
            assert model.loss_and_gradients(inputs(80), y, w).loss > best
            model.intercepts_[-1] -= step


@pytest.mark.parametrize("n", [1, 3])
@pytest.mark.parametrize("loss", ["poisson", "tweedie"])
def test_nothing_but_zeros(loss, n):
    """No intercept gives 0, but one gives little."""
    model = BPRegressor((4,), loss=loss, **FLAT).fit(inputs(n), np.zeros(n))
    assert_allclose(model.predict(inputs(1)), [0.5 / n], **CLOSED_FORM)


# The inverse of every activation


@pytest.mark.parametrize("name", ACTIVATIONS.names())
def test_inverse(name):
    f = ACTIVATIONS[name].value
    low, _ = RANGES.get(name, (-np.inf, np.inf))
    inputs = [0.01, 0.3, 0.9] + ([-2.0, -0.5, 0.0] if low != 0 or float(f(0.0)) > 0 else [])
    for z in inputs:
        if name == "hard_tanh" and z == -2:
            continue  # where it is constant
        assert inverse(name, float(f(z)), 1e-6) == pytest.approx(z, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("name", ACTIVATIONS.names())
@pytest.mark.parametrize("value", [-1e12, -7.0, -1.0, 0.0, 1.0, 6.0, 1e12])
def test_values_beyond_the_range_get_the_nearest_within(name, value):
    z = inverse(name, value, 0.001)
    low, high = RANGES.get(name, (-np.inf, np.inf))
    margin = 0.001 * (high - low if np.isfinite(high - low) else 1)
    got = float(ACTIVATIONS[name].value(z))
    assert np.isfinite(z)
    assert got == pytest.approx(min(max(value, low + margin), high - margin), rel=1e-9, abs=1e-9)


# Where it applies


@pytest.mark.parametrize("solver", ["sgd", "adam", "lbfgs"])
def test_the_weights_are_drawn_as_without(solver):
    X, y = data.iris()
    params = {"random_state": 0, "solver": solver, "max_iter": 1}
    if solver != "lbfgs":
        params["learning_rate_init"] = 1e-300
        plain, biased = (BPClassifier((5,), out_bias=b, **params).fit(X, y) for b in (None, "data"))
        for a, b in zip(
            [*plain.coefs_, plain.intercepts_[0]], [*biased.coefs_, biased.intercepts_[0]], strict=True
        ):
            assert_array_equal(a, b)
        assert_allclose(biased.intercepts_[1], np.log(1 / 3), **CLOSED_FORM)
    else:
        plain, biased = (BPRegressor((5,), out_bias=b, **params).fit(X, y + 100) for b in (None, "data"))
        assert biased.loss_ < plain.loss_


def test_validation_rows_have_no_say():
    y = np.r_[np.zeros(50), np.ones(50)]
    rows = {"X_val": inputs(10), "y_val": 1.0 + np.arange(10)}
    params = {**FLAT, "early_stopping": True}
    given = BPRegressor((4,), **params).fit(inputs(50), y[:50], **rows)
    assert_array_equal(given.predict(inputs(1)), [0])
    split = BPRegressor((4,), validation_fraction=0.5, **params).fit(inputs(100), np.arange(100.0) ** 2)
    assert split.predict(inputs(1))[0] != pytest.approx(np.mean(np.arange(100.0) ** 2))


def test_given_intercepts_and_continued_fits_are_left_alone():
    X, y = data.regression()
    y = y + 5
    params = {**NO_TRAINING, "out_bias": "data", "warm_start": True}
    model = BPRegressor((4,), **params).fit(X, y, intercepts_init=[np.zeros(4), [7.0]])
    assert_array_equal(model.intercepts_[1], [7.0])
    for go_on in (model.fit, model.partial_fit):
        assert_array_equal(go_on(X, y).intercepts_[1], [7.0])
    coefs_init = [np.zeros((10, 4)), np.zeros((4, 1))]
    fresh = BPRegressor((4,), **NO_TRAINING, out_bias="data").fit(X, y, coefs_init=coefs_init)
    assert_allclose(fresh.intercepts_[1], [y.mean()], **CLOSED_FORM)


def test_partial_fit_looks_at_its_first_rows():
    X, y = data.regression()
    model = BPRegressor((4,), **FLAT).partial_fit(X[:10], y[:10])
    assert_allclose(model.predict(X[:1]), y[:10].mean(), **CLOSED_FORM)
    assert_allclose(model.partial_fit(X[10:], y[10:]).predict(X[:1]), y[:10].mean(), **CLOSED_FORM)


def test_a_network_without_hidden_layers():
    X, y = data.iris()
    model = BPClassifier((), **FLAT).fit(X, y)
    assert_allclose(model.predict_proba(X[:1]), [[1 / 3] * 3], **CLOSED_FORM)


def test_needs_intercepts():
    X, y = data.iris()
    with pytest.raises(ValueError, match=r"out_bias.*fit_intercept=True"):
        BPClassifier(out_bias="data", fit_intercept=False).fit(X, y)


def test_early_stopping_draws_as_before():
    """The order of what the random state gives is that of a fit without."""
    X, y = data.iris()
    params = {"early_stopping": True, "max_iter": 4, "random_state": 0, "learning_rate_init": 1e-300}
    plain, biased = (BPClassifier((5,), out_bias=b, **params).fit(X, y) for b in (None, "data"))
    biased.intercepts_[1][:] = plain.intercepts_[1]
    assert_same_bits(plain, biased)
