"""The README's table of what fastbp offers: each row has a test of its name, at the level of a user."""

import ctypes
import io
import os
import pickle
import re
import shutil
import subprocess
import sys
import tracemalloc

import data
import numpy as np
import pytest
import sklearn.experimental.enable_halving_search_cv  # noqa: F401
from helpers import EVERY_EPOCH, assert_equal_state, assert_same_bits, forward, snapshot
from joblib import parallel_config
from numpy.testing import assert_allclose, assert_array_equal
from readme import README
from scipy import sparse
from sklearn import model_selection
from sklearn.base import clone
from sklearn.callback import ScoringMonitor
from sklearn.datasets import load_breast_cancer
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import get_scorer
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator
from tolerances import CLOSED_FORM, SAME_ARITHMETIC, SKLEARN

import fastbp
from fastbp import (
    Activation,
    BPClassifier,
    BPEnsembleRegressor,
    BPRegressor,
    Loss,
    Schedule,
    Solver,
    TabularClassifier,
    TabularRegressor,
    learning_rate_range,
)
from fastbp import model_selection as fused
from fastbp.callbacks import StopWhen
from fastbp.engines.cpu.layout import aligned_zeros
from fastbp.functions.solvers import STOCHASTIC

SHORT = {"max_iter": 30, "learning_rate_init": 0.02, "batch_size": 25, "random_state": 0, **EVERY_EPOCH}


def test_each_row_has_its_test():
    """And each test its row, in the same order."""
    rows = ["test_" + re.sub("[^a-z0-9]+", "_", row[0].lower()) for row in README.table("", "fastbp")]
    tests = [name for name in globals() if name.startswith("test_")]
    assert rows == tests[1:]


def test_estimator_checks_pipelines_searches_clone_pickle():
    for Estimator in (BPClassifier, BPRegressor):
        checks = check_estimator(Estimator((10,), learning_rate_init=0.02, max_iter=50), on_skip=None)
        assert {check["status"] for check in checks} <= {"passed", "skipped"}
    X, y = data.iris()
    pipeline = make_pipeline(StandardScaler(), BPClassifier((8,), **SHORT))
    search = GridSearchCV(clone(pipeline), {"bpclassifier__hidden_layer_sizes": [(), (8,)]}, cv=3).fit(X, y)
    assert search.best_score_ > 0.9
    assert_array_equal(pickle.loads(pickle.dumps(search)).predict_proba(X), search.predict_proba(X))


def test_parameters_of_scikit_learn_s_networks():
    """Their own parameters make the same network; all of their defaults are ours."""
    for Ours, Theirs in ((BPClassifier, MLPClassifier), (BPRegressor, MLPRegressor)):
        defaults = Ours().get_params()
        assert {name: defaults[name] for name in Theirs().get_params()} == Theirs().get_params()
    X, y = data.binary()
    theirs = MLPClassifier((7, 5), alpha=0.1, shuffle=False, max_iter=5, random_state=1).fit(X, y)
    ours = BPClassifier(**theirs.get_params()).fit(X, y)
    for a, b in zip(ours.coefs_, theirs.coefs_, strict=True):
        assert_allclose(a, b, **SKLEARN)


def assert_learns_and_follows_the_formula(activations):
    X, y = data.iris()
    for activation in activations:
        model = BPClassifier((10,), activation=activation, **SHORT).fit(X, y)
        assert model.score(X, y) > 0.9, activation
        assert_allclose(model.predict_proba(X), forward(model, X)[-1], **SAME_ARITHMETIC, err_msg=activation)


def test_logistic_tanh_relu_identity():
    assert_learns_and_follows_the_formula(["logistic", "tanh", "relu", "identity"])


def test_leaky_relu_elu_selu_gelu_silu_mish_softplus_hard_variants_maxout():
    assert_learns_and_follows_the_formula(["leaky_relu", "elu", "selu", "gelu", "silu", "mish", "softplus"])
    assert_learns_and_follows_the_formula(["hard_sigmoid", "hard_tanh", "relu6"])
    X, y = data.iris()
    model = BPClassifier((10,), activation="maxout", maxout_pieces=3, **SHORT).fit(X, y)
    assert model.score(X, y) > 0.9
    pieces = (X @ model.coefs_[0] + model.intercepts_[0]).reshape(len(X), 10, 3)
    assert_allclose(model.transform(X), pieces.max(axis=2), **SAME_ARITHMETIC)


def test_an_activation_for_each_layer_and_of_the_output():
    X, y = data.fractions()
    params = {"activation": ["tanh", "silu"], "out_activation": "hard_sigmoid"}
    model = BPRegressor((8, 6), **params, **SHORT).fit(X, y)
    for ours, expected in zip(model.activations(X), forward(model, X), strict=True):
        assert_allclose(ours, expected, **SAME_ARITHMETIC)
    assert ((model.predict(X) >= 0) & (model.predict(X) <= 1)).all()
    assert model.score(X, y) > 0.8


