"""Training plans: solver, schedule, batches, regularisation, stopping rule.

As in ``fastbp.plan.planner``, names become codes here, and what cannot be trained is refused.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from fastbp.functions.parameters import Parameter, resolve
from fastbp.functions.schedules import RATE_SCHEDULES, SCHEDULES
from fastbp.functions.solvers import SOLVERS, STOCHASTIC, is_stochastic

ADAMW_DECAY = 0.01  # of weights, by default: PyTorch's
# Running means of the weights: exponential (Polyak and Juditsky 1992), or plain after a share of the fit
# (Izmailov et al. 2018).
AVERAGES = {
    "ema": Parameter("decay", 0.999, 0.0, 1.0),
    "swa": Parameter("start", 0.75, 0.0, 1.0),
}


@dataclass(frozen=True)
class TrainingPlan:
    """Plan of mini-batch training: solver, schedule, batches, stopping rule.

    Attributes
    ----------
    solver : str
        A name of `SOLVERS`.
    hyper : tuple of float
        Hyper-parameters of the solver, in the order of `Solver.hyper`.
    schedule : int
        A code of `SCHEDULES`.
    rate_schedule : str
        A name of `RATE_SCHEDULES`, with the parameters `rate_constants`.
    clip_value, clip_norm : float
        Limits of a gradient's values and of its norm; infinite for none.
    max_norm : float
        Limit of the norm of a unit's incoming weights; 0 for none.
    averages : bool
        Whether the result is a running mean of the weights: exponential with the rate `average_rate`, or the
        mean of all steps after the share `average_after` of the fit.
    monitor_loss : bool
        Whether the stopping rule watches the training loss; else an externally reported value.
    patience : float
        Consecutive stale epochs until convergence; may be infinite.
    max_epochs, planned_epochs : int
        Epochs of this call, and of the whole fit, over which schedules and averages run.
    """

    solver: str
    hyper: tuple[float, ...]
    schedule: int
    rate_schedule: str
    rate_constants: tuple[float, ...]
    rate_init: float
    power_t: float
    alpha: float
    l2: float
    l1: float
    weight_decay: float
    clip_value: float
    clip_norm: float
    max_norm: float
    averages: bool
    average_rate: float
    average_after: float
    batch_size: int
    shuffle: bool
    seed: int
    tol: float
    patience: float
    max_epochs: int
    planned_epochs: int
    monitor_loss: bool

    @cached_property
    def structure(self) -> tuple:
        """All that kernels and their memory depend on: equal for plans that differ in numbers only."""
        return (
            self.solver,
            self.rate_schedule if self.has_rate_schedule else "",
            self.batch_size,
            self.shuffle,
            self.averages,
            self.l1 > 0,
            self.weight_decay > 0,
            math.isfinite(self.clip_value),
            math.isfinite(self.clip_norm),
            self.max_norm > 0,
        )

    @property
    def has_rate_schedule(self) -> bool:
        """True if the learning rate changes from step to step."""
        return self.rate_schedule != "constant" or any(self.rate_constants)

    @property
    def n_moments(self) -> int:
        """Number of vectors as long as the parameters that training keeps besides them."""
        return SOLVERS[self.solver].n_states + self.averages

    def planned_steps(self, steps_per_epoch: int) -> int:
        """Number of steps of the whole fit, at most 2**63 - 1."""
        return min(self.planned_epochs * steps_per_epoch, 2**63 - 1)


@dataclass(frozen=True)
class LbfgsPlan:
    """Plan of full-batch training by L-BFGS.

    Attributes
    ----------
    alpha, l2 : float
        Penalties, as the estimators' parameters.
    max_iter, max_fun : int
        Maximum numbers of iterations and of loss evaluations.
    tol : float
        The largest component of the gradient at which the fit has converged.
    """

    alpha: float
    l2: float
    max_iter: int
    max_fun: int
    tol: float


@dataclass
class SolverState:
    """State of a solver between calls of `partial_fit` and warm starts.

    Attributes
    ----------
    solver : str
        Update rule that the moments belong to.
    moments : ndarray of shape (n_states, n_parameters)
    n_steps, n_samples_seen, n_epochs : int
        Counted over the life of the state.
    learning_rate : float
        Learning rate of the next step, before any bias correction.
    """

    solver: str
    moments: np.ndarray
    n_steps: int
    n_samples_seen: int
    learning_rate: float
    n_epochs: int


def rule_of(solver: str, momentum: float, nesterovs_momentum: bool) -> str:
    """Return the name in `SOLVERS` of the update rule of an estimator's solver."""
    if solver != "sgd":
        return solver
    return "sgd" if momentum == 0 else "nesterov" if nesterovs_momentum else "momentum"


