"""Solvers, schedules, regularisation as users give them; their arithmetic is tested in test_reference.py."""

import data
import numpy as np
import pytest
from helpers import EVERY_EPOCH, assert_equal_state, assert_same_bits, snapshot, weights
from numpy.testing import assert_allclose
from sklearn.datasets import load_breast_cancer
from sklearn.preprocessing import scale

from fastbp import BPClassifier, BPRegressor
from fastbp.functions.schedules import RATE_SCHEDULES
from fastbp.functions.solvers import STOCHASTIC

PARAMS = {"hidden_layer_sizes": (8,), "max_iter": 30, "batch_size": 32, "random_state": 0, **EVERY_EPOCH}


def cancer():
    """569 rows of two classes that a linear model nearly separates."""
    X, y = load_breast_cancer(return_X_y=True)
    return scale(X), y


RATES = {"adadelta": 1.0, "lion": 1e-3, "rprop": 1e-2, "sgd": 1e-1}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("solver", STOCHASTIC)
def test_every_solver_learns(solver, dtype):
    X, y = cancer()
    params = {**PARAMS, "max_iter": 15, "solver": solver, "learning_rate_init": RATES.get(solver, 1e-2)}
    if solver == "rprop":
        params["batch_size"] = len(X)
    model = BPClassifier(**params).fit(X.astype(dtype), y)
    assert model.loss_curve_[-1] < 0.6 * model.loss_curve_[0]
    assert model.score(X.astype(dtype), y) > 0.95


@pytest.mark.parametrize("schedule", [*RATE_SCHEDULES.names(), "plateau"])
@pytest.mark.parametrize("solver", ["sgd", "adam"])
def test_every_schedule_with_a_warm_up_learns(solver, schedule):
    X, y = cancer()
    warm_up = {} if schedule == "plateau" else {"warmup_steps": 10}
    params = {**PARAMS, "solver": solver, "learning_rate_init": RATES.get(solver, 1e-2)}
    model = BPClassifier(**params, schedule=schedule, schedule_params=warm_up).fit(X, y)
    assert model.loss_curve_[-1] < 0.7 * model.loss_curve_[0]


@pytest.mark.parametrize("schedule", ["cosine", "one_cycle", "coslog"])
def test_schedules_run_over_max_iter_calls_of_partial_fit(schedule):
    X, y = data.binary()
    params = {**PARAMS, "max_iter": 6, "schedule": schedule}
    whole = BPClassifier(**params).fit(X, y)
    parts = BPClassifier(**params)
    for _ in range(6):
        parts.partial_fit(X, y, classes=[0, 1])
    assert_same_bits(whole, parts)


def test_adamw_is_adam_with_decay():
    X, y = data.binary()
    adamw = BPClassifier(**PARAMS, solver="adamw").fit(X, y)
    assert_same_bits(adamw, BPClassifier(**PARAMS, solver="adam", weight_decay=0.01).fit(X, y))
    plain = BPClassifier(**PARAMS, solver="adam").fit(X, y)
    assert_same_bits(plain, BPClassifier(**PARAMS, solver="adamw", weight_decay=0).fit(X, y))
    assert np.abs(weights(adamw) - weights(plain)).max() > 1e-6


def test_plateau_lowers_the_rate_of_any_solver():
    """With a tolerance that no epoch meets, the rate falls until it is too small, and training ends."""
    X, y = data.binary()
    params = {**PARAMS, "max_iter": 200, "tol": 10.0, "n_iter_no_change": 2}
    model = BPClassifier(**params, solver="adam", schedule="plateau").fit(X, y)
    at_once = BPClassifier(**params, solver="adam").fit(X, y)
    assert at_once.n_iter_ < model.n_iter_ < 30


def test_l1_makes_weights_small_and_alpha_does_not_matter_for_intercepts():
    X, y = data.binary()
    norms = [
        np.abs(BPClassifier(**PARAMS, l1=l1).fit(X, y).coefs_[0]).sum() for l1 in (0.0, 1e-3, 1e-2, 1e-1)
    ]
    assert all(b < a for a, b in zip(norms, norms[1:], strict=False))