def best_constant(Estimator, y, **params):
    """What a linear model predicts that sees nothing but the constant."""
    params = {"alpha": 0.0, "max_iter": 2000, "tol": 1e-9, **params}
    X = np.zeros((len(y), 1))
    model = Estimator((), solver="lbfgs", **params).fit(X, y)
    return (model.predict_proba if hasattr(model, "predict_proba") else model.predict)(X[:1])[0]


SKEWED = np.array([1.0, 2.0, 2.0, 3.0, 5.0, 11.0, 60.0])
SHARES = np.array([0, 1, 1, 2, 2, 2, 2])


def test_squared_error_cross_entropy_poisson():
    """The best constant of each is the mean, or the shares of the classes."""
    near = {"rtol": 1e-4}
    assert_allclose(best_constant(BPRegressor, SKEWED), SKEWED.mean(), **near)
    assert_allclose(best_constant(BPRegressor, SKEWED, loss="poisson"), SKEWED.mean(), **near)
    assert_allclose(best_constant(BPClassifier, SHARES), np.bincount(SHARES) / len(SHARES), **near)
    assert_allclose(best_constant(BPClassifier, SHARES > 0), [1 / 7, 6 / 7], **near)


def test_absolute_huber_log_cosh_quantiles_gamma_tweedie_focal_hinge_label_smoothing():
    """Each by the constant that it likes best, or by what it makes of probabilities."""
    slow = {"solver": "sgd", "momentum": 0.0, "schedule": "linear", "learning_rate_init": 2.0}

    def constant(loss, **params):
        params |= {"loss": loss, "alpha": 0.0, "batch_size": len(SKEWED), "max_iter": 3000, **EVERY_EPOCH}
        X = np.zeros((len(SKEWED), 1))
        return BPRegressor((), **slow, random_state=0, **params).fit(X, SKEWED).predict(X[:1])[0]

    near = {"rtol": 0, "atol": 0.02}
    assert_allclose(constant("absolute_error"), np.median(SKEWED), **near)
    assert_allclose(constant("pinball", loss_params={"quantile": 0.8}), 11.0, **near)
    assert_allclose(
        constant("pinball", loss_params={"quantile": [0.2, 0.5, 0.8]}), [2.0, 3.0, 11.0], rtol=0, atol=0.05
    )
    # Within delta of three rows, beyond it of the four others: the sum of the slopes is 0.
    huber = constant("huber", loss_params={"delta": 2.0})
    assert_allclose(np.clip(huber - SKEWED, -2, 2).sum(), 0, **near)
    log_cosh = constant("log_cosh")
    assert_allclose(np.tanh(log_cosh - SKEWED).sum(), 0, **near)
    for loss in ("gamma", "tweedie"):
        assert_allclose(best_constant(BPRegressor, SKEWED, loss=loss), SKEWED.mean(), rtol=1e-4)

    smoothed = best_constant(BPClassifier, SHARES, loss_params={"label_smoothing": 0.3})
    assert_allclose(smoothed, 0.7 * np.bincount(SHARES) / len(SHARES) + 0.3 / 3, rtol=1e-4)
    focal = best_constant(BPClassifier, SHARES > 0, loss="focal")
    assert 0.5 < focal[1] < 6 / 7  # what is right already counts for less
    X, y = data.binary()
    hinge = BPClassifier((8,), loss="hinge", **SHORT).fit(X, y)
    assert not hasattr(hinge, "predict_proba")
    assert_array_equal(hinge.predict(X), hinge.decision_function(X) > 0)
    assert hinge.score(X, y) > 0.85


def test_standard_deviations_and_intervals_of_predictions():
    """Of a constant they are those of the targets, whose units they have; one for each target."""
    rng = np.random.RandomState(0)
    Y = np.stack([500 + 30 * rng.normal(size=400), rng.normal(size=400)], axis=1)
    X = np.zeros((400, 1))
    model = BPRegressor((), loss="gaussian_nll", **{**SHORT, "max_iter": 200}).fit(X, Y)
    mean, std = model.predict(X[:1], return_std=True)
    assert_allclose(mean[0], Y.mean(axis=0), rtol=0, atol=0.1 * Y.std(axis=0).max())
    assert_allclose(std[0], Y.std(axis=0), rtol=0.1)
    low, high = np.moveaxis(model.predict_interval(X, coverage=0.8), -1, 0)
    assert_allclose(((low < Y) & (high > Y)).mean(axis=0), 0.8, atol=0.05)


def test_sgd_momentum_nesterov_adam_l_bfgs():
    """On the same batches they end where scikit-learn's do."""
    X, y = data.regression()
    params = {"hidden_layer_sizes": (6,), "activation": "tanh", "shuffle": False, "batch_size": 20}
    params |= {"max_iter": 4, "random_state": 0}
    for solver in (
        {"solver": "sgd", "momentum": 0.0},
        {"solver": "sgd", "nesterovs_momentum": False},
        {"solver": "sgd"},
        {"solver": "adam"},
        {"solver": "lbfgs"},
    ):
        ours, theirs = (Estimator(**params, **solver).fit(X, y) for Estimator in (BPRegressor, MLPRegressor))
        assert_allclose(ours.predict(X), theirs.predict(X), **SKLEARN)


