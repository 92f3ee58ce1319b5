"""Callbacks: scikit-learn's protocol and its own callbacks, stopping, and fits taken up from a checkpoint."""

import io
import os
import pickle
import signal
import subprocess
import sys
import warnings
from itertools import count
from pathlib import Path

import data
import numpy as np
import pytest
from helpers import EVERY_EPOCH, assert_equal_state, assert_same_bits, fitted_attributes, snapshot, weights
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.callback import ProgressBar, ScoringMonitor
from sklearn.callback.tests._utils import MetaEstimator
from sklearn.datasets import make_moons
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fastbp import BPClassifier, BPRegressor
from fastbp.callbacks import Checkpoint, StopWhen, TimeLimit, checkpoint_file, time_limit
from fastbp.callbacks import checkpoint as checkpoint_module
from fastbp.functions.solvers import STOCHASTIC

SOLVERS = [*STOCHASTIC, "lbfgs"]
PARAMS = {"hidden_layer_sizes": (6,), "max_iter": 5, "batch_size": 40, "random_state": 0, **EVERY_EPOCH}


class Recorder:
    """Notes the hooks that are called, with the name and the number of the task."""

    def __init__(self, stop_after=None):
        self.hooks = []
        self.stop_after = stop_after

    def setup(self, estimator, context):
        self.hooks.append(("setup", context.task_name, context.max_subtasks))

    def on_fit_task_begin(self, estimator, context):
        self.hooks.append(("begin", context.task_name, context.task_id))

    def on_fit_task_end(self, estimator, context):
        self.hooks.append(("end", context.task_name, context.task_id))
        return context.task_id + 1 == self.stop_after if context.parent is not None else False

    def teardown(self, estimator, context):
        self.hooks.append(("teardown", context.task_name, context.max_subtasks))


class Models(Recorder):
    """Keeps all that the hooks may ask for."""

    def __init__(self):
        super().__init__()
        self.begun, self.ended, self.given = [], [], []

    def on_fit_task_begin(self, estimator, context, *, fitted_estimator=None):
        self.begun.append(fitted_estimator)

    def on_fit_task_end(self, estimator, context, *, X=None, y=None, metadata=None, fitted_estimator=None):
        self.given.append((X, y, metadata))
        self.ended.append(fitted_estimator)


class Failing(Recorder):
    """Raises in one of the hooks."""

    def __init__(self, at, task="fit"):
        super().__init__()
        self.at, self.task = at, task

    def _fail(self, hook, context):
        if (hook, context.task_name) == (self.at, self.task):
            raise ZeroDivisionError(f"in {hook}")

    def setup(self, estimator, context):
        self._fail("setup", context)

    def on_fit_task_begin(self, estimator, context):
        self._fail("begin", context)

    def on_fit_task_end(self, estimator, context):
        self._fail("end", context)

    def teardown(self, estimator, context):
        super().teardown(estimator, context)
        self._fail("teardown", context)


def tasks_of(unit, n, name="fit", n_at_most=None):
    """The hooks of a whole fit."""
    n_at_most = n if n_at_most is None else n_at_most
    each = [(hook, unit, i) for i in range(n) for hook in ("begin", "end")]
    return [
        ("setup", name, n_at_most),
        ("begin", name, 0),
        *each,
        ("end", name, 0),
        ("teardown", name, n_at_most),
    ]


# --- The protocol


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("Estimator", [BPClassifier, BPRegressor])
def test_a_fit_is_a_task_and_its_epochs_are_subtasks(Estimator, solver):
    X, y = data.iris()
    recorder = Recorder()
    plain = Estimator(**PARAMS, solver=solver).fit(X, y)
    model = Estimator(**PARAMS, solver=solver).set_callbacks(recorder).fit(X, y)
    assert recorder.hooks == tasks_of("iteration" if solver == "lbfgs" else "epoch", 5)
    assert_same_bits(model, plain)
    assert_equal_state(fitted_attributes(model), fitted_attributes(plain))
    assert vars(model).keys() == vars(plain).keys() | {"_skl_callbacks"}


def test_partial_fit_is_a_task_of_one_epoch():
    X, y = data.iris()
    recorder = Recorder()
    plain = BPClassifier(**PARAMS).partial_fit(X, y, classes=[0, 1, 2]).partial_fit(X, y)
    model = BPClassifier(**PARAMS).set_callbacks(recorder).partial_fit(X, y, classes=[0, 1, 2])
    assert recorder.hooks == tasks_of("epoch", 1, "partial_fit")
    assert_same_bits(model.partial_fit(X, y), plain)


def test_fewer_epochs_than_max_iter():
    X, y = data.iris()
    recorder = Recorder()
    model = BPClassifier((6,), solver="lbfgs", max_iter=1000, random_state=0)
    model.set_callbacks(recorder).fit(X, y)
    assert model.n_iter_ < 1000
    assert recorder.hooks[:-2] == tasks_of("iteration", model.n_iter_, "fit", 1000)[:-2]


