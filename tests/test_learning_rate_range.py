"""The range test of learning rates."""

import warnings
from dataclasses import replace

import data
import numpy as np
import pytest
from helpers import EVERY_EPOCH, assert_equal_state, snapshot
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.linear_model import SGDClassifier

from fastbp import BPClassifier, BPRegressor, learning_rate_range
from fastbp.callbacks import StopWhen
from fastbp.functions.solvers import STOCHASTIC

PARAMS = {"hidden_layer_sizes": (20,), "batch_size": 20, "random_state": 0}


@pytest.mark.parametrize(("smallest", "largest", "n_steps"), [(1e-6, 1e-2, 100), (1e-3, 0.1, 10)])
def test_rates_grow_geometrically(smallest, largest, n_steps):
    X, y = data.iris()
    model = BPClassifier(**PARAMS)
    found = learning_rate_range(model, X, y, smallest=smallest, largest=largest, n_steps=n_steps)
    assert_allclose(found.rates, smallest * (largest / smallest) ** (np.arange(n_steps) / (n_steps - 1)))
    assert len(found.losses) == len(found.smoothed) == n_steps
    assert found.rates[0] == smallest
    assert found.rates[-1] == largest
    assert not found.diverged


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("options", [{}, {"solver": "sgd", "momentum": 0.5}, {"l2": 0.1}], ids=str)
def test_the_losses_are_those_of_the_batches_before_each_step(options, dtype):
    """Steps of one fit with these rates, made one by one over the same batches."""
    X, y = data.iris()
    X = X[:50].astype(dtype)
    params = {**PARAMS, "shuffle": False, **options}
    n_steps = 12  # five epochs of 20, 20 and 10 rows
    found = learning_rate_range(BPRegressor(**params), X, y[:50], smallest=1e-3, largest=0.5, n_steps=n_steps)
    model = BPRegressor(**params)
    # `partial_fit` of one batch is one step, of which `loss_` is the loss before it.
    losses = []
    for i, rate in enumerate(found.rates):
        batch = [slice(0, 20), slice(20, 40), slice(40, 50)][i % 3]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model.set_params(learning_rate_init=rate)
            if i:
                model._memory.state = replace(model._memory.state, learning_rate=rate)
            losses.append(model.partial_fit(X[batch], y[:50][batch]).loss_)
    assert_allclose(found.losses, losses, rtol=1e-5 if dtype == np.float32 else 1e-12)


@pytest.mark.parametrize("solver", STOCHASTIC)
@pytest.mark.parametrize("Estimator", [BPClassifier, BPRegressor])
def test_every_stochastic_solver(Estimator, solver):
    X, y = data.iris()
    found = learning_rate_range(Estimator(**PARAMS, solver=solver), X, y)
    assert np.isfinite(found.losses).all()
    assert found.suggestion in found.rates
    assert found.smoothed.min() < found.smoothed[0]


@pytest.mark.parametrize(
    ("batch_size", "solver", "n_steps"),
    [
        (1, "adam", 1000),
        (20, "sgd", 100),
        (20, "adam", 100),
        (20, "lion", 100),
        (20, "adam", 30),
        (200, "adagrad", 100),
    ],
)
def test_the_suggestion_trains_well(batch_size, solver, n_steps):
    """A good rate for digits is known: two orders below it and at the largest, five epochs bring less."""
    X, y = data.digits()
    params = {**PARAMS, "batch_size": batch_size, "solver": solver}
    found = learning_rate_range(BPClassifier(**params), X, y, n_steps=n_steps)

    def loss(rate):
        model = BPClassifier(**params, **EVERY_EPOCH, max_iter=5, learning_rate_init=rate)
        try:
            return model.fit(X, y).loss_
        except ValueError:
            return np.inf

    good = loss(found.suggestion)
    assert good < 0.7 * loss(found.suggestion / 100)
    assert good < 0.7 * loss(10.0)


def test_several_epochs_where_the_steps_need_them():
    X, y = data.iris()
    whole = learning_rate_range(BPClassifier(**{**PARAMS, "batch_size": 150}), X, y, largest=1e-2)
    assert len(whole.losses) == 100
    assert (np.diff(whole.losses[-40:]) < 0).all()  # of the same rows each time


def test_it_ends_where_training_diverges():
    X, y = data.regression()
    model = BPRegressor(**PARAMS, solver="sgd")
    found = learning_rate_range(model, X, y, largest=1e6, n_steps=200)
    assert found.diverged
    assert len(found.rates) == len(found.losses) == len(found.smoothed) < 200
    assert found.rates[-1] < 1e4
    assert np.isfinite(found.losses).all()
    assert found.suggestion < found.rates[found.smoothed.argmin()]
    assert found.smoothed.max() <= 2.01 * found.losses[:20].mean()


def test_numbers_that_are_not_finite_end_it():
    X, y = data.regression()
    model = BPRegressor(**PARAMS, solver="sgd")
    found = learning_rate_range(model, X, y, smallest=1e200, largest=1e300)
    assert found.diverged
    assert len(found.losses) <= 2
    assert found.suggestion is None
    with pytest.raises(ValueError, match="loss of the first step, at learning rate 1e-06, is not finite"):
        learning_rate_range(model, X * 1e200, y)