def test_adamw_rmsprop_adagrad_adadelta_rprop_lion():
    X, y = data.iris()
    rates = {"adamw": 0.01, "rmsprop": 0.01, "adagrad": 0.1, "adadelta": 2.0, "rprop": 0.01, "lion": 0.01}
    for solver, rate in rates.items():
        params = {**SHORT, "solver": solver, "learning_rate_init": rate, "max_iter": 50}
        params["batch_size"] = len(X) if solver == "rprop" else 25
        assert BPClassifier((10,), **params).fit(X, y).score(X, y) > 0.95, solver


def learning_rates(n_epochs, **params):
    """The rate of each epoch: by it the one weight of |w - 1000| grows, and so the loss falls."""
    params = {"learning_rate_init": 1.0, "max_iter": n_epochs + 1, **EVERY_EPOCH, **params}
    model = BPRegressor(
        (), loss="absolute_error", solver="sgd", momentum=0.0, fit_intercept=False, alpha=0.0, **params
    )
    return -np.diff(model.fit([[1.0]], [1000.0]).loss_curve_)


def test_constant_inverse_and_adaptive_learning_rates():
    """As rates of SGD, and for every solver that takes steps."""
    near = {"rtol": 1e-9}
    assert_allclose(learning_rates(20, schedule="constant"), 1.0, **near)
    inverse = {"schedule": "inverse", "schedule_params": {"decay": 1.0, "power": 2.0}}
    assert_allclose(learning_rates(20, **inverse), (1.0 + np.arange(20)) ** -2, **near)
    assert_allclose(learning_rates(20, learning_rate="invscaling"), (1.0 + np.arange(20)) ** -0.5, **near)
    X, y = data.binary()
    for solver in STOCHASTIC:
        params = {**SHORT, "solver": solver, "max_iter": 100, "tol": 10.0, "n_iter_no_change": 3}
        at_once = BPClassifier((4,), **params).fit(X, y)
        # No epoch is good enough, so that the rate is divided by 5 until it is next to nothing.
        adaptive = BPClassifier((4,), **params, schedule="plateau").fit(X, y)
        assert at_once.n_iter_ == 4 < adaptive.n_iter_ < 100, solver


