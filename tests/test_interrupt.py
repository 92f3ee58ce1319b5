"""Ctrl-C ends a fit, keeps the weights so far and warns; a fit outside the main thread ends cleanly.

No test waits for a time to pass: the interrupt is raised by the training's own output, so it always comes
while training is under way. The fits would go on for ever if it had no effect.
"""

import io
import pickle
import signal
import subprocess
import sys
import threading
import warnings

import data
import joblib
import numpy as np
import pytest
from helpers import EVERY_EPOCH, assert_same_bits, weights
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import BaggingClassifier, StackingClassifier, VotingClassifier
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.feature_selection import SequentialFeatureSelector
from sklearn.model_selection import (
    GridSearchCV,
    HalvingGridSearchCV,
    RandomizedSearchCV,
    cross_val_predict,
    cross_val_score,
    learning_curve,
)
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fastbp import BPClassifier, BPRegressor
from fastbp.engines.select import get_engine

FOREVER = 2**31 - 1
PARAMS = {"max_iter": FOREVER, "random_state": 0, "verbose": True, **EVERY_EPOCH}


class Interrupting(io.StringIO):
    """An output stream that interrupts as soon as epochs are reported."""

    def __init__(self, interrupt):
        super().__init__()
        self.interrupt = interrupt
        self.done = False

    def write(self, text):
        if "Iteration" in text and not self.done:
            self.done = True
            self.interrupt()
        return super().write(text)


def press_ctrl_c():
    signal.raise_signal(signal.SIGINT)


def interrupted(model, X, y, monkeypatch, interrupt=press_ctrl_c):
    handler = signal.getsignal(signal.SIGINT)
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", Interrupting(interrupt))
        with pytest.warns(UserWarning, match=r"^Training interrupted by user\.") as caught:
            model.fit(X, y)
    assert len(caught) == 1  # above all no ConvergenceWarning
    assert signal.getsignal(signal.SIGINT) is handler
    return model


@pytest.mark.parametrize("solver", ["sgd", "adam"])
@pytest.mark.parametrize("Estimator", [BPClassifier, BPRegressor])
def test_interrupt_keeps_the_weights_so_far(Estimator, solver, monkeypatch):
    X, y = data.iris()
    model = interrupted(Estimator((5,), solver=solver, **PARAMS), X, y, monkeypatch)
    assert 1 <= model.n_iter_ < FOREVER
    assert len(model.loss_curve_) == model.n_iter_
    assert np.isfinite(weights(model)).all()
    assert model.loss_curve_[-1] <= model.loss_curve_[0]
    assert model.loss_and_gradients(X, y).loss < model.loss_curve_[0]
    assert model.predict(X).shape == (len(X),)


def test_interrupt_under_early_stopping_keeps_the_best(monkeypatch):
    X, y = data.iris()
    model = interrupted(BPClassifier((5,), early_stopping=True, **PARAMS), X, y, monkeypatch)
    assert len(model.validation_scores_) >= 1
    assert model.best_validation_score_ == max(model.validation_scores_)
    assert np.isfinite(weights(model)).all()


def test_an_interrupted_model_can_be_trained_on(monkeypatch):
    X, y = data.iris()
    model = interrupted(BPClassifier((5,), **PARAMS), X, y, monkeypatch)
    seen, before = model.t_, weights(model)
    model.set_params(verbose=False).partial_fit(X, y)
    assert model.t_ == seen + len(X)
    assert not np.array_equal(before, weights(model))