@pytest.mark.parametrize("options", [{}, {"solver": "lbfgs"}, {"early_stopping": True}, {"average": "ema"}])
@pytest.mark.parametrize("Estimator", [BPClassifier, BPRegressor])
def test_the_fitted_estimator_is_what_a_shorter_fit_makes(Estimator, options):
    X, y = data.iris()
    models = Models()
    model = Estimator(**PARAMS, **options).set_callbacks(models).fit(X, y)
    assert len(models.ended) == 6
    assert models.ended[-1].n_iter_ == model.n_iter_
    for n, found in enumerate(models.ended[:-1], start=1):
        shorter = Estimator(**{**PARAMS, "max_iter": n}, **options).fit(X, y)
        assert_same_bits(found, shorter)
        assert_equal_state(fitted_attributes(found), fitted_attributes(shorter))
        assert_array_equal(found.predict(X), shorter.predict(X))
    for before, after in zip(models.begun[2:], models.ended, strict=False):
        assert_same_bits(before, after)
    assert models.begun[0] is None
    assert models.begun[1].n_iter_ == 0


def test_fitted_estimators_can_be_trained_on():
    X, y = data.iris()
    models = Models()
    BPClassifier(**PARAMS).set_callbacks(models).fit(X, y)
    shorter = BPClassifier(**{**PARAMS, "max_iter": 3}).fit(X, y)
    assert_same_bits(models.ended[2].set_callbacks().partial_fit(X, y), shorter.partial_fit(X, y))


def test_data_are_given_as_the_user_gave_them():
    pd = pytest.importorskip("pandas")
    X, y = data.iris()
    X, y = pd.DataFrame(X, columns=list("abcd")), np.array(["u", "v", "w"])[y]
    models = Models()
    BPClassifier(**PARAMS).set_callbacks(models).fit(X, y, np.ones(len(y)))
    for given_X, given_y, metadata in models.given:
        assert given_X is X
        assert given_y is y
        assert metadata.keys() == {"sample_weight"}
    for model in models.ended[:-1]:
        assert set(model.predict(X)) <= set("uvw")  # and no warning about feature names


def test_a_refit_shows_nothing_of_the_fit_before():
    pd = pytest.importorskip("pandas")
    X, y = data.iris()
    models = Models()
    model = BPClassifier(**PARAMS).fit(pd.DataFrame(X, columns=list("abcd")), y)
    model.set_params(solver="lbfgs").set_callbacks(models).fit(X, y)
    found = models.ended[0]
    assert found.feature_names_in_ is None  # scikit-learn's copy cannot lack it
    assert found.loss_curve_ is None
    found.predict(X)
    assert not hasattr(model, "loss_curve_")


def test_models_are_made_only_when_asked_for(monkeypatch):
    X, y = data.iris()
    made = []
    make = BPClassifier._model
    monkeypatch.setattr(BPClassifier, "_model", lambda self, *a: made.append(0) or make(self, *a))
    BPClassifier(**PARAMS).set_callbacks(Recorder(), TimeLimit(1e9), StopWhen(lambda e: e.loss < 0)).fit(X, y)
    assert not made
    BPClassifier(**PARAMS).set_callbacks(StopWhen(lambda e: e.number == 2 and e.estimator is None)).fit(X, y)
    assert len(made) == 1


def test_without_callbacks_training_does_not_stop_at_epochs(monkeypatch):
    from fastbp.engines.select import get_engine

    cpu = get_engine()
    calls = []

    class Counting(cpu.Trainer):
        def train(self, *arguments):
            calls.append(arguments)
            return super().train(*arguments)

    monkeypatch.setattr(cpu, "Trainer", Counting)
    X, y = data.iris()
    BPClassifier(**{**PARAMS, "max_iter": 200}).set_callbacks(Recorder()).set_callbacks().fit(X, y)
    assert not any(at_epochs for _, at_epochs in calls)
    assert len(calls) < 200


@pytest.mark.parametrize("task", ["fit", "epoch"])
@pytest.mark.parametrize("hook", ["setup", "begin", "end", "teardown"])
@pytest.mark.parametrize("fitted", [False, True])
def test_a_callback_that_raises_leaves_the_estimator_as_it_was(fitted, hook, task):
    if task == "epoch" and hook in ("setup", "teardown"):
        return  # hooks of the fit alone
    X, y = data.iris()
    failing, other = Failing(hook, task), Recorder()
    model = BPClassifier(**PARAMS, warm_start=True)
    if fitted:
        model.fit(X, y)
    model.set_callbacks(failing, other)
    names, before = list(vars(model)), snapshot(model)
    with pytest.raises(ZeroDivisionError, match=f"in {hook}"):
        model.fit(X, y)
    assert list(vars(model)) == names
    assert_equal_state(snapshot(model), before)
    assert failing.hooks == [("teardown", "fit", 5)]
    assert len([one for one in other.hooks if one[0] == "teardown"]) == (hook != "setup")
    assert_same_bits(model.set_callbacks().fit(X, y), model)


