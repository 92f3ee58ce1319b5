"""Pickles are small, complete and bit-exact."""

import copy
import pickle

import data
import joblib
import numpy as np
import pytest
from helpers import EVERY_EPOCH, assert_equal_state, assert_same_bits, fitted_attributes, snapshot, weights
from numpy.testing import assert_array_equal
from sklearn.base import clone

from fastbp import BPClassifier, BPRegressor

PARAMS = {"hidden_layer_sizes": (30, 20), "max_iter": 3, "random_state": 0, "batch_size": 50, **EVERY_EPOCH}
SOLVERS = ["sgd", "adam", "lbfgs"]


def fitted(Estimator=BPClassifier, dtype=np.float64, **params):
    X, y = data.iris() if Estimator is BPClassifier else data.multi_output()
    X = X.astype(dtype)
    return Estimator(**{**PARAMS, **params}).fit(X, y), X, y


@pytest.mark.parametrize("protocol", [2, pickle.HIGHEST_PROTOCOL])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("Estimator", [BPClassifier, BPRegressor])
def test_round_trip(Estimator, solver, dtype, protocol):
    model, X, _ = fitted(Estimator, dtype, solver=solver)
    again = pickle.loads(pickle.dumps(model, protocol))
    assert_equal_state(snapshot(again), snapshot(model))
    assert_array_equal(again.predict(X), model.predict(X))


def test_unfitted():
    model = pickle.loads(pickle.dumps(BPClassifier((3,), l2=0.1)))
    assert model.get_params() == BPClassifier((3,), l2=0.1).get_params()


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
@pytest.mark.parametrize("solver", ["sgd", "adam"])
@pytest.mark.parametrize("warm_start", [False, True])
def test_training_goes_on_where_it_was(warm_start, solver, duplicate):
    """After partial_fit or under warm_start, the solver's state is part of the model."""
    X, y = data.iris()
    model = BPClassifier(**{**PARAMS, "warm_start": warm_start, "solver": solver})
    if warm_start:
        again = duplicate(model.fit(X, y)).fit(X, y)
        model.fit(X, y)
    else:
        again = duplicate(model.partial_fit(X, y, classes=[0, 1, 2])).partial_fit(X, y)
        model.partial_fit(X, y)
    assert_same_bits(again, model)
    assert again.t_ == model.t_
    assert again.loss_curve_ == model.loss_curve_


def test_copies_are_independent():
    model, X, y = fitted()
    kept = weights(model).copy()
    for duplicate in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        duplicate.partial_fit(X, y)
        duplicate.coefs_[0][:] = 7
        assert_array_equal(weights(model), kept)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("solver", SOLVERS)
def test_a_fitted_model_is_its_parameters(solver, early_stopping, dtype):
    """No moments, no best copies: scikit-learn's pickle is 4.2 times as large."""
    if solver == "lbfgs" and early_stopping:
        early_stopping = False  # which lbfgs does not know
    params = {"hidden_layer_sizes": (200, 100), "solver": solver, "early_stopping": early_stopping}
    model, _, _ = fitted(BPClassifier, dtype, **params)
    assert len(pickle.dumps(model)) < weights(model).nbytes * 1.05 + 5000


@pytest.mark.parametrize(("solver", "copies"), [("sgd", 2), ("adam", 3)])
def test_a_model_in_training_holds_its_moments_once(solver, copies):
    model, X, y = fitted(hidden_layer_sizes=(200, 100), solver=solver)
    for _ in range(3):
        model.partial_fit(X, y)
    assert len(pickle.dumps(model)) < weights(model).nbytes * copies * 1.1 + 5000


def test_pickles_do_not_grow_with_the_data():
    """Neither rows nor targets stay in the model; the loss curve does."""
    X, y = data.iris()
    few = BPClassifier(**PARAMS).fit(X[:50], y[:50])
    many = BPClassifier(**PARAMS).fit(np.tile(X, (20, 1)), np.tile(y, 20))
    assert abs(len(pickle.dumps(many)) - len(pickle.dumps(few))) < 500


@pytest.mark.parametrize("solver", SOLVERS)
def test_memory_mapped_model(tmp_path, solver):
    """joblib.load(mmap_mode="r") makes the weights read-only: prediction and training go on all the same."""
    model, X, y = fitted(solver=solver, hidden_layer_sizes=(200,))
    joblib.dump(model, tmp_path / "model")
    mapped = joblib.load(tmp_path / "model", mmap_mode="r")
    assert not mapped.coefs_[0].flags.writeable
    assert_array_equal(mapped.predict_proba(X), model.predict_proba(X))
    mapped.loss_and_gradients(X, y)
    if solver != "lbfgs":
        assert mapped.partial_fit(X, y).t_ == model.t_ + len(X)


def test_clone_is_unfitted():
    model, _, _ = fitted()
    assert fitted_attributes(clone(model)) == {}
    assert clone(model).get_params() == model.get_params()


def test_feature_names_survive():
    pd = pytest.importorskip("pandas")
    X, y = data.iris()
    frame = pd.DataFrame(X, columns=list("abcd"))
    model = pickle.loads(pickle.dumps(BPClassifier(**PARAMS).fit(frame, y)))
    assert_array_equal(model.feature_names_in_, list("abcd"))
    model.predict(frame)
