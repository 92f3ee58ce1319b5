"""Which epoch early stopping keeps: the last of those with the best score."""

import data
import numpy as np
import pytest
from helpers import EVERY_EPOCH, assert_same_bits, best_epoch
from sklearn.metrics import accuracy_score, r2_score

from fastbp import BPClassifier, BPRegressor
from fastbp.callbacks import Checkpoint, StopWhen

PARAMS = {"hidden_layer_sizes": (6,), "random_state": 0, "learning_rate_init": 0.05, "max_iter": 30}
ROWS = 15  # on which the accuracy ties


def model(Estimator=BPClassifier, **params):
    return Estimator(**{**PARAMS, "early_stopping": True, **EVERY_EPOCH, **params})


def cut_off(fitted, epoch, X, y, **fit):
    """The network of the same fit without validation that ends with this epoch."""
    params = {**fitted.get_params(), "early_stopping": False, "scoring": None, "max_iter": epoch}
    return type(fitted)(**params).fit(X, y, **fit)


def parts(name="iris"):
    X, y = getattr(data, name)()
    return X[ROWS:], y[ROWS:], {"X_val": X[:ROWS], "y_val": y[:ROWS]}


def in_turn(scores):
    """A scorer that gives these scores, one after another."""
    left = list(scores)
    return lambda estimator, X, y: left.pop(0)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", ["binary", "iris", "multilabel"])
def test_the_last_of_equal_accuracies(name, weighted):
    X, y, rows = parts(name)
    weight = np.array([0.1, 0.7, 1.3])[np.arange(ROWS) % 3] if weighted else None
    fitted = model().fit(X, y, **rows, sample_weight_val=weight)
    epoch = best_epoch(fitted)
    if not weighted:
        assert np.argmax(fitted.validation_scores_) + 1 < epoch  # where scikit-learn would stay
    assert_same_bits(fitted, cut_off(fitted, epoch, X, y))
    assert fitted.best_validation_score_ == max(fitted.validation_scores_)
    score = accuracy_score(rows["y_val"], fitted.predict(rows["X_val"]), sample_weight=weight)
    assert fitted.best_validation_score_ == pytest.approx(score, rel=1e-12)


def test_the_best_r2_is_one_epoch():
    X, y, rows = parts("regression")
    fitted = model(BPRegressor).fit(X, y, **rows)
    epoch = int(np.argmax(fitted.validation_scores_)) + 1
    assert epoch < fitted.n_iter_
    assert_same_bits(fitted, cut_off(fitted, epoch, X, y))


def test_a_score_of_ones_own_that_ties():
    X, y, rows = parts("regression")
    rounded = model(BPRegressor, scoring=lambda model, X, y: round(r2_score(y, model.predict(X)), 1))
    rounded.fit(X, y, **rows)
    scores = rounded.validation_scores_
    assert scores.count(max(scores)) > 1
    assert_same_bits(rounded, cut_off(rounded, best_epoch(rounded), X, y))


@pytest.mark.parametrize(
    ("scores", "kept"),
    [
        ([0.5, 0.5, 0.5, 0.5], 4),
        ([0.1, 0.5, 0.2, 0.5, 0.4], 4),
        ([0.5, 0.4, 0.3], 1),
        ([-2.0, -1.0, -1.0, -3.0], 3),
        ([0.0, 0.0, -1.0], 2),
        ([0.1, 0.1 + 0.2, 0.3, 0.2], 3),  # equal but for rounding
        ([0.1, 0.3, 0.3 - 1e-6], 2),
        ([1 - 3e-13 * epoch for epoch in range(30)], 4),  # many steps of rounding are a step down
    ],
)
def test_epoch_kept_by_score(scores, kept):
    X, y, rows = parts()
    fitted = model(scoring=in_turn(scores), max_iter=len(scores)).fit(X, y, **rows)
    assert_same_bits(fitted, cut_off(fitted, kept, X, y))
    assert fitted.best_validation_score_ == max(scores)
    assert fitted.validation_scores_ == scores


def test_equal_scores_are_stale_epochs():
    """They stop training as in scikit-learn."""
    X, y, rows = parts()
    fitted = model(scoring=in_turn([0.5] * 30), n_iter_no_change=4, tol=1e-4).fit(X, y, **rows)
    assert fitted.n_iter_ == 5
    assert_same_bits(fitted, cut_off(fitted, 5, X, y))


@pytest.mark.parametrize(("scores", "kept"), [([0.5, 0.4], 2), ([0.4, 0.4], 1)])
def test_a_warm_start_that_is_as_good_replaces_the_weights_before(scores, kept):
    X, y, rows = parts()
    # those of the first fit, of the weights that the second one begins with, of its epochs
    scorer = in_turn([0.5, 0.5, *scores])
    fitted = model(scoring=scorer, max_iter=1, warm_start=True).fit(X, y, **rows)
    fitted.set_params(max_iter=2).fit(X, y, **rows)
    assert fitted.best_validation_score_ == 0.5
    assert_same_bits(fitted, cut_off(fitted, kept, X, y))


@pytest.mark.parametrize("stop_after", [3, 18, 29])
def test_a_tie_across_a_resumed_checkpoint(stop_after, tmp_path):
    X, y, rows = parts()
    whole = model().fit(X, y, **rows)
    checkpoint = Checkpoint(tmp_path / "run.ckpt", every=100, resume=True)
    stop = StopWhen(lambda epoch: epoch.number == stop_after)
    model().set_callbacks(checkpoint, stop).fit(X, y, **rows)
    found = model().set_callbacks(checkpoint).fit(X, y, **rows)
    assert best_epoch(whole) > stop_after
    assert_same_bits(found, whole)
    assert found.validation_scores_ == whole.validation_scores_
    assert found.best_validation_score_ == whole.best_validation_score_
