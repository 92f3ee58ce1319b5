"""Learning-rate range test: finds rates that are too small or too large before the first real fit."""

import copy
import dataclasses
from numbers import Integral, Real
from typing import Any

import numpy as np
from scipy.ndimage import gaussian_filter1d
from sklearn.utils._param_validation import Interval

from fastbp.estimators import type_hints
from fastbp.estimators.mlp import BackPropagation
from fastbp.estimators.options import Options
from fastbp.estimators.parameter_checks import check
from fastbp.estimators.prepare import FitArguments, PreparedFit, plan_training, prepare
from fastbp.estimators.seeds import draw_seed
from fastbp.functions.solvers import is_stochastic
from fastbp.functions.values import python_number
from fastbp.training.float_errors import silent

FEWEST_STEPS = 10
STEPS_PER_WIDTH = 25  # n_steps over the standard deviation of the smoothing
PARTS = 10  # the initial level of the loss is the mean over the first n_steps / PARTS steps
TIMES_THE_START = 4.0  # the initial level, beyond which training has diverged
RECENT = 5  # losses in the median that is tested for divergence
SMALLEST_FALL = 0.05  # of the initial level, below which nothing was learned
NOISE = 0.25  # share of the whole fall: smaller falls from the initial level are noise

# Overrides for the test, which sets the rate itself, does not stop early and does not resume.
PLAIN: dict[str, Any] = {
    "learning_rate": "constant",
    "schedule": None,
    "schedule_params": None,
    "average": None,
    "average_params": None,
    "early_stopping": False,
    "warm_start": False,
}

CONSTRAINTS = {
    "estimator": [BackPropagation],
    "smallest": [Interval(Real, 0, None, closed="neither")],
    "largest": [Interval(Real, 0, None, closed="neither")],
    "n_steps": [Interval(Integral, FEWEST_STEPS, None, closed="left")],
}


@dataclasses.dataclass(frozen=True, eq=False)
class LearningRateRange:
    """Result of `learning_rate_range`.

    Attributes
    ----------
    rates : ndarray of shape (n,)
        Learning rates of the steps that were made, ascending.
    losses : ndarray of shape (n,)
        Loss of each step's batch, penalties included, before the step.
    smoothed : ndarray of shape (n,)
        The losses, capped at twice the initial level and smoothed over neighbouring steps.
    diverged : bool
        Whether the test ended before the largest rate.
    suggestion : float or None
        The rate at which the smoothed loss falls most steeply; None if it hardly falls.
    """

    rates: np.ndarray
    losses: np.ndarray
    smoothed: np.ndarray
    diverged: bool
    suggestion: float | None


@silent
def learning_rate_range(
    estimator: BackPropagation,
    X: Any,
    y: Any,
    *,
    smallest: type_hints.Real = 1e-6,
    largest: type_hints.Real = 10.0,
    n_steps: type_hints.Count = 100,
    sample_weight: Any = None,
) -> LearningRateRange:
    """Train with a learning rate that grows at each step, to find where the loss falls and rises.

    A copy of the estimator is trained from scratch on mini-batches of its own `batch_size`, for as many
    epochs as needed, with the rates smallest · (largest / smallest)^(i / (n_steps - 1)). It ends early once
    the median of the last five losses exceeds four times the initial level, or a value is not finite. This is
    the range test of Smith (2017), "Cyclical learning rates for training neural networks" (arXiv:1506.01186),
    with the geometric growth of Gugger (2018), "How do you find a good learning rate". The suggestion is the
    latter's, too: the rate of the steepest descent, well below the one with the smallest loss. It is searched
    for after the last step at which the smoothed loss had fallen by less than a quarter of its whole fall, so
    that noise of single batches is not mistaken for it.

    The estimator's `learning_rate`, `schedule`, `average`, `early_stopping` and callbacks are ignored. The
    suggestion holds only for what was tested: another `batch_size`, solver or network needs its own test.

    Parameters
    ----------
    estimator : BPClassifier or BPRegressor
        With a mini-batch solver; not changed. For "rprop" the rate is the size of the first step only.
    X, y
        As for its `fit`.
    smallest, largest : float, default=1e-6, 10.0
        The first and the last rate, both positive.
    n_steps : int, default=100
        At least 10. More steps give a smoother curve if the losses of batches vary widely.
    sample_weight : array-like of shape (n_samples,), default=None
        As for its `fit`.

    Returns
    -------
    LearningRateRange
        With the arrays `rates`, `losses` and `smoothed`, and the float `suggestion`.

    Raises
    ------
    ValueError
        For ``solver="lbfgs"``, which has no learning rate; if the first loss is not finite; and for anything
        that `fit` refuses.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from fastbp import BPClassifier, learning_rate_range
    >>> X, y = load_iris(return_X_y=True)
    >>> found = learning_rate_range(BPClassifier((20,), batch_size=30, random_state=0), X, y)
    >>> bool(1e-3 < found.suggestion < 1.0)
    True
    >>> model = BPClassifier((20,), batch_size=30, learning_rate_init=found.suggestion, random_state=0)
    """
    given = {"estimator": estimator, "smallest": smallest, "largest": largest, "n_steps": n_steps}
    check(CONSTRAINTS, given, "learning_rate_range")
    smallest, largest, n_steps = float(smallest), float(largest), int(python_number(n_steps))
    options = _options(estimator, smallest, largest)
    rates = np.geomspace(smallest, largest, n_steps)
    losses, diverged = _losses(prepare(estimator, options, FitArguments(X, y, sample_weight)), rates)
    if not losses:
        raise ValueError(
            f"The loss of the first step, at learning rate {smallest:g}, is not finite: X or y may contain "
            "large values and need to be preprocessed, by StandardScaler for instance."
        )
    smoothed = _smoothed(np.array(losses), n_steps)
    return LearningRateRange(
        rates=rates[: len(losses)],
        losses=np.array(losses),
        smoothed=smoothed,
        diverged=diverged,
        suggestion=_steepest(rates, smoothed, n_steps),
    )


