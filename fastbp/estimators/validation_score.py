"""Scores for early stopping: the estimator's own score, any scikit-learn scorer, or the loss."""

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from numbers import Real
from typing import Any

import numpy as np
import scipy.sparse
from sklearn.metrics import check_scoring
from sklearn.utils import _safe_indexing
from sklearn.utils.validation import _get_feature_names

from fastbp.engines.dataset import Dataset
from fastbp.engines.select import get_engine, on_gpu
from fastbp.estimators.input_checks import on_host
from fastbp.estimators.prepare import PreparedFit
from fastbp.training.early_stopping import Score
from fastbp.training.float_errors import users_own


@contextmanager
def validation_score(
    make_model: Callable[[PreparedFit, np.ndarray], Any], fit: PreparedFit
) -> Iterator[Score]:
    """Context with the score of a fit's validation rows, by the parameter `scoring`.

    `make_model` makes an estimator with the weights of a flat vector, for scorers.
    """
    options, network, held_out = fit.options, fit.network, fit.held_out
    assert held_out is not None
    engine = get_engine(options.device, held_out.X)
    inputs = engine.hold(network, held_out.X, held_out.index)
    outputs = engine.Forward(network, inputs, n_jobs=options.n_jobs)
    targets, weight = held_out.labels()

    def own_score(flat: np.ndarray) -> float:
        found = outputs(flat)
        return fit.targets.score(found, targets, weight) if np.isfinite(found).all() else np.nan

    if options.takes_scorer:
        assert fit.source is not None, "scorers see rows as the user has given them"
        rows = _rows_as_given(*fit.source, held_out)
        yield _by_scorer(lambda flat: make_model(fit, flat), fit, rows, weight, outputs)
    elif options.scoring is None:
        yield own_score
    else:
        with engine.Loss(network, held_out, options.n_jobs) as loss:
            yield lambda flat: -loss.value(flat)


def _rows_as_given(X: Any, y: Any, held_out: Dataset) -> tuple[Any, Any]:
    """Validation rows in the user's containers of X and y, except those on a GPU."""
    y = on_host(y)
    if held_out.index is not None:
        y = _take(y, held_out.index)
    if on_gpu(X):
        return held_out.X, y
    return X if held_out.index is None else _take(X, held_out.index), y


def _take(values: Any, index: np.ndarray) -> Any:
    if scipy.sparse.issparse(values):
        return values.tocsr()[index]  # some formats cannot index rows
    return _safe_indexing(values if hasattr(values, "__getitem__") else np.asarray(values), index)


def _by_scorer(
    make_model: Callable[[np.ndarray], Any],
    fit: PreparedFit,
    rows: tuple[Any, Any],
    weight: np.ndarray | None,
    outputs: Callable[[np.ndarray], np.ndarray],
) -> Score:
    """Return a score that calls the scorer with a new estimator for each epoch and the user's `rows`."""
    scoring = fit.options.scoring
    scorer = check_scoring(make_model(fit.parameters), scoring)
    if is_scikit_learns(scorer):
        rows = rows[0], fit.targets.as_metrics_compare(rows[1])
    names = _get_feature_names(rows[0])  # of X_val: fit has checked them against those of X
    options = {} if weight is None or not takes_weights(scorer) else {"sample_weight": weight}

    defined = False  # whether it has returned a number

    def score(flat: np.ndarray) -> float:
        nonlocal defined
        model = make_model(flat)
        model.__dict__.pop("feature_names_in_", None)
        if names is not None:
            model.feature_names_in_ = names
        try:
            with nullcontext() if is_scikit_learns(scorer) else users_own():
                value: Any = scorer(model, *rows, **options)
        except ValueError:
            if np.isfinite(outputs(flat)).all():
                raise
            return np.nan  # scikit-learn's metrics refuse predictions that are not finite
        if isinstance(value, bool) or not isinstance(value, Real):
            raise ValueError(f"scoring={scoring!r} must give a number, got {value!r}.")
        number = float(value)
        if not (defined or np.isfinite(number)) and np.isfinite(outputs(flat)).all():
            raise ValueError(
                f"scoring={scoring!r} gave {value!r} for the validation rows, of which it may be "
                "undefined: choose another one, or other rows."
            )
        defined = True
        return number

    return score


def is_scikit_learns(scorer: Any) -> bool:
    """Return whether a scorer, or its metric, is one of scikit-learn's."""
    return str(getattr(getattr(scorer, "_score_func", scorer), "__module__", "")).startswith("sklearn.")


def takes_weights(scorer: Callable) -> bool:
    """Return whether a scorer, or its metric, has the argument `sample_weight`."""
    parameters = inspect.signature(getattr(scorer, "_score_func", scorer)).parameters
    return "sample_weight" in parameters