def test_interrupt_of_a_warm_start_keeps_what_was_learnt(monkeypatch):
    X, y = data.iris()
    model = BPClassifier((5,), **{**PARAMS, "max_iter": 3, "verbose": False}, warm_start=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(X, y)
    interrupted(model.set_params(max_iter=FOREVER, verbose=True), X, y, monkeypatch)
    assert len(model.loss_curve_) > 3
    assert model.t_ >= len(X) * len(model.loss_curve_)


def test_interrupt_in_mid_epoch(monkeypatch):
    """An epoch of 100,000 steps is left between two chunks of steps."""
    cpu = get_engine()
    chunks = []

    class Pressed(cpu.Trainer):
        def train(self, *arguments):
            chunks.append(arguments)
            if len(chunks) == 3:
                press_ctrl_c()
            return super().train(*arguments)

    monkeypatch.setattr(cpu, "Trainer", Pressed)
    rng = np.random.RandomState(0)
    X = rng.normal(size=(100_000, 2))
    model = BPRegressor((3,), **{**PARAMS, "verbose": False}, batch_size=1)
    with pytest.warns(UserWarning, match=r"^Training interrupted by user\."):
        model.fit(X, X[:, 0])
    assert len(chunks) == 3
    assert model.n_iter_ == 0
    assert model.loss_curve_ == []
    assert np.isfinite(weights(model)).all()
    start = BPRegressor((3,), solver="sgd", learning_rate_init=1e-300, max_iter=1, random_state=0)
    assert not np.allclose(weights(start.fit(X[:5], X[:5, 0])), weights(model))  # some steps were taken
    model.predict(X[:5])
    pickle.loads(pickle.dumps(model)).partial_fit(X[:100], X[:100, 0])


def test_interrupt_of_lbfgs(monkeypatch):
    X, y = data.iris()
    model = BPClassifier((5,), solver="lbfgs", **{**PARAMS, "tol": 1e-12}, max_fun=FOREVER)
    interrupted(model, X, y, monkeypatch)
    assert 1 <= model.n_iter_ < 10
    assert np.isfinite(weights(model)).all()
    assert np.isfinite(model.loss_)


MANY_FITS = {
    "GridSearchCV": lambda model: GridSearchCV(model, {"alpha": [0.0, 1e-3]}, cv=2, error_score="raise"),
    "RandomizedSearchCV": lambda model: RandomizedSearchCV(model, {"alpha": [0.0, 1e-3]}, n_iter=2, cv=2),
    "HalvingGridSearchCV": lambda model: HalvingGridSearchCV(model, {"alpha": [0.0, 1e-3]}, cv=2),
    "search of a pipeline": lambda model: GridSearchCV(
        make_pipeline(StandardScaler(), model), {"bpclassifier__alpha": [0.0, 1e-3]}, cv=2
    ),
    "cross_val_score": lambda model: Calls(cross_val_score, model),
    "cross_val_predict": lambda model: Calls(cross_val_predict, model),
    "learning_curve": lambda model: Calls(learning_curve, model),
    "BaggingClassifier": lambda model: BaggingClassifier(model, n_estimators=3),
    "VotingClassifier": lambda model: VotingClassifier([("a", model), ("b", model)]),
    "StackingClassifier": lambda model: StackingClassifier([("a", model), ("b", model)]),
    "OneVsRestClassifier": OneVsRestClassifier,
    "CalibratedClassifierCV": CalibratedClassifierCV,
    "SequentialFeatureSelector": lambda model: SequentialFeatureSelector(UsersOwn(model), cv=2),
    "joblib": lambda model: InJoblib(model),
}


class Calls:
    """``fit(X, y)`` of a function that takes a model."""

    def __init__(self, function, model):
        self.function, self.model = function, model

    def fit(self, X, y):
        return self.function(self.model, X, y, cv=3)


class InJoblib:
    def __init__(self, model):
        self.model = model

    def fit(self, X, y):
        return joblib.Parallel(n_jobs=1)(joblib.delayed(self.model.fit)(X, y) for _ in range(3))


class UsersOwn(ClassifierMixin, BaseEstimator):
    """A class of the user's own that passes a fit on."""

    def __init__(self, network):
        self.network = network

    def fit(self, X, y):
        self.network_ = clone(self.network).fit(X, y)
        self.classes_ = self.network_.classes_
        return self

    def predict(self, X):
        return self.network_.predict(X)


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
@pytest.mark.parametrize("what", MANY_FITS)
def test_one_ctrl_c_ends_all_fits_of_a_search_or_an_ensemble(what, solver, monkeypatch):
    """No truncated network is scored as if it were whole, and no further fit begins."""
    if solver == "lbfgs" and what not in ("GridSearchCV", "joblib"):
        solver = "sgd"
    X, y = data.iris()
    output = Interrupting(press_ctrl_c)
    params = {**PARAMS, "tol": 1e-12} if solver == "lbfgs" else PARAMS
    whole = MANY_FITS[what](BPClassifier((5,), solver=solver, **params, max_fun=FOREVER))
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", output)
        with pytest.raises(KeyboardInterrupt):
            whole.fit(X, y)
    assert output.getvalue().count("Iteration 1,") == 1
    assert not hasattr(whole, "cv_results_")
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.parametrize(
    "around",
    [
        lambda model: make_pipeline(StandardScaler(), model),
        lambda model: TransformedTargetRegressor(model, transformer=StandardScaler()),
    ],
    ids=["pipeline", "transformed target"],
)
def test_a_fit_that_the_user_called_by_way_of_a_pipeline_keeps_its_weights(around, monkeypatch):
    X, y = data.iris()
    model = interrupted(around(BPRegressor((5,), **PARAMS)), X, y.astype(float), monkeypatch)
    assert np.isfinite(model.predict(X)).all()


def test_ctrl_c_ends_a_stream_of_partial_fits(monkeypatch):
    """The model is that of the calls before."""
    X, y = data.iris()
    model = BPClassifier((5,), batch_size=10, random_state=0, verbose=True)
    other = clone(model).set_params(verbose=False)
    n_calls = 0
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", Interrupting(lambda: n_calls == 3 and press_ctrl_c()))
        sys.stdout.done = False
        with pytest.raises(KeyboardInterrupt):
            while True:
                n_calls += 1
                sys.stdout.done = False
                model.partial_fit(X, y, classes=[0, 1, 2])
    assert n_calls >= 3
    for _ in range(len(model.loss_curve_)):
        other.partial_fit(X, y, classes=[0, 1, 2])
    assert_same_bits(model, other)


def test_a_handler_of_the_users_own_is_called(monkeypatch):
    """An application that does something else on Ctrl-C is not taken by surprise; what it raises counts."""
    X, y = data.iris()
    called = []

    def handler(number, frame):
        called.append(number)
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, handler)
    try:
        interrupted(BPClassifier((5,), **PARAMS), X, y, monkeypatch)
        assert signal.getsignal(signal.SIGINT) is handler
    finally:
        signal.signal(signal.SIGINT, before)
    assert called == [signal.SIGINT]


