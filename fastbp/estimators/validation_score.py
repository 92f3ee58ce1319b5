"""What early stopping watches: the estimator's own score, any scorer of scikit-learn's, or the loss."""

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from numbers import Real
from typing import Any

import numpy as np
import scipy.sparse
from sklearn.base import is_regressor
from sklearn.metrics import check_scoring
from sklearn.utils import _safe_indexing
from sklearn.utils.validation import _get_feature_names

from fastbp.engines.select import get_engine, on_gpu
from fastbp.estimators.curves import own_lists
from fastbp.estimators.fitted_weights import StoredWeights
from fastbp.estimators.input_checks import on_host
from fastbp.plan.network import NetworkPlan
from fastbp.training.dataset import Dataset
from fastbp.training.float_errors import users_own

# Of a flat vector: higher is better; not finite where the predictions are not.
Score = Callable[[np.ndarray], float]


# Metrics that compare with the best constant, or classes with each other: undefined where there is one value.
# Some give 0 then, which no epoch betters.
NEED_DIFFERENT_TARGETS = (
    "r2_score",
    "explained_variance_score",
    "d2_absolute_error_score",
    "d2_pinball_score",
    "d2_tweedie_score",
    "roc_auc_score",
    "matthews_corrcoef",
    "cohen_kappa_score",
)


def is_defined(estimator: Any, held_out: Dataset) -> bool:
    """Whether the score of `validation_score` can tell one epoch from another, by the targets."""
    targets, weight = held_out.labels()
    if weight is not None:
        targets = targets[weight > 0]
    if (targets != targets[:1]).any():
        return True
    if estimator.scoring is None:
        return not is_regressor(estimator)
    if estimator._watches_loss():
        return True
    metric = getattr(check_scoring(estimator, estimator.scoring), "_score_func", None)
    name, module = (getattr(metric, what, "") for what in ("__name__", "__module__"))
    return not (name in NEED_DIFFERENT_TARGETS and module.startswith("sklearn."))


def refuse_undefined(estimator: Any, held_out: Dataset, given: bool) -> None:
    """ValueError where the score is undefined for the validation rows, `given` by the user or set aside."""
    if is_defined(estimator, held_out):
        return
    more = "give X_val and y_val more rows"
    if not given:
        more = (
            f"set more rows aside by validation_fraction (now {estimator.validation_fraction!r}), give "
            "X_val and y_val"
        )
    raise ValueError(
        f"The score that early stopping watches (scoring={estimator.scoring!r}) is undefined for the "
        f"validation rows, since their targets are all the same: {more}, or choose scoring='loss'."
    )


def takes_scorer(estimator: Any) -> bool:
    """Whether `scoring` is a scorer, by name or as a callable."""
    return estimator.scoring is not None and not estimator._watches_loss()


@contextmanager
def validation_score(
    estimator: Any, network: NetworkPlan, held_out: Dataset, source: tuple[Any, Any] | None = None
) -> Iterator[Score]:
    """The score of `held_out` by the estimator's parameter `scoring`, while a fit lasts.

    `source` are X and y as the user has given them, for scorers, which get the rows `held_out.index` of them.
    """
    device = get_engine(estimator.device, held_out.X)

    inputs = device.hold(network, held_out.X, held_out.index)
    labels = held_out.labels()

    def outputs(flat: np.ndarray) -> np.ndarray:
        return device.forward(network, flat, inputs, n_jobs=estimator.n_jobs)

    if takes_scorer(estimator):
        assert source is not None, "scorers see rows as the user has given them"
        rows = _rows_as_given(*source, held_out)
        yield _by_scorer(estimator, network, rows, labels[1], outputs)
    elif estimator.scoring is None:
        yield lambda flat: _own_score(estimator, outputs(flat), *labels)
    else:
        all_rows = held_out.X, held_out.targets, held_out.sample_weight
        with device.Loss(network, *all_rows, estimator.n_jobs, held_out.index) as loss:
            yield lambda flat: -loss.value(flat)


def _own_score(estimator: Any, outputs: np.ndarray, targets: np.ndarray, weight: np.ndarray | None) -> float:
    return estimator._held_out_score(outputs, targets, weight) if np.isfinite(outputs).all() else np.nan


def _rows_as_given(X: Any, y: Any, held_out: Dataset) -> tuple[Any, Any]:
    """The validation rows in the containers in which the user has given X and y, but those on a GPU."""
    y = on_host(y)
    if held_out.index is not None:
        y = _take(y, held_out.index)
    if on_gpu(X):
        return held_out.X, y
    return X if held_out.index is None else _take(X, held_out.index), y


def _take(values: Any, index: np.ndarray) -> Any:
    if scipy.sparse.issparse(values):
        return values.tocsr()[index]  # some formats have no rows
    return _safe_indexing(values if hasattr(values, "__getitem__") else np.asarray(values), index)


def _by_scorer(
    estimator: Any,
    network: NetworkPlan,
    rows: tuple[Any, Any],
    weight: np.ndarray | None,
    outputs: Callable[[np.ndarray], np.ndarray],
) -> Score:
    """Call a scorer with an estimator of its own for each epoch, and with `rows` as the user has them."""
    scorer = check_scoring(estimator, estimator.scoring)
    if is_scikit_learns(scorer):
        rows = rows[0], estimator._targets_of_metrics(rows[1])
    names = _get_feature_names(rows[0])  # of X_val: fit has told where they are not those of X
    options = {} if weight is None or not takes_weights(scorer) else {"sample_weight": weight}

    defined = False  # whether it has given a number

    def score(flat: np.ndarray) -> float:
        nonlocal defined
        model = estimator._draft()
        model.__dict__ = own_lists(model.__dict__)
        model._store(StoredWeights(network, network.to_row_major(flat)))
        model.n_layers_ = len(model.coefs_) + 1
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
