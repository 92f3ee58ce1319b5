"""coefs_ and intercepts_ are the model: whoever changes them changes every prediction alike."""

import copy
import pickle

import data
import joblib
import numpy as np
import pytest
from helpers import EVERY_EPOCH, assert_same_bits, fitted_attributes, forward
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from tolerances import SAME_ARITHMETIC, SAME_ARITHMETIC_32

from fastbp import BPClassifier, BPRegressor

PARAMS = {"hidden_layer_sizes": (17, 9), "max_iter": 2, "random_state": 0, **EVERY_EPOCH}
ROWS = (0, 1, 99)


def fitted(dtype=np.float64, Estimator=BPClassifier, **params):
    X, y = data.iris() if Estimator is BPClassifier else data.multi_output()
    X = np.resize(X.astype(dtype), (100, X.shape[1]))
    return Estimator(**{**PARAMS, **params}).fit(X, np.resize(y, (100, *y.shape[1:]))), X


def outputs(model, X):
    return model.predict(X) if isinstance(model, BPRegressor) else model.predict_proba(X)


def assert_consistent(model, X):
    """One row, a few and all have the same bits, those of the weights that can be seen."""
    together = outputs(model, X)
    tolerance = SAME_ARITHMETIC if together.dtype == np.float64 else SAME_ARITHMETIC_32
    assert_allclose(together, forward(model, X)[-1], **tolerance)
    for i in ROWS:
        assert_array_equal(outputs(model, X[i : i + 1]), together[i : i + 1])
        assert_array_equal(model.predict(X[i : i + 1]), model.predict(X)[i : i + 1])
    assert_array_equal(outputs(model, X[:64]), together[:64])
    return together


def first_coef(model):
    model.coefs_[0][1, 2] += 3


def last_coef(model):
    model.coefs_[-1] *= -2


def first_intercept(model):
    model.intercepts_[0][3] = 5


def last_intercept(model):
    model.intercepts_[-1][:] = np.arange(len(model.intercepts_[-1]))


def one_assigned(model):
    model.coefs_[1] = np.array(model.coefs_[1][::-1])


def one_assigned_and_edited(model):
    model.coefs_[1] = np.array(model.coefs_[1])
    model.coefs_[1][0] = 4


def fortran_assigned(model):
    model.coefs_ = [np.asfortranarray(coef + 0.5) for coef in model.coefs_]


def all_assigned(model):
    model.coefs_ = [coef + 0.25 for coef in model.coefs_]
    model.intercepts_ = [intercept - 1 for intercept in model.intercepts_]


def layers_exchanged(model):
    """The same objects in another order are other weights."""
    model.coefs_[1], model.coefs_[2] = np.array(model.coefs_[1]), np.array(model.coefs_[2])
    model.coefs_[1][:], model.coefs_[2][:] = 1.5, -0.25
    model.intercepts_[:2] = [np.array(i) for i in model.intercepts_[:2]]
    model.intercepts_[0][:] = 1


EDITS = [
    first_coef,
    last_coef,
    first_intercept,
    last_intercept,
    one_assigned,
    one_assigned_and_edited,
    fortran_assigned,
    all_assigned,
    layers_exchanged,
]


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("Estimator", [BPClassifier, BPRegressor])
def test_every_edit_counts(Estimator, dtype, fit_intercept):
    """One after another, on one model."""
    model, X = fitted(dtype, Estimator, fit_intercept=fit_intercept)
    before = assert_consistent(model, X)
    for edit in EDITS:
        edit(model)
        after = assert_consistent(model, X)
        assert (before != after).any(), edit.__name__
        before = after


@pytest.mark.parametrize("edit", EDITS)
def test_an_edit_as_the_first(edit):
    model, X = fitted(fit_intercept=False)
    before = outputs(model, X)
    edit(model)
    assert (assert_consistent(model, X) != before).any()


def by_pickle(model, folder):
    return pickle.loads(pickle.dumps(model))


def by_deepcopy(model, folder):
    return copy.deepcopy(model)


def by_joblib(model, folder):
    joblib.dump(model, folder / "model")
    return joblib.load(folder / "model")


def mapped(model, folder):
    """Copy on write, so that it may be edited."""
    joblib.dump(model, folder / "model")
    return joblib.load(folder / "model", mmap_mode="c")


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("edit", [first_coef, last_intercept, one_assigned_and_edited, all_assigned])
@pytest.mark.parametrize("duplicate", [by_pickle, by_deepcopy, by_joblib, mapped])
def test_edits_before_and_after_a_copy(duplicate, edit, fit_intercept, tmp_path):
    model, X = fitted(fit_intercept=fit_intercept)
    edit(model)
    expected = assert_consistent(model, X)
    again = duplicate(model, tmp_path)
    assert_same_bits(again, model)
    assert_array_equal(assert_consistent(again, X), expected)
    first_coef(again)
    last_coef(again)
    assert (assert_consistent(again, X) != expected).any()
    assert_array_equal(assert_consistent(model, X), expected)


def test_memory_mapped_for_reading(tmp_path):
    """The weights stay in the file: many processes share them."""
    model, X = fitted(hidden_layer_sizes=(170, 9))
    joblib.dump(model, tmp_path / "model")
    again = joblib.load(tmp_path / "model", mmap_mode="r")
    assert any(isinstance(coef, np.memmap) for coef in again.coefs_)
    assert_array_equal(assert_consistent(again, X), outputs(model, X))


def test_a_clone_has_no_weights():
    model, X = fitted()
    first_coef(model)
    again = clone(model)
    assert fitted_attributes(again) == {}
    assert "_stored" not in vars(again)
    assert_array_equal(outputs(again.fit(X, model.predict(X)), X[:1]), outputs(again, X)[:1])


def test_arrays_of_an_earlier_fit_are_left_alone():
    model, X = fitted(warm_start=True)
    coefs = model.coefs_
    kept = copy.deepcopy(coefs)
    model.fit(X, np.arange(100) % 3)
    for a, b in zip(coefs, kept, strict=True):
        assert_array_equal(a, b)
    coefs[0][:] = 7
    assert (model.coefs_[0] != 7).all()
    assert_consistent(model, X)


def test_training_goes_on_from_edited_weights():
    """In place or assigned: partial_fit begins where predictions are."""
    X, y = data.iris()
    for edit in (first_coef, last_intercept, all_assigned):
        model, _ = fitted()
        edit(model)
        twin, _ = fitted()
        twin.coefs_, twin.intercepts_ = copy.deepcopy((model.coefs_, model.intercepts_))
        assert_same_bits(model.partial_fit(X, y), twin.partial_fit(X, y))
        assert_consistent(model, X[:100])


@pytest.mark.parametrize("activation", ["tanh", "identity"])
def test_another_activation_counts_for_few_rows_and_many(activation):
    model, X = fitted()
    model.set_params(activation=activation)
    assert_consistent(model, X)


def test_another_output_activation_counts_for_few_rows_and_many():
    model, X = fitted(Estimator=BPRegressor)
    model.out_activation_ = "tanh"
    assert_consistent(model, X)
