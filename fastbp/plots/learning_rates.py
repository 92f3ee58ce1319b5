"""The learning rates of a finished fit, worked out again from its parameters and its curves."""

from typing import Any

import numpy as np

from fastbp.estimators.batch_size import size_for_norm
from fastbp.estimators.mlp import BackPropagation
from fastbp.functions.schedules import (
    N_PARAMETERS,
    RATE_SCHEDULES,
    check_convergence,
    rate_after_epoch,
    warmed_up,
)
from fastbp.plan.training import TrainingPlan

MOST_POINTS = 2000


def learning_rates(network: Any) -> tuple[np.ndarray, np.ndarray] | None:
    """Return the learning rates of the steps of a fit, some of each epoch, if they changed.

    Returns
    -------
    epochs, rates : ndarrays of shape (n_points,)
        The rate of the step that ended after so many epochs, a fraction. None if the rate was constant, and
        if it cannot be known: after several calls of `partial_fit` or a warm start.
    """
    if not isinstance(network, BackPropagation):
        return None
    options, curve = network._options(), getattr(network, "loss_curve_", None)
    if not options.is_stochastic or not curve or network.n_iter_ != len(curve):
        return None
    n_rows = max(round(network.t_ / len(curve)), 1)
    batch_size = options.batch_rows(n_rows)
    if options.normalises_batches:
        batch_size = size_for_norm(batch_size, n_rows)
    training = options.training_plan(
        batch_size=batch_size,
        seed=0,
        max_epochs=options.max_iter,
        planned_epochs=options.max_iter,
        monitor="loss",
    )
    scores = network.validation_scores_
    monitored = curve if scores is None else [-score for score in scores]
    of_epochs = _after_each_epoch(training, monitored, n_rows, len(curve))
    epochs, rates = _of_steps(training, of_epochs, -(-n_rows // batch_size))
    return None if np.ptp(rates) <= 1e-12 * np.abs(rates).max() else (epochs, rates)


def _after_each_epoch(
    training: TrainingPlan, monitored: list[float], n_rows: int, n_epochs: int
) -> list[float]:
    """Return the rate of each epoch, without the schedule of steps."""
    rate, best, n_stale = training.rate_init, np.inf, 0
    rates = []
    for epoch in range(n_epochs):
        rates.append(rate)
        rate = rate_after_epoch(
            training.schedule, rate, training.rate_init, training.power_t, (epoch + 1) * n_rows
        )
        if epoch < len(monitored):
            rate, best, n_stale, _ = check_convergence(
                training.schedule, rate, monitored[epoch], best, n_stale, training.tol, training.patience
            )
    return rates


def _of_steps(
    training: TrainingPlan, of_epochs: list[float], epoch_steps: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return places in epochs, and the rates there."""
    entry, p = RATE_SCHEDULES[training.rate_schedule], training.rate_constants
    total = training.planned_steps(epoch_steps)
    n_points = min(epoch_steps, max(MOST_POINTS // len(of_epochs), 1)) if training.has_rate_schedule else 1
    epochs, rates = [], []
    for epoch, rate in enumerate(of_epochs):
        for point in range(1, n_points + 1):
            step = epoch * epoch_steps + -(-point * epoch_steps // n_points) - 1
            factor = warmed_up(entry.factor(step, epoch_steps, total, p), step, p[N_PARAMETERS - 1])
            epochs.append((step + 1) / epoch_steps)
            rates.append(rate * factor)
    return np.array(epochs), np.array(rates)
