"""A fit as scikit-learn's callbacks see it: a task whose subtasks are the epochs, or iterations of L-BFGS.

Nothing of this exists in a fit without callbacks. Models and positions are made when a callback asks.
"""

from collections.abc import Callable
from functools import cached_property
from typing import Any

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
        Of the training rows, the last entry of `loss_curve_`.
    score : float or None
        Of the validation rows, the last entry of `validation_scores_`; None without early stopping.
    estimator : BPClassifier or BPRegressor
        A fitted copy, as if the fit had stopped here. It is made when it is first asked for.
    saved : callable
        Makes a `SavedFit`, for callbacks that keep the fit.
    """

    def __init__(
        self,
        number: int,
        loss: float,
        score: float | None,
        fitted: Callable[[], Any],
        saved: Callable[[], SavedFit],
    ) -> None:
        self.number = number
        self.loss = loss
        self.score = score
        self._fitted = fitted
        self.saved = saved

    @cached_property
    def estimator(self) -> Any:
        return self._fitted()


class FitTasks:
    """Tells the callbacks of an estimator about a fit while it goes on.

    Parameters
    ----------
    estimator : BackPropagation
        Whose method was called.
    X, y, sample_weight
        As the user gave them.
    name : str
        Of the method.
    n_epochs : int
        At most.
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
        """Say what is known when the training begins.

        Parameters
        ----------
        unit : str
            Name of the subtasks.
        fitted : callable
            Makes a model of a `Result`.
        begin : FitOrigin or None
            None where no callback keeps the fit.
        """
        self._unit, self._fitted, self._begin = unit, silent(fitted), begin

    @property
    def keeps(self) -> bool:
        """Whether a callback keeps what the fit needs to go on."""
        return bool(self._keepers)

    def find(self, settings: dict[str, Any], network: NetworkPlan) -> SavedFit | None:
        """The first fit with these settings that a callback has kept; all of them learn of the settings."""
        with users_own():
            found = [keeper.find(self._estimator, settings, network) for keeper in self._keepers]
        return next((saved for saved in found if saved is not None), None)

    def begin_epoch(self, result: Callable[[], Any]) -> None:
        """An epoch begins, unless one is under way; `result` gives the fit as it is."""
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
        position: Callable[[], Position],
    ) -> bool:
        """The epoch has ended; returns whether a callback wants the fit to stop."""

        def saved() -> SavedFit:
            assert self._begin is not None, "only callbacks that keep the fit ask for it"
            return SavedFit(self._begin, position())

        epoch = self._latest = Epoch(number, loss, score, lambda: self._fitted(result()), saved)
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
        """No epoch comes after the latest; what it was asked for can still be had."""
        if self._latest is not None:
            with users_own():
                for keeper in self._keepers:
                    keeper.keep_last(self._estimator, self._latest)

    def close(self) -> None:
        """The training is over; an epoch that did not end becomes an empty task."""
        if self._open is not None:
            with users_own():
                self._open.call_on_fit_task_end(estimator=self._estimator)
            self._open = None

    def end(self) -> None:
        """The estimator is fitted."""
        with users_own():
            self._root.call_on_fit_task_end(**self._call, reconstruction_attributes={})

    def _attributes(self, model) -> dict[str, Any]:
        # What an earlier fit has set and this one does not is None in the copy that scikit-learn makes.
        return {**dict.fromkeys(vars(self._estimator)), **vars(model)}
