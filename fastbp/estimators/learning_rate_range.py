"""The range test of learning rates: which ones are too small, which too large, before the first real fit."""

import copy
import dataclasses
from numbers import Integral, Real
from typing import Any

import numpy as np
from scipy.ndimage import gaussian_filter1d
from sklearn.utils._param_validation import Interval

from fastbp.engines.select import get_engine
from fastbp.estimators import type_hints
from fastbp.estimators.mlp import BackPropagation
from fastbp.estimators.options import Options
from fastbp.estimators.parameter_checks import check
from fastbp.estimators.prepare import FitArguments, PreparedFit, plan_training, prepare
from fastbp.estimators.seeds import draw_seed
from fastbp.functions.solvers import STOCHASTIC
from fastbp.functions.values import python_number
from fastbp.training.float_errors import silent

FEWEST_STEPS = 10
STEPS_PER_WIDTH = 25  # the standard deviation of the smoothing is this part of the steps
PARTS = 10  # the level of the loss at the start is the mean over the first of so many parts of the steps
TIMES_THE_START = 4.0  # beyond which training has diverged
RECENT = 5  # losses of which the median is looked at for that
SMALLEST_FALL = 0.05  # of the level at the start, below which nothing was learnt
NOISE = 0.25  # of the whole fall, above which the descent has not begun: a fall before that is one of noise

# Set for the test: the rate is the test's own, and there is nothing to stop for or to go on from.
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
    """What `learning_rate_range` has found.

    Attributes
    ----------
    rates : ndarray of shape (n,)
        Learning rates of the steps that were made, ascending.
    losses : ndarray of shape (n,)
        Loss of each step's batch, penalties included, before the step.
    smoothed : ndarray of shape (n,)
        The same, smoothed over neighbouring steps; losses above twice the level at the start are taken for
        that.
    diverged : bool
        Whether the test ended before the largest rate.
    suggestion : float or None
        The rate at which the smoothed loss falls most steeply; None where it hardly falls at all.
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
    """Train with a learning rate that grows from step to step, and see where the loss falls and rises.

    A copy of the estimator is trained from scratch on mini-batches of its own `batch_size`, as many epochs as
    the steps need, with the rates smallest · (largest / smallest)^(i / (n_steps - 1)). It ends early once the
    median of the last five losses exceeds four times the level at the start, or a number is not finite. This
    is the range test of Smith (2017), "Cyclical learning rates for training neural networks"
    (arXiv:1506.01186), with the geometric growth of Gugger (2018), "How do you find a good learning rate".
    The suggestion is the latter's, too: the rate of the steepest descent, well below the one with the
    smallest loss. Here it is looked for behind the last step at which the smoothed loss was within a quarter
    of its whole fall from the level at the start, so that no noise of single batches is taken for it.

    `learning_rate`, `schedule`, `average` and `early_stopping` of the estimator count for nothing here, and
    neither do its callbacks. What the suggestion is worth ends with what was tested: another `batch_size`,
    solver or network wants a test of its own.

    Parameters
    ----------
    estimator : BPClassifier or BPRegressor
        With a solver of mini-batches; not changed. Of "rprop" the rate is the size of the first step only.
    X, y
        As for its `fit`.
    smallest, largest : float, default=1e-6, 10.0
        The first and the last rate, both positive.
    n_steps : int, default=100
        At least 10. More of them give a smoother curve, where the losses of batches differ much.
    sample_weight : array-like of shape (n_samples,), default=None
        As for its `fit`.

    Returns
    -------
    LearningRateRange
        With the arrays `rates`, `losses` and `smoothed`, and the float `suggestion`.

    Raises
    ------
    ValueError
        For ``solver="lbfgs"``, which has no learning rate; where the first loss is not finite; and for what
        `fit` refuses.

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
    estimator._validate_params()
    smallest, largest, n_steps = float(smallest), float(largest), int(python_number(n_steps))
    if estimator.solver not in STOCHASTIC:
        raise ValueError(
            f"solver={estimator.solver!r} has no learning rate; the range test is for solvers of "
            "mini-batches."
        )
    if not smallest < largest:
        raise ValueError(f"largest must be above smallest={smallest!r}, got largest={largest!r}.")
    options = dataclasses.replace(
        Options.from_estimator(estimator),
        **PLAIN,
        learning_rate_init=smallest,
        random_state=copy.deepcopy(estimator.random_state),
    )
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


def _losses(prepared: PreparedFit, rates: np.ndarray) -> tuple[list[float], bool]:
    """The loss of each step's batch, until the last rate or divergence; and whether it was the latter."""
    rows, options = prepared.rows, prepared.options
    n_rows = len(rows)
    training = dataclasses.replace(
        plan_training(options, n_rows, draw_seed(prepared.random_state)),
        max_epochs=len(rates),
        patience=np.inf,
    )
    device = get_engine(options.device, rows.X)
    losses: list[float] = []
    with device.Trainer(
        prepared.network,
        training,
        rows.X,
        rows.targets,
        rows.sample_weight,
        prepared.parameters,
        None,
        options.n_jobs,
        rows.index,
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
    """A local mean, weighted by a normal distribution in the number of the step: without a lag."""
    cap = 2.0 * _level_at_start(losses, n_steps)
    return gaussian_filter1d(np.minimum(losses, cap), n_steps / STEPS_PER_WIDTH, mode="nearest")


def _steepest(rates: np.ndarray, smoothed: np.ndarray, n_steps: int) -> float | None:
    """The rate of the steepest descent to the smallest loss, once the loss stays below that of the start."""
    level, lowest = _level_at_start(smoothed, n_steps), int(smoothed.argmin())
    fall = level - smoothed[lowest]
    if not fall > SMALLEST_FALL * level:
        return None
    not_yet = np.flatnonzero(smoothed[:lowest] > level - NOISE * fall)
    first = int(not_yet[-1]) if len(not_yet) else 0
    return float(rates[first + np.gradient(smoothed)[first : lowest + 1].argmin()])