def _options(estimator: BackPropagation, smallest: float, largest: float) -> Options:
    """Return the estimator's options with those of the test in place of its own.

    Raises
    ------
    ValueError
        For parameters that `fit` refuses, a solver without a learning rate, and an empty range.
    """
    estimator._validate_params()
    if not is_stochastic(estimator.solver):
        raise ValueError(
            f"solver={estimator.solver!r} has no learning rate; the range test is for solvers of "
            "mini-batches."
        )
    if not smallest < largest:
        raise ValueError(f"largest must be above smallest={smallest!r}, got largest={largest!r}.")
    return dataclasses.replace(
        Options.from_estimator(estimator),
        **PLAIN,
        learning_rate_init=smallest,
        random_state=copy.deepcopy(estimator.random_state),
    )


def _losses(prepared: PreparedFit, rates: np.ndarray) -> tuple[list[float], bool]:
    """Losses of the batches until the last rate or divergence, and whether training diverged."""
    rows, options = prepared.rows, prepared.options
    n_rows = len(rows)
    training = dataclasses.replace(
        plan_training(options, n_rows, draw_seed(prepared.random_state)),
        max_epochs=len(rates),
        patience=np.inf,
    )
    losses: list[float] = []
    with prepared.engine.Trainer(
        prepared.network,
        training,
        rows,
        prepared.parameters,
        n_jobs=options.n_jobs,
    ) as trainer:
        position = 0
        for rate in rates:
            trainer.learning_rate = rate
            before, n_epochs = trainer.epoch_loss, len(trainer.loss_curve)
            trainer.train(1)
            batch_rows = min(training.batch_size, n_rows - position)
            position += batch_rows
            ended = len(trainer.loss_curve) > n_epochs
            after = trainer.loss_curve[-1] * n_rows if ended else trainer.epoch_loss
            position %= n_rows
            loss = (after - before) / batch_rows
            if np.isfinite(loss):
                losses.append(loss)
            if trainer.status == "non_finite" or _has_diverged(losses, len(rates)):
                return losses, len(losses) < len(rates)
    return losses, False


def _level_at_start(losses, n_steps: int) -> float:
    return float(np.mean(losses[: max(n_steps // PARTS, 1)]))


def _has_diverged(losses: list[float], n_steps: int) -> bool:
    return float(np.median(losses[-RECENT:])) > TIMES_THE_START * _level_at_start(losses, n_steps)


def _smoothed(losses: np.ndarray, n_steps: int) -> np.ndarray:
    """Gaussian smoothing over the steps, which has no lag."""
    cap = 2.0 * _level_at_start(losses, n_steps)
    return gaussian_filter1d(np.minimum(losses, cap), n_steps / STEPS_PER_WIDTH, mode="nearest")


def _steepest(rates: np.ndarray, smoothed: np.ndarray, n_steps: int) -> float | None:
    """Rate of the steepest descent to the smallest loss, once the loss stays below its initial level."""
    level, lowest = _level_at_start(smoothed, n_steps), int(smoothed.argmin())
    fall = level - smoothed[lowest]
    if not fall > SMALLEST_FALL * level:
        return None
    not_yet = np.flatnonzero(smoothed[:lowest] > level - NOISE * fall)
    first = int(not_yet[-1]) if len(not_yet) else 0
    return float(rates[first + np.gradient(smoothed)[first : lowest + 1].argmin()])
