"""norm="batch" of batches too small for statistics: refused, or avoided where they end an epoch."""

import data
import numpy as np
import pytest
from helpers import EVERY_EPOCH, assert_equal_state, assert_same_bits, snapshot

from fastbp import BPClassifier, BPRegressor, learning_rate_range
from fastbp.estimators.batch_size import size_for_norm

PARAMS = {"hidden_layer_sizes": (8,), "norm": "batch", "max_iter": 3, "random_state": 0}
BOTH = pytest.mark.parametrize("Estimator", [BPClassifier, BPRegressor])
REFUSED = (
    r"norm='batch' takes mean and variance.*{}.*choose a batch_size of 32 or more, norm='layer' or norm=None"
)


def load(Estimator):
    return data.iris() if Estimator is BPClassifier else data.regression()


def refused(what):
    return pytest.raises(ValueError, match=REFUSED.format(what))


@BOTH
def test_batches_of_one_row(Estimator):
    X, y = load(Estimator)
    model = Estimator(**PARAMS, batch_size=1)
    with refused("batch_size=1 makes batches of one row"):
        model.fit(X, y)
    with refused("batch_size=1 makes batches of one row"):
        learning_rate_range(model, X, y)
    fitted = Estimator(**PARAMS).fit(X, y).set_params(batch_size=1)
    before = snapshot(fitted)
    with refused("batch_size=1 makes"):
        fitted.partial_fit(X, y)
    assert_equal_state(snapshot(fitted), before)
    for params in ({"norm": "layer"}, {"norm": None}, {"hidden_layer_sizes": ()}):
        Estimator(**{**PARAMS, **params, "max_iter": 1}, batch_size=1).fit(X, y)


@BOTH
def test_one_row_in_all(Estimator):
    X, y = load(Estimator)
    model = Estimator(**PARAMS).fit(X, y)
    for call in (Estimator(**PARAMS).fit, model.partial_fit):
        with refused("n_samples = 1, so that no batch has two rows"):
            call(X[:1], y[:1])
    model.partial_fit(X[:2], y[:2])


@BOTH
def test_one_row_of_positive_weight(Estimator):
    X, y = load(Estimator)
    for rows, batch_size, message in (
        (1, "auto", "positive for 1 of 100"),
        (10, 8, "positive for 10 of 100"),
    ):
        weight = np.zeros(100)
        weight[:rows] = 1.5
        with refused(f"sample_weight is {message} rows"):
            Estimator(**PARAMS, batch_size=batch_size).fit(X[:100], y[:100], weight)
    weight[:] = np.arange(100) % 2
    Estimator(**PARAMS, batch_size=8).fit(X[:100], y[:100], weight)


def test_rows_left_for_training_by_early_stopping_count():
    X, _ = data.iris()
    with refused("n_samples = 1"):
        BPClassifier(**PARAMS, early_stopping=True, validation_fraction=0.6).fit(X[[0, 2, 5]], [1, 2, 3])


def test_the_last_batch_has_half_of_the_rows_or_more():
    for n_rows in range(2, 300):
        for batch_size in range(2, n_rows + 1):
            size = size_for_norm(batch_size, n_rows)
            rest = n_rows % size
            assert rest == 0 or rest >= max(2, size / 2)
            assert size == batch_size or 0 < n_rows % batch_size < max(2, batch_size / 2)
            assert size <= max(batch_size, 12)
            assert 2 * size >= batch_size
    assert [size_for_norm(b, 1000) for b in (200, 32, 64)] == [200, 28, 64]


@pytest.mark.parametrize("left", [2, 4])
def test_few_rows_left_for_the_last_batch_spoil_nothing(left):
    X, y = data.digits()
    n = 128 + left
    params = {**PARAMS, "hidden_layer_sizes": (32, 32), "max_iter": 60, **EVERY_EPOCH}
    model = BPClassifier(**params, solver="sgd", learning_rate_init=0.1, batch_size=64).fit(X[:n], y[:n])
    assert model.score(X[:n], y[:n]) == 1
    assert model.score(X[n:], y[n:]) > 0.75  # .54 and .67 with a last batch of two and four rows


def test_batches_that_fit_are_as_they_were():
    X, y = data.iris()
    plain = BPClassifier(**PARAMS, batch_size=50).fit(X, y)
    assert_same_bits(plain, BPClassifier(**PARAMS, batch_size=50).fit(X, y))
    uneven = BPClassifier(**{**PARAMS, "norm": None}, batch_size=149).fit(X, y)
    with pytest.raises(AssertionError):
        assert_same_bits(uneven, BPClassifier(**{**PARAMS, "norm": None}, batch_size=75).fit(X, y))