def _schedules(solver: str, learning_rate: str, schedule: str | None) -> tuple[str, str]:
    """Return the names in `SCHEDULES` and `RATE_SCHEDULES` of an estimator's schedules."""
    if schedule == "plateau":
        return "adaptive", "constant"  # the same rule, for every solver
    # The three schedules of `learning_rate` are SGD's, as in scikit-learn.
    return learning_rate if solver == "sgd" else "constant", schedule or "constant"


def _average_value(average: str | None, params: Mapping[str, Any] | None) -> float:
    """Return the parameter of an average of the weights; 0 for none."""
    if average is None:
        return 0.0
    (value,) = resolve((AVERAGES[average],), params or {}, "average_params", f"average={average!r}")
    return value


def training_plan(
    *,
    solver: str,
    learning_rate: str,
    learning_rate_init: float,
    power_t: float,
    momentum: float,
    nesterovs_momentum: bool,
    beta_1: float,
    beta_2: float,
    epsilon: float,
    alpha: float,
    l2: float,
    l1: float = 0.0,
    weight_decay: float | None = None,
    clip_value: float | None = None,
    clip_norm: float | None = None,
    max_norm: float | None = None,
    average: str | None = None,
    average_params: Mapping[str, Any] | None = None,
    solver_params: Mapping[str, Any] | None = None,
    schedule: str | None = None,
    schedule_params: Mapping[str, Any] | None = None,
    batch_size: int,
    shuffle: bool,
    seed: int,
    tol: float,
    n_iter_no_change: float,
    max_epochs: int,
    planned_epochs: int | None = None,
    monitor: str,
) -> TrainingPlan:
    """Plan the training of a network: parameters as in the estimators.

    Raises
    ------
    ValueError
        For a solver that does not work on mini-batches.
    """
    if not is_stochastic(solver):
        raise ValueError(
            f"solver={solver!r} does not work on mini-batches; choose one of {list(STOCHASTIC)}."
        )
    rule = rule_of(solver, momentum, nesterovs_momentum)
    entry = SOLVERS[rule]
    common = {"momentum": momentum, "beta_1": beta_1, "beta_2": beta_2, "epsilon": epsilon}
    epoch_rule, step_schedule = _schedules(solver, learning_rate, schedule)
    rate_schedule = RATE_SCHEDULES[step_schedule]
    average_value = _average_value(average, average_params)
    if weight_decay is None:
        weight_decay = ADAMW_DECAY if solver == "adamw" else 0.0
    return TrainingPlan(
        solver=rule,
        hyper=tuple(float(value) for value in entry.hyper_parameters(common, solver_params or {})),
        schedule=SCHEDULES[epoch_rule],
        rate_schedule=rate_schedule.name,
        rate_constants=rate_schedule.constants(schedule_params or {}),
        rate_init=float(learning_rate_init),
        power_t=float(power_t),
        alpha=float(alpha),
        l2=float(l2),
        l1=float(l1),
        weight_decay=float(weight_decay),
        clip_value=float("inf") if clip_value is None else float(clip_value),
        clip_norm=float("inf") if clip_norm is None else float(clip_norm),
        max_norm=0.0 if max_norm is None else float(max_norm),
        averages=average is not None,
        average_rate=1.0 - average_value if average == "ema" else 0.0,
        average_after=average_value if average == "swa" else 0.0,
        batch_size=int(batch_size),
        shuffle=bool(shuffle),
        seed=int(seed),
        tol=float(tol),
        patience=float(n_iter_no_change),
        max_epochs=int(max_epochs),
        planned_epochs=int(max_epochs if planned_epochs is None else planned_epochs),
        monitor_loss=monitor == "loss",
    )
