"""activation="maxout": k columns of coefs_ for each unit, and everything that reads their shapes."""

import copy
import pickle

import data
import numpy as np
import pytest
from helpers import EVERY_EPOCH, assert_same_bits, forward, random_weights, snapshot
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from tolerances import SAME_ARITHMETIC, SAME_ARITHMETIC_32

from fastbp import BPClassifier, BPRegressor
from fastbp.functions.initialisers import INITIALISERS, maxout_gain

PARAMS = {"hidden_layer_sizes": (9, 5), "activation": "maxout", "maxout_pieces": 3, "random_state": 0}
PARAMS |= {"max_iter": 5, **EVERY_EPOCH}


def fitted(Estimator=BPClassifier, dtype=np.float64, **params):
    X, y = data.iris() if Estimator is BPClassifier else data.multi_output()
    X = X.astype(dtype)
    return Estimator(**{**PARAMS, **params}).fit(X, y), X, y


def outputs(model, X):
    return model.predict_proba(X) if isinstance(model, BPClassifier) else model.predict(X)


def assert_is_its_weights(model, X):
    """All rows, few rows and one row give what the visible weights give, and the same bits."""
    tolerance = SAME_ARITHMETIC if X.dtype == np.float64 else SAME_ARITHMETIC_32
    textbook = forward(model, X)
    for ours, theirs in zip(model.activations(X), textbook, strict=True):
        assert_allclose(ours, theirs, **tolerance)
    assert_array_equal(model.transform(X), model.activations(X)[-2])
    together = outputs(model, X)
    for rows in (slice(1), slice(3, 4), slice(64)):
        assert_array_equal(outputs(model, X[rows]), together[rows])
        assert_array_equal(model.transform(X[rows]), model.transform(X)[rows])
    return together


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("Estimator", [BPClassifier, BPRegressor])
def test_shapes_and_values(Estimator, dtype):
    model, X, _ = fitted(Estimator, dtype)
    n = X.shape[1]
    assert [coef.shape for coef in model.coefs_] == [(n, 27), (9, 15), (5, 3)]
    assert [intercept.shape for intercept in model.intercepts_] == [(27,), (15,), (3,)]
    assert model.n_layers_ == 4
    assert [h.shape[1] for h in model.activations(X)] == [9, 5, 3]
    assert model.transform(X).shape == (len(X), 5)
    assert len(model.get_feature_names_out()) == 5
    assert_is_its_weights(model, X)


def test_two_pieces_are_the_default():
    model = BPClassifier((4,), activation="maxout", max_iter=1).fit(*data.iris())
    assert model.coefs_[0].shape == (4, 8)


def test_a_list_of_activations():
    names = ["maxout", "tanh", "maxout"]
    model, X, _ = fitted(hidden_layer_sizes=(6, 4, 2), activation=names)
    assert [coef.shape[1] for coef in model.coefs_] == [18, 4, 6, 3]
    assert_is_its_weights(model, X)


@pytest.mark.parametrize("fit_intercept", [True, False])
def test_edited_and_assigned_weights(fit_intercept):
    model, X, _ = fitted(fit_intercept=fit_intercept)
    before = assert_is_its_weights(model, X)
    model.coefs_[0][:, 4] += 3  # the second piece of the second unit
    edited = assert_is_its_weights(model, X)
    assert (edited != before).any()
    random_weights(model, np.random.RandomState(1))
    assert (assert_is_its_weights(model, X) != edited).any()
    # another width of a hidden layer: the number of units is that of the next layer's rows
    model.coefs_ = [np.ones((X.shape[1], 27)), np.ones((9, 6)), np.ones((2, 3))]
    model.intercepts_ = [np.zeros(27), np.zeros(6), np.zeros(3)]
    assert_is_its_weights(model, X)


@pytest.mark.parametrize("n_rows", [1, 100])
def test_weights_that_do_not_fit_the_pieces(n_rows):
    model, X, _ = fitted()
    kept = model.predict(X)
    model.maxout_pieces = 2
    with pytest.raises(ValueError, match=r"behind maxout divided by maxout_pieces=2.*\(4, 27\), \(9, 15\)"):
        model.predict(X[:n_rows])
    model.set_params(maxout_pieces=3, activation="relu")
    with pytest.raises(ValueError, match="coefs_ must be matrices in which each has as many rows as"):
        model.predict(X[:n_rows])
    model.set_params(activation="maxout")
    assert_array_equal(model.predict(X), kept)
    model.coefs_[1] = model.coefs_[1][:-1]
    with pytest.raises(ValueError, match="coefs_ must be matrices"):
        model.predict(X[:n_rows])


def test_training_that_goes_on():
    once, X, y = fitted(max_iter=5, shuffle=False)
    step = BPClassifier(**{**PARAMS, "max_iter": 2, "shuffle": False, "warm_start": True}).fit(X, y)
    assert_same_bits(step.set_params(max_iter=3).fit(X, y), once)
    parts = BPClassifier(**{**PARAMS, "shuffle": False})
    for _ in range(5):
        parts.partial_fit(X, y, classes=[0, 1, 2])
    assert_same_bits(parts, once)
    assert_is_its_weights(parts, X)
    for changes in ({"maxout_pieces": 4}, {"activation": "relu"}, {"hidden_layer_sizes": (9, 6)}):
        before = snapshot(step.set_params(**changes))
        with pytest.raises(ValueError, match=r"activation=.*ask for layers of the shapes"):
            step.fit(X, y)
        assert str(snapshot(step)) == str(before)
        step.set_params(**{name: PARAMS[name] for name in changes})


