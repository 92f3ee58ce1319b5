"""Early stopping by any scorer of scikit-learn's, or by the loss."""

import data
import numpy as np
import pytest
from helpers import EVERY_EPOCH, assert_same_bits, best_epoch
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.base import is_classifier
from sklearn.metrics import (
    accuracy_score,
    get_scorer,
    log_loss,
    make_scorer,
    mean_absolute_error,
    roc_auc_score,
)
from sklearn.model_selection import train_test_split
from tolerances import CLOSED_FORM, SAME_ARITHMETIC

from fastbp import BPClassifier, BPRegressor

EPOCHS = 12


def model(Estimator, **params):
    given = {"hidden_layer_sizes": (6,), "random_state": 0, "max_iter": EPOCHS, "learning_rate_init": 0.02}
    return Estimator(**{**given, "early_stopping": True, **EVERY_EPOCH, **params})


def parts(name):
    X, y = getattr(data, name)()
    w = np.random.RandomState(4).uniform(0.2, 3, len(X))
    return train_test_split(X, y, w, test_size=0.4, random_state=1)


CASES = [
    (BPClassifier, "binary", "roc_auc"),
    (BPClassifier, "binary", "f1"),
    (BPClassifier, "binary", "neg_log_loss"),
    (BPClassifier, "iris", "neg_log_loss"),
    (BPClassifier, "iris", "balanced_accuracy"),
    (BPClassifier, "iris", "roc_auc_ovr_weighted"),
    (BPClassifier, "multilabel", "f1_macro"),
    (BPClassifier, "multilabel", "accuracy"),
    (BPRegressor, "regression", "neg_median_absolute_error"),
    (BPRegressor, "regression", "neg_root_mean_squared_error"),
    (BPRegressor, "multi_output", "r2"),
]


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("Estimator", "name", "scoring"), CASES)
def test_scores_are_the_scorers_after_each_epoch(Estimator, name, scoring, weighted):
    X, X_val, y, y_val, _, w_val = parts(name)
    rows = {"X_val": X_val, "y_val": y_val, "sample_weight_val": w_val if weighted else None}
    fitted = model(Estimator, scoring=scoring).fit(X, y, **rows)
    assert len(fitted.validation_scores_) == EPOCHS
    assert fitted.validation_loss_curve_ is None
    for epochs in (1, 3, EPOCHS):
        plain = model(Estimator, early_stopping=False, max_iter=epochs).fit(X, y)
        weight = {"sample_weight": w_val} if weighted else {}
        expected = get_scorer(scoring)(plain, X_val, y_val, **weight)
        assert_allclose(fitted.validation_scores_[epochs - 1], expected, **SAME_ARITHMETIC)
    plain = model(Estimator, early_stopping=False, max_iter=best_epoch(fitted)).fit(X, y)
    assert_same_bits(fitted, plain)
    assert fitted.best_validation_score_ == max(fitted.validation_scores_)


@pytest.mark.parametrize("params", [{}, {"validation_fraction": 0.4}])
def test_accuracy_and_r2_are_what_is_watched_anyway(params):
    for Estimator, name, scoring in [(BPClassifier, "iris", "accuracy"), (BPRegressor, "regression", "r2")]:
        X, y = getattr(data, name)()
        own, named = (model(Estimator, scoring=s, **params).fit(X, y) for s in (None, scoring))
        assert_same_bits(own, named)
        assert_allclose(own.validation_scores_, named.validation_scores_, **SAME_ARITHMETIC)


# The loss

LOSSES = [
    (BPClassifier, "binary", {}),
    (BPClassifier, "iris", {"alpha": 1.0, "l2": 0.1}),
    (BPClassifier, "iris", {"loss": "hinge"}),
    (BPClassifier, "multilabel", {"loss": "focal"}),
    (BPRegressor, "regression", {"alpha": 1.0}),
    (BPRegressor, "multi_output", {"loss": "huber"}),
    (BPRegressor, "counts", {"loss": "poisson"}),
    (BPRegressor, "regression", {"loss": "pinball", "loss_params": {"quantile": [0.2, 0.8]}}),
]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("Estimator", "name", "params"), LOSSES)
def test_loss_of_the_validation_rows_without_penalties(Estimator, name, params, weighted, dtype):
    X, X_val, y, y_val, _, w_val = parts(name)
    X, X_val = X.astype(dtype), X_val.astype(dtype)
    w_val = w_val if weighted else None
    fitted = model(Estimator, scoring="loss", **params)
    fitted.fit(X, y, X_val=X_val, y_val=y_val, sample_weight_val=w_val)
    assert len(fitted.validation_loss_curve_) == EPOCHS
    assert fitted.validation_scores_ == [-loss for loss in fitted.validation_loss_curve_]
    best = int(np.argmin(fitted.validation_loss_curve_))
    assert fitted.best_validation_score_ == -fitted.validation_loss_curve_[best]
    # the weights of the best epoch are those now
    fitted.set_params(alpha=0, l2=0)
    expected = fitted.loss_and_gradients(X_val, y_val, w_val).loss
    assert_allclose(
        fitted.validation_loss_curve_[best], expected, rtol=1e-5 if dtype == np.float32 else 1e-12
    )


