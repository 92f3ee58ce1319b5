"""Where a fit stands, as the training loop sees it: the same for every engine."""

from abc import ABC, abstractmethod
from typing import NamedTuple

import numpy as np

from fastbp.engines.control import (
    CONVERGED,
    MAX_EPOCHS,
    NON_FINITE,
    STATUS_NAMES,
    apply_stopping_rule,
    record_of,
)
from fastbp.engines.dataset import Dataset
from fastbp.plan.network import NetworkPlan
from fastbp.plan.training import SolverState, TrainingPlan


class FitStart(NamedTuple):
    """All that a trainer is made of."""

    network: NetworkPlan
    training: TrainingPlan
    rows: Dataset
    parameters: np.ndarray
    state: SolverState | None = None


class FitState(ABC):
    """The part of a trainer that reads and sets its control record.

    An engine's ``Trainer`` derives from it, and sets `network`, `_control` and `_fit` before anything else is
    asked for.

    Parameters
    ----------
    training : TrainingPlan

    Attributes
    ----------
    loss_curve : list of float
        One value for each epoch that this trainer finished.
    failure : (epoch, step) or None
        1-based, where the first non-finite value was met.
    """

    network: NetworkPlan
    _control: np.ndarray
    _fit: np.void  # its record

    def __init__(self, training: TrainingPlan) -> None:
        self.training = training
        self.loss_curve: list[float] = []
        self.failure: tuple[int, int] | None = None

    @property
    @abstractmethod
    def parameters(self) -> np.ndarray:
        """Flat vector, a new array."""

    @abstractmethod
    def _get_moments(self) -> np.ndarray:
        """The solver's state vectors and the mean of the weights, one a row."""

    @abstractmethod
    def _set_moments(self, moments: np.ndarray) -> None:
        """Replace them."""

    @abstractmethod
    def _get_average(self) -> np.ndarray:
        """The running mean of the weights, where one is kept."""

    def state(self) -> SolverState:
        """Return a copy of the solver's state."""
        return SolverState(
            solver=self.training.solver,
            moments=self._get_moments(),
            n_steps=int(self._fit["steps"]),
            n_samples_seen=self.n_samples_seen,
            learning_rate=self.learning_rate,
            n_epochs=int(self._fit["epochs"]),
        )

    def _set_state(self, state: SolverState) -> None:
        """Continue from where the solver stood."""
        self._set_moments(state.moments)
        fit = self._fit
        fit["steps"], fit["samples"], fit["epochs"] = state.n_steps, state.n_samples_seen, state.n_epochs
        fit["rate"] = state.learning_rate

    @property
    def result(self) -> np.ndarray:
        """The parameters that training is for: their running mean where one is kept."""
        return self._get_average() if self.training.averages and self._fit["steps"] else self.parameters

    @property
    def status(self) -> str:
        """ "running", "converged", "max_epochs" or "non_finite"."""
        return STATUS_NAMES[self._fit["status"]]

    @property
    def learning_rate(self) -> float:
        """Of the next step, before any bias correction."""
        return float(self._fit["rate"])

    @learning_rate.setter
    def learning_rate(self, rate: float) -> None:
        self._fit["rate"] = rate

    @property
    def epoch_loss(self) -> float:
        """Sum over the rows of the epoch under way of their losses, each with its batch's penalty."""
        return float(self._fit["epoch_loss"])

    @property
    def n_epochs(self) -> int:
        """Epochs that this trainer finished."""
        return int(self._fit["epochs_here"])

    @property
    def n_samples_seen(self) -> int:
        """Rows trained on, over the life of the solver's state."""
        return int(self._fit["samples"])

    @property
    def n_steps_per_epoch(self) -> int:
        return int(self._fit["epoch_steps"])

    @property
    def best_monitored(self) -> float:
        """Lowest value of the quantity that the stopping rule monitors."""
        return float(self._fit["best"])

    @property
    def n_stale(self) -> int:
        """Epochs since it last improved by `tol`."""
        return int(self._fit["stale"])

    def resume(self, loss_curve: list[float], best: float, n_stale: int, converged: bool) -> None:
        """Continue after the epochs that a fit has made before, with the state of its stopping rule."""
        self.loss_curve = loss_curve
        self._fit["epochs_here"], self._fit["best"], self._fit["stale"] = len(loss_curve), best, n_stale
        if converged:
            self._fit["status"] = CONVERGED
        elif self.n_epochs >= self.training.max_epochs:
            self._fit["status"] = MAX_EPOCHS

    def report(self, monitored: float) -> None:
        """Tell the value that the stopping rule watches, after an epoch; lower is better."""
        apply_stopping_rule(record_of(self._control), monitored)

    def _note_run(self, losses: np.ndarray, is_finite: bool) -> None:
        """After a run of the kernel: the losses of its epochs, and whether the parameters are finite."""
        self.loss_curve.extend(losses.tolist())
        if not is_finite:
            self._fit["status"] = NON_FINITE
        if self.status == "non_finite" and self.failure is None:
            step = int(self._fit["step_of_epoch"])
            self.failure = (self.n_epochs + 1, step) if step else (self.n_epochs, self.n_steps_per_epoch)