def test_given_weights():
    X, y = data.iris()
    rng = np.random.RandomState(0)
    coefs = [rng.normal(size=shape) for shape in ((4, 27), (9, 15), (5, 3))]
    intercepts = [rng.normal(size=n) for n in (27, 15, 3)]
    model = BPClassifier(**{**PARAMS, "solver": "sgd", "learning_rate_init": 1e-300, "alpha": 0.0})
    model.fit(X, y, coefs_init=coefs, intercepts_init=intercepts)
    for given, fitted_weights in zip(coefs + intercepts, model.coefs_ + model.intercepts_, strict=True):
        assert_array_equal(given, fitted_weights)
    with pytest.raises(ValueError, match=r"coefs_init\[0\] must have the shape \(4, 27\), got \(4, 9\)"):
        model.fit(X, y, coefs_init=[coefs[0][:, :9], *coefs[1:]])


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
def test_copies(duplicate):
    model, X, y = fitted(warm_start=True)
    twin = duplicate(model)
    assert_array_equal(assert_is_its_weights(twin, X), outputs(model, X))
    assert_same_bits(twin.fit(X, y), model.fit(X, y))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    "more",
    [{}, {"dropout": 0.4, "input_noise": 0.1}, {"residual": True, "hidden_layer_sizes": (8, 8, 8)}],
    ids=str,
)
def test_thread_counts_and_sparse_rows(more, dtype):
    X, y = data.digits()
    X = X.astype(dtype)
    params = {**PARAMS, "batch_size": 150, "max_iter": 2, **more}
    one = BPClassifier(**params, n_jobs=1).fit(X, y)
    for n_jobs in (2, 3):
        assert_same_bits(BPClassifier(**params, n_jobs=n_jobs).fit(X, y), one)
    assert_same_bits(BPClassifier(**params, n_jobs=2).fit(sparse.csr_array(X), y), one)


def test_lbfgs():
    model, X, y = fitted(BPRegressor, solver="lbfgs", max_iter=2000, tol=1e-6, maxout_pieces=2, alpha=0.0)
    first = BPRegressor(**{**PARAMS, "maxout_pieces": 2, "max_iter": 1, "alpha": 0.0}).fit(X, y).loss_
    assert model.loss_ < 0.01 * first
    assert_is_its_weights(model, X)


def test_nan_reaches_the_loss():
    """Of any piece: a maximum that left it out would train on."""
    for piece in range(3):
        model, X, y = fitted()
        model.intercepts_[0][piece] = np.nan
        assert np.isnan(model.predict_proba(X)).all()
        assert np.isnan(model.loss_and_gradients(X, y).loss)


def test_hidden_layers_only():
    X, y = data.iris()
    for Estimator in (BPClassifier, BPRegressor):
        with pytest.raises(ValueError, match=r"out_activation='maxout' is not for the output layer"):
            Estimator(out_activation="maxout").fit(X, y)


# --- Initial weights

NO_TRAINING = {"solver": "sgd", "learning_rate_init": 1e-300, "alpha": 0.0, "max_iter": 1}


@pytest.mark.parametrize("init", INITIALISERS.names())
def test_each_piece_is_drawn_as_a_layer(init):
    X, y = data.iris()
    model = BPClassifier(**{**PARAMS, **NO_TRAINING, "init": init}).fit(X, y)
    rng = np.random.RandomState(0)
    for layer, (n_in, n_units, k) in enumerate([(4, 9, 3), (9, 5, 3), (5, 3, 1)]):
        coef = model.coefs_[layer].reshape(n_in, n_units, k)
        intercept = model.intercepts_[layer].reshape(n_units, k)
        for piece in range(k):
            own = INITIALISERS[init].draw(rng, n_in, n_units, "maxout", 3)
            assert_allclose(coef[:, :, piece], own[0], rtol=1e-15, atol=1e-200)
            assert_allclose(intercept[:, piece], own[1], rtol=1e-15, atol=1e-200)


@pytest.mark.parametrize("pieces", [2, 3, 5])
def test_gain(pieces):
    """1 / sqrt(E f²), f the largest of standard normal numbers: counted among a million of them."""
    largest = np.random.RandomState(0).normal(size=(1_000_000, pieces)).max(axis=1)
    assert_allclose(maxout_gain(pieces), (largest**2).mean() ** -0.5, rtol=3e-3)


@pytest.mark.parametrize("init", ["he", "orthogonal"])
@pytest.mark.parametrize("pieces", [2, 4])
def test_deep_networks_keep_the_size_of_their_values(pieces, init):
    X = np.random.RandomState(1).normal(size=(300, 200))
    model = BPClassifier((200,) * 10, activation="maxout", maxout_pieces=pieces, init=init)
    last = model.set_params(**NO_TRAINING, random_state=0).fit(X, np.arange(300) % 2).transform(X)
    assert 0.4 < np.sqrt((last**2).mean()) < 2.5