def test_cosine_one_cycle_step_exponential_warm_up_restarts_a_range_test():
    near = {"rtol": 0, "atol": 1e-9}
    epochs = np.arange(20)
    x = epochs / 21  # of the fit, which has one more epoch
    assert_allclose(learning_rates(20, schedule="cosine"), (1 + np.cos(np.pi * x)) / 2, **near)
    cycle = learning_rates(20, schedule="one_cycle", schedule_params={"peak": 1 / 3})
    assert cycle.argmax() == 7
    assert (np.diff(cycle[:8]) > 0).all() and (np.diff(cycle[7:]) < 0).all()
    step = learning_rates(20, schedule="step", schedule_params={"epochs": 6, "decay": 0.5})
    assert_allclose(step, 0.5 ** (epochs // 6), **near)
    assert_allclose(learning_rates(20, schedule="exponential"), 0.95**epochs, **near)
    warm_up = learning_rates(20, schedule="constant", schedule_params={"warmup_steps": 8})
    assert_allclose(warm_up, np.minimum((1 + epochs) / 8, 1), **near)
    restarts = learning_rates(20, schedule="restarts", schedule_params={"epochs": 5, "growth": 1})
    assert_allclose(restarts, (1 + np.cos(np.pi * (epochs % 5) / 5)) / 2, **near)
    X, y = data.digits()
    network = BPClassifier((20,), max_iter=3, random_state=0)
    found = learning_rate_range(network, X / 16, y)
    assert found.rates[0] < found.suggestion < found.rates[-1]
    suggested, timid = (
        clone(network).set_params(learning_rate_init=rate).fit(X / 16, y)
        for rate in (found.suggestion, found.suggestion / 100)
    )
    assert suggested.loss_ < 0.5 * timid.loss_


def test_l1_and_l2_that_do_not_change_with_the_batch_size():
    """The penalty in the loss of an epoch that moves nothing; alpha's changes, as scikit-learn's."""
    X, y = data.regression()
    still = {"solver": "sgd", "learning_rate_init": 1e-300, "max_iter": 1, "random_state": 0}

    def penalty(batch_size, **strength):
        pair = [
            BPRegressor((5,), batch_size=batch_size, **still, **{"alpha": 0.0, **p}).fit(X, y)
            for p in (strength, {})
        ]
        weights = np.concatenate([coef.ravel() for coef in pair[0].coefs_])
        return pair[0].loss_ - pair[1].loss_, weights

    for batch_size in (1, 10, 100):
        found, weights = penalty(batch_size, l2=0.3)
        assert_allclose(found, 0.3 * (weights**2).sum() / 2)
        found, weights = penalty(batch_size, l1=0.3)
        assert_allclose(found, 0.3 * np.abs(weights).sum())
        found, weights = penalty(batch_size, alpha=0.3)
        assert_allclose(found, 0.3 * (weights**2).sum() / 2 / batch_size)


def test_max_norm_clipped_gradients_dropout_input_dropout_batch_and_layer_normalisation_averaged_weights():
    X, y = data.iris()
    limited = BPClassifier((8,), max_norm=0.5, **SHORT).fit(X, y)
    assert max(np.linalg.norm(coef, axis=0).max() for coef in limited.coefs_) < 0.5 + 1e-12

    one_step = {"solver": "sgd", "momentum": 0.0, "alpha": 0.0, "batch_size": len(X), "max_iter": 1}
    one_step |= {"random_state": 0, "learning_rate_init": 1.0}
    start = BPClassifier((8,), **{**one_step, "learning_rate_init": 1e-300}).fit(X, y)

    def step(**params):
        end = BPClassifier((8,), **one_step, **params).fit(X, y)
        pairs = zip(end.coefs_ + end.intercepts_, start.coefs_ + start.intercepts_, strict=True)
        return np.concatenate([(a - b).ravel() for a, b in pairs])

    free = step()
    assert_allclose(step(clip_value=0.01), np.clip(free, -0.01, 0.01), atol=1e-12)
    assert_allclose(step(clip_norm=0.1), free * 0.1 / np.linalg.norm(free), atol=1e-12)

    # Without its inputs a network learns the shares of the classes, and with few of its units not much more.
    clear = BPClassifier((8,), **SHORT).fit(X, y)
    for noise in ({"dropout": 0.9}, {"input_dropout": 0.9}):
        noisy = BPClassifier((8,), **noise, **SHORT).fit(X, y)
        assert noisy.loss_ > 2 * clear.loss_
        assert_array_equal(noisy.predict_proba(X), noisy.predict_proba(X))  # at random in training only

    deep = {**SHORT, "hidden_layer_sizes": (10,) * 7, "activation": "logistic", "learning_rate_init": 0.01}
    plain, by_batch, by_layer = (
        BPClassifier(**deep, norm=norm).fit(X, y).score(X, y) for norm in (None, "batch", "layer")
    )
    assert plain < 0.5 and min(by_batch, by_layer) > 0.6

    wild = {**SHORT, "solver": "sgd", "momentum": 0.0, "learning_rate_init": 1.0, "batch_size": 5}
    wild["shuffle"] = False
    averages = ((None, None), ("ema", {"decay": 0.99}), ("swa", {"start": 0.5}))
    models = [BPClassifier((8,), **wild, average=name, average_params=params) for name, params in averages]
    losses = [model.fit(X, y).loss_and_gradients(X, y).loss for model in models]
    assert max(losses[1:]) < losses[0]


def test_residual_connections():
    """Each hidden layer but the first adds its inputs, where they are as many."""
    X, y = data.regression()
    model = BPRegressor((6, 6, 4), activation="tanh", residual=True, **SHORT).fit(X, y)
    first, second, third, out = zip(model.coefs_, model.intercepts_, strict=True)
    h = np.tanh(X @ first[0] + first[1])
    h = np.tanh(h @ second[0] + second[1]) + h
    h = np.tanh(h @ third[0] + third[1])
    assert_allclose(model.predict(X), (h @ out[0] + out[1]).ravel(), **SAME_ARITHMETIC)
    assert model.score(X, y) > 0.6


def test_initialisers_and_output_biases_from_the_data():
    X, y = data.digits()
    y = (y == 3) * 1
    still = {"solver": "sgd", "learning_rate_init": 1e-300, "max_iter": 1, "random_state": 0}
    variances = {"glorot": 2 / (64 + 200), "he": 2 / 64, "lecun": 1 / 64, "uniform": 1 / 3 / 64, "normal": 1}
    variances |= {"zeros": 0, "orthogonal": 2 / 200}  # of rows of length 1, times the gain of relu
    for init, variance in variances.items():
        model = BPClassifier((200,), init=init, **still).fit(X, y)
        assert_allclose(model.coefs_[0].var(), variance, rtol=0.05, err_msg=init)
    model = BPClassifier((200,), out_init="zeros", out_bias="data", **still).fit(X, y)
    assert_allclose(model.predict_proba(X)[:, 1], y.mean(), **CLOSED_FORM)


def test_sample_weights():
    """A weight of 2 is the row twice, a weight of 0 no row."""
    X, y = data.regression()
    weight = np.arange(len(X)) % 3
    params = {"solver": "lbfgs", "max_iter": 20, "activation": "tanh", "random_state": 0}
    weighted = BPRegressor((5,), **params).fit(X, y, sample_weight=weight)
    repeated = BPRegressor((5,), **params).fit(np.repeat(X, weight, axis=0), np.repeat(y, weight))
    assert_allclose(weighted.predict(X), repeated.predict(X), rtol=1e-6)
    assert weighted.score(X, y, sample_weight=weight) > weighted.score(X, y)


def test_class_weights():
    """Balanced, both classes weigh the same: the mean of what logistic regression predicts says so."""
    X, y = data.binary()
    few = np.r_[np.flatnonzero(y == 0), np.flatnonzero(y == 1)[:10]]
    X, y = X[few], y[few]
    exact = {"solver": "lbfgs", "alpha": 0.0, "tol": 1e-9, "max_iter": 1000}
    plain, balanced = (
        BPClassifier((), class_weight=weight, **exact).fit(X, y).predict_proba(X)[:, 1]
        for weight in (None, "balanced")
    )
    assert_allclose(plain.mean(), y.mean(), rtol=1e-4)
    assert_allclose(balanced[y == 0].mean() + balanced[y == 1].mean(), 1, rtol=1e-4)
    named = BPClassifier((), class_weight={1: 3.0}, **SHORT).fit(X, y)
    assert_same_bits(named, BPClassifier((), **SHORT).fit(X, y, sample_weight=1.0 + 2.0 * y))


def test_several_targets_several_labels():
    X, Y = data.multi_output()
    regressor = BPRegressor((20,), **SHORT).fit(X, Y)
    assert regressor.predict(X).shape == Y.shape
    assert regressor.score(X, Y) > 0.8
    X, Y = data.multilabel()
    classifier = BPClassifier((20,), **SHORT).fit(X, Y)
    assert classifier.predict_proba(X).shape == Y.shape
    assert_array_equal(classifier.predict(X), classifier.predict_proba(X) > 0.5)
    assert classifier.score(X, Y) > 0.6


def test_sparse_rows_without_a_dense_copy():
    rng = np.random.RandomState(0)
    places = rng.randint(4000, size=24_000), rng.randint(3000, size=24_000)
    X = sparse.csr_array((rng.uniform(size=24_000), places), shape=(4000, 3000))  # dense: 96 MB
    y = (X[:, :20].sum(axis=1) > 0).astype(int)
    model = BPClassifier((4,), batch_size=100, max_iter=2, random_state=0)
    clone(model).fit(X[:200], y[:200]).predict(X[:200])  # loads the kernels
    tracemalloc.start()
    try:
        model.fit(X, y).predict(X)
        assert tracemalloc.get_traced_memory()[1] < 20e6
    finally:
        tracemalloc.stop()
    few = X[:200]
    dense = clone(model).fit(few.toarray(), y[:200])
    assert_allclose(clone(model).fit(few, y[:200]).predict_proba(few), dense.predict_proba(few.toarray()))


def test_partial_fits_and_warm_starts_that_keep_the_solver_s_state():
    """Training in parts is training at once."""
    X, y = data.iris()
    params = {**SHORT, "hidden_layer_sizes": (5,), "solver": "adam"}
    at_once = BPClassifier(**{**params, "max_iter": 6}).fit(X, y)
    warm = BPClassifier(**{**params, "max_iter": 2}, warm_start=True)
    streamed = BPClassifier(**params)
    for _ in range(3):
        warm.fit(X, y)
    for _ in range(6):
        streamed.partial_fit(X, y, classes=[0, 1, 2])
    assert_same_bits(warm, at_once)
    assert_same_bits(streamed, at_once)


def test_validation_rows_of_your_own():
    X, y = data.iris()
    weight = np.arange(50) % 2 + 1.0
    model = BPClassifier((8,), early_stopping=True, **{**SHORT, "n_iter_no_change": 5, "max_iter": 200})
    model.fit(X[:100], y[:100], X_val=X[100:], y_val=y[100:], sample_weight_val=weight)
    assert model.n_iter_ < 200
    assert_allclose(model.best_validation_score_, model.score(X[100:], y[100:], weight))
    # They stop the training, and nothing else: all other rows are trained on.
    plain = BPClassifier((8,), **{**SHORT, "max_iter": model.n_iter_}).fit(X[:100], y[:100])
    assert_allclose(plain.loss_curve_, model.loss_curve_)


def test_early_stopping_by_any_scorer_best_weights_restored():
    X, y = data.binary()
    given = {"X_val": X[60:], "y_val": y[60:]}
    params = {**SHORT, "n_iter_no_change": 3, "max_iter": 200, "early_stopping": True}

    def confidence(estimator, X, y):
        return estimator.predict_proba(X)[np.arange(len(y)), y].min()

    for scoring in ("roc_auc", "neg_log_loss", "f1", confidence):
        model = BPClassifier((8,), scoring=scoring, **params).fit(X[:60], y[:60], **given)
        scorer = scoring if callable(scoring) else get_scorer(scoring)
        assert model.n_iter_ < 200
        assert model.best_validation_score_ == max(model.validation_scores_)
        assert_allclose(scorer(model, X[60:], y[60:]), model.best_validation_score_)
    X, y = data.regression()
    given = {"X_val": X[60:], "y_val": y[60:]}
    model = BPRegressor((8,), scoring="loss", **params).fit(X[:60], y[:60], **given)
    assert_allclose(np.mean((model.predict(X[60:]) - y[60:]) ** 2) / 2, min(model.validation_loss_curve_))


def test_callbacks_in_scikit_learn_s_protocol_a_progress_bar(monkeypatch):
    """scikit-learn's own callbacks hear of epochs; a bar in a terminal; lines as scikit-learn's elsewhere."""
    X, y = data.iris()
    monitor = ScoringMonitor(scoring="accuracy")
    stop = StopWhen(lambda epoch: epoch.number == 7)
    model = BPClassifier((5,), **SHORT).set_callbacks(monitor, stop).fit(X, y)
    assert model.n_iter_ == 7
    scores = [row["accuracy"] for row in monitor.get_logs().data if row["task_name"] == "epoch"]
    assert_allclose(scores[-1], model.score(X, y))
    assert len(scores) == 7

    class Terminal(io.StringIO):
        def isatty(self):
            return True

    for stream, last in (
        (Terminal(), r"\repoch 30/30 \[#+\] loss [\d.e-]+, .* 0\.0 s left\n$"),
        (io.StringIO(), r"\nIteration 30, loss = \d\.\d{8}\n$"),
    ):
        monkeypatch.setattr(sys, "stdout", stream)
        BPClassifier((5,), verbose=True, **SHORT).fit(X, y)
        assert re.search(last, stream.getvalue())


def test_a_stop_at_the_first_number_that_is_not_finite():
    X, y = data.regression()
    params = {**SHORT, "solver": "sgd", "learning_rate_init": 5.0, "max_iter": 10**9}
    model = BPRegressor((), **{**params, "learning_rate_init": 0.01, "max_iter": 3}).fit(X, y)
    before = snapshot(model.set_params(**params))
    with pytest.raises(ValueError, match=r"epoch \d+, step \d+, at learning rate 5\."):
        model.fit(X, y)
    assert_equal_state(snapshot(model), before)
    stops = BPRegressor((), early_stopping=True, **params)
    with pytest.warns(ConvergenceWarning, match="diverged.*best validation score"):
        stops.fit(X, y)
    assert np.isfinite(stops.predict(X)).all()


def test_deep_ensembles_trained_in_one_run():
    """Their mean is that of single fits, and their spread is told."""
    X, y = data.regression()
    model = BPEnsembleRegressor(BPRegressor((4,), **SHORT), n_estimators=3, random_state=0).fit(X, y)
    alone = [clone(member).fit(X, y).predict(X) for member in model.estimators_]
    mean, std = model.predict(X, return_std=True)
    assert_allclose(mean, np.mean(alone, axis=0))
    assert_allclose(std, np.std(alone, axis=0))


def test_searches_that_train_all_candidates_as_one_job():
    """With scikit-learn's scores."""
    X, y = data.iris()
    pipeline = make_pipeline(StandardScaler(), BPClassifier((8,), **SHORT))
    grid = {"bpclassifier__alpha": [1e-4, 1.0], "bpclassifier__activation": ["relu", "tanh"]}
    plain, ours = (Search(pipeline, grid, cv=3).fit(X, y) for Search in (GridSearchCV, fused.GridSearchCV))
    assert_array_equal(ours.cv_results_["mean_test_score"], plain.cv_results_["mean_test_score"])
    assert ours.best_params_ == plain.best_params_


ON_GPU = """
import numpy as np
from fastbp import BPClassifier
X, y = np.random.RandomState(0).normal(size=(8, 2)), np.arange(8) % 2
fits = [BPClassifier((3,), max_iter=2, random_state=0, device=device).fit(X, y) for device in ("cpu", "cuda")]
print(np.abs(fits[0].coefs_[0] - fits[1].coefs_[0]).max())
"""


def test_training_on_an_nvidia_gpu():
    """In Numba's simulator of one: the CPU's network, up to rounding."""
    pytest.importorskip("numba_cuda", reason="the simulator is numba-cuda's")
    ran = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", ON_GPU],
        env={**os.environ, "NUMBA_ENABLE_CUDASIM": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert float(ran.stdout) < 1e-12


def test_good_on_tables_without_tuning():
    """The preset, against the same classes at their own defaults."""
    X, y = load_breast_cancer(return_X_y=True)
    preset, plain = (
        cross_val_score(BPClassifier(preset=preset, random_state=0), X, y, cv=3).mean()
        for preset in ("tabular", None)
    )
    assert preset > plain + 0.01 and preset > 0.96


def test_data_frames_as_they_are_categories_text_dates_missing_values():
    pd = pytest.importorskip("pandas")
    rng = np.random.RandomState(0)
    size, colour = rng.normal(size=300), rng.choice(["red", "blue", None], 300)
    day = pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.randint(0, 1000, 300), unit="D")
    frame = pd.DataFrame({"size": np.where(size > 2, np.nan, size), "colour": colour, "day": day})
    value = size + 2 * (colour == "red")
    model = TabularRegressor(random_state=0).fit(frame[:200], value[:200])
    assert model.score(frame[200:], value[200:]) > 0.8
    labels = np.where(value > 1, "high", "low")
    classifier = TabularClassifier(random_state=0).fit(frame[:200], labels[:200])
    assert classifier.score(frame[200:], labels[200:]) > 0.8
    other = frame[200:].assign(colour="violet", size=np.nan, day=pd.NaT)
    assert np.isfinite(classifier.predict_proba(other)).all()


def test_the_same_bits_for_any_number_of_threads():
    X, y = data.digits()
    params = {"batch_size": 300, "max_iter": 2, "random_state": 0}
    first, *others = (BPClassifier((60, 40), n_jobs=n, **params).fit(X, y) for n in (1, 2, 3))
    for other in others:
        assert_same_bits(first, other)
        assert_array_equal(first.predict_proba(X), other.predict_proba(X))


def test_halving_searches_that_resume():
    """The same scores as scikit-learn's, although each candidate is trained once."""
    X, y = data.iris()
    epochs = []

    class Counted(BPClassifier):
        def fit(self, X, y):
            epochs.append(self.max_iter)
            return super().fit(X, y)

    params = {"batch_size": 25, "learning_rate_init": 0.02, "random_state": 0, **EVERY_EPOCH}
    grid = {"alpha": [1e-4, 0.1, 1.0, 10.0]}
    rungs = {"resource": "max_iter", "min_resources": 2, "max_resources": 8, "factor": 2, "cv": 2}
    ours, theirs = (
        module.HalvingGridSearchCV(estimator((4,), **params), grid, random_state=0, **rungs).fit(X, y)
        for module, estimator in ((fused, BPClassifier), (model_selection, Counted))
    )
    assert_array_equal(ours.cv_results_["mean_test_score"], theirs.cv_results_["mean_test_score"])
    assert sum(epochs) > 2 * 8 * 2  # scikit-learn's fits begin again in each of three rungs
    assert ours.best_estimator_.n_iter_ == 8


def test_searches_on_a_cluster_by_dask_or_ray(caplog):
    """Blocks of networks on each worker, with the same scores; here on a cluster of joblib's protocol."""
    distributed = pytest.importorskip("dask.distributed")
    X, y = data.iris()
    search = fused.GridSearchCV(BPClassifier((4,), **SHORT), {"alpha": [1e-4, 0.1, 1.0]}, cv=2, refit=False)
    alone = clone(search).fit(X, y).cv_results_["mean_test_score"]
    caplog.set_level("DEBUG", "fastbp.model_selection")
    options = {"n_workers": 2, "threads_per_worker": 1, "processes": False, "dashboard_address": None}
    with distributed.LocalCluster(**options) as cluster, distributed.Client(cluster) as client:
        client.wait_for_workers(2, timeout=20)
        with parallel_config("dask"):
            assert_array_equal(search.fit(X, y).cv_results_["mean_test_score"], alone)
    assert "are distributed in" in caplog.text


def test_an_activation_loss_solver_or_schedule_of_your_own():
    def momentum(w, g, v, rate, beta):
        v = beta * v - rate * g
        return w + v, v

    own = {
        "activation": Activation("own_silu", lambda z: z / (1 + np.exp(-z))),
        "loss": Loss("own_squares", lambda f, y: np.sum((f - y) ** 2) / 2),
        "solver": Solver("own_momentum", momentum, n_states=1, params={"beta": 0.9}),
        "schedule": Schedule("own_cosine", lambda x, epoch: (1 + np.cos(np.pi * x)) / 2),
    }
    built_in = {"activation": "silu", "loss": "squared_error", "solver": "sgd", "schedule": "cosine"}
    X, y = data.regression()
    first, second = (
        BPRegressor((8,), nesterovs_momentum=False, **params, **SHORT).fit(X, y) for params in (built_in, own)
    )
    assert_allclose(second.predict(X), first.predict(X), rtol=1e-6, atol=1e-6)


def test_a_training_doctor():
    X, y = data.iris()
    healthy = fastbp.diagnose(BPClassifier((16,), learning_rate_init=0.02, random_state=0), X, y)
    assert healthy["unscaled_inputs"] is None
    ill = fastbp.diagnose(BPClassifier((16,), random_state=0), 1e5 * X + 1e6, y)
    assert ill["unscaled_inputs"] is not None and "StandardScaler" in str(ill)


def test_loss_curves_and_pictures_of_networks():
    plt = pytest.importorskip("matplotlib.pyplot")
    from fastbp.plots import LossCurveDisplay, NetworkDisplay

    X, y = data.iris()
    model = BPClassifier((4,), **SHORT).fit(X, y)
    figure, (left, right) = plt.subplots(ncols=2)
    LossCurveDisplay.from_estimator(model, ax=left)
    assert_array_equal(left.lines[0].get_ydata(), model.loss_curve_)
    assert NetworkDisplay.from_estimator(model, ax=right).ax_ is right
    plt.close(figure)


def test_files_without_pickle(tmp_path):
    X, y = data.iris()
    model = BPClassifier((4,), **SHORT).fit(X, y)
    model.save(tmp_path / "model.bp")
    assert_array_equal(fastbp.load(tmp_path / "model.bp").predict_proba(X), model.predict_proba(X))
    with np.load(tmp_path / "model.bp", allow_pickle=False) as archive:
        assert_array_equal(archive["coefs_.0"], model.coefs_[0])


def test_onnx_for_every_activation_and_loss():
    """One network of several kinds of function; test_onnx_networks.py has the others."""
    pytest.importorskip("skl2onnx")
    onnxruntime = pytest.importorskip("onnxruntime")
    import fastbp.onnx

    X, y = data.iris()
    params = {**SHORT, "activation": ["gelu", "maxout"], "norm": "layer", "loss": "focal"}
    model = BPClassifier((6, 5), **params).fit(X, y)
    X = X.astype(np.float32)
    exported = fastbp.onnx.to_onnx(model, X[:1])
    session = onnxruntime.InferenceSession(exported.SerializeToString(), providers=["CPUExecutionProvider"])
    labels, probabilities = session.run(None, {"X": X})
    assert_array_equal(labels, model.predict(X))
    assert_allclose(probabilities, model.predict_proba(X), rtol=1e-4, atol=1e-6)


def test_a_network_inside_your_own_compiled_code():
    import numba

    X, y = data.regression()
    model = BPRegressor((6, 5), **SHORT).fit(X, y)
    f = model.to_numba()

    @numba.njit
    def total(X):
        value = 0.0
        for i in range(len(X)):
            value += f(X[i])
        return value

    assert_allclose(total(X), model.predict(X).sum(), rtol=1e-9)


def test_one_c_file_without_dependencies(tmp_path):
    X, y = data.iris()
    model = BPClassifier((4,), **SHORT).fit(X, y)
    model.to_c(tmp_path / "model.c", name="net")
    text = (tmp_path / "model.c").read_text()
    assert re.findall("#include.*", text).count("#include <math.h>") == 1
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler")
    library = tmp_path / "model.so"
    subprocess.run(
        [compiler, "-O2", "-shared", "-fPIC", tmp_path / "model.c", "-o", library, "-lm"], check=True
    )
    row, out = np.array(X[0]), np.empty(3)
    pointers = [array.ctypes.data_as(ctypes.c_void_p) for array in (row, out)]
    ctypes.CDLL(library).net_predict_proba(*pointers)
    assert_allclose(out, model.predict_proba(X[:1])[0], rtol=1e-12)


def test_from_scikit_learn_s_networks_and_back():
    X, y = data.iris()
    theirs = MLPClassifier((4,), max_iter=5, random_state=0).fit(X, y)
    ours = fastbp.from_sklearn(theirs)
    assert_allclose(ours.predict_proba(X), theirs.predict_proba(X))
    assert_allclose(ours.to_sklearn().predict_proba(X), theirs.predict_proba(X))


def test_a_command_line_for_tables(tmp_path):
    pd = pytest.importorskip("pandas")
    X, y = data.iris()
    table = pd.DataFrame(X, columns=list("abcd")).assign(kind=np.array(["x", "y", "z"])[y])
    table.to_csv(tmp_path / "table.csv", index=False)

    def command(*arguments):
        ran = subprocess.run(
            [sys.executable, "-W", "ignore", "-m", "fastbp", *arguments],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            check=False,
        )
        assert ran.returncode == 0, ran.stderr

    command("fit", "table.csv", "--target", "kind", "--out", "model.bp", "--effort", "fast")
    command("predict", "model.bp", "table.csv", "--out", "predictions.csv")
    assert np.mean(pd.read_csv(tmp_path / "predictions.csv")["prediction"] == table["kind"]) > 0.8


def test_the_same_speed_in_every_process():
    """What it rests on: processes load the same machine code, and memory begins at cache lines.

    The times are measured by bench/placement.py.
    """
    code = (
        "import numpy as np; from fastbp import BPClassifier;"
        "from fastbp.engines.kernel_cache import KernelCache;"
        "KernelCache.save_overload = lambda *given: print('compiled');"
        "BPClassifier((8,), max_iter=2).fit(np.eye(4), [0, 1, 0, 1])"
    )
    BPClassifier((8,), max_iter=2).fit(np.eye(4), [0, 1, 0, 1])
    for padding in ("", 1000 * "x"):  # moves the stack
        ran = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", code],
            env={**os.environ, "PADDING": padding},
            capture_output=True,
            text=True,
            check=True,
        )
        assert "compiled" not in ran.stdout
    addresses = [aligned_zeros(n, np.dtype(dtype)).ctypes.data for n in (1, 7, 1000) for dtype in "fd"]
    assert not any(address % 64 for address in addresses)
