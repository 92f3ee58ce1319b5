"""A validation score that is undefined is refused before training, or the loss is watched instead."""

import warnings

import data
import numpy as np
import pytest
from helpers import EVERY_EPOCH, assert_equal_state, snapshot
from sklearn.metrics import make_scorer, r2_score

from fastbp import BPClassifier, BPRegressor

PARAMS = {"hidden_layer_sizes": (5,), "random_state": 0, "max_iter": 20, "early_stopping": True}
QUANTILES = {"loss": "pinball", "loss_params": {"quantile": [0.1, 0.9]}, "out_activation": "increasing"}
UNDEFINED = r"early stopping watches.*undefined for the validation rows.*X_val.*scoring='loss'"


def untrained(estimator, *arguments, **more):
    """What `fit` refuses before an epoch; the estimator is as it was."""
    before = snapshot(estimator)
    with pytest.raises(ValueError, match=UNDEFINED):
        estimator.fit(*arguments, **more)
    assert_equal_state(snapshot(estimator), before)


@pytest.mark.parametrize("params", [{}, QUANTILES, {"target_scaling": "standard"}], ids=str)
@pytest.mark.parametrize("fitted", [False, True])
def test_one_validation_row(fitted, params):
    X, y = data.regression()
    model = BPRegressor(**PARAMS, **params)
    if fitted:
        model.fit(X, y, X_val=X[:9], y_val=y[:9])
    untrained(model, X, y, X_val=X[:1], y_val=y[:1])


@pytest.mark.parametrize("params", [{}, QUANTILES], ids=str)
@pytest.mark.parametrize("value", [0.0, 0.1, 1e300])
def test_validation_targets_that_are_all_the_same(value, params):
    X, y = data.regression()
    untrained(BPRegressor(**PARAMS, **params), X, y, X_val=X, y_val=np.full(len(y), value))


def test_validation_targets_that_are_the_same_where_they_have_weight():
    X, y = data.regression()
    weight = np.zeros(len(y))
    weight[5] = 2
    untrained(BPRegressor(**PARAMS), X, y, X_val=X, y_val=y, sample_weight_val=weight)
    weight[6] = 1
    BPRegressor(**PARAMS).fit(X, y, X_val=X, y_val=y, sample_weight_val=weight)


def test_several_targets_of_one_row():
    X, Y = data.multi_output()
    untrained(BPRegressor(**PARAMS), X, Y, X_val=X[:1], y_val=Y[:1])
    same = Y.copy()
    same[:, 1] = 3.0  # the others tell the epochs apart
    BPRegressor(**PARAMS).fit(X, Y, X_val=X, y_val=same)


def test_rows_set_aside_that_have_one_target():
    X, y = data.regression()
    rare = np.zeros(len(y))
    rare[3] = 1.0
    with pytest.raises(ValueError, match=r"undefined.*validation_fraction \(now 0.05\).*scoring='loss'"):
        BPRegressor(**PARAMS, validation_fraction=0.05).fit(X, rare)
    model = BPRegressor(**PARAMS, scoring="loss").fit(X, rare)
    assert len(model.validation_loss_curve_) == model.n_iter_


@pytest.mark.parametrize(
    "scoring", ["r2", "explained_variance", "d2_absolute_error_score", make_scorer(r2_score)]
)
def test_scorers_that_compare_with_a_constant(scoring):
    X, y = data.regression()
    untrained(BPRegressor(**PARAMS, scoring=scoring), X, y, X_val=X[:1], y_val=y[:1])


@pytest.mark.parametrize("scoring", ["roc_auc", "matthews_corrcoef"])
def test_scorers_that_compare_classes(scoring):
    X, y = data.binary()
    ones = np.flatnonzero(y == 1)
    untrained(BPClassifier(**PARAMS, scoring=scoring), X, y, X_val=X[ones], y_val=y[ones])


@pytest.mark.parametrize("scoring", ["loss", "neg_mean_squared_error"])
def test_scores_of_one_row_that_are_defined(scoring):
    X, y = data.regression()
    model = BPRegressor(**PARAMS, scoring=scoring, **EVERY_EPOCH).fit(X, y, X_val=X[:1], y_val=y[:1])
    assert len(set(model.validation_scores_)) == PARAMS["max_iter"]


@pytest.mark.parametrize("scoring", [None, "accuracy", "loss"])
def test_accuracy_of_one_row_is_defined(scoring):
    X, y = data.iris()
    model = BPClassifier(**PARAMS, scoring=scoring).fit(X, y, X_val=X[:1], y_val=y[:1])
    assert model.best_validation_score_ is not None


def test_the_preset_watches_the_loss_where_its_own_rows_have_one_target():
    X, y = data.regression()
    rare = np.zeros(len(y))
    rare[3] = 1.0
    model = BPRegressor((5,), preset="tabular", max_iter=5, random_state=0)
    params = model.get_params()
    model.fit(X, rare)
    assert len(model.validation_loss_curve_) == 5
    assert model.get_params() == params
    model.fit(X, y)
    assert model.validation_loss_curve_ is None
    untrained(model, X, y, X_val=X[:1], y_val=y[:1])
    untrained(model.set_params(scoring="r2"), X, rare)


def test_the_loss_is_watched_where_all_targets_are_the_same():
    """No other rows would help; scikit-learn's own tests do this."""
    X, _ = data.regression()
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # also that it has not converged: nothing could
        model = BPRegressor(**PARAMS).fit(X, np.ones(len(X)))
    params = model.get_params()
    assert params["scoring"] is None
    assert model.best_validation_score_ == -min(model.validation_loss_curve_)
    assert model.n_iter_ == PARAMS["max_iter"]
    assert BPRegressor().get_params()["scoring"] is None
    assert BPRegressor(**PARAMS).fit(X, X[:, 0]).validation_loss_curve_ is None


def test_validation_weights_that_are_all_zero():
    X, y = data.regression()
    with pytest.raises(
        ValueError, match=r"sample_weight_val: Sample weights must contain at least one non-zero"
    ):
        BPRegressor(**PARAMS).fit(X, y, X_val=X, y_val=y, sample_weight_val=np.zeros(len(y)))
