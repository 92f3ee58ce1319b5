"""A fit that diverges stops at once, says so, and loses nothing."""

import warnings

import data
import numpy as np
import pytest
from helpers import EVERY_EPOCH, assert_equal_state, assert_same_bits, snapshot
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError

from fastbp import BPClassifier, BPRegressor

SENTENCE = (
    r"^Solver produced non-finite parameter weights\. The input data may contain large values and need to be "
    r"preprocessed\."
)

# So many epochs that the suite would never end if the fit did not stop by itself.
FOREVER = 2**31 - 1


def diverging(**params):
    """Linear regression with a rate well above the stable one: the loss grows for epochs, then overflows."""
    params = {
        "solver": "sgd",
        "learning_rate_init": 3.0,
        "max_iter": FOREVER,
        "random_state": 0,
        **EVERY_EPOCH,
        **params,
    }
    return BPRegressor((), **params)


@pytest.mark.parametrize(
    "params", [{}, {"momentum": 0.0}, {"batch_size": 7}, {"learning_rate_init": 1e30}], ids=str
)
def test_divergence_is_an_error_that_says_where_and_what_to_try(params):
    X, y = data.regression()
    model = diverging(**params)
    with pytest.raises(ValueError, match=SENTENCE) as caught:
        model.fit(X, y)
    message = str(caught.value)
    for word in ("epoch", "step", "learning_rate"):
        assert word in message
    assert not hasattr(model, "coefs_")
    with pytest.raises(NotFittedError):
        model.predict(X)


def test_divergence_raises_no_other_warning():
    X, y = data.regression()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ValueError, match=SENTENCE):
            diverging().fit(X, y)


@pytest.mark.parametrize(("row", "epoch", "step"), [(0, 1, 1), (5, 1, 6), (9, 1, 10)])
def test_the_first_non_finite_loss_is_named(row, epoch, step):
    """One row of 1e300 among ten, one row a batch: its squared error overflows at its step."""
    X, y = np.ones((10, 1)), np.ones(10)
    X[row] = 1e300
    model = BPRegressor(
        (), solver="sgd", learning_rate_init=0.01, batch_size=1, shuffle=False, max_iter=FOREVER
    )
    with pytest.raises(ValueError, match=SENTENCE) as caught:
        model.fit(X, y, coefs_init=[np.ones((1, 1))])
    numbers = [word.strip(".,:;()") for word in str(caught.value).replace("=", " ").split()]
    assert str(epoch) in numbers[numbers.index("epoch") :][:2]
    assert str(step) in numbers[numbers.index("step") :][:2]


@pytest.mark.parametrize(
    ("Estimator", "solver"),
    # Not the classifier with adam: its loss is huge, but finite, and adam divides by the root of infinity.
    [(BPRegressor, "sgd"), (BPRegressor, "adam"), (BPRegressor, "lbfgs"), (BPClassifier, "sgd")],
)
def test_huge_inputs(Estimator, solver):
    rng = np.random.RandomState(0)
    X = np.finfo(np.float64).max * rng.uniform(size=(10, 2))
    y = np.arange(10) % 2
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        with pytest.raises(ValueError, match=SENTENCE):
            Estimator(solver=solver, random_state=0, max_iter=50).fit(X, y)


@pytest.mark.parametrize("warm_start", [False, True])
def test_a_fitted_model_survives_a_diverging_fit(warm_start):
    X, y = data.regression()
    model = diverging(learning_rate_init=1e-3, max_iter=3, warm_start=warm_start).fit(X, y)
    model.set_params(learning_rate_init=1e30, max_iter=FOREVER)
    before, predicted = snapshot(model), model.predict(X)
    # A rate that is kept by a warm start cannot diverge, weights that are huge can.
    y_huge = y * 1e200
    with pytest.raises(ValueError, match=SENTENCE):
        model.fit(X, y_huge)
    assert_equal_state(snapshot(model), before)
    assert_array_equal(model.predict(X), predicted)


def test_a_diverging_partial_fit_changes_nothing():
    """Neither weights nor the solver's state: the next call continues as if the failed one had not been."""
    X, y = data.regression()
    model = diverging(learning_rate_init=1e-3, solver="adam").partial_fit(X, y)
    twin = diverging(learning_rate_init=1e-3, solver="adam").partial_fit(X, y)
    before = snapshot(model)
    with pytest.raises(ValueError, match=SENTENCE):
        model.partial_fit(X, y * 1e300)
    assert_equal_state(snapshot(model), before)
    assert_same_bits(model.partial_fit(X, y), twin.partial_fit(X, y))


def test_a_diverging_first_partial_fit_leaves_the_model_unfitted():
    X, y = data.regression()
    model = diverging()
    with pytest.raises(ValueError, match=SENTENCE):
        model.partial_fit(X, y * 1e300)
    assert not hasattr(model, "coefs_")


def test_early_stopping_restores_the_best_weights_and_warns():
    X, y = data.regression()
    model = diverging(early_stopping=True, momentum=0.0)
    with pytest.warns(ConvergenceWarning) as caught:
        model.fit(X, y)
    assert len(caught) == 1
    message = str(caught[0].message)
    for word in ("diverged", "epoch", "best"):
        assert word in message
    assert all(np.isfinite(c).all() for c in [*model.coefs_, *model.intercepts_])
    assert np.isfinite(model.best_validation_score_)
    best = int(np.nanargmax(model.validation_scores_)) + 1
    assert best < len(model.validation_scores_) < FOREVER
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        cut_off = clone(model).set_params(max_iter=best).fit(X, y)
    assert_same_bits(model, cut_off)


def test_early_stopping_without_a_finite_best_is_an_error():
    X, y = data.regression()
    with pytest.raises(ValueError, match=SENTENCE):
        diverging(early_stopping=True).fit(X * 1e300, y)


@pytest.mark.parametrize("penalty", ["alpha", "l2"])
def test_a_huge_penalty(penalty):
    X, y = data.iris()
    with pytest.raises(ValueError, match=SENTENCE):
        BPClassifier((5,), solver="sgd", max_iter=FOREVER, random_state=0, **{penalty: 1e300}).fit(X, y)


def test_float32_overflows_earlier():
    """1e30 squared is finite in float64 only."""
    X, y = np.full((4, 1), 1e30), np.zeros(4)
    params = {"solver": "sgd", "learning_rate_init": 1e-100, "max_iter": 1, "alpha": 0.0, "momentum": 0.0}
    start = [np.ones((1, 1))]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        BPRegressor((), fit_intercept=False, **params).fit(X, y, coefs_init=start)
    with pytest.raises(ValueError, match=SENTENCE):
        BPRegressor((), fit_intercept=False, **params).fit(X.astype(np.float32), y, coefs_init=start)