def test_loss_is_the_log_loss_of_a_classifier():
    X, X_val, y, y_val, _, _ = parts("iris")
    fitted = model(BPClassifier, scoring="loss", max_iter=3).fit(X, y, X_val=X_val, y_val=y_val)
    expected = log_loss(y_val, fitted.predict_proba(X_val))
    assert_allclose(min(fitted.validation_loss_curve_), expected, **CLOSED_FORM)


@pytest.mark.parametrize(
    "params",
    [{"dropout": 0.4, "input_dropout": 0.1}, {"average": "ema"}, {"batch_size": 7, "max_norm": 1.0}],
    ids=lambda params: "-".join(params),
)
def test_loss_is_that_of_the_model_that_predicts(params):
    """Without noise, and of the averaged weights."""
    X, X_val, y, y_val, _, _ = parts("iris")
    fitted = model(BPClassifier, scoring="loss", **params).fit(X, y, X_val=X_val, y_val=y_val)
    expected = log_loss(y_val, fitted.predict_proba(X_val))
    assert_allclose(min(fitted.validation_loss_curve_), expected, **CLOSED_FORM)
    by_name = model(BPClassifier, scoring="neg_log_loss", **params).fit(X, y, X_val=X_val, y_val=y_val)
    assert_allclose(by_name.validation_scores_, fitted.validation_scores_, **SAME_ARITHMETIC)


def test_loss_of_sparse_rows_and_of_a_split():
    X, y = data.sparse_like()
    dense = model(BPClassifier, scoring="loss").fit(X, y)
    assert_same_bits(dense, model(BPClassifier, scoring="loss").fit(sparse.csr_matrix(X), y))
    assert len(dense.validation_loss_curve_) == EPOCHS


def test_loss_stops_the_fit_where_it_no_longer_falls():
    X, y = data.regression()
    params = {"max_iter": 3000, "tol": 1e-4, "n_iter_no_change": 5, "hidden_layer_sizes": (50,)}
    fitted = model(BPRegressor, scoring="loss", validation_fraction=0.3, **params).fit(X, y)
    assert fitted.n_iter_ < 3000
    losses = fitted.validation_loss_curve_
    assert np.argmin(losses) < len(losses) - 1


def test_loss_continues_with_a_warm_start():
    X, y = data.iris()
    fitted = model(BPClassifier, scoring="loss", warm_start=True).fit(X, y)
    best = min(fitted.validation_loss_curve_)
    fitted.fit(X, y)
    assert len(fitted.validation_loss_curve_) == 2 * EPOCHS
    assert -fitted.best_validation_score_ <= best
    # after epochs that were watched otherwise, the losses are those of the later ones
    other = model(BPClassifier, warm_start=True).fit(X, y).set_params(scoring="loss").fit(X, y)
    assert len(other.validation_scores_) == 2 * EPOCHS
    assert other.validation_loss_curve_ == [-score for score in other.validation_scores_[EPOCHS:]]


@pytest.mark.parametrize("n_jobs", [1, 2, None])
def test_any_number_of_threads(n_jobs):
    X, y = data.digits()
    params = {"hidden_layer_sizes": (32,), "max_iter": 3, "scoring": "loss", "validation_fraction": 0.4}
    one = model(BPClassifier, **params, n_jobs=1).fit(X, y)
    more = model(BPClassifier, **params, n_jobs=n_jobs).fit(X, y)
    assert one.validation_loss_curve_ == more.validation_loss_curve_


# Callables


def test_the_scorer_gets_a_model_of_that_epoch():
    X, X_val, y, y_val, _, _ = parts("iris")
    names = np.array(["setosa", "versicolor", "virginica"])
    seen = []

    def scorer(estimator, X, y):
        assert is_classifier(estimator)
        assert_array_equal(y, names[y_val])
        assert_array_equal(X, X_val)
        assert estimator.n_layers_ == 3
        assert estimator.loss_and_gradients(X, y).loss > 0
        seen.append(estimator)
        return -log_loss(y, estimator.predict_proba(X), labels=names)

    fitted = model(BPClassifier, scoring=scorer)
    fitted.fit(X, names[y], X_val=X_val, y_val=names[y_val])
    assert len(seen) == EPOCHS
    # Each is a model of its own, and none of them the one that is fitted.
    scores = [-log_loss(names[y_val], kept.predict_proba(X_val)) for kept in seen]
    assert_allclose(scores, fitted.validation_scores_, **SAME_ARITHMETIC)
    assert_same_bits(fitted, seen[int(np.argmax(scores))])
    assert all(kept is not fitted for kept in seen)


