"""What early stopping watches: the estimator's own score, any scorer of scikit-learn's, or the loss."""

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from numbers import Real
from typing import Any

import numpy as np
from sklearn.metrics import check_scoring

from fastbp import engine
from fastbp.float_errors import users_own
from fastbp.holdout import Rows
from fastbp.plan import NetworkPlan
from fastbp.stored import StoredWeights

# Of a flat vector: higher is better; not finite where the predictions are not.
Score = Callable[[np.ndarray], float]


@contextmanager
def validation_score(estimator: Any, network: NetworkPlan, held_out: Rows) -> Iterator[Score]:
    """The score of `held_out` by the estimator's parameter `scoring`, while a fit lasts."""
    device = engine.get(estimator.device, held_out.X)

    inputs = device.hold(network, held_out.X)

    def outputs(flat: np.ndarray) -> np.ndarray:
        return device.forward(network, flat, inputs, n_jobs=estimator.n_jobs)

    if estimator.scoring is None:
        yield lambda flat: _own_score(estimator, outputs(flat), held_out)
    elif estimator._watches_loss():
        X, targets, weight = held_out.X, held_out.targets, held_out.sample_weight
        with device.Objective(network, X, targets, weight, 0.0, 0.0, estimator.n_jobs) as objective:

            def minus_loss(flat: np.ndarray) -> float:
                return -float(objective(flat)[0])

            yield minus_loss
    else:
        yield _by_scorer(estimator, network, held_out, outputs)


def _own_score(estimator: Any, outputs: np.ndarray, held_out: Rows) -> float:
    return estimator._held_out_score(outputs, held_out) if np.isfinite(outputs).all() else np.nan


def _by_scorer(
    estimator: Any, network: NetworkPlan, held_out: Rows, outputs: Callable[[np.ndarray], np.ndarray]
) -> Score:
    """Call a scorer with an estimator of its own for each epoch, and the targets as the user has them."""
    scorer = check_scoring(estimator, estimator.scoring)
    y = estimator._decode(held_out.targets)
    weight = held_out.sample_weight
    options = {} if weight is None or not takes_weights(scorer) else {"sample_weight": weight}

    defined = False  # whether it has given a number

    def score(flat: np.ndarray) -> float:
        nonlocal defined
        model = estimator._draft()
        model._store(StoredWeights(network, network.to_row_major(flat)))
        model.n_layers_ = len(model.coefs_) + 1
        try:
            with nullcontext() if is_scikit_learns(scorer) else users_own():
                value: Any = scorer(model, held_out.X, y, **options)
        except ValueError:
            if np.isfinite(outputs(flat)).all():
                raise
            return np.nan  # scikit-learn's metrics refuse predictions that are not finite
        if isinstance(value, bool) or not isinstance(value, Real):
            raise ValueError(f"scoring={estimator.scoring!r} must give a number, got {value!r}.")
        number = float(value)
        if not (defined or np.isfinite(number)) and np.isfinite(outputs(flat)).all():
            raise ValueError(
                f"scoring={estimator.scoring!r} gave {value!r} for the validation rows, of which it may be "
                "undefined: choose another one, or other rows."
            )
        defined = True
        return number

    return score


def is_scikit_learns(scorer: Any) -> bool:
    """Whether a scorer, or the metric that it was made of, is one of scikit-learn's."""
    return str(getattr(getattr(scorer, "_score_func", scorer), "__module__", "")).startswith("sklearn.")


def takes_weights(scorer: Callable) -> bool:
    """Whether a scorer, or the metric that it was made of, has the argument `sample_weight`."""
    parameters = inspect.signature(getattr(scorer, "_score_func", scorer)).parameters
    return "sample_weight" in parameters