def test_an_error_of_the_fit_ends_the_callbacks():
    X, y = data.iris()
    recorder = Recorder()
    model = BPRegressor((5,), solver="sgd", learning_rate_init=1e200).set_callbacks(recorder)
    with pytest.raises(ValueError, match="non-finite"):
        model.fit(X, y)
    assert recorder.hooks[0][0] == "setup"
    assert recorder.hooks[-1][0] == "teardown"
    assert ("end", "fit", 0) not in recorder.hooks


def test_begun_epochs_are_ended_when_the_user_interrupts():
    X, y = data.iris()

    class Interrupting(Recorder):
        def on_fit_task_begin(self, estimator, context):
            super().on_fit_task_begin(estimator, context)
            if context.task_id == 2:
                signal.raise_signal(signal.SIGINT)

    recorder = Interrupting()
    with pytest.warns(UserWarning, match="interrupted by user"):
        BPClassifier(**PARAMS).set_callbacks(recorder).fit(X, y)
    begun, ended = ([one for one in recorder.hooks if one[0] == name] for name in ("begin", "end"))
    assert len(begun) == len(ended) == 4


def test_callbacks_are_shared_by_clones_and_go_with_pickles():
    recorder = Recorder()
    model = BPClassifier(**PARAMS).set_callbacks(recorder)
    assert clone(model)._skl_callbacks == [recorder]
    X, y = data.iris()
    for one in (model, clone(model).fit(X, y)):
        again = pickle.loads(pickle.dumps(one))
        assert len(again._skl_callbacks) == 1
        assert_same_bits(again.fit(X, y), clone(model).fit(X, y))
    with pytest.raises(TypeError, match="FitCallback"):
        model.set_callbacks(None)


# --- scikit-learn's callbacks


@pytest.mark.parametrize("solver", ["sgd", "adam", "lbfgs"])
@pytest.mark.parametrize("Estimator", [BPClassifier, BPRegressor])
def test_scoring_monitor(Estimator, solver):
    X, y = data.iris()
    metric = "accuracy" if Estimator is BPClassifier else "r2"
    monitor = ScoringMonitor(scoring=metric)
    model = Estimator(**PARAMS, solver=solver).set_callbacks(monitor).fit(X, y, np.arange(150) % 4)
    scores = [row[metric] for row in monitor.get_logs().data]
    assert len(scores) == 6
    for n, found in enumerate(scores[1:], start=1):
        shorter = Estimator(**{**PARAMS, "max_iter": n}, solver=solver).fit(X, y, np.arange(150) % 4)
        assert found == shorter.score(X, y, np.arange(150) % 4)
    assert scores[0] == scores[-1] == model.score(X, y, np.arange(150) % 4)


def test_scoring_monitor_in_a_pipeline_and_a_search():
    X, y = data.iris()
    monitor = ScoringMonitor(scoring="accuracy")
    pipe = make_pipeline(StandardScaler(), BPClassifier(**PARAMS).set_callbacks(monitor))
    pipe.fit(X, y)
    assert [row["task_name"] for row in monitor.get_logs().data].count("epoch") == 5
    grid = {"bpclassifier__alpha": [1e-4, 1e-3]}
    search = GridSearchCV(pipe, grid, cv=2).fit(X, y)
    rows = monitor.get_logs().data
    assert [row["task_name"] for row in rows].count("epoch") == 5 * (2 * 2 + 1)
    plain = make_pipeline(StandardScaler(), BPClassifier(**PARAMS))
    assert search.best_score_ == GridSearchCV(plain, grid, cv=2).fit(X, y).best_score_


@pytest.mark.parametrize("prefer", ["threads", "processes"])
def test_scoring_monitor_in_workers(prefer):
    X, y = data.iris()
    monitor = ScoringMonitor(scoring="accuracy")
    model = BPClassifier(**PARAMS).set_callbacks(monitor, TimeLimit(1e9))
    MetaEstimator(model, n_outer=2, n_inner=1, n_jobs=2, prefer=prefer).fit(X, y)
    logs = monitor.get_logs(select="all")
    assert sum(row["task_name"] == "epoch" for log in logs for row in log.data) == 10


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_progress_bar(solver, capsys):
    X, y = data.iris()
    model = BPClassifier(**PARAMS, solver=solver).set_callbacks(ProgressBar())
    model.fit(X, y)
    out = capsys.readouterr().out
    assert "BPClassifier - fit" in out
    assert "100%" in out


