"""Initial weights: scikit-learn's own draws, the statistics of the others, the loss that they begin with."""

import data
import numpy as np
import pytest
from helpers import assert_same_bits
from numpy.testing import assert_allclose, assert_array_equal
from threadpoolctl import threadpool_limits
from tolerances import CLOSED_FORM, SAME_ARITHMETIC

from fastbp import BPClassifier, BPRegressor
from fastbp.functions.activations import ACTIVATIONS
from fastbp.functions.initialisers import GAINS, INITIALISERS

# A step so short that it is lost in rounding: the weights after the fit are the initial ones.
NO_TRAINING = {"solver": "sgd", "learning_rate_init": 1e-300, "alpha": 0.0, "max_iter": 1, "random_state": 0}


def initial(n_inputs=200, hidden=(300,), dtype=np.float64, **params):
    rng = np.random.RandomState(1)
    X = rng.normal(size=(20, n_inputs)).astype(dtype)
    model = BPClassifier(hidden, **{**NO_TRAINING, **params}).fit(X, np.arange(20) % 3)
    # What began with zero has become something like 1e-300.
    for w in [*model.coefs_, *model.intercepts_]:
        w[np.abs(w) < 1e-200] = 0
    return model


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("activation", "factor"), [("relu", 6), ("tanh", 6), ("identity", 6), ("logistic", 2)]
)
def test_glorot_is_scikit_learns_draw_by_draw(activation, factor, dtype):
    model = initial(5, (7, 4), dtype, activation=activation)
    rng = np.random.RandomState(0)
    for W, b in zip(model.coefs_, model.intercepts_, strict=True):
        bound = np.sqrt(factor / sum(W.shape))
        assert_array_equal(W, rng.uniform(-bound, bound, W.shape).astype(dtype))
        assert_array_equal(b, rng.uniform(-bound, bound, b.shape).astype(dtype))


# name: standard deviation of the weights, whether intercepts are drawn, the fourth moment over the variance²,
# which is 3 for a normal distribution and 1.8 for a uniform one.
STATISTICS = {
    "glorot": (lambda fan_in, fan_out: np.sqrt(2 / (fan_in + fan_out)), True, 1.8),
    "he": (lambda fan_in, fan_out: np.sqrt(2 / fan_in), False, 3.0),
    "lecun": (lambda fan_in, fan_out: np.sqrt(1 / fan_in), False, 3.0),
    "orthogonal": (lambda fan_in, fan_out: np.sqrt(2 / max(fan_in, fan_out)), False, 3.0),
    "uniform": (lambda fan_in, fan_out: np.sqrt(1 / (3 * fan_in)), False, 1.8),
    "normal": (lambda fan_in, fan_out: 1.0, True, 3.0),
}


@pytest.mark.parametrize("init", STATISTICS)
def test_statistics(init):
    """60,000 weights: the standard error of their standard deviation is 0.3 %."""
    deviation, has_intercepts, kurtosis = STATISTICS[init]
    model = initial(init=init)
    W, b = model.coefs_[0], model.intercepts_[0]
    expected = deviation(*W.shape)
    assert_allclose(W.std(), expected, rtol=0.02)
    assert_allclose(W.mean(), 0, atol=0.02 * expected)
    assert_allclose((W**4).mean() / W.var() ** 2, kurtosis, rtol=0.05)
    assert b.any() == has_intercepts
    # Neither rows nor columns repeat.
    assert len(np.unique(W)) == W.size


def test_gains_keep_the_variance_of_a_standard_normal_input():
    z = np.linspace(-12, 12, 4801)
    density = np.exp(-(z**2) / 2) * (z[1] - z[0]) / np.sqrt(2 * np.pi)
    hidden = [entry for entry in ACTIVATIONS if entry.hidden]
    assert GAINS.keys() == {entry.name for entry in hidden}
    for entry in hidden:
        second_moment = sum(p * float(entry.value(float(v))) ** 2 for v, p in zip(z, density, strict=True))
        assert_allclose(GAINS[entry.name], second_moment**-0.5, rtol=1e-5, err_msg=entry.name)


@pytest.mark.parametrize("activation", ["identity", "relu", "tanh"])
@pytest.mark.parametrize(("n_in", "n_out"), [(30, 30), (40, 7), (7, 40), (1, 5), (5, 1)])
def test_orthogonal_rows_or_columns(n_in, n_out, activation):
    W, b = INITIALISERS["orthogonal"].draw(np.random.RandomState(0), n_in, n_out, activation)
    W = W / GAINS[activation]
    assert W.shape == (n_in, n_out)
    assert not b.any()
    assert_allclose(W.T @ W if n_in >= n_out else W @ W.T, np.eye(min(n_in, n_out)), atol=1e-13)


def test_orthogonal_is_uniform_among_all():
    """Without the signs' correction the diagonal of Q is negative more often than not."""
    rng = np.random.RandomState(0)
    draws = np.array([INITIALISERS["orthogonal"].draw(rng, 3, 3, "identity")[0] for _ in range(600)])
    assert_allclose(draws.mean(axis=0), 0, atol=0.1)
    assert_allclose((draws**2).mean(axis=0), 1 / 3, atol=0.05)