def test_no_suggestion_where_nothing_is_learnt():
    X, y = data.iris()
    found = learning_rate_range(BPClassifier(**PARAMS), X, y, smallest=1e-12, largest=1e-10)
    assert found.suggestion is None
    assert not found.diverged


@pytest.mark.parametrize("fitted", [False, True])
def test_the_estimator_is_not_changed(fitted):
    X, y = data.iris()
    stop = StopWhen(lambda epoch: pytest.fail("a callback was called"))
    model = BPClassifier(**{**PARAMS, "random_state": np.random.RandomState(0)}, warm_start=True, max_iter=3)
    if fitted:
        model.fit(X, y)
    model.set_callbacks(stop)
    state, before = model.random_state.get_state()[1].copy(), snapshot(model)
    found = learning_rate_range(model, X, y)
    again = learning_rate_range(model, X, y)
    after = snapshot(model)
    for one in (before, after):
        del one[0]["random_state"]
    assert_equal_state(after, before)
    assert_array_equal(model.random_state.get_state()[1], state)
    assert_array_equal(found.losses, again.losses)


def test_what_governs_the_rate_of_the_estimator_counts_for_nothing():
    X, y = data.iris()
    plain = learning_rate_range(BPClassifier(**PARAMS, solver="sgd"), X, y)
    options = {
        "learning_rate": "invscaling",
        "schedule": "cosine",
        "schedule_params": {"end": 0.5},
        "average": "ema",
        "average_params": {"decay": 0.5},
        "early_stopping": True,
        "warm_start": True,
        "learning_rate_init": 7.0,
        "max_iter": 1,
        "n_iter_no_change": 1,
    }
    found = learning_rate_range(BPClassifier(**PARAMS, solver="sgd", **options), X, y)
    assert_array_equal(found.losses, plain.losses)
    assert found.suggestion == plain.suggestion


def test_weights_and_sparse_rows():
    X, y = data.iris()
    weight = np.arange(150) % 3
    plain = learning_rate_range(BPClassifier(**PARAMS), X, y)
    weighted = learning_rate_range(BPClassifier(**PARAMS), X, y, sample_weight=weight)
    assert not np.array_equal(plain.losses, weighted.losses)
    rare = learning_rate_range(BPClassifier(**PARAMS), sparse.csr_matrix(X), y, sample_weight=weight)
    assert_allclose(rare.losses[:30], weighted.losses[:30], rtol=1e-9)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"estimator": SGDClassifier()}, "The 'estimator' parameter of learning_rate_range"),
        ({"estimator": BPClassifier(solver="lbfgs")}, "solver='lbfgs' has no learning rate"),
        ({"estimator": BPClassifier(alpha=-1)}, "The 'alpha' parameter of BPClassifier"),
        ({"smallest": 0}, "The 'smallest' parameter"),
        ({"largest": -1.0}, "The 'largest' parameter"),
        ({"largest": np.inf}, "The 'largest' parameter"),
        ({"smallest": 2.0, "largest": 1.0}, "largest must be above smallest=2.0, got largest=1.0"),
        ({"n_steps": 9}, "The 'n_steps' parameter"),
        ({"n_steps": 20.5}, "The 'n_steps' parameter"),
        ({"y": np.zeros(3)}, "inconsistent numbers of samples"),
        ({"sample_weight": -np.ones(150)}, "[Nn]egative"),
    ],
)
def test_bad_input_is_named(change, message):
    X, y = data.iris()
    given = {"estimator": BPClassifier(**PARAMS), "X": X, "y": y, **change}
    with pytest.raises(ValueError, match=message):
        learning_rate_range(given.pop("estimator"), given.pop("X"), given.pop("y"), **given)


@pytest.mark.parametrize("batch_size", [30, 10])
def test_weights_that_are_not_finite_after_the_first_step(batch_size):
    """The loss before the step is one that was measured, whether or not an epoch ends with it."""
    X, y = data.regression()
    X = X[:30].astype(np.float32)
    X[:, 0] = np.linspace(1e3, 2e3, len(X))
    params = {**PARAMS, "hidden_layer_sizes": (), "shuffle": False, "batch_size": batch_size}
    model = BPRegressor(**params, solver="sgd", momentum=0.0)
    found = learning_rate_range(model, X, y[:30], smallest=1e36, largest=1e38, n_steps=10)
    first = BPRegressor(**params, learning_rate_init=1e-30)
    assert_allclose(found.losses, [first.partial_fit(X[:batch_size], y[:batch_size]).loss_], rtol=1e-6)
    assert found.diverged
    assert found.suggestion is None


def test_a_loss_of_zero_suggests_nothing():
    X, y = data.regression()
    model = BPRegressor((), init="zeros", batch_size=20)
    found = learning_rate_range(model, X, np.zeros_like(y))
    assert_array_equal(found.losses, 0)
    assert found.suggestion is None