def test_progress_bar_in_a_pipeline_and_a_search(capsys):
    X, y = data.iris()
    pipe = make_pipeline(StandardScaler(), BPRegressor(**PARAMS))
    pipe.set_callbacks(ProgressBar()).fit(X, y)
    assert "fit-final-estimator | BPRegressor - fit" in capsys.readouterr().out
    network = BPClassifier(**PARAMS)
    search = GridSearchCV(network, {"alpha": [1e-4, 1e-3]}, cv=2)
    search.set_callbacks(ProgressBar(max_propagation_depth=None)).fit(X, y)
    assert "BPClassifier - fit" in capsys.readouterr().out
    assert not hasattr(search.best_estimator_, "_skl_callbacks")
    assert not hasattr(search.best_estimator_, "_parent_callback_ctx")


# --- Stopping


@pytest.mark.parametrize("solver", SOLVERS)
def test_a_callback_stops_the_fit(solver):
    X, y = data.iris()
    recorder = Recorder(stop_after=3)
    model = BPClassifier(**PARAMS, solver=solver).set_callbacks(recorder)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.fit(X, y)
    shorter = BPClassifier(**{**PARAMS, "max_iter": 3}, solver=solver).fit(X, y)
    assert model.n_iter_ == 3
    assert recorder.hooks == tasks_of("iteration" if solver == "lbfgs" else "epoch", 3, "fit", 5)
    assert_same_bits(model, shorter)
    assert_equal_state(fitted_attributes(model), fitted_attributes(shorter))


def test_stopping_after_the_last_epoch_is_no_failure_to_converge():
    X, y = data.iris()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        BPClassifier(**PARAMS).set_callbacks(Recorder(stop_after=5)).fit(X, y)
    with pytest.warns(ConvergenceWarning):
        BPClassifier(**PARAMS).set_callbacks(Recorder()).fit(X, y)


def test_stopping_under_early_stopping_keeps_the_best_weights():
    X, y = data.iris()
    options = {**PARAMS, "early_stopping": True, "learning_rate_init": 0.1, "max_iter": 30}
    model = BPClassifier(**options).set_callbacks(StopWhen(lambda epoch: epoch.number == 20)).fit(X, y)
    assert len(model.validation_scores_) == 20
    assert model.best_validation_score_ == max(model.validation_scores_)
    assert_same_bits(model, BPClassifier(**{**options, "max_iter": 20}).fit(X, y))


def test_stop_when_sees_loss_score_and_model():
    X, y = data.iris()
    seen = []

    def look(epoch):
        seen.append((epoch.number, epoch.loss, epoch.score))
        return epoch.estimator.score(X, y) > 0.8

    options = {**PARAMS, "early_stopping": True, "max_iter": 500}
    model = BPClassifier(**options).set_callbacks(StopWhen(look)).fit(X, y)
    assert model.n_iter_ < 500
    numbers, losses, scores = zip(*seen, strict=True)
    assert list(numbers) == list(range(1, model.n_iter_ + 1))
    assert list(losses) == model.loss_curve_
    assert list(scores) == model.validation_scores_
    seen.clear()
    look_at_score = StopWhen(lambda epoch: seen.append(epoch.score))
    BPRegressor(**PARAMS, solver="lbfgs").set_callbacks(look_at_score).fit(X, y)
    assert seen == [None] * 5


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_time_limit(solver, monkeypatch):
    """Each look at the clock takes a second; the first is at the beginning."""
    X, y = data.iris()
    for seconds, n_epochs in [(0, 1), (2.5, 3), (3, 3), (100, 5)]:
        clock = count()
        monkeypatch.setattr(time_limit, "monotonic", lambda clock=clock: next(clock))
        limit = TimeLimit(seconds)
        model = BPClassifier(**PARAMS, solver=solver).set_callbacks(limit).fit(X, y)
        assert model.n_iter_ == n_epochs
        assert_same_bits(model, BPClassifier(**{**PARAMS, "max_iter": n_epochs}, solver=solver).fit(X, y))


def test_every_fit_of_a_search_has_its_own_time(monkeypatch):
    X, y = data.iris()
    clock = count()
    monkeypatch.setattr(time_limit, "monotonic", lambda: next(clock))
    network = BPClassifier(**PARAMS).set_callbacks(TimeLimit(2))
    search = GridSearchCV(network, {"alpha": [1e-4, 1e-3]}, cv=2).fit(X, y)
    assert search.best_estimator_.n_iter_ == 2
    assert next(clock) == 4 * 5  # the beginning, two epochs, the end


@pytest.mark.parametrize("callback", [TimeLimit(1), StopWhen(bool), Checkpoint("x")])
def test_callbacks_of_networks_refuse_other_estimators(callback):
    X, y = data.iris()
    name = type(callback).__name__
    for other in (LogisticRegression(), make_pipeline(BPClassifier(**PARAMS))):
        with pytest.raises(TypeError, match=f"{name} is a callback of BPClassifier and BPRegressor, but"):
            other.set_callbacks(callback).fit(X, y)


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda: TimeLimit(-1), "seconds"),
        (lambda: TimeLimit(np.nan), "seconds"),
        (lambda: TimeLimit("1"), "seconds"),
        (lambda: StopWhen(3), "condition"),
        (lambda: Checkpoint(3), "path"),
        (lambda: Checkpoint("x", every=0), "every"),
        (lambda: Checkpoint("x", seconds=-1), "seconds"),
        (lambda: Checkpoint("x", resume="yes"), "resume"),
    ],
)
def test_bad_parameters_are_named(make, name):
    with pytest.raises(ValueError, match=f"The '{name}' parameter of"):
        make()


