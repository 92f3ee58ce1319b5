"""The case: data, network, and the experiments that checks share, each made when first asked for."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from sklearn.model_selection import KFold, StratifiedKFold, train_test_split

from fastbp.diagnosis import probe
from fastbp.diagnosis.probe import Run
from fastbp.diagnosis.progress import Progress
from fastbp.diagnosis.registry import need, need_time
from fastbp.diagnosis.rows import Rows
from fastbp.estimators.learning_rate_range import LearningRateRange, learning_rate_range
from fastbp.estimators.options import CLASSIFIER, Options, task_of

HELD_OUT = 0.2  # of the rows, where the user gives none: as often taken, and 20 rows of a hundred
N_FOLDS = 3
RUNS = 8  # that share the time limit: one run alone may take an eighth of it
# Two runs count as different from this ratio of their falls of the loss on: four seeds of one setting were
# within 1.13 on six sets of sklearn.datasets, and within 1.24 once (load_diabetes, where early stopping ends
# by chance).
CLEARLY = 1.3
BATCH_BY_HEART = 32  # rows; as many as a usual batch
STEPS_BY_HEART = 500
# For each output of a row: one to fit it, the others to find that easily, since units of small networks die.
WEIGHTS_A_ROW = 16
FEWEST_BY_HEART = 4
PLAIN = {
    **probe.NO_PENALTY,
    "weight_decay": 0.0,
    "dropout": 0.0,
    "input_dropout": 0.0,
    "input_noise": 0.0,
    "max_norm": None,
    "average": None,
    "average_params": None,
    "schedule": "cosine",  # to settle at the end, whatever the rate
    "schedule_params": None,
    "learning_rate": "constant",
    "early_stopping": False,
    "tol": 0.0,
    "n_iter_no_change": np.inf,
}


@dataclass(frozen=True)
class OutOfFold:
    """Predictions for rows by networks that have not seen them.

    Attributes
    ----------
    proba : ndarray of shape (n, n_classes) or None
        For classifiers of one label with probabilities.
    predicted : ndarray
    labels : ndarray of shape (n,)
        For classifiers of one label: the class of each row as a number.
    folds : ndarray of shape (n,)
        The fold in which the row was held out.
    """

    proba: np.ndarray | None
    predicted: np.ndarray
    labels: np.ndarray | None
    folds: np.ndarray


class Case:
    """Everything that checks may ask for.

    Attributes
    ----------
    network : BPClassifier or BPRegressor
        An unfitted copy of the user's.
    fitted : BPClassifier or BPRegressor or None
        The user's network if it is fitted; not to be changed.
    rows, rows_val : Rows
        The user's; `rows_val` is None where none are given.
    names : list of str
        Of the columns.
    """

    def __init__(
        self,
        network: Any,
        fitted: Any,
        rows: Rows,
        rows_val: Rows | None,
        names: list[str],
        random_state: int,
        time_limit: float,
        progress: Progress,
    ) -> None:
        self.network = probe.copy_of(network, random_state)
        self.fitted = fitted
        self.rows, self.rows_val = rows, rows_val
        self.names = names
        self.random_state = random_state
        self.deadline = time.monotonic() + time_limit
        self.seconds_a_run = time_limit / RUNS
        self.progress = progress
        self.notes: list[str] = []
        self._trials: dict[str, Run] = {}
        self._shared: dict[str, Any] = {}

    def shared(self, name: str, make: Callable[[], Any]) -> Any:
        """Return what several checks look at, made once."""
        if name not in self._shared:
            self._shared[name] = make()
        return self._shared[name]

    # --- Data

    @cached_property
    def options(self) -> Options:
        return Options.from_estimator(self.network)

    @property
    def is_classifier(self) -> bool:
        return task_of(self.network) == CLASSIFIER

    @property
    def one_label(self) -> bool:
        """Whether each row has one class."""
        return self.is_classifier and self.rows.y.ndim == 1

    @cached_property
    def classes(self) -> np.ndarray:
        return np.unique(self.rows.y)

    def name(self, column: int) -> str:
        return self.names[column]

    def label(self, number: int) -> str:
        """Name of a class, for messages."""
        return repr(self.classes[number : number + 1].tolist()[0])

    def named(self, columns: Any, most: int = 5) -> str:
        """Names of some columns, for messages."""
        texts = [repr(self.names[column]) for column in list(columns)[:most]]
        more = len(columns) - len(texts)
        return ", ".join(texts) + (f" and {more} more" if more > 0 else "")

    @cached_property
    def split(self) -> tuple[Rows, Rows]:
        """Rows to train on and rows to look at."""
        if self.rows_val is not None:
            return self.rows, self.rows_val
        numbers = np.arange(len(self.rows))
        stratify = self.rows.y if self.one_label else None
        try:
            train, val = train_test_split(
                numbers, test_size=HELD_OUT, random_state=self.random_state, stratify=stratify
            )
        except ValueError:  # a class of one row
            train, val = train_test_split(numbers, test_size=HELD_OUT, random_state=self.random_state)
        train, val = np.sort(train), np.sort(val)
        if self.is_classifier:  # a class that was never seen has no loss
            known = np.isin(self.rows.y[val], self.rows.y[train]).reshape(len(val), -1).all(axis=1)
            val = val[known]
        return self.rows.take(train), self.rows.take(val)

    # --- Experiments

    def _train(self, network: Any, rows: Rows, val: Rows | None) -> Run:
        left = self.deadline - time.monotonic()
        need_time(left > 0)
        try:
            return probe.train(network, rows, val, min(self.seconds_a_run, left), self.random_state)
        except ValueError as error:
            # Some of the rows may have too few of a class, for early stopping for instance; what is refused
            # for all of them is the user's error.
            probe.refuse(self.network, self.rows)
            need(False, f"a copy cannot be trained on some of the rows: {error}")
            raise

    @cached_property
    def run(self) -> Run:
        """A copy trained with the user's settings, on the rows to train on."""
        self.progress.step("training a copy")
        run = self._train(probe.copy_of(self.network, self.random_state), *self.split)
        if run.timed_out:
            self.notes.append(
                f"Training was ended after {run.n_epochs} of at most {self.options.max_iter} epochs, since "
                "the time limit leaves no more to a run: raise time_limit for the whole."
            )
        return run

    @property
    def trained(self) -> Any:
        """The fitted network: the user's, else the copy."""
        if self.fitted is not None:
            return self.fitted
        need(self.run.model is not None, "the training of a copy failed")
        return self.run.model

    def trial(self, **changes: Any) -> Run:
        """A copy trained like `run`, with some parameters changed."""
        need_time(not self.run.timed_out, "a training run takes too long to try other settings")
        key = repr(sorted(changes.items()))
        if key not in self._trials:
            self.progress.step("trying " + ", ".join(f"{name}={value!r}" for name, value in changes.items()))
            self._trials[key] = self._train(
                probe.copy_of(self.network, self.random_state, **changes), *self.split
            )
        return self._trials[key]

    def learns_more(self, trial: Run, base: Run | None = None) -> bool:
        """Whether a trial's loss fell clearly further than that of the run, also for rows it has not seen."""
        base = self.run if base is None else base
        return (
            self.fall(trial) > CLEARLY * max(self.fall(base), 0.0)
            and self.fall(trial) > 0.05 * abs(self.guess)
            and trial.loss_val < base.loss_val
        )

    def fall(self, run: Run) -> float:
        """How far the loss of the training rows is below that of guessing."""
        return self.guess - run.loss

    @cached_property
    def guess(self) -> float:
        """Loss of the best constant outputs: what can be had without looking at X."""
        blind = probe.copy_of(
            self.network,
            self.random_state,
            hidden_layer_sizes=(),
            activation="relu",
            dropout=0.0,
            norm=None,
            residual=False,
            parametric_activation=False,
            input_scaling=None,
            learn_input_scales=False,
            fit_intercept=True,
            out_init="zeros",
            out_bias="data",
            early_stopping=False,
        )
        train, _ = self.split
        # X takes no part, and may hold numbers that overflow
        blank = Rows(np.zeros((len(train), 1)), train.y, train.weight, train.index, train.n_given)
        return probe.loss_of(probe.untrained(blind, blank), blank)

    @cached_property
    def initial(self) -> Any:
        """The network as its fit begins."""
        return probe.untrained(probe.copy_of(self.network, self.random_state), self.split[0])

    @cached_property
    def initial_with_outputs(self) -> Any:
        """The same; with a random output layer in place of zeros, through which no gradient comes."""
        if self.options.out_init != "zeros" or self.options.init == "zeros":
            return self.initial
        copy = probe.copy_of(self.network, self.random_state, out_init=self.options.init)
        return probe.untrained(copy, self.split[0])

    @cached_property
    def range_test(self) -> LearningRateRange:
        need(self.options.is_stochastic, f"solver={self.options.solver!r} has no learning rate")
        need(self.options.solver != "rprop", "rprop has a step of its own for each weight")
        need_time(self.deadline > time.monotonic())
        self.progress.step("testing learning rates")
        train, _ = self.split
        copy = probe.copy_of(self.network, self.random_state, early_stopping=False)
        try:
            return learning_rate_range(copy, train.X, train.y, sample_weight=train.weight)
        except ValueError as error:
            need(False, f"the range test failed: {error}")
            raise

    def by_heart(self) -> tuple[Iterator[Run], int]:
        """Copies trained on one batch alone, without anything that holds them back, and its number of rows.

        At the suggested learning rate, the user's, ten times it and a tenth: one of them should do.
        """
        options, train = self.options, self.split[0]
        need(options.hidden, "a linear model need not learn rows by heart")
        n_weights = sum(coef.size for coef in self.initial.coefs_)
        n_outputs = self.initial.coefs_[-1].shape[1]
        n_rows = min(BATCH_BY_HEART, len(train), n_weights // (WEIGHTS_A_ROW * n_outputs))
        need(n_rows >= FEWEST_BY_HEART, "the network has too few weights to learn rows by heart")
        batch = train.take(_distinct(train, n_rows, self.random_state))
        changes: dict[str, Any] = {**PLAIN, "batch_size": len(batch), "max_iter": STEPS_BY_HEART}
        if options.norm == "batch":
            changes["norm"] = None
        if self.is_classifier and "label_smoothing" in (options.loss_params or {}):
            changes["loss_params"] = {"label_smoothing": 0.0}
        rates = [options.learning_rate_init]
        if not options.is_stochastic:
            changes["schedule"] = None
        if options.is_stochastic and options.solver != "rprop":
            suggestion = self.range_test.suggestion
            rates = [suggestion or rates[0], rates[0], 10 * rates[0], rates[0] / 10]
        self.progress.step("learning one batch by heart")
        copies = (
            probe.copy_of(self.network, self.random_state, **changes, learning_rate_init=rate)
            for rate in dict.fromkeys(rates)
        )
        return (self._train(copy, batch, None) for copy in copies), len(batch)

    @cached_property
    def out_of_fold(self) -> OutOfFold:
        """Predictions of copies for the rows that they were not trained on."""
        rows = self.rows
        need(len(rows) >= 10, "there are too few rows for out-of-fold predictions")
        need_time(not self.run.timed_out, "a training run takes too long to make one for each fold")
        need(self.run.model is not None, "the training of a copy failed")
        folds: Any = KFold(N_FOLDS, shuffle=True, random_state=self.random_state)
        stratify = None
        if self.one_label:
            folds = StratifiedKFold(N_FOLDS, shuffle=True, random_state=self.random_state)
            stratify = rows.y
            need(max(np.unique(rows.y, return_counts=True)[1]) >= N_FOLDS, "classes are rarer than the folds")
        proba: np.ndarray | None = None
        predicted: np.ndarray | None = None
        fold_of = np.zeros(len(rows), np.intp)
        for number, (train, test) in enumerate(folds.split(np.zeros(len(rows)), stratify), 1):
            self.progress.step(f"fold {number} of {N_FOLDS}")
            run = self._train(probe.copy_of(self.network, self.random_state), rows.take(train), None)
            need(run.model is not None, "the training of a fold failed")
            some = run.model.predict(rows.X[test])
            predicted = np.empty((len(rows), *some.shape[1:]), some.dtype) if predicted is None else predicted
            predicted[test], fold_of[test] = some, number
            if self.one_label and hasattr(run.model, "predict_proba"):
                proba = np.zeros((len(rows), len(self.classes))) if proba is None else proba
                seen = np.searchsorted(self.classes, run.model.classes_)  # rare classes may be missing
                proba[np.ix_(test, seen)] = run.model.predict_proba(rows.X[test])
        labels = np.searchsorted(self.classes, rows.y) if self.one_label else None
        assert predicted is not None
        return OutOfFold(proba, predicted, labels, fold_of)


def _distinct(rows: Rows, n: int, random_state: int) -> np.ndarray:
    """Numbers of rows no two of which have the same X, since those cannot be told apart."""
    order = np.random.RandomState(random_state).permutation(len(rows))[: 10 * n]
    X = rows.X[order]
    X = X if isinstance(X, np.ndarray) else X.toarray()
    _, first = np.unique(X, axis=0, return_index=True)
    return order[np.sort(first)[:n]]
