"""norm="batch" and norm="layer" as users see them; their arithmetic is tested in test_reference.py."""

import pickle

import data
import numpy as np
import pytest
from helpers import assert_same_bits
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.preprocessing import scale

from fastbp import BPClassifier, BPRegressor

NORMS = ["batch", "layer"]
PARAMS = {"hidden_layer_sizes": (16, 8), "batch_size": 32, "max_iter": 20, "random_state": 0}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("norm", NORMS)
def test_deep_networks_of_logistic_units_learn_only_with_a_norm(norm, dtype):
    X, y = data.digits()
    params = {**PARAMS, "hidden_layer_sizes": (32,) * 6, "activation": "logistic"}
    params["learning_rate_init"] = 0.003
    plain = BPClassifier(**params).fit(X.astype(dtype), y)
    normal = BPClassifier(**params, norm=norm).fit(X.astype(dtype), y)
    assert plain.score(X.astype(dtype), y) < 0.3
    assert normal.score(X.astype(dtype), y) > 0.8


@pytest.mark.parametrize("norm", NORMS)
def test_shapes(norm):
    X, y = data.iris()
    model = BPClassifier(**PARAMS, norm=norm, learn_input_scales=True).fit(X, y)
    own = [(2, 16), (2, 16), (2, 8), (2, 8)] if norm == "batch" else [(2, 16), (2, 8)]
    assert [a.shape for a in model.feature_params_] == [(1, 4), *own]
    assert [b.any() for b in model.intercepts_] == [norm == "layer", norm == "layer", True]


def test_layer_norm_of_transform():
    """A hidden layer without activation shows the norm itself, scaled and shifted."""
    X, y = data.regression()
    model = BPRegressor(**PARAMS, norm="layer", activation="identity").fit(X, y)
    z = X @ model.coefs_[0] + model.intercepts_[0]
    scales, shifts = model.feature_params_[0]
    normal = (z - z.mean(axis=1, keepdims=True)) / np.sqrt(z.var(axis=1, keepdims=True) + 1e-5)
    assert_allclose(model.activations(X)[0], scales * normal + shifts, rtol=1e-9, atol=1e-11)