# --- Checkpoints


OPTIONS = [
    {"early_stopping": True, "n_iter_no_change": 3},
    {"early_stopping": True, "scoring": "loss", "validation_fraction": 0.3},
    {"n_iter_no_change": 2, "tol": 1e-2},
    {"solver": "sgd", "learning_rate": "adaptive", "n_iter_no_change": 2, "tol": 0.5},
    {"solver": "sgd", "learning_rate": "invscaling"},
    {"schedule": "cosine"},
    {"schedule": "one_cycle", "schedule_params": {"warmup_steps": 3}},
    {"schedule": "plateau", "n_iter_no_change": 1, "tol": 0.1},
    {"average": "ema", "average_params": {"decay": 0.9}},
    {"average": "swa", "average_params": {"start": 0.5}},
    {"dropout": 0.3, "input_noise": 0.1},
    {"batch_size": 1000},
    {"shuffle": False, "residual": True, "hidden_layer_sizes": (6, 6)},
    {"clip_norm": 0.1, "max_norm": 1.0, "l1": 1e-3, "weight_decay": 0.1},
    {"random_state": None},
    {"out_bias": "data", "fit_intercept": True},
    {"norm": "batch", "input_scaling": "robust", "learn_input_scales": True},
    {"norm": "layer", "parametric_activation": True, "rate_factors": {"biases": 0.1}},
    {"activation": "maxout", "maxout_pieces": 3},
    {"preset": "tabular", "hidden_layer_sizes": (6,)},
]


def taken_up(model, path, X, y, stop_after, **fit):
    """The model of a fit that was stopped and taken up by an object that knows nothing of it."""
    stop = StopWhen(lambda epoch: epoch.number == stop_after)
    stopped = clone(model).set_callbacks(Checkpoint(path), stop).fit(X, y, **fit)
    assert stopped.n_iter_ <= stop_after
    recorder = Recorder()
    again = clone(model).set_callbacks(Checkpoint(path, resume=True), recorder).fit(X, y, **fit)
    n_epochs = len([one for one in recorder.hooks if one[0] == "end"]) - 1
    assert n_epochs == again.n_iter_ - stopped.n_iter_
    return again


def assert_same_fit(found, wanted):
    assert_same_bits(found, wanted)
    assert_equal_state(fitted_attributes(found), fitted_attributes(wanted))


@pytest.mark.filterwarnings("ignore:Got `batch_size`")
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("stop_after", [1, 4])
@pytest.mark.parametrize("options", [*({"solver": name} for name in SOLVERS), *OPTIONS], ids=str)
def test_a_fit_taken_up_has_the_same_bits(options, stop_after, dtype, tmp_path):
    X, y = data.iris()
    X = X.astype(dtype)
    model = BPClassifier(**{**PARAMS, "max_iter": 8, **options})
    path = tmp_path / "run.ckpt"
    if model.random_state is None:
        np.random.seed(7)
        whole = clone(model).fit(X, y)
        np.random.seed(7)
        stop = StopWhen(lambda epoch: epoch.number == stop_after)
        clone(model).set_callbacks(Checkpoint(path), stop).fit(X, y)
        np.random.seed(8)  # as in another process
        found = clone(model).set_callbacks(Checkpoint(path, resume=True)).fit(X, y)
    else:
        whole = clone(model).fit(X, y)
        found = taken_up(model, path, X, y, stop_after)
    assert_same_fit(found, whole)
    # the state of the solver, too
    if whole.solver != "lbfgs" and not whole.early_stopping:
        assert_same_bits(found.set_callbacks().partial_fit(X, y), whole.partial_fit(X, y))


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_a_regressor_with_weights_and_sparse_rows(solver, tmp_path):
    from scipy import sparse

    X, y = data.multi_output()
    X, weight = sparse.csr_matrix(X), np.arange(len(y)) % 3
    model = BPRegressor(**PARAMS, solver=solver)
    found = taken_up(model, tmp_path / "run.ckpt", X, y, 2, sample_weight=weight)
    assert_same_fit(found, clone(model).fit(X, y, sample_weight=weight))


