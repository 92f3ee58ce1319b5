"""A fit as a task of scikit-learn's callbacks, with epochs or iterations of L-BFGS as subtasks.

Not used in fits without callbacks. Models and saved states are made when a callback asks for them.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np

from fastbp.plan.network import NetworkPlan
from fastbp.training.checkpoint_state import (
    CheckpointCallback,
    FitOrigin,
    LbfgsHistory,
    SavedFit,
    TrainingState,
)
from fastbp.training.float_errors import silent, users_own

Position = TrainingState | LbfgsHistory


class Epoch:
    """An epoch that has ended; with ``solver="lbfgs"`` an iteration.

    Attributes
    ----------
    number : int
        From 1, counted in this call of `fit`.
    loss : float
        Loss of the training rows, the last entry of `loss_curve_`.
    score : float or None
        Score of the validation rows, the last entry of `validation_scores_`; None without early stopping.
    estimator : BPClassifier or BPRegressor
        A fitted copy, as if the fit had stopped here. Made on first access.
    current : BPClassifier or BPRegressor
        A fitted copy with the weights after this epoch, which `estimator` has not under early stopping (the
        best ones) and with `average` (their mean). Made on first access.
    saved : callable
        Returns a `SavedFit`, for callbacks that save the fit.
    """

    def __init__(
        self,
        number: int,
        loss: float,
        score: float | None,
        fitted: Callable[[], Any],
        current: Callable[[], Any],
        saved: Callable[[], SavedFit],
    ) -> None:
        self.number = number
        self.loss = loss
        self.score = score
        self._fitted = fitted
        self._current = current
        self.saved = saved

    @cached_property
    def estimator(self) -> Any:
        return self._fitted()

    @cached_property
    def current(self) -> Any:
        return self._current()


class FitTasks:
    """Link between a running fit and the callbacks of its estimator.

    Parameters
    ----------
    estimator : BackPropagation
        Estimator whose method was called.
    X, y, sample_weight
        Arguments as given by the user.
    name : str
        Name of the method.
    n_epochs : int
        Maximum number of epochs.
    """

    def __init__(self, estimator, X, y, sample_weight, name: str, n_epochs: int) -> None:
        self._estimator = estimator
        metadata = None if sample_weight is None else {"sample_weight": sample_weight}
        self._call = {"estimator": estimator, "X": X, "y": y, "metadata": metadata}
        self._keepers = [one for one in estimator._skl_callbacks if isinstance(one, CheckpointCallback)]
        with users_own():
            self._root = estimator._init_callback_context(task_name=name, max_subtasks=n_epochs)
            self._root.call_on_fit_task_begin(**self._call)
        self._open: Any = None
        self._latest: Epoch | None = None

    def describe(
        self,
        unit: str,
        fitted: Callable[[Any], Any],
        begin: FitOrigin | None,
    ) -> None:
        """Set what is known when training begins.

        Parameters
        ----------
        unit : str
            Name of the subtasks.
        fitted : callable
            Makes a model from a `Result`.
        begin : FitOrigin or None
            Start of the fit; None if no callback saves it.
        """
        self._unit, self._fitted, self._begin = unit, silent(fitted), begin

    @property
    def keeps(self) -> bool:
        """True if a callback saves the state needed to resume the fit."""
        return bool(self._keepers)

    def find(self, settings: dict[str, Any], network: NetworkPlan) -> SavedFit | None:
        """Return the first saved fit with these settings; all saving callbacks receive the settings."""
        with users_own():
            found = [keeper.find(self._estimator, settings, network) for keeper in self._keepers]
        return next((saved for saved in found if saved is not None), None)

    def begin_epoch(self, result: Callable[[], Any]) -> None:
        """Begin an epoch unless one is running; `result` returns the result so far."""
        if self._open is None:
            self._open = self._root.subcontext(task_name=self._unit)
            with users_own():
                self._open.call_on_fit_task_begin(
                    **self._call, reconstruction_attributes=lambda: self._attributes(self._fitted(result()))
                )

    def end_epoch(
        self,
        number: int,
        loss: float,
        score: float | None,
        result: Callable[[], Any],
        parameters: Callable[[], np.ndarray],
        position: Callable[[], Position],
    ) -> bool:
        """End the epoch; return whether a callback requests the fit to stop.

        `parameters` returns the flat vector after the epoch, which need not be the result's.
        """

        def current() -> Any:
            return self._fitted(replace(result(), parameters=parameters()))

        def saved() -> SavedFit:
            assert self._begin is not None, "only callbacks that keep the fit ask for it"
            return SavedFit(self._begin, position())

        epoch = self._latest = Epoch(number, loss, score, lambda: self._fitted(result()), current, saved)
        task, self._open = self._open, None
        self._estimator._epoch = epoch
        try:
            with users_own():
                return task.call_on_fit_task_end(
                    **self._call, reconstruction_attributes=lambda: self._attributes(epoch.estimator)
                )
        finally:
            del self._estimator._epoch

    def keep_last(self) -> None:
        """Let callbacks save the latest epoch, which is the last one."""
        if self._latest is not None:
            with users_own():
                for keeper in self._keepers:
                    keeper.keep_last(self._estimator, self._latest)

    def close(self) -> None:
        """End the training; an unfinished epoch becomes an empty task."""
        if self._open is not None:
            with users_own():
                self._open.call_on_fit_task_end(estimator=self._estimator)
            self._open = None

    def end(self) -> None:
        """End the task of the fit, once the estimator is fitted."""
        with users_own():
            self._root.call_on_fit_task_end(**self._call, reconstruction_attributes={})

    def _attributes(self, model) -> dict[str, Any]:
        # Attributes that only an earlier fit has set are None in the copy that scikit-learn makes.
        return {**dict.fromkeys(vars(self._estimator)), **vars(model)}