def test_weights_go_to_scorers_that_take_them():
    X, X_val, y, y_val, _, w_val = parts("iris")
    got = []

    def with_weights(estimator, X, y, sample_weight=None):
        got.append(sample_weight)
        return 1.0

    rows = {"X_val": X_val, "y_val": y_val, "sample_weight_val": w_val}
    model(BPClassifier, scoring=with_weights, max_iter=1).fit(X, y, **rows)
    assert_array_equal(got[0], w_val)
    model(BPClassifier, scoring=lambda estimator, X, y: 1.0, max_iter=1).fit(X, y, **rows)
    model(BPClassifier, scoring=make_scorer(lambda y, p: (y == p).mean()), max_iter=1).fit(X, y, **rows)
    # Class weights make weights, too.
    model(BPClassifier, scoring=lambda e, X, y: 1.0, max_iter=1, class_weight="balanced").fit(X, y)


def test_scorer_that_needs_more_than_labels():
    X, X_val, y, y_val, _, _ = parts("binary")
    scoring = make_scorer(roc_auc_score, response_method="predict_proba")
    fitted = model(BPClassifier, scoring=scoring).fit(X, y, X_val=X_val, y_val=y_val)
    expected = roc_auc_score(y_val, fitted.predict_proba(X_val)[:, 1])
    assert_allclose(fitted.best_validation_score_, expected, **CLOSED_FORM)


def test_smaller_is_better_by_the_sign_of_the_scorer():
    X, X_val, y, y_val, _, _ = parts("regression")
    scoring = make_scorer(mean_absolute_error, greater_is_better=False)
    fitted = model(BPRegressor, scoring=scoring).fit(X, y, X_val=X_val, y_val=y_val)
    assert_allclose(-fitted.best_validation_score_, mean_absolute_error(y_val, fitted.predict(X_val)))


def test_sparse_multilabel_targets():
    X, X_val, Y, Y_val, _, _ = parts("multilabel")
    first = model(BPClassifier, scoring="f1_micro").fit(X, Y, X_val=X_val, y_val=Y_val)
    as_sparse = {"X_val": X_val, "y_val": sparse.csr_matrix(Y_val)}
    second = model(BPClassifier, scoring="f1_micro").fit(X, sparse.csr_matrix(Y), **as_sparse)
    assert first.validation_scores_ == second.validation_scores_


@pytest.mark.parametrize("loss", ["log_loss", "squared_error"])
def test_targets_come_back_from_any_encoding(loss):
    """Class numbers or zeros and ones, two classes or three."""
    for name in ("iris", "binary"):
        X, X_val, y, y_val, _, _ = parts(name)

        def scorer(estimator, X, labels, y_val=y_val):
            assert_array_equal(labels, y_val)
            return accuracy_score(labels, estimator.predict(X))

        for out in ("auto", "softmax"):
            params = {"loss": loss, "out_activation": out, "max_iter": 2}
            fitted = model(BPClassifier, scoring=scorer, **params).fit(X, y, X_val=X_val, y_val=y_val)
            assert len(fitted.validation_scores_) == 2


# Faults


def test_what_is_no_scorer_is_refused():
    X, y = data.iris()
    with pytest.raises(ValueError, match=r"'scoring' parameter .* must be 'loss', the name of a scorer"):
        model(BPClassifier, scoring="accurate").fit(X, y)


@pytest.mark.parametrize("value", [None, "good", [1.0], np.array([1.0, 2.0]), True])
def test_a_score_must_be_a_number(value):
    X, y = data.iris()
    with pytest.raises(ValueError, match="must give a number"):
        model(BPClassifier, scoring=lambda estimator, X, y: value).fit(X, y)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_score_that_is_undefined_is_no_divergence(value):
    X, y = data.iris()
    with pytest.raises(ValueError, match="may be undefined"):
        model(BPClassifier, scoring=lambda estimator, X, y: value).fit(X, y)


def test_errors_of_the_scorer_come_out_and_leave_the_model_as_it_was():
    X, y = data.iris()

    def scorer(estimator, X, y):
        raise ValueError("no idea")

    fitted = model(BPClassifier).fit(X, y)
    before = fitted.predict_proba(X)
    with pytest.raises(ValueError, match="no idea"):
        fitted.set_params(scoring=scorer).fit(X, y)
    assert_array_equal(fitted.predict_proba(X), before)


@pytest.mark.parametrize("scoring", ["loss", "neg_mean_squared_error"])
def test_divergence_restores_the_best_weights(scoring):
    X, X_val, y, y_val, _, _ = parts("regression")
    X, X_val = X.astype(np.float32), X_val.astype(np.float32)
    params = {"solver": "sgd", "learning_rate_init": 0.5, "max_iter": 200, "activation": "identity"}
    fitted = model(BPRegressor, scoring=scoring, **params)
    with pytest.warns(Warning, match="Training diverged"):
        fitted.fit(X, y, X_val=X_val, y_val=y_val)
    assert np.isfinite(fitted.predict(X_val)).all()
    assert np.isfinite(fitted.best_validation_score_)


def test_without_early_stopping_it_is_not_looked_at():
    """As in HistGradientBoosting."""
    X, y = data.iris()
    plain, scored = (model(BPClassifier, early_stopping=False, scoring=s).fit(X, y) for s in (None, "loss"))
    assert_same_bits(plain, scored)
    assert scored.validation_scores_ is None
    assert scored.validation_loss_curve_ is None