def test_given_validation_rows(tmp_path):
    X, y = data.iris()
    model = BPClassifier(**{**PARAMS, "early_stopping": True})
    rows = {"X_val": X[100:], "y_val": y[100:]}
    found = taken_up(model, tmp_path / "run.ckpt", X[:100], y[:100], 2, **rows)
    assert_same_fit(found, clone(model).fit(X[:100], y[:100], **rows))
    other = clone(model).set_callbacks(Checkpoint(tmp_path / "run.ckpt", resume=True))
    with pytest.raises(ValueError, match="digest of the data"):
        other.fit(X[:100], y[:100], X_val=X[90:], y_val=y[90:])


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_given_weights_to_start_from(solver, tmp_path):
    X, y = data.iris()
    model = BPClassifier(**PARAMS, solver=solver)
    start = clone(model).set_params(random_state=5).fit(X, y)
    given = {"coefs_init": start.coefs_, "intercepts_init": start.intercepts_}
    path = tmp_path / "run.ckpt"
    assert_same_fit(taken_up(model, path, X, y, 2, **given), clone(model).fit(X, y, **given))
    with pytest.raises(ValueError, match="began with other weights"):
        clone(model).set_callbacks(Checkpoint(path, resume=True)).fit(X, y)


@pytest.mark.parametrize("early_stopping", [False, True])
def test_a_warm_start_in_a_new_object(early_stopping, tmp_path):
    """The curves of the fits before are in the file."""
    X, y = data.iris()
    model = BPClassifier(**PARAMS, warm_start=True, early_stopping=early_stopping)
    whole = clone(model).fit(X, y).fit(X, y)
    path = tmp_path / "run.ckpt"
    first = clone(model).fit(X, y)
    first.set_callbacks(Checkpoint(path), StopWhen(lambda epoch: epoch.number == 2)).fit(X, y)
    found = clone(model).set_callbacks(Checkpoint(path, resume=True)).fit(X, y)
    assert_same_fit(found, whole)
    assert len(found.loss_curve_) == 10


def test_a_warm_start_replaces_the_file_of_the_fit_before(tmp_path):
    X, y = data.iris()
    plain = BPClassifier(**PARAMS, warm_start=True).fit(X, y).fit(X, y).fit(X, y)
    model = BPClassifier(**PARAMS, warm_start=True)
    model.set_callbacks(Checkpoint(tmp_path / "run.ckpt", resume=True))
    assert_same_fit(model.fit(X, y).fit(X, y).fit(X, y), plain)
    model.coefs_[0][0] += 1
    with pytest.raises(ValueError, match="began with other weights"):
        model.fit(X, y)


def test_a_fit_that_had_ended_gives_its_model_again(tmp_path):
    X, y = data.iris()
    for solver in ("adam", "lbfgs"):
        model = BPClassifier(**PARAMS, solver=solver)
        model.set_callbacks(Checkpoint(tmp_path / solver, resume=True)).fit(X, y)
        recorder = Recorder()
        again = clone(model).set_callbacks(Checkpoint(tmp_path / solver, resume=True), recorder)
        with pytest.warns(ConvergenceWarning):
            assert_same_fit(again.fit(X, y), model)
        assert recorder.hooks == tasks_of("epoch", 0, "fit", 5)


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_more_epochs_than_before(solver, tmp_path):
    X, y = data.iris()
    checkpoint = Checkpoint(tmp_path / "run.ckpt", resume=True)
    BPClassifier(**PARAMS, solver=solver).set_callbacks(checkpoint).fit(X, y)
    longer = BPClassifier(**{**PARAMS, "max_iter": 9}, solver=solver)
    assert_same_fit(clone(longer).set_callbacks(checkpoint).fit(X, y), longer.fit(X, y))
    with pytest.raises(ValueError, match="9 epochs were made and max_iter is 8"):
        longer.set_params(max_iter=8).set_callbacks(checkpoint).fit(X, y)


IN_A_NEW_PROCESS = """
import os, sys
import numpy as np
from sklearn.datasets import make_moons
from fastbp import BPClassifier
from fastbp.callbacks import Checkpoint, StopWhen
X, y = make_moons(100, noise=0.2, random_state=0)
model = BPClassifier((5,), solver=sys.argv[1], max_iter=20, tol=0, dropout=float(sys.argv[4]), random_state=0)
killer = StopWhen(lambda epoch: epoch.number == 7 and sys.argv[3] == "die" and os._exit(9))
model.set_callbacks(Checkpoint(sys.argv[2], every=2, resume=True), killer).fit(X, y)
print(np.concatenate([w.ravel() for w in model.coefs_]).tobytes().hex(), model.n_iter_)
"""


@pytest.mark.parametrize(("solver", "dropout"), [("adam", "0.2"), ("lbfgs", "0")])
def test_a_process_that_dies(solver, dropout, tmp_path):
    def run(path, end):
        command = [sys.executable, "-W", "ignore", "-c", IN_A_NEW_PROCESS, solver, str(path), end, dropout]
        return subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parent.parent)

    assert run(tmp_path / "run.ckpt", "die").returncode == 9
    saved = checkpoint_file.read(tmp_path / "run.ckpt")
    assert saved.position.n_epochs == 6
    again = run(tmp_path / "run.ckpt", "live")
    assert again.returncode == 0, again.stderr
    X, y = make_moons(100, noise=0.2, random_state=0)
    whole = BPClassifier((5,), solver=solver, max_iter=20, tol=0, dropout=float(dropout), random_state=0)
    whole.fit(X, y)
    bits = np.concatenate([w.ravel() for w in whole.coefs_]).tobytes().hex()
    assert again.stdout.split() == [bits, "20"]


