"""Many networks in one run: the same bits as alone, and the manners of a single fit."""

import io
import signal
import threading
from itertools import count

import numpy as np
import pytest
from sklearn import config_context, get_config
from sklearn.base import clone
from sklearn.datasets import load_diabetes, load_iris
from sklearn.exceptions import ConvergenceWarning

from fastbp import BPClassifier, BPRegressor
from fastbp.engines.cpu.engine import Objective, Trainer
from fastbp.engines.output import Output
from fastbp.estimators import shared_checks
from fastbp.estimators.fit_many import FitJob, fit_many
from fastbp.estimators.regression_targets import RegressionTargets
from fastbp.training import fleet, fleet_units, minibatch, progress
from fastbp.training.progress import FleetBar, PartOfFleet

X, Y = load_iris(return_X_y=True)
X_R, Y_R = load_diabetes(return_X_y=True)
HELD_OUT = {"X_val": X_R[:9], "y_val": Y_R[:9]}
FITTED = ("coefs_", "intercepts_", "loss_curve_", "n_iter_", "best_validation_score_", "validation_scores_")

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def varied() -> list[FitJob]:
    """Networks that differ in everything that a fleet keeps per network."""
    shared = dict(max_iter=12, random_state=0)
    return [
        FitJob(BPClassifier((8,), **shared), X, Y),
        FitJob(BPClassifier((8,), **{**shared, "random_state": 1}, alpha=1.0), X, Y),
        FitJob(BPClassifier((8,), **shared, dropout=0.3, solver="sgd", learning_rate_init=0.1), X, Y),
        FitJob(BPClassifier((5, 4), **{**shared, "max_iter": 40}, early_stopping=True, batch_size=16), X, Y),
        FitJob(BPClassifier((8,), **shared, early_stopping=True, scoring="f1_macro"), X, Y),
        FitJob(BPClassifier((8,), **shared, solver="lbfgs"), X, Y),
        FitJob(BPClassifier((8,), **shared, norm="batch", dtype="float32"), X, Y),
        FitJob(BPClassifier((8,), **shared), X[:100], Y[:100], {"sample_weight": np.arange(100.0)}),
        FitJob(BPRegressor((300, 200), **shared, target_scaling="standard"), X_R, Y_R),
        FitJob(
            BPRegressor((6,), **shared, early_stopping=True), X_R, Y_R, {"X_val": X_R[:9], "y_val": Y_R[:9]}
        ),
        FitJob(BPRegressor(**{**shared, "max_iter": 3}, preset="tabular"), X_R, Y_R),
    ]


def alone(jobs):
    return [clone(one.estimator).fit(one.X, one.y, **one.fit_params) for one in jobs]


def assert_same(one, other) -> None:
    for name in FITTED:
        first, second = getattr(one, name, None), getattr(other, name, None)
        if name in ("coefs_", "intercepts_"):
            assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True)), name
        else:
            assert first == second, name


@pytest.mark.parametrize("n_jobs", [1, 2, 3, 16, None, -1])
def test_bits_do_not_depend_on_the_fleet(n_jobs, monkeypatch):
    monkeypatch.setattr(fleet, "SECONDS_PER_ROUND", 0.002)  # rounds that end in the midst of fits
    monkeypatch.setattr(minibatch, "SECONDS_PER_CHUNK", 0.001)
    jobs = varied()
    fitted = fit_many(jobs, n_jobs)
    assert [one is job.estimator for one, job in zip(fitted, jobs, strict=True)] == [True] * len(jobs)
    for one, other in zip(fitted, alone(varied()), strict=True):
        assert_same(one, other)


def test_several_threads_join_the_last_network(monkeypatch):
    monkeypatch.setattr(fleet, "SECONDS_PER_ROUND", 0.002)
    used = []
    limit = Trainer.limit_threads
    monkeypatch.setattr(Trainer, "limit_threads", lambda self, n: (used.append(n), limit(self, n))[1])
    jobs = [FitJob(BPRegressor((400, 400), max_iter=n, random_state=0), X_R, Y_R) for n in (2, 60)]
    fit_many(jobs, 4)
    assert set(used) >= {2, 4}


def test_seeds_of_a_shared_random_state_are_drawn_in_the_order_of_the_jobs():
    def jobs():
        state = np.random.RandomState(7)
        return [FitJob(BPClassifier((4,), max_iter=5, random_state=state), X, Y) for _ in range(4)]

    several = jobs()
    fit_many(several, 2)
    for one, other in zip(several, jobs(), strict=True):
        assert_same(one.estimator, other.estimator.fit(X, Y))