def test_l1_in_the_loss_and_its_gradient():
    X, y = data.regression()
    model = BPRegressor(**PARAMS, l1=0.1).fit(X, y)
    with_l1 = model.loss_and_gradients(X, y)
    without = model.set_params(l1=0.0).loss_and_gradients(X, y)
    assert_allclose(with_l1.loss - without.loss, 0.1 * sum(np.abs(c).sum() for c in model.coefs_))
    for a, b, coef in zip(with_l1.coefs, without.coefs, model.coefs_, strict=True):
        assert_allclose(a - b, 0.1 * np.sign(coef), atol=1e-12)


@pytest.mark.parametrize("hidden", [(), (5,), (40, 3)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_max_norm_holds_for_every_unit(hidden, dtype):
    X, y = data.digits()
    params = {**PARAMS, "hidden_layer_sizes": hidden, "max_iter": 3}
    model = BPClassifier(**params, max_norm=0.5, learning_rate_init=0.05).fit(X[:300].astype(dtype), y[:300])
    norms = np.concatenate([np.linalg.norm(coef, axis=0) for coef in model.coefs_])
    assert norms.max() <= 0.5 * (1 + 1e-5)
    assert norms.max() > 0.49
    assert np.abs(np.concatenate(model.intercepts_)).max() > 0


def test_clipping_bounds_a_step_of_gradient_descent():
    X, y = data.regression()
    params = {**PARAMS, "solver": "sgd", "momentum": 0.0, "learning_rate_init": 1.0, "max_iter": 1}
    params |= {"batch_size": len(X), "alpha": 0.0}
    start = BPRegressor(**{**params, "learning_rate_init": 1e-30}).fit(X, 1e3 * y)
    for clip, size in (
        ({"clip_value": 1e-3}, lambda step: np.abs(step).max()),
        ({"clip_norm": 1e-3}, np.linalg.norm),
    ):
        model = BPRegressor(**params, **clip).fit(X, 1e3 * y)
        assert_allclose(size(weights(model) - weights(start)), 1e-3, rtol=1e-6)


@pytest.mark.parametrize("average", ["ema", "swa"])
def test_early_stopping_and_predictions_use_the_averaged_weights(average):
    X, y = cancer()
    params = {**PARAMS, "max_iter": 20, "early_stopping": True, "n_iter_no_change": 20}
    model = BPClassifier(**params, average=average).fit(X, y)
    assert model.score(X, y) > 0.9
    assert len(model.validation_scores_) == model.n_iter_
    plain = BPClassifier(**params).fit(X, y)
    assert np.abs(weights(model) - weights(plain)).max() > 1e-6


def test_the_plain_mean_of_a_whole_fit():
    X, y = data.binary()
    params = {**PARAMS, "batch_size": len(X), "shuffle": False}
    steps = [weights(BPClassifier(**{**params, "max_iter": n}).fit(X, y)) for n in range(1, 5)]
    swa = BPClassifier(**{**params, "max_iter": 4}, average="swa", average_params={"start": 0}).fit(X, y)
    assert_allclose(weights(swa), np.mean(steps, axis=0), rtol=1e-10)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"solver": "rmsprop", "solver_params": {"rho": 1.0}}, r"solver_params: rho of solver='rmsprop'"),
        ({"solver": "rmsprop", "solver_params": {"rho": True}}, r"solver_params: rho"),
        ({"solver": "rmsprop", "solver_params": {"roh": 0.9}}, r"solver_params has 'roh'.*\['rho'\]"),
        ({"solver": "adam", "solver_params": {"rho": 0.9}}, r"solver='adam' has no parameters of its own"),
        ({"schedule": "cosine", "schedule_params": {"end": 2}}, r"schedule_params: end of schedule='cosine'"),
        ({"schedule": "cosine", "schedule_params": {"start": 0}}, r"schedule_params has 'start'"),
        ({"schedule": "cosine", "schedule_params": {"warmup_steps": -1}}, r"schedule_params: warmup_steps"),
        ({"average": "ema", "average_params": {"decay": 1.0}}, r"average_params: decay of average='ema'"),
        ({"average": "ema", "average_params": {"start": 0.5}}, r"average_params has 'start'"),
        ({"solver": "lbfgs", "l1": 0.1}, r"l1=0.1 .*solver='lbfgs'"),
    ],
)
@pytest.mark.parametrize("Estimator", [BPClassifier, BPRegressor])
def test_wrong_parameters_are_refused_and_the_model_stays(Estimator, params, message):
    X, y = data.binary()
    model = Estimator(**PARAMS).fit(X, y)
    model.set_params(**params)
    before = snapshot(model)
    with pytest.raises(ValueError, match=message):
        model.fit(X, y)
    assert_equal_state(snapshot(model), before)