def test_a_search_with_a_folder(tmp_path):
    X, y = data.iris()
    network = BPClassifier(**PARAMS)
    grid, checkpoint = {"alpha": [1e-4, 1e-3]}, Checkpoint(tmp_path, resume=True)
    plain = GridSearchCV(network, grid, cv=2).fit(X, y)
    network.set_callbacks(checkpoint)
    first = GridSearchCV(network, grid, cv=2, n_jobs=2).fit(X, y)
    files = sorted(tmp_path.iterdir())
    assert len(files) == 5
    written = [path.stat().st_mtime_ns for path in files]
    again = GridSearchCV(network, grid, cv=2).fit(X, y)
    assert [path.stat().st_mtime_ns for path in sorted(tmp_path.iterdir())] == written
    for found in (first, again):
        assert_same_fit(found.best_estimator_, plain.best_estimator_)
        assert found.best_score_ == plain.best_score_


def test_two_checkpoints(tmp_path):
    """A folder's file is named by the fit, also where another file was found first."""
    X, y = data.iris()
    folder = tmp_path / "folder"
    folder.mkdir()
    callbacks = [Checkpoint(tmp_path / "one", resume=True), Checkpoint(folder)]
    first = BPClassifier(**PARAMS).set_callbacks(*callbacks).fit(X, y)
    (file,) = folder.iterdir()
    (tmp_path / "one").rename(tmp_path / "two")
    stop = StopWhen(lambda epoch: epoch.number == 3)
    BPClassifier(**PARAMS).set_callbacks(callbacks[0], stop).fit(X, y)
    file.unlink()
    again = BPClassifier(**PARAMS).set_callbacks(*callbacks).fit(X, y)
    assert_same_fit(again, first)
    assert [path.name for path in folder.iterdir()] == [file.name]


def test_when_files_are_written(tmp_path, monkeypatch):
    X, y = data.iris()
    written, now = [], [0]
    write = checkpoint_module.write
    monkeypatch.setattr(checkpoint_module, "monotonic", lambda: now[0])

    def writing(path, saved):
        written.append(saved.position.n_epochs)
        write(path, saved)

    monkeypatch.setattr(checkpoint_module, "write", writing)
    model = BPClassifier(**{**PARAMS, "max_iter": 8})

    def epochs_written(**options):
        written.clear()
        now[0] = 0
        clock = StopWhen(lambda epoch: now.__setitem__(0, now[0] + 10))
        model.set_callbacks(clock, Checkpoint(tmp_path / "run.ckpt", **options)).fit(X, y)
        return list(written)

    assert epochs_written() == [1, 2, 3, 4, 5, 6, 7, 8]
    assert epochs_written(every=3) == [3, 6, 8]
    assert epochs_written(every=4) == [4, 8]
    assert epochs_written(seconds=25) == [3, 6, 8]
    assert epochs_written(every=100) == [8]
    assert os.listdir(tmp_path) == ["run.ckpt"]


def test_without_resume_a_file_is_replaced(tmp_path):
    X, y = data.iris()
    path = tmp_path / "run.ckpt"
    path.write_bytes(b"something else")
    BPClassifier(**PARAMS).set_callbacks(Checkpoint(path)).fit(X, y)
    assert checkpoint_file.read(path).position.n_epochs == 5


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"alpha": 0.5}, "alpha was 0.0001 and is 0.5"),
        ({"hidden_layer_sizes": (7,)}, r"hidden_layer_sizes was \[6\] and is \[7\]"),
        ({"solver": "lbfgs"}, "solver was 'adam' and is 'lbfgs'"),
        ({"schedule": "cosine"}, "schedule was None and is 'cosine'"),
        ({"random_state": 1}, "random_state was 0 and is 1"),
        ({"random_state": None}, "random_state was 0 and is None"),
    ],
)
def test_other_parameters_are_refused(change, message, tmp_path):
    X, y = data.iris()
    checkpoint = Checkpoint(tmp_path / "run.ckpt", resume=True)
    model = BPClassifier(**PARAMS).set_callbacks(checkpoint).fit(X, y)
    before = snapshot(model.set_params(**change))
    with pytest.raises(ValueError, match=message):
        model.fit(X, y)
    assert_equal_state(snapshot(model), before)


