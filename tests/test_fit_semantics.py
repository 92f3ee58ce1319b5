"""What a fit means: its records, its stopping rule, continuing it, its randomness, weights and penalties."""

import io

import data
import numpy as np
import pytest
from helpers import EVERY_EPOCH, assert_same_bits, weights
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from tolerances import CLOSED_FORM, SAME_ARITHMETIC

from fastbp import BPClassifier, BPRegressor

SOLVERS = {
    "sgd": {"solver": "sgd", "momentum": 0.0},
    "momentum": {"solver": "sgd", "nesterovs_momentum": False},
    "nesterov": {"solver": "sgd"},
    "invscaling": {"solver": "sgd", "learning_rate": "invscaling", "learning_rate_init": 0.1, "power_t": 0.2},
    "adam": {"solver": "adam"},
}
by_solver = pytest.mark.parametrize("solver", SOLVERS)


def classifier(**params):
    return BPClassifier(
        **{"hidden_layer_sizes": (6,), "random_state": 0, "batch_size": 16, **EVERY_EPOCH, **params}
    )


def regressor(**params):
    return BPRegressor(
        **{"hidden_layer_sizes": (6,), "random_state": 0, "batch_size": 16, **EVERY_EPOCH, **params}
    )


# Records


@by_solver
def test_records(solver):
    X, y = data.iris()
    model = classifier(max_iter=5, **SOLVERS[solver])
    assert model.fit(X, y) is model
    assert model.n_iter_ == 5
    assert isinstance(model.loss_curve_, list)
    assert len(model.loss_curve_) == 5
    assert all(isinstance(loss, float) for loss in model.loss_curve_)
    assert model.loss_ == model.loss_curve_[-1]
    assert model.best_loss_ == min(model.loss_curve_)
    assert model.t_ == 5 * len(X)
    assert model.validation_scores_ is None
    assert model.best_validation_score_ is None
    assert (model.n_layers_, model.n_outputs_, model.n_features_in_) == (3, 3, 4)
    assert [c.shape for c in model.coefs_] == [(4, 6), (6, 3)]
    assert [b.shape for b in model.intercepts_] == [(6,), (3,)]


def test_lbfgs_records():
    X, y = data.iris()
    model = classifier(solver="lbfgs", max_iter=500, tol=1e-4).fit(X, y)
    assert 1 <= model.n_iter_ <= 500
    assert np.isfinite(model.loss_)
    assert_allclose(model.loss_, model.loss_and_gradients(X, y).loss, **SAME_ARITHMETIC)


def test_epoch_loss_is_measured_before_each_step():
    """With one batch an epoch, the first record is the loss of the initial weights, penalties included."""
    X, y = data.iris()
    model = classifier(
        max_iter=1, batch_size=len(X), alpha=0.5, l2=0.1, learning_rate_init=1e-300, solver="sgd"
    )
    model.fit(X, y)
    assert_allclose(model.loss_curve_[0], model.loss_and_gradients(X, y).loss, **SAME_ARITHMETIC)


def test_reaching_max_iter_warns():
    X, y = data.iris()
    with pytest.warns(ConvergenceWarning, match=r"Maximum iterations \(3\) reached"):
        classifier(max_iter=3).fit(X, y)


def test_lbfgs_reaching_max_iter_warns():
    X, y = data.iris()
    with pytest.warns(ConvergenceWarning):
        classifier(solver="lbfgs", max_iter=2, tol=1e-9).fit(X, y)


def test_max_fun_limits_lbfgs():
    X, y = data.iris()
    with pytest.warns(ConvergenceWarning):
        model = classifier(solver="lbfgs", max_fun=5, max_iter=1000, tol=1e-9).fit(X, y)
    assert model.n_iter_ <= 5


def test_too_large_batch_size_warns_and_takes_all_rows():
    X, y = data.iris()
    with pytest.warns(UserWarning, match="batch_size"):
        clipped = classifier(batch_size=1000, max_iter=20, tol=1e9, n_iter_no_change=2).fit(X, y)
    assert_same_bits(
        clipped, classifier(batch_size=len(X), max_iter=20, tol=1e9, n_iter_no_change=2).fit(X, y)
    )


