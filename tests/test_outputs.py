"""Which output layer a network gets, and what its outputs become: labels, probabilities, scores."""

import data
import numpy as np
import pytest
from helpers import EVERY_EPOCH
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import softmax
from sklearn.metrics import accuracy_score, r2_score
from tolerances import SAME_ARITHMETIC

from fastbp import BPClassifier, BPRegressor

PARAMS = {
    "hidden_layer_sizes": (5,),
    "max_iter": 3,
    "random_state": 0,
    "learning_rate_init": 0.02,
    **EVERY_EPOCH,
}

AUTO = [
    (BPClassifier, "log_loss", data.binary, "logistic", 1),
    (BPClassifier, "log_loss", data.iris, "softmax", 3),
    (BPClassifier, "log_loss", data.multilabel, "logistic", 3),
    (BPClassifier, "squared_error", data.binary, "logistic", 1),
    (BPClassifier, "squared_error", data.iris, "softmax", 3),
    (BPClassifier, "squared_error", data.multilabel, "logistic", 3),
    (BPRegressor, "squared_error", data.regression, "identity", 1),
    (BPRegressor, "mean_squared_error", data.multi_output, "identity", 3),
    (BPRegressor, "sum_squared_error", data.multi_output, "identity", 3),
    (BPRegressor, "log_loss", data.fractions, "logistic", 1),
    (BPRegressor, "poisson", data.counts, "exp", 1),
]


@pytest.mark.parametrize(("Estimator", "loss", "load", "out_activation", "n_outputs"), AUTO)
def test_auto(Estimator, loss, load, out_activation, n_outputs):
    """And "auto" is the same network as its name."""
    X, y = load()
    auto = Estimator(loss=loss, **PARAMS).fit(X, y)
    assert auto.out_activation_ == out_activation
    assert auto.n_outputs_ == n_outputs
    assert auto.coefs_[-1].shape == (5, n_outputs)
    named = Estimator(loss=loss, out_activation=out_activation, **PARAMS).fit(X, y)
    assert_array_equal(auto.coefs_[0], named.coefs_[0])


def test_two_classes_by_softmax():
    """One output for each class; the difference of the two logits is the one logit of the usual network."""
    X, y = data.binary()
    model = BPClassifier(out_activation="softmax", **PARAMS).fit(X, y)
    assert model.n_outputs_ == 2
    z = model.transform(X) @ model.coefs_[-1] + model.intercepts_[-1]
    assert_allclose(model.predict_proba(X), softmax(z, axis=1), **SAME_ARITHMETIC)
    assert_array_equal(model.predict(X), model.classes_[z.argmax(axis=1)])
    rows = softmax(z, axis=1)[np.arange(len(y)), y]
    assert_allclose(
        model.set_params(alpha=0.0).loss_and_gradients(X, y).loss, -np.log(rows).mean(), **SAME_ARITHMETIC
    )


def test_many_classes_by_logistic_outputs():
    """One against the rest; the probabilities of a row are then brought to the sum of 1."""
    X, y = data.iris()
    model = BPClassifier(out_activation="logistic", **PARAMS).fit(X, y)
    outputs = model.activations(X)[-1]
    proba = model.predict_proba(X)
    assert_allclose(proba, outputs / outputs.sum(axis=1, keepdims=True), **SAME_ARITHMETIC)
    assert_allclose(np.exp(model.predict_log_proba(X)), proba, **SAME_ARITHMETIC)
    assert_array_equal(model.predict(X), outputs.argmax(axis=1))


def test_exclusive_outputs_for_labels_that_are_not():
    X, Y = data.multilabel()
    with pytest.raises(ValueError, match="out_activation"):
        BPClassifier(out_activation="softmax", **PARAMS).fit(X, Y)


@pytest.mark.parametrize("load", [data.binary, data.iris, data.multilabel])
@pytest.mark.parametrize("loss", ["log_loss", "squared_error"])
def test_probabilities(load, loss):
    X, y = load()
    model = BPClassifier(loss=loss, **PARAMS).fit(X, y)
    proba = model.predict_proba(X)
    assert proba.shape == (len(X), len(model.classes_))
    assert ((proba >= 0) & (proba <= 1)).all()
    if np.ndim(y) == 1:
        assert_allclose(proba.sum(axis=1), 1, **SAME_ARITHMETIC)
        assert_array_equal(model.predict(X), model.classes_[proba.argmax(axis=1)])
    assert_allclose(np.exp(model.predict_log_proba(X)), proba, **SAME_ARITHMETIC)


@pytest.mark.parametrize("load", [data.binary, data.iris, data.multilabel])
@pytest.mark.parametrize("out_activation", ["identity", "tanh", "relu", "exp"])
def test_scores_where_there_are_no_probabilities(load, out_activation):
    X, y = load()
    model = BPClassifier(loss="squared_error", out_activation=out_activation, **PARAMS).fit(X, y)
    assert not hasattr(model, "predict_proba")
    assert not hasattr(model, "predict_log_proba")
    scores = model.decision_function(X)
    outputs = model.activations(X)[-1]
    # Monotone in the outputs, whatever the threshold is.
    assert scores.shape == (outputs.shape if outputs.shape[1] > 1 else (len(X),))
    assert_array_equal(np.argsort(scores, axis=0).ravel(), np.argsort(outputs, axis=0).ravel())
    if np.ndim(y) == 2 or scores.ndim == 1:
        assert_array_equal(model.predict(X), (scores > 0).astype(int))
    else:
        assert_array_equal(model.predict(X), scores.argmax(axis=1))


def test_which_methods_there_are_is_known_before_the_fit():
    """Searches and meta-estimators ask an unfitted estimator."""
    assert hasattr(BPClassifier(), "predict_proba")
    assert not hasattr(BPClassifier(), "decision_function")
    no_probabilities = BPClassifier(loss="squared_error", out_activation="identity")
    assert not hasattr(no_probabilities, "predict_proba")
    assert hasattr(no_probabilities, "decision_function")


def test_score_is_scikit_learns():
    X, y = data.iris()
    w = np.random.RandomState(0).uniform(size=len(y))
    model = BPClassifier(**PARAMS).fit(X, y)
    assert model.score(X, y, w) == accuracy_score(y, model.predict(X), sample_weight=w)
    X, Y = data.multi_output()
    w = w[: len(X)]
    regressor = BPRegressor(**PARAMS).fit(X, Y)
    assert_allclose(regressor.score(X, Y, w), r2_score(Y, regressor.predict(X), sample_weight=w))


def test_positive_outputs():
    """A relu or exp output layer predicts nothing below zero."""
    X, y = data.counts()
    for out_activation in ("relu", "exp"):
        assert BPRegressor(out_activation=out_activation, **PARAMS).fit(X, y).predict(X).min() >= 0