def test_other_data_are_refused(tmp_path):
    X, y = data.iris()
    path = tmp_path / "run.ckpt"
    model = BPClassifier(**PARAMS).set_callbacks(Checkpoint(path, resume=True)).fit(X, y)
    with pytest.raises(ValueError, match=r"run\.ckpt' is of another fit: shape of X was \[150, 4\]"):
        clone(model).fit(X[:140], y[:140])
    with pytest.raises(ValueError, match="dtype was 'float64' and is 'float32'"):
        clone(model).fit(X.astype(np.float32), y)
    with pytest.raises(ValueError, match="digest of the data"):
        clone(model).fit(X + 1, y)
    with pytest.raises(ValueError, match="digest of the data"):
        clone(model).fit(X, y[::-1])
    with pytest.raises(ValueError, match="estimator was 'BPClassifier' and is 'BPRegressor'"):
        BPRegressor(**PARAMS).set_callbacks(Checkpoint(path, resume=True)).fit(X, y)
    clone(model).set_params(n_jobs=1, verbose=False).fit(X, y)


def damaged(content):
    yield b""
    yield b"not a checkpoint"
    yield content[: len(content) // 2]
    middle = len(content) // 3
    yield content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]
    other = io.BytesIO()
    np.savez(other, a=np.arange(3))
    yield other.getvalue()
    unsafe = io.BytesIO()
    np.savez(unsafe, meta=np.array([{"fastbp checkpoint": 1}], dtype=object))
    yield unsafe.getvalue()


def test_a_damaged_file_is_named(tmp_path):
    X, y = data.iris()
    path = tmp_path / "run.ckpt"
    model = BPClassifier(**PARAMS).set_callbacks(Checkpoint(path, resume=True)).fit(X, y)
    before = snapshot(model)
    for content in damaged(path.read_bytes()):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"run\.ckpt' cannot be read as a checkpoint of fastbp"):
            model.fit(X, y)
        assert_equal_state(snapshot(model), before)
        assert path.read_bytes() == content


def test_a_disk_that_is_full_does_not_lose_the_fit(tmp_path, monkeypatch):
    X, y = data.iris()
    path = tmp_path / "run.ckpt"
    sync = os.fsync
    calls = count(1)

    def full(handle):
        if next(calls) > 4:  # two writings, each with its folder
            raise OSError(28, "No space left on device")
        sync(handle)

    monkeypatch.setattr(checkpoint_file.os, "fsync", full)
    plain = BPClassifier(**PARAMS).fit(X, y)
    model = BPClassifier(**PARAMS).set_callbacks(Checkpoint(path))
    with pytest.warns(RuntimeWarning, match=r"run\.ckpt' cannot be written: .*No space left") as caught:
        model.fit(X, y)
    assert len([one for one in caught if one.category is RuntimeWarning]) == 1
    assert_same_fit(model, plain)
    assert os.listdir(tmp_path) == ["run.ckpt"]
    assert checkpoint_file.read(path).position.n_epochs == 2


def test_a_folder_that_is_not_there(tmp_path):
    X, y = data.iris()
    model = BPClassifier(**PARAMS).set_callbacks(Checkpoint(tmp_path / "none" / "run.ckpt", resume=True))
    with pytest.warns(RuntimeWarning, match="cannot be written"):
        model.fit(X, y)
    assert model.n_iter_ == 5


def test_partial_fit_has_no_checkpoints(tmp_path):
    X, y = data.iris()
    model = BPClassifier(**PARAMS).set_callbacks(Checkpoint(tmp_path / "run.ckpt"))
    with pytest.raises(ValueError, match="Checkpoint is for fit, not for partial_fit"):
        model.partial_fit(X, y, classes=[0, 1, 2])
    assert not hasattr(model, "coefs_")


def test_a_random_state_that_is_an_object_goes_on_as_it_would(tmp_path):
    X, y = data.iris()
    ends = []
    for stop_after in (None, 2):
        rng = np.random.RandomState(3)
        model = BPClassifier(**{**PARAMS, "random_state": rng})
        if stop_after:
            state = rng.get_state()
            path = tmp_path / "run.ckpt"
            stop = StopWhen(lambda epoch: epoch.number == 2)
            model.set_callbacks(Checkpoint(path), stop).fit(X, y)
            rng.set_state(state)
            model.set_callbacks(Checkpoint(path, resume=True))
        ends.append((weights(model.fit(X, y)), rng.uniform()))
    assert_array_equal(ends[0][0], ends[1][0])
    assert ends[0][1] == ends[1][1]


def test_callbacks_in_joblib_workers(tmp_path):
    X, y = data.iris()
    network = BPClassifier(**PARAMS).set_callbacks(TimeLimit(1e9), StopWhen(third), Checkpoint(tmp_path))
    found = cross_val_score(network, X, y, cv=3, n_jobs=2)
    shorter = clone(network).set_callbacks().set_params(max_iter=3)
    assert_array_equal(found, cross_val_score(shorter, X, y, cv=3))
    assert len(os.listdir(tmp_path)) == 3


def third(epoch):
    return epoch.number == 3