def test_a_network_that_diverges_fails_alone():
    good = BPRegressor((4,), max_iter=5, random_state=0)
    bad = BPRegressor((4,), max_iter=5, random_state=0, solver="sgd", learning_rate_init=1e30)
    wrong = BPRegressor((4,), max_iter=0)
    ragged = BPRegressor((4,), max_iter=5)
    jobs = [
        FitJob(bad, X_R, Y_R),
        FitJob(good, X_R, Y_R),
        FitJob(wrong, X_R, Y_R),
        FitJob(ragged, X_R, Y_R[1:]),
    ]
    outcomes = fit_many(jobs, 2)
    with pytest.raises(ValueError) as single:
        clone(bad).fit(X_R, Y_R)
    assert isinstance(outcomes[0], ValueError) and str(outcomes[0]) == str(single.value)
    assert outcomes[1] is good
    assert "max_iter" in str(outcomes[2]) and "inconsistent" in str(outcomes[3])
    assert not any(hasattr(one, "coefs_") for one in (bad, wrong, ragged))


def test_a_scorer_that_fails_in_a_thread_fails_its_network_alone():
    def scorer(model, X, y):
        raise RuntimeError("no score today")

    jobs = [
        FitJob(BPClassifier((4,), max_iter=5, early_stopping=True, scoring=scorer), X, Y),
        FitJob(BPClassifier((4,), max_iter=5), X, Y),
    ]
    outcomes = fit_many(jobs, 2)
    assert str(outcomes[0]) == "no score today" and outcomes[1] is jobs[1].estimator


def test_scorers_see_the_callers_settings():
    seen = []

    def scorer(model, X, y):
        seen.append((get_config()["transform_output"], np.geterr()["divide"]))
        return 1.0

    jobs = [FitJob(BPClassifier((4,), max_iter=2, early_stopping=True, scoring=scorer), X, Y)] * 1
    jobs += [FitJob(clone(jobs[0].estimator), X, Y)]
    with config_context(transform_output="pandas"), np.errstate(divide="raise"):
        fit_many(jobs, 2)
    assert set(seen) == {("pandas", "raise")}


def test_interrupt_stops_all_and_keeps_nothing_half_done(monkeypatch):
    monkeypatch.setattr(fleet, "SECONDS_PER_ROUND", 0.01)
    monkeypatch.setattr(
        progress.FleetProgress, "report", lambda self, *done: signal.raise_signal(signal.SIGINT)
    )
    short = [FitJob(BPClassifier((4,), max_iter=1, random_state=0), X, Y)]
    endless = BPClassifier((4,), max_iter=10**7, tol=0, n_iter_no_change=np.inf)
    long = [FitJob(clone(endless), X, Y) for _ in range(3)]
    jobs = long + short
    with pytest.raises(KeyboardInterrupt):
        fit_many(jobs, 2)
    assert not any(hasattr(one.estimator, "coefs_") for one in long)
    for one in jobs:  # and all may be fitted again
        one.estimator.set_params(max_iter=1).fit(X, Y)


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="the system sends no signals to threads")
def test_lbfgs_in_a_thread_hears_the_interrupt(monkeypatch):
    evaluate, calls = Objective.at_point, count()

    def interrupting(self, point):
        if next(calls) == 20:
            signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
        return evaluate(self, point)

    monkeypatch.setattr(Objective, "at_point", interrupting)
    endless = BPRegressor((20,), solver="lbfgs", max_iter=10**6, max_fun=10**7, tol=0)
    with pytest.raises(KeyboardInterrupt):
        fit_many([FitJob(clone(endless), X_R, Y_R) for _ in range(2)], 2)


def test_rows_are_checked_once(monkeypatch):
    calls = []
    check = shared_checks.check_rows
    monkeypatch.setattr(shared_checks, "check_rows", lambda *args: (calls.append(1), check(*args))[1])
    folds = [(X[::2].copy(), Y[::2].copy()), (X[1::2].copy(), Y[1::2].copy())]
    jobs = [FitJob(BPClassifier((3,), max_iter=1, alpha=a), *fold) for fold in folds for a in (0, 1, 2)]
    fit_many(jobs, 2)
    assert len(calls) == 2