@pytest.mark.parametrize(
    "params", [{"average": "ema"}, {"solver": "amsgrad"}, {"schedule": "cosine"}], ids=str
)
def test_warm_starts_and_partial_fits_go_on(params):
    X, y = data.binary()
    whole = BPClassifier(**{**PARAMS, "shuffle": False, "max_iter": 6}, **params).fit(X, y)
    part = BPClassifier(**{**PARAMS, "shuffle": False, "max_iter": 3}, **params, warm_start=True)
    part.fit(X, y).fit(X, y)
    assert part.t_ == whole.t_
    if params == {"solver": "amsgrad"}:
        assert_allclose(weights(part), weights(whole), rtol=1e-9)
    bits = BPClassifier(**PARAMS, **params)
    for _ in range(3):
        bits.partial_fit(X, y, classes=np.unique(y))
    assert np.isfinite(weights(bits)).all()


def test_lbfgs_refuses_noise():
    X, y = data.binary()
    for name in ("dropout", "input_dropout", "input_noise"):
        with pytest.raises(ValueError, match=f"{name}.*solver='lbfgs'"):
            BPClassifier(solver="lbfgs", **{name: 0.2}).fit(X, y)


@pytest.mark.parametrize(
    ("dropout", "message"),
    [
        ([0.5, 1.0], r"dropout must be in \[0, 1\)"),
        ([0.5, True], r"dropout must be in \[0, 1\)"),
        ([0.5, "a"], r"dropout must be in \[0, 1\)"),
        ([0.5], "dropout=.* names 1 rates for 2 hidden layers"),
    ],
)
def test_wrong_rates_of_dropout(dropout, message):
    X, y = data.binary()
    with pytest.raises(ValueError, match=message):
        BPClassifier((5, 4), dropout=dropout).fit(X, y)


@pytest.mark.parametrize("params", [{"dropout": 0.5}, {"input_dropout": 0.3}, {"input_noise": 0.5}], ids=str)
def test_noise_regularises_and_predictions_have_none(params):
    X, y = cancer()
    params = {"hidden_layer_sizes": (64, 64), "max_iter": 40, "random_state": 0, **params, **EVERY_EPOCH}
    model = BPClassifier(**params).fit(X, y)
    quiet = BPClassifier(**{**params, "dropout": 0.0, "input_dropout": 0.0, "input_noise": 0.0}).fit(X, y)
    assert model.loss_ > 1.1 * quiet.loss_
    assert_allclose(model.predict_proba(X), model.predict_proba(X), rtol=0, atol=0)
    assert model.score(X, y) > 0.95
    assert_same_bits(model, BPClassifier(**params, n_jobs=3).fit(X, y))


def test_dropout_drops_its_share():
    """A sum of n ones, each dropped or scaled up, has the variance n p / (1 - p)."""
    n = 400
    params = {"hidden_layer_sizes": (n,), "activation": "identity", "alpha": 0.0, "fit_intercept": False}
    params |= {
        "solver": "sgd",
        "momentum": 0.0,
        "learning_rate_init": 1e-30,
        "max_iter": 1,
        "batch_size": 500,
    }
    X, y = np.ones((2000, 1)), np.full(2000, float(n))
    start = [np.ones((1, n)), np.ones((n, 1))]
    model = BPRegressor(**params, dropout=0.3, random_state=0).fit(X, y, coefs_init=start)
    assert_allclose(model.loss_, 0.5 * n * 0.3 / 0.7, rtol=0.1)  # half the variance
