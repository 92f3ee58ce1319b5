"""Weights and classes_ that the user assigned predict without a fit, or an error says what is missing."""

import pickle

import data
import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.exceptions import NotFittedError

from fastbp import BPClassifier, BPRegressor

PARAMS = {"hidden_layer_sizes": (5,), "max_iter": 5, "random_state": 0}
QUESTIONS = ("predict", "predict_proba", "predict_log_proba", "transform")


def copied(model, *names, **params):
    """An estimator that was never fitted, with some fitted attributes of another."""
    other = type(model)(**{**PARAMS, **params})
    for name in names:
        setattr(other, name, getattr(model, name))
    return other


def classification(n_classes):
    X, y = data.iris()
    return (X, y) if n_classes == 3 else (X[y < n_classes], y[y < n_classes])


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("lists", [False, True])
def test_a_classifier(n_classes, lists):
    X, y = classification(n_classes)
    fitted = BPClassifier(**PARAMS).fit(X, y)
    model = copied(fitted, "coefs_", "intercepts_", "classes_")
    if lists:
        model.classes_ = model.classes_.tolist()
        model.coefs_ = [coef.tolist() for coef in model.coefs_]
    for question in QUESTIONS:
        assert_array_equal(getattr(model, question)(X), getattr(fitted, question)(X))
    assert model.score(X, y) == fitted.score(X, y)
    assert_array_equal(model.activations(X)[-1], fitted.activations(X)[-1])
    assert model.loss_and_gradients(X, y).loss == fitted.loss_and_gradients(X, y).loss


def test_a_classifier_without_probabilities():
    X, y = classification(3)
    fitted = BPClassifier(**PARAMS, loss="hinge").fit(X, y)
    model = copied(fitted, "coefs_", "intercepts_", "classes_", loss="hinge")
    assert_array_equal(model.decision_function(X), fitted.decision_function(X))


def test_a_regressor():
    X, y = data.regression()
    fitted = BPRegressor(**PARAMS).fit(X, y)
    model = copied(fitted, "coefs_", "intercepts_")
    assert_array_equal(model.predict(X), fitted.predict(X))
    assert model.score(X, y) == fitted.score(X, y)
    assert_array_equal(model.transform(X), fitted.transform(X))


@pytest.mark.parametrize("lacking", ["coefs_", "intercepts_", "classes_"])
@pytest.mark.parametrize("none", [False, True])
def test_what_is_missing_is_named(lacking, none):
    X, y = classification(3)
    fitted = BPClassifier(**PARAMS).fit(X, y)
    model = copied(fitted, *({"coefs_", "intercepts_", "classes_"} - {lacking}))
    if none:
        setattr(model, lacking, None)
    for question in QUESTIONS[:3]:
        with pytest.raises(NotFittedError, match=lacking):
            getattr(model, question)(X)


@pytest.mark.parametrize("classes", [[0, 1], [0, 1, 2, 3], [[0, 1, 2]], []])
def test_classes_that_do_not_go_with_the_weights(classes):
    X, y = classification(3)
    model = BPClassifier(**PARAMS).fit(X, y)
    model.classes_ = np.array(classes)
    with pytest.raises(ValueError, match="classes_"):
        model.predict(X)


@pytest.mark.parametrize("classes", [5, "abc", np.array(5), [[0, 1, 2]]], ids=repr)
def test_classes_that_are_no_list_of_labels(classes):
    X, y = classification(3)
    model = BPClassifier(**PARAMS).fit(X, y)
    model.classes_ = classes
    for question in (model.predict, model.predict_proba, lambda X: model.score(X, y)):
        with pytest.raises(ValueError, match="classes_ must be a list or vector"):
            question(X)
    with pytest.raises(ValueError, match="classes_ must be a list or vector"):
        model.partial_fit(X, y)


def test_no_layers_at_all():
    X, y = data.regression()
    model = BPRegressor(**PARAMS).fit(X, y)
    model.coefs_ = []
    with pytest.raises(ValueError, match="coefs_"):
        model.predict(X)


def test_classes_that_were_given_other_names():
    X, y = classification(3)
    model = BPClassifier(**PARAMS).fit(X, y)
    before = model.predict(X)
    model.classes_ = np.array(["setosa", "versicolor", "virginica"])
    assert_array_equal(model.predict(X), model.classes_[before])
    assert model.score(X, model.classes_[before]) == 1.0


def test_training_goes_on_from_assigned_weights():
    X, y = classification(3)
    fitted = BPClassifier(**PARAMS).fit(X, y)
    model = copied(fitted, "coefs_", "intercepts_", "classes_")
    before = model.loss_and_gradients(X, y).loss
    for _ in range(20):
        model.partial_fit(X, y)
    assert model.loss_and_gradients(X, y).loss < before


PLAIN = (np.ndarray, np.generic, str, bytes, int, float, bool, type(None))


def kinds(value, where="state"):
    """Where a state holds anything but arrays, plain values and containers of such."""
    if isinstance(value, dict):
        return [kind for name, one in value.items() for kind in kinds(one, f"{where}[{name!r}]")]
    if type(value) in (list, tuple, set):
        return [kind for one in value for kind in kinds(one, where)]
    return [] if isinstance(value, PLAIN) else [(where, type(value).__name__)]


@pytest.mark.parametrize(
    "model",
    [
        BPClassifier(**PARAMS),
        BPClassifier(**PARAMS, warm_start=True),
        BPClassifier(**PARAMS, early_stopping=True),
        BPClassifier(preset="tabular", max_iter=2, random_state=0),
        BPClassifier(**PARAMS, solver="lbfgs"),
    ],
    ids=["plain", "warm start", "early stopping", "preset", "lbfgs"],
)
def test_the_state_of_an_estimator_holds_no_helper_objects(model):
    """One trusted type is enough to load it from formats that trust no others."""
    X, y = classification(3)
    assert kinds(model.__getstate__()) == []
    model.fit(X, y)
    assert kinds(model.__getstate__()) == []
    again = pickle.loads(pickle.dumps(model))
    assert_array_equal(again.predict_proba(X), model.predict_proba(X))


def test_the_states_of_streams_and_of_several_labels():
    X, y = classification(3)
    stream = BPClassifier(**PARAMS).partial_fit(X, y, classes=[0, 1, 2])
    assert kinds(stream.__getstate__()) == []
    again = pickle.loads(pickle.dumps(stream)).partial_fit(X, y)
    assert_array_equal(again.coefs_[0], stream.partial_fit(X, y).coefs_[0])
    several = BPClassifier(**PARAMS).fit(*data.multilabel())
    assert kinds(several.__getstate__()) == []
    X, y = data.regression()
    quantiles = BPRegressor(**PARAMS, loss="pinball", loss_params={"quantile": [0.1, 0.9]}).fit(X, y)
    assert kinds(quantiles.__getstate__()) == []