def test_memory_is_bounded_by_the_threads(monkeypatch):
    now, most = [0], [0]
    enter, leave = minibatch.MinibatchFit.__enter__, minibatch.MinibatchFit.__exit__

    def entered(self):
        now[0] += 1
        most[0] = max(most[0], now[0])
        return enter(self)

    def left(self, *error):
        now[0] -= 1
        return leave(self, *error)

    train = fleet_units.Block.train

    def trained(self, *arguments):
        if self._trainer is None:
            now[0] += 1
            most[0] = max(most[0], now[0])
            blocks.append(len(self.members))
        is_running = train(self, *arguments)
        now[0] -= not is_running
        return is_running

    blocks = []
    monkeypatch.setattr(fleet_units.Block, "train", trained)
    monkeypatch.setattr(minibatch.MinibatchFit, "__enter__", entered)
    monkeypatch.setattr(minibatch.MinibatchFit, "__exit__", left)
    monkeypatch.setattr(fleet, "SECONDS_PER_ROUND", 0.002)
    read = []

    def jobs():
        for i in range(400):
            read.append(i)
            yield FitJob(BPClassifier((3,), max_iter=20, random_state=i), X, Y)

    first = []
    report = progress.FleetProgress.report
    monkeypatch.setattr(
        progress.FleetProgress, "report", lambda *args: (first.append(len(read)), report(*args))[1]
    )
    assert len(fit_many(jobs(), 2)) == 400
    assert 1 <= most[0] <= 2 and now[0] == 0
    assert sum(blocks) >= 390 and max(blocks) <= fleet_units.MOST_MEMBERS
    assert first[0] <= fleet.MOST_WAITING + 1


def test_warnings_are_those_of_a_fit():
    jobs = [FitJob(BPClassifier((4,), max_iter=2), X, Y) for _ in range(2)]
    with pytest.warns(ConvergenceWarning, match="Maximum iterations \\(2\\)") as caught:
        fit_many(jobs, 2)
    assert len(caught) == 2 and {one.filename for one in caught} == {__file__}


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_one_bar_counts_networks_and_epochs():
    stream = Terminal()
    bar = FleetBar(3, Output(stream), 100)
    fit_many([FitJob(BPClassifier((4,), max_iter=2), X, Y) for _ in range(3)], 2, bar)
    last = stream.getvalue().strip().rpartition("\r")[-1]
    assert last.startswith("network 3/3 [########################] 6 epochs")


def test_the_bar_grows_with_epochs_that_are_known():
    stream = Terminal()
    bar = FleetBar(4, Output(stream), 100, n_epochs=10)
    bar.SECONDS_BETWEEN_DRAWINGS = 0
    bar.report(0, 0)
    bar.report(0, 20)  # half of each
    part = PartOfFleet(bar, 2, 20)
    part.report(1, 5)  # one of the others, which ended early
    part.close()  # the whole goes on
    bar.report(4, 25)
    bar.close()
    shown = [line.strip() for line in stream.getvalue().split("\r") if line]
    starts = ["0/4 [....", "0/4 [############.", "3/4 [##################.", "4/4 [########################]"]
    assert len(shown) == 5  # the last is drawn again, with the end of the line
    assert all(line.startswith(f"network {start}") for line, start in zip(shown, starts, strict=False))
    assert stream.getvalue().count("\n") == 1


def test_no_jobs():
    assert fit_many([]) == []


def test_targets_are_encoded_once_for_equal_encodings(monkeypatch):
    calls = []
    encode = RegressionTargets.encode
    monkeypatch.setattr(RegressionTargets, "encode", lambda *args: (calls.append(1), encode(*args))[1])
    y = np.abs(Y_R) + 1.0
    losses = ["squared_error", "squared_error", "poisson", "poisson"]
    jobs = [FitJob(BPRegressor((3,), max_iter=2, random_state=0, loss=one), X_R, y) for one in losses]
    scaled = dict(max_iter=2, random_state=0, target_scaling="standard")
    weights = [None, None, np.arange(1.0, len(y) + 1)]
    jobs += [FitJob(BPRegressor((3,), **scaled), X_R, y, {"sample_weight": w}) for w in weights]
    fitted = fit_many(jobs, 2)
    assert len(calls) == 4  # two losses, and the targets scaled without weights and with weights
    for one, other in zip(fitted, alone(jobs), strict=True):
        assert_same(one, other)