def test_orthogonal_has_the_same_bits_for_any_number_of_blas_threads():
    results = []
    for n_threads in (1, 2):
        with threadpool_limits(n_threads):
            results.append(INITIALISERS["orthogonal"].draw(np.random.RandomState(0), 784, 256, "relu")[0])
    assert_array_equal(*results)


def test_he_knows_the_slope_of_leaky_relu():
    for init, factor in (("he", 2 / (1 + 0.01**2)), ("lecun", 1)):
        W, _ = INITIALISERS[init].draw(np.random.RandomState(0), 50, 4, "leaky_relu")
        expected = np.random.RandomState(0).standard_normal((50, 4)) * np.sqrt(factor / 50)
        assert_allclose(W, expected, rtol=1e-15)


def test_a_deep_selu_network_keeps_its_variance():
    X = np.random.RandomState(1).normal(size=(500, 200))
    model = BPClassifier((200,) * 12, activation="selu", init="lecun", **NO_TRAINING)
    last = model.fit(X, np.arange(500) % 2).transform(X)
    assert_allclose(last.mean(), 0, atol=0.15)
    assert_allclose(last.var(), 1, rtol=0.3)


@pytest.mark.parametrize("init", [*STATISTICS, "zeros"])
def test_output_layer_is_drawn_alike_unless_told_otherwise(init):
    assert_same_bits(initial(init=init), initial(init=init, out_init=init))


@pytest.mark.parametrize("init", STATISTICS)
def test_output_layer_of_its_own(init):
    """The hidden layers do not notice what the output layer begins with."""
    model = initial(init=init, out_init="zeros")
    assert not model.coefs_[-1].any()
    assert not model.intercepts_[-1].any()
    assert_array_equal(model.coefs_[0], initial(init=init).coefs_[0])


def test_zeros():
    model = initial(init="zeros")
    assert not np.concatenate([c.ravel() for c in [*model.coefs_, *model.intercepts_]]).any()


@pytest.mark.parametrize("init", STATISTICS)
def test_no_intercept(init):
    assert not np.concatenate(initial(init=init, fit_intercept=False).intercepts_).any()


@pytest.mark.parametrize("n_classes", [2, 3, 10])
def test_loss_at_a_zero_output_layer_is_the_logarithm_of_the_number_of_classes(n_classes):
    X, y = data.digits()
    X, y = X[y < n_classes], y[y < n_classes]
    model = BPClassifier(
        (8,), out_init="zeros", batch_size=len(X), max_iter=1, alpha=0.0, random_state=0
    ).fit(X, y)
    assert_allclose(model.loss_curve_[0], np.log(n_classes), **SAME_ARITHMETIC)


def test_seeds_differ():
    assert not np.array_equal(initial(random_state=0).coefs_[0], initial(random_state=1).coefs_[0])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_given_weights_are_taken_and_left_alone(dtype):
    X, y = data.regression()
    X = X.astype(dtype)
    rng = np.random.RandomState(0)
    coefs = [rng.normal(size=(X.shape[1], 3)), rng.normal(size=(3, 1))]
    intercepts = [rng.normal(size=3), rng.normal(size=1)]
    kept = [w.copy() for w in [*coefs, *intercepts]]
    model = BPRegressor((3,), **NO_TRAINING).fit(X, y, coefs_init=coefs, intercepts_init=intercepts)
    for fitted, given in zip([*model.coefs_, *model.intercepts_], kept, strict=True):
        assert_array_equal(fitted, given.astype(dtype))
        assert fitted.dtype == dtype
    BPRegressor((3,), max_iter=5, random_state=0).fit(X, y, coefs_init=coefs, intercepts_init=intercepts)
    for given, before in zip([*coefs, *intercepts], kept, strict=True):
        assert_array_equal(given, before)


def test_given_coefs_alone():
    """The intercepts are then drawn as usual."""
    X, y = data.regression()
    coefs = [np.ones((X.shape[1], 3)), np.ones((3, 1))]
    model = BPRegressor((3,), **NO_TRAINING).fit(X, y, coefs_init=coefs)
    assert_array_equal(model.coefs_[0], coefs[0])
    assert [b.shape for b in model.intercepts_] == [(3,), (1,)]
    assert np.isfinite(np.concatenate(model.intercepts_)).all()


def test_weights_can_be_given_as_lists():
    X, y = data.regression()
    model = BPRegressor((1,), **NO_TRAINING)
    model.fit(X, y, coefs_init=[[[1.0]] * 10, [[2]]], intercepts_init=[[3], [4]])
    assert_array_equal(model.coefs_[0], np.ones((10, 1)))
    assert_array_equal(model.intercepts_[1], [4.0])


def test_first_record_is_the_loss_of_the_given_weights():
    X, y = data.regression()
    model = BPRegressor((), batch_size=len(X), max_iter=1, alpha=0.0, random_state=0)
    model.fit(X, y, coefs_init=[np.zeros((10, 1))], intercepts_init=[[1.0]])
    assert_allclose(model.loss_curve_[0], 0.5 * ((1 - y) ** 2).mean(), **CLOSED_FORM)
