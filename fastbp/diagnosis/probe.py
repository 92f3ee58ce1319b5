"""Training of copies: what a fit does from epoch to epoch."""

import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from sklearn.base import clone

from fastbp.callbacks.network_callback import NetworkCallback
from fastbp.diagnosis.rows import Rows
from fastbp.estimators.options import Options
from fastbp.estimators.prepare import FitArguments, plan_training, prepare
from fastbp.estimators.seeds import draw_seed
from fastbp.estimators.validation_rows import NO_ROWS, ValidationArguments
from fastbp.training.result import INTERRUPTED, NON_FINITE

EVERY_EPOCH_UNTIL = 20  # epochs of which each is looked at; later ones at a growing distance
GROWTH = 1.1
MOST_ROWS = 1000  # for losses and gradients after an epoch
NO_PENALTY = {"alpha": 0.0, "l1": 0.0, "l2": 0.0}


def copy_of(network: Any, random_state: int, **changes: Any) -> Any:
    """Return an unfitted copy that trains silently, without callbacks, from a fixed seed."""
    copy = clone(network)
    vars(copy).pop("_skl_callbacks", None)  # a checkpoint would write its file
    if not isinstance(copy.random_state, int | np.integer):
        copy.random_state = random_state
    copy.verbose, copy.warm_start = False, False
    if changes and copy.preset is not None:
        # a change to a parameter's own default would be set by the preset again
        options = Options.from_estimator(copy)
        copy.set_params(preset=None, **{name: getattr(options, name) for name in options.of_preset})
    return copy.set_params(**changes)


def without_penalties(model: Any) -> Any:
    """Return a shallow copy of a fitted network whose `loss_and_gradients` has no penalties."""
    copy = model._copy()
    for name, value in NO_PENALTY.items():
        setattr(copy, name, value)
    return copy


def loss_of(model: Any, rows: Rows) -> float:
    """Mean loss of the rows, without penalties."""
    return without_penalties(model).loss_and_gradients(rows.X, rows.y, rows.weight).loss


def untrained(network: Any, rows: Rows) -> Any:
    """Return the network as its fit on these rows begins."""
    options = Options.from_estimator(network)
    prepared = prepare(network, options, FitArguments(rows.X, rows.y, rows.weight))
    return network._with_weights(prepared, prepared.parameters)


def refuse(network: Any, rows: Rows) -> None:
    """Raise the error of a fit that would not begin."""
    prepare(network, Options.from_estimator(network), FitArguments(rows.X, rows.y, rows.weight))


def update_ratios(network: Any, rows: Rows, n_steps: int) -> list[list[float]]:
    """Norm of an update over that of the weights, of each layer, in the first step and after `n_steps`."""
    options = Options.from_estimator(network)
    prepared = prepare(network, options, FitArguments(rows.X, rows.y, rows.weight))
    training = plan_training(prepared.options, len(prepared.rows), draw_seed(prepared.random_state))
    with prepared.engine.Trainer(
        prepared.network, training, prepared.rows, prepared.parameters, n_jobs=options.n_jobs
    ) as trainer:
        return [_next_update(trainer, prepared.network, steps_before) for steps_before in (0, n_steps - 1)]


def _next_update(trainer: Any, network: Any, steps_before: int) -> list[float]:
    for _ in range(steps_before):
        trainer.train(1)
    before = network.unpack(trainer.parameters)[0]
    trainer.train(1)
    after = network.unpack(trainer.parameters)[0]
    sizes = [float(np.linalg.norm(old)) for old in before]
    steps = [float(np.linalg.norm(new - old)) for old, new in zip(before, after, strict=True)]
    return [step / size if size > 0 else 0.0 for step, size in zip(steps, sizes, strict=True)]


@dataclass
class Record:
    """A network after an epoch."""

    epoch: int
    loss: float
    loss_val: float