@pytest.mark.parametrize("verbose", [True, 1])
def test_verbose_prints_scikit_learns_lines_where_the_output_is_no_terminal(verbose, capsys):
    X, y = data.iris()
    model = classifier(max_iter=4, verbose=verbose).fit(X, y)
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("Iteration")]
    assert lines == [f"Iteration {i}, loss = {loss:.8f}" for i, loss in enumerate(model.loss_curve_, 1)]


def test_quiet_by_default(capsys):
    X, y = data.iris()
    classifier(max_iter=4).fit(X, y)
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "")


def test_verbose_shows_validation_scores(capsys):
    X, y = data.iris()
    model = classifier(max_iter=3, verbose=True, early_stopping=True).fit(X, y)
    out = capsys.readouterr().out
    for score in model.validation_scores_:
        assert f"Validation score: {score:f}" in out


def test_progress_bar_on_a_terminal(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    terminal = Terminal()
    for name in ("stdout", "stderr"):
        monkeypatch.setattr(f"sys.{name}", terminal)
    X, y = data.iris()
    classifier(max_iter=4, verbose=True).fit(X, y)
    shown = terminal.getvalue()
    assert "\r" in shown  # the line is written over, not repeated
    assert "Iteration 1, loss" not in shown


# The stopping rule


@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("n_iter_no_change", [1, 2, 5, 10])
def test_stops_after_exactly_n_iter_no_change_stale_epochs(n_iter_no_change, early_stopping):
    """No epoch can improve by 1e9 but the first, which has nothing to be compared with."""
    X, y = data.iris()
    model = classifier(
        tol=1e9, n_iter_no_change=n_iter_no_change, early_stopping=early_stopping, max_iter=1000
    )
    assert model.fit(X, y).n_iter_ == 1 + n_iter_no_change


@by_solver
@pytest.mark.parametrize("tol", [1e-2, 1e-3])
def test_stopping_follows_from_the_loss_curve(solver, tol):
    X, y = data.iris()
    model = classifier(tol=tol, n_iter_no_change=3, max_iter=5000, learning_rate_init=0.02, solver="sgd")
    model.set_params(**SOLVERS[solver]).fit(X, y)
    best, stale = np.inf, 0
    for epoch, loss in enumerate(model.loss_curve_, 1):
        stale = stale + 1 if loss > best - tol else 0
        best = min(best, loss)
        assert (stale == 3) == (epoch == model.n_iter_)
    assert model.best_loss_ == best


def test_early_stopping_follows_from_the_scores():
    X, y = data.regression()
    tol, k = 1e-3, 4
    model = regressor(
        early_stopping=True, tol=tol, n_iter_no_change=k, max_iter=5000, learning_rate_init=0.01
    )
    model.fit(X, y)
    best, stale = -np.inf, 0
    for epoch, score in enumerate(model.validation_scores_, 1):
        stale = stale + 1 if score < best + tol else 0
        best = max(best, score)
        assert (stale == k) == (epoch == model.n_iter_)
    assert model.best_validation_score_ == best
    assert len(model.validation_scores_) == len(model.loss_curve_) == model.n_iter_
    assert model.best_loss_ is None


def test_infinite_patience_trains_to_the_end():
    X, y = data.iris()
    with pytest.warns(ConvergenceWarning):
        model = classifier(tol=1e9, n_iter_no_change=np.inf, max_iter=60).fit(X, y)
    assert model.n_iter_ == 60


@pytest.mark.parametrize("early_stopping", [False, True])
def test_adaptive_divides_by_five_until_the_rate_is_tiny(early_stopping):
    """1e-3 → … → 3.2e-7 takes five divisions after two stale epochs each, and two more epochs to stop."""
    X, y = data.iris()
    model = classifier(
        solver="sgd",
        learning_rate="adaptive",
        learning_rate_init=1e-3,
        tol=1e9,
        n_iter_no_change=2,
        max_iter=1000,
        early_stopping=early_stopping,
    )
    assert model.fit(X, y).n_iter_ == 1 + 6 * 2


# Early stopping


def test_early_stopping_restores_the_best_weights():
    """The best epoch's weights are those with which a fit ends that is cut off there."""
    X, y = data.regression()
    params = {"early_stopping": True, "validation_fraction": 0.3, "learning_rate_init": 0.05}
    model = regressor(**params, max_iter=60).fit(X, y)
    best = int(np.argmax(model.validation_scores_)) + 1
    assert best < model.n_iter_  # else nothing would be restored
    assert_same_bits(model, regressor(**params, max_iter=best).fit(X, y))


def test_early_stopping_trains_on_the_rest_only():
    X, y = data.iris()
    model = classifier(early_stopping=True, validation_fraction=0.2, max_iter=3).fit(X, y)
    assert model.t_ == 3 * 120


@pytest.mark.parametrize("labels", ["multilabel", "string"])
def test_early_stopping_scores_any_kind_of_label(labels):
    X, y = data.multilabel() if labels == "multilabel" else data.iris()
    if labels == "string":
        y = np.array(["setosa", "versicolor", "virginica"], dtype=object)[y]
    model = classifier(early_stopping=True, max_iter=5).fit(X, y)
    assert len(model.validation_scores_) == 5
    assert all(0 <= score <= 1 for score in model.validation_scores_)


def test_too_small_a_validation_set_is_refused():
    X, y = data.regression()
    with pytest.raises(ValueError, match=r"validation set is too small.*validation_fraction"):
        regressor(early_stopping=True, max_iter=1, batch_size="auto").fit(X[:2], y[:2])


# Continuing


# Two stale epochs and the rate falls, so the count of stale epochs must be kept from call to call.
ADAPTIVE = {
    "solver": "sgd",
    "learning_rate": "adaptive",
    "learning_rate_init": 0.1,
    "tol": 1e9,
    "n_iter_no_change": 2,
}


@pytest.mark.parametrize("solver", [*SOLVERS, "adaptive"])
@pytest.mark.parametrize("shuffle", [False, True])
def test_partial_fit_is_one_longer_fit(solver, shuffle):
    X, y = data.iris()
    params = {"shuffle": shuffle, **{**SOLVERS, "adaptive": ADAPTIVE}[solver]}
    longer = classifier(max_iter=6, **params).fit(X, y)
    steps = classifier(**params)
    for _ in range(6):
        assert steps.partial_fit(X, y, classes=np.unique(y)) is steps
    assert_same_bits(longer, steps)
    assert steps.loss_curve_ == longer.loss_curve_
    assert steps.t_ == longer.t_


@by_solver
@pytest.mark.parametrize("shuffle", [False, True])
def test_warm_start_is_one_longer_fit(solver, shuffle):
    X, y = data.regression()
    params = {"shuffle": shuffle, **SOLVERS[solver]}
    longer = regressor(max_iter=7, **params).fit(X, y)
    twice = regressor(max_iter=3, warm_start=True, **params).fit(X, y)
    twice.set_params(max_iter=4).fit(X, y)
    assert_same_bits(longer, twice)
    assert twice.n_iter_ == 4  # of this call, as in scikit-learn
    assert twice.t_ == longer.t_
    assert twice.loss_curve_ == longer.loss_curve_


@by_solver
def test_partial_fit_continues_a_fit(solver):
    X, y = data.regression()
    longer = regressor(max_iter=5, **SOLVERS[solver]).fit(X, y)
    mixed = regressor(max_iter=4, **SOLVERS[solver]).fit(X, y).partial_fit(X, y)
    assert_same_bits(longer, mixed)


def test_continuing_works_without_a_seed():
    X, y = data.iris()
    model = classifier(random_state=None, max_iter=2).fit(X, y)
    before = weights(model)
    model.partial_fit(X, y)
    assert not np.array_equal(before, weights(model))
    assert model.t_ == 3 * len(X)


def test_fit_without_warm_start_begins_anew():
    X, y = data.iris()
    model = classifier(max_iter=3).fit(X, y)
    first = clone(model).fit(X, y)
    model.fit(X, y)
    assert_same_bits(model, first)
    assert len(model.loss_curve_) == 3
    assert model.t_ == 3 * len(X)


def test_fit_anew_takes_data_of_another_shape():
    X, y = data.iris()
    model = classifier(max_iter=2).fit(X, y)
    X2, y2 = data.binary()
    model.fit(X2, y2)
    assert model.n_features_in_ == X2.shape[1]
    assert_same_bits(model, classifier(max_iter=2).fit(X2, y2))


def test_lbfgs_warm_start_continues():
    X, y = data.iris()
    model = classifier(solver="lbfgs", max_iter=5, tol=1e-9, warm_start=True).fit(X, y)
    first = model.loss_
    assert model.fit(X, y).loss_ < first


def test_partial_fit_with_rows_of_any_number():
    """The training set is that call's rows: a smaller call has smaller batches, and n is not remembered."""
    X, y = data.iris()
    model = classifier(batch_size="auto")
    for part in (slice(0, 100), slice(100, 103), slice(103, 104), slice(0, 150)):
        model.partial_fit(X[part], y[part], classes=[0, 1, 2])
    assert model.t_ == 100 + 3 + 1 + 150
    assert len(model.loss_curve_) == 4


def test_partial_fit_learns_a_class_that_comes_later():
    X, y = data.iris()
    model = classifier(learning_rate_init=0.02)
    model.partial_fit(X[y < 2], y[y < 2], classes=[0, 1, 2])
    assert_array_equal(model.classes_, [0, 1, 2])
    for _ in range(30):
        model.partial_fit(X, y)
    assert model.score(X, y) > 0.9


def test_partial_fit_and_early_stopping_exclude_each_other():
    X, y = data.regression()
    with pytest.raises(ValueError, match="partial_fit does not support early_stopping=True"):
        regressor(early_stopping=True).partial_fit(X, y)


def test_assigned_weights_are_followed_everywhere():
    X, y = data.iris()
    model = classifier(max_iter=2, solver="sgd", momentum=0.0, shuffle=False).fit(X, y)
    other = classifier(max_iter=3, solver="sgd", momentum=0.0, shuffle=False, random_state=1).fit(X, y)
    model.coefs_ = [c.copy() for c in other.coefs_]
    for mine, given in zip(model.intercepts_, other.intercepts_, strict=True):
        mine[:] = given  # in place
    assert_array_equal(model.predict_proba(X), other.predict_proba(X))
    assert_array_equal(model.transform(X), other.transform(X))
    assert model.loss_and_gradients(X, y).loss == other.loss_and_gradients(X, y).loss
    assert_same_bits(model.partial_fit(X, y), other.partial_fit(X, y))


# Randomness


@by_solver
def test_a_seed_gives_the_same_bits_twice(solver):
    X, y = data.iris()
    first, second = (classifier(max_iter=4, **SOLVERS[solver]).fit(X, y) for _ in range(2))
    assert_same_bits(first, second)
    assert first.loss_curve_ == second.loss_curve_
    other = classifier(max_iter=4, random_state=1, **SOLVERS[solver]).fit(X, y)
    assert not np.array_equal(weights(first), weights(other))


def test_a_random_state_object_is_used_up():
    X, y = data.iris()
    rng = np.random.RandomState(0)
    first = classifier(max_iter=1, random_state=rng).fit(X, y)
    second = classifier(max_iter=1, random_state=rng).fit(X, y)
    assert not np.array_equal(weights(first), weights(second))
    again = classifier(max_iter=1, random_state=np.random.RandomState(0)).fit(X, y)
    assert_same_bits(first, again)


def test_no_seed_draws_from_numpys_global_state():
    X, y = data.iris()
    first = classifier(max_iter=1, random_state=None).fit(X, y)
    second = classifier(max_iter=1, random_state=None).fit(X, y)
    assert not np.array_equal(weights(first), weights(second))


def test_shuffling_changes_the_steps_but_not_the_initial_weights():
    X, y = data.iris()
    tiny = {"solver": "sgd", "learning_rate_init": 1e-300, "max_iter": 2}
    assert_same_bits(classifier(shuffle=True, **tiny).fit(X, y), classifier(shuffle=False, **tiny).fit(X, y))
    shuffled, ordered = (classifier(shuffle=s, max_iter=2).fit(X, y) for s in (True, False))
    assert not np.array_equal(weights(shuffled), weights(ordered))


def order_of_last_epoch(max_iter, random_state=0):
    """
    The rows in the order in which the last epoch took them. One weight w, the targets 1 … 8, plain sgd, one
    row a step, the rate 15/16: w ← w / 16 + y · 15/16 writes the targets as digits to the base of 16.
    """
    n, base = 8, 16
    model = BPRegressor(
        (),
        fit_intercept=False,
        solver="sgd",
        momentum=0.0,
        learning_rate_init=1 - 1 / base,
        batch_size=1,
        alpha=0.0,
        max_iter=max_iter,
        random_state=random_state,
    )
    model.fit(np.ones((n, 1)), np.arange(1, n + 1), coefs_init=[np.zeros((1, 1))])
    digits = model.coefs_[0][0, 0] / (1 - 1 / base) * base ** (n - 1)
    digits = int(digits + 1 / 32)  # what is behind the point comes from the epoch before
    return [digits // base**k % base for k in reversed(range(n))][::-1]


def test_every_epoch_takes_each_row_once_in_an_order_of_its_own():
    orders = [order_of_last_epoch(epochs) for epochs in (1, 2, 3)]
    for order in orders:
        assert sorted(order) == list(range(1, 9))
    assert orders[0] != orders[1] != orders[2] != orders[0]
    assert order_of_last_epoch(1, random_state=1) != orders[0]


@pytest.mark.parametrize("batch_size", [1, 8, 32, 100])
@by_solver
def test_each_batch_size_learns(solver, batch_size):
    """100 rows: 8 and 32 leave a short last batch."""
    X, y = data.regression()
    params = {**SOLVERS[solver], "batch_size": batch_size, "max_iter": 30, "learning_rate_init": 0.01}
    model = regressor(**params).fit(X, y)
    assert np.isfinite(model.loss_curve_).all()
    assert model.loss_curve_[-1] < 0.9 * model.loss_curve_[0]


# Penalties: with inputs of zero and no intercept only they move the weights, in closed form.


def penalty_only(n=10, sample_weight=None, **params):
    X, y = np.zeros((n, 2)), np.zeros(n)
    start = np.array([[2.0], [-3.0]])
    params = {"alpha": 0.0, "learning_rate_init": 0.1, "max_iter": 1, **params}
    model = BPRegressor((), fit_intercept=False, solver="sgd", momentum=0.0, random_state=0, **params)
    model.fit(X, y, sample_weight, coefs_init=[start])
    return model, start


@pytest.mark.parametrize("weight", [None, 4.0])
@pytest.mark.parametrize("batch_size", [1, 2, 5, 10])
def test_l2_does_not_depend_on_the_batch_or_the_weights(batch_size, weight):
    sample_weight = None if weight is None else np.full(10, weight)
    model, start = penalty_only(l2=0.5, batch_size=batch_size, sample_weight=sample_weight)
    assert_allclose(model.coefs_[0], start * (1 - 0.1 * 0.5) ** (10 // batch_size), **CLOSED_FORM)


@pytest.mark.parametrize("weight", [None, 4.0])
@pytest.mark.parametrize("batch_size", [1, 2, 5, 10])
def test_alpha_is_divided_by_the_batch_and_the_mean_weight(batch_size, weight):
    sample_weight = None if weight is None else np.full(10, weight)
    model, start = penalty_only(alpha=0.5, batch_size=batch_size, sample_weight=sample_weight)
    shrink = 1 - 0.1 * 0.5 / (batch_size * (weight or 1.0))
    assert_allclose(model.coefs_[0], start * shrink ** (10 // batch_size), **CLOSED_FORM)


def test_penalties_with_a_short_last_batch():
    """Batches of 4, 4, 2 rows: alpha counts double in the last, l2 does not; the record weighs by rows."""
    alpha, l2, lr = 0.4, 0.3, 0.1
    model, W = penalty_only(alpha=alpha, l2=l2, batch_size=4, learning_rate_init=lr)
    loss = 0.0
    for rows in (4, 4, 2):
        strength = alpha / rows + l2
        loss += rows * 0.5 * strength * (W**2).sum() / 10
        W = W - lr * strength * W
    assert_allclose(model.coefs_[0], W, **CLOSED_FORM)
    assert_allclose(model.loss_, loss, **CLOSED_FORM)


def test_intercepts_are_not_penalised():
    X, y = np.zeros((6, 2)), np.ones(6)
    model = BPRegressor(
        (), solver="sgd", momentum=0.0, alpha=10.0, l2=10.0, learning_rate_init=1e-2, max_iter=1
    )
    model.fit(X, y, coefs_init=[np.zeros((2, 1))], intercepts_init=[np.ones(1)])
    assert_array_equal(model.intercepts_[0], [1.0])  # fits exactly; a penalty would move it


@by_solver
def test_no_intercept_means_zeros(solver):
    X, y = data.iris()
    model = classifier(fit_intercept=False, max_iter=3, **SOLVERS[solver]).fit(X, y)
    assert [b.shape for b in model.intercepts_] == [(6,), (3,)]
    assert not np.concatenate(model.intercepts_).any()


# Sample weights


@pytest.mark.parametrize("solver", ["nesterov", "adam"])
def test_integer_weights_repeat_rows(solver):
    X, y = data.regression()
    w = np.random.RandomState(3).randint(0, 4, len(X))
    params = {"max_iter": 20, "shuffle": False, "learning_rate_init": 0.01, **SOLVERS[solver]}
    weighted = regressor(batch_size=len(X), **params).fit(X, y, w)
    repeated = regressor(batch_size=w.sum(), **params).fit(np.repeat(X, w, axis=0), np.repeat(y, w))
    assert_allclose(weights(weighted), weights(repeated), rtol=0, atol=1e-7)
    assert_allclose(weighted.loss_curve_, repeated.loss_curve_, rtol=1e-7)


@by_solver
def test_weights_count_relative_to_their_mean(solver):
    """Without alpha, whose meaning is scikit-learn's, weights may be multiplied by 8 (exact in binary)."""
    X, y = data.iris()
    w = np.random.RandomState(3).uniform(0.5, 2, len(X))
    first = classifier(alpha=0.0, l2=0.1, max_iter=3, **SOLVERS[solver]).fit(X, y, w)
    second = classifier(alpha=0.0, l2=0.1, max_iter=3, **SOLVERS[solver]).fit(X, y, 8 * w)
    assert_allclose(weights(first), weights(second), **SAME_ARITHMETIC)


@by_solver
def test_weights_of_one_are_no_weights(solver):
    X, y = data.iris()
    plain = classifier(max_iter=3, **SOLVERS[solver]).fit(X, y)
    ones = classifier(max_iter=3, **SOLVERS[solver]).fit(X, y, np.ones(len(X)))
    assert_allclose(weights(plain), weights(ones), **SAME_ARITHMETIC)


def test_a_batch_of_zero_weights_adds_nothing():
    """Two batches, the first of weight 0: its rows may say what they like."""
    X, y = data.regression()
    X, y = X[:32].copy(), y[:32].copy()
    w = np.repeat([0.0, 1.0], 16)
    params = {"solver": "sgd", "shuffle": False, "max_iter": 3, "alpha": 0.0}
    first = regressor(**params).fit(X, y, w)
    X[:16] *= -3
    y[:16] += 100
    second = regressor(**params).fit(X, y, w)
    assert_same_bits(first, second)
    assert first.loss_curve_ == second.loss_curve_
    only, start = penalty_only(sample_weight=np.r_[np.zeros(5), np.ones(5)], batch_size=5, shuffle=False)
    assert_array_equal(only.coefs_[0], start)


def test_a_batch_estimates_the_objective_without_bias():
    """A row of weight w steps w / mean weight, whatever else is in its batch: closed form on one weight."""
    X, y = np.ones((4, 1)), np.zeros(4)
    w = np.array([1.0, 3.0, 0.0, 4.0])
    model = BPRegressor(
        (),
        fit_intercept=False,
        solver="sgd",
        momentum=0.0,
        alpha=0.0,
        batch_size=1,
        learning_rate_init=0.1,
        shuffle=False,
        max_iter=1,
    )
    model.fit(X, y, w, coefs_init=[np.array([[1.0]])])
    value, loss = 1.0, 0.0
    for weight in w / w.mean():
        loss += weight * 0.5 * value**2 / 4
        value -= 0.1 * weight * value
    assert_allclose(model.coefs_[0], [[value]], **CLOSED_FORM)
    assert_allclose(model.loss_, loss, **CLOSED_FORM)