def test_batch_norm_of_transform():
    X, y = data.regression()
    model = BPRegressor(**PARAMS, norm="batch", activation="identity").fit(X, y)
    (mean, variance), (scales, shifts) = model.feature_params_[:2]
    z = X @ model.coefs_[0]
    normal = (z - mean) / np.sqrt(variance + 1e-5)
    assert_allclose(model.activations(X)[0], scales * normal + shifts, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_running_means_are_those_of_the_data(dtype):
    """With weights that stay, one batch of all rows tells them at once; then they stay, too."""
    X, y = data.iris()
    X = X.astype(dtype)
    model = BPClassifier(**{**PARAMS, "batch_size": len(X), "learning_rate_init": 1e-30}, norm="batch")
    weight = np.random.RandomState(0).randint(0, 4, size=len(X))
    model.set_params(max_iter=3).fit(X, y, weight)
    z = X.astype(float) @ model.coefs_[0]
    mean = np.average(z, axis=0, weights=weight)
    variance = np.average((z - mean) ** 2, axis=0, weights=weight)
    assert_allclose(model.feature_params_[0], [mean, variance], rtol=1e-4 if dtype == np.float32 else 1e-9)


def test_partial_fit_moves_running_means_by_weight():
    X, y = data.iris()
    params = {**PARAMS, "batch_size": 50, "learning_rate_init": 1e-30, "norm": "batch", "shuffle": False}
    model = BPClassifier(**params)
    parts = [X[rows] for rows in (y == 0, y == 1, y == 2)]
    moments = []
    for part in parts:
        model.partial_fit(part, np.arange(50) % 3, classes=[0, 1, 2])
        z = part @ model.coefs_[0]
        moments.append(np.array([z.mean(axis=0), z.var(axis=0)]))
    expected = moments[0]
    for made, found in enumerate(moments[1:], start=2):
        expected = expected + max(0.1, 1 / made) * (found - expected)
    assert_allclose(model.feature_params_[0], expected, rtol=1e-9, atol=1e-12)


def test_a_batch_without_weight_changes_nothing():
    X, y = data.iris()
    params = {**PARAMS, "batch_size": 75, "norm": "batch", "shuffle": False, "alpha": 0.0, "solver": "sgd"}
    params |= {"momentum": 0.0, "max_iter": 1, "learning_rate_init": 0.1}
    weight = np.repeat([1.0, 0.0], 75)
    both = BPClassifier(**params).fit(X, y, weight)
    # the same step: (rows in the batch) times (mean weight) is half as much
    one = BPClassifier(**{**params, "learning_rate_init": 0.2}).fit(X[:75], y[:75], np.ones(75))
    with pytest.raises(ValueError, match="shapes"):
        one.set_params(hidden_layer_sizes=(3,), warm_start=True).fit(X, y)
    assert_allclose(both.feature_params_[0], one.feature_params_[0], rtol=1e-12)


@pytest.mark.parametrize("norm", NORMS)
def test_rows_alone_and_together(norm):
    X, y = data.digits()
    model = BPClassifier(**PARAMS, norm=norm, learn_input_scales=True).fit(X, y)
    together = model.predict_proba(X[:40])
    assert_array_equal(together, np.vstack([model.predict_proba(X[i : i + 1]) for i in range(40)]))
    assert_array_equal(together, pickle.loads(pickle.dumps(model)).predict_proba(X[:40]))


@pytest.mark.parametrize("norm", NORMS)
def test_threads_change_no_bit(norm):
    X, y = data.digits()
    one, three = (BPClassifier(**PARAMS, norm=norm, n_jobs=n).fit(X, y) for n in (1, 3))
    assert_same_bits(one, three)


@pytest.mark.parametrize("norm", NORMS)
def test_warm_starts_go_on(norm):
    X, y = data.iris()
    params = {**PARAMS, "norm": norm, "n_iter_no_change": np.inf, "tol": 0.0}
    whole = BPClassifier(**params).fit(X, y)
    parts = BPClassifier(**{**params, "max_iter": 10}, warm_start=True).fit(X, y).fit(X, y)
    assert_same_bits(whole, parts)


@pytest.mark.parametrize("norm", NORMS)
def test_edited_feature_params_count(norm):
    X, y = data.regression()
    model = BPRegressor(**PARAMS, norm=norm).fit(X, y)
    before = model.predict(X[:3])
    model.feature_params_[-1][1] += 1.0
    in_place = model.predict(X[:3])
    assert np.abs(in_place - before).max() > 1e-3
    model.feature_params_ = [a.copy() for a in model.feature_params_]
    assert_array_equal(model.predict(X[:3]), in_place)
    model.feature_params_ = model.feature_params_[:-1]
    with pytest.raises(ValueError, match="feature_params_ has arrays of the shapes"):
        model.predict(X)


def test_lbfgs_has_no_batches():
    X, y = data.iris()
    with pytest.raises(ValueError, match=r"norm='batch'.*lbfgs.*norm='layer'"):
        BPClassifier((4,), norm="batch", solver="lbfgs").fit(X, y)
    assert BPClassifier((4,), norm="layer", solver="lbfgs", random_state=0).fit(X, y).score(X, y) > 0.95


def test_validation_loss_uses_the_running_means():
    X, y = data.digits()
    X = scale(X)
    params = {**PARAMS, "norm": "batch", "early_stopping": True, "scoring": "loss", "alpha": 0.0}
    model = BPClassifier(**params).fit(X[:1000], y[:1000], X_val=X[1000:], y_val=y[1000:])
    best = model.loss_and_gradients(X[1000:], y[1000:]).loss
    assert_allclose(-model.best_validation_score_, best, rtol=1e-9)