def test_keyboard_interrupt_in_another_thread(monkeypatch):
    """Python delivers Ctrl-C to the main thread only, but the exception can be raised in any."""
    X, y = data.iris()
    result = []

    def interrupt():
        raise KeyboardInterrupt

    def work():
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            model = BPClassifier((5,), **PARAMS).fit(X, y)
        result.append((model, [str(w.message) for w in caught]))

    monkeypatch.setattr(sys, "stdout", Interrupting(interrupt))
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    model, messages = result[0]
    assert any("interrupted" in message for message in messages)
    assert np.isfinite(weights(model)).all()


def test_fit_outside_the_main_thread_is_the_same_fit():
    X, y = data.iris()
    params = {"max_iter": 5, "random_state": 0, **EVERY_EPOCH}
    here = BPClassifier((5,), **params).fit(X, y)
    there = BPClassifier((5,), **params)
    thread = threading.Thread(target=there.fit, args=(X, y))
    thread.start()
    thread.join()
    assert_same_bits(here, there)


def test_the_process_can_end_while_a_daemon_thread_trains():
    """What a Ctrl-C in the main thread comes to when the fit runs in another: neither a crash nor a hang."""
    program = """
import io, sys, threading
import numpy as np
from fastbp import BPRegressor

training = threading.Event()

class Tell(io.StringIO):
    def write(self, text):
        if "Iteration" in text:
            training.set()
        return len(text)

out, sys.stdout = sys.stdout, Tell()
X = np.random.RandomState(0).normal(size=(200, 5))
model = BPRegressor((20,), max_iter=2**31 - 1, tol=0.0, n_iter_no_change=np.inf, verbose=True)
threading.Thread(target=model.fit, args=(X, X[:, 0]), daemon=True).start()
assert training.wait(300)
out.write("ends")
out.flush()
raise KeyboardInterrupt
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=400, check=False
    )
    assert done.stdout == "ends"
    assert done.stderr.rstrip().endswith("KeyboardInterrupt")
    assert "Fatal" not in done.stderr
    # A KeyboardInterrupt that nobody catches ends Python by SIGINT, or with 130 or Windows' code.
    assert done.returncode in (-signal.SIGINT, 130, 0xC000013A)