class Recorder(NetworkCallback[list[Record]]):
    """Records the losses after the epochs of one fit, and ends it when its time is up."""

    def __init__(self, train: Rows, val: Rows | None, seconds: float) -> None:
        super().__init__()
        self.train, self.val, self.seconds = train, val, seconds
        self.records: list[Record] = []
        self.losses: list[float] = []
        self.timed_out = False
        self._next = 1

    def begin(self, estimator: Any, context: Any) -> list[Record]:
        self._deadline = time.monotonic() + self.seconds
        return self.records

    def on_fit_task_end(self, estimator: Any, context: Any) -> bool:
        epoch = estimator._epoch
        if epoch is None:  # the end of the fit
            return False
        self.losses.append(epoch.loss)
        if epoch.number >= self._next:
            self._next = epoch.number + 1
            if epoch.number >= EVERY_EPOCH_UNTIL:
                self._next = int(np.ceil(epoch.number * GROWTH))
            model = epoch.estimator
            vars(model).pop("_skl_callbacks", None)
            loss_val = np.nan if self.val is None else loss_of(model, self.val)
            self.records.append(Record(epoch.number, loss_of(model, self.train), loss_val))
        self.timed_out = time.monotonic() >= self._deadline
        return self.timed_out


@dataclass(frozen=True)
class Run:
    """A training run of a copy.

    Attributes
    ----------
    model : BPClassifier, BPRegressor or None
        The fitted copy; None if the fit failed.
    failure : str
        Where numbers were not finite; else empty.
    records : list of Record
    losses : list of float
        Loss that the fit reports after each epoch.
    train, val : Rows
        Samples that losses are measured on.
    timed_out : bool
    """

    model: Any
    failure: str
    records: list[Record]
    losses: list[float]
    train: Rows
    val: Rows | None
    timed_out: bool = False
    network: Any = field(default=None)

    @property
    def n_epochs(self) -> int:
        return len(self.losses)

    @cached_property
    def loss(self) -> float:
        """Loss of the training rows with the weights that the fit has kept."""
        return np.inf if self.model is None else loss_of(self.model, self.train)

    @cached_property
    def loss_val(self) -> float:
        """Loss of the validation rows with the weights that the fit has kept."""
        if self.val is None:
            return np.nan
        return np.inf if self.model is None else loss_of(self.model, self.val)


def train(network: Any, rows: Rows, val: Rows | None, seconds: float, random_state: int) -> Run:
    """Fit a network, a copy of the user's, and record it."""
    seen = rows.take(_some(len(rows), random_state))
    seen_val = None if val is None else val.take(_some(len(val), random_state))
    recorder = Recorder(seen, seen_val, seconds)
    network.set_callbacks(recorder)
    options = Options.from_estimator(network)
    given = NO_ROWS
    if val is not None and options.early_stopping and options.is_stochastic:
        given = ValidationArguments(val.X, val.y, val.weight)
    # an error from here on is an illness of the training
    prepare(network, options, FitArguments(rows.X, rows.y, rows.weight, validation=given))
    failure = ""
    model = network
    arguments = {"X_val": given.X_val, "y_val": given.y_val, "sample_weight_val": given.sample_weight_val}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            model.fit(rows.X, rows.y, sample_weight=rows.weight, **arguments)
        except ValueError as error:
            if NON_FINITE not in str(error):
                raise
            model, failure = None, str(error)
    texts = [str(one.message) for one in caught]
    if INTERRUPTED in texts:
        raise KeyboardInterrupt  # a fit that the user called would keep its weights; nobody wants a copy's
    # under early stopping the best weights are kept, with a warning
    failure = failure or next((text for text in texts if NON_FINITE in text), "")
    vars(network).pop("_skl_callbacks", None)
    return Run(
        model,
        failure,
        recorder.records,
        recorder.losses,
        seen,
        seen_val,
        recorder.timed_out,
        network,
    )


def _some(n_rows: int, random_state: int) -> np.ndarray:
    if n_rows <= MOST_ROWS:
        return np.arange(n_rows)
    return np.sort(np.random.RandomState(random_state).choice(n_rows, MOST_ROWS, replace=False))


@contextmanager
def quiet() -> Iterator[None]:
    """Neither warnings of the copies' fits nor of arithmetic."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        yield
