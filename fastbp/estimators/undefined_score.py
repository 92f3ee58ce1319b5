"""Scores of validation rows that cannot tell one epoch from another."""

from typing import Any

from sklearn.metrics import check_scoring

from fastbp.engines.dataset import Dataset
from fastbp.estimators.options import REGRESSOR, Options

# Metrics relative to the best constant, or between classes: undefined if all targets are equal. Some are 0
# then, which no epoch improves.
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


def is_defined(options: Options, held_out: Dataset, estimator: Any = None) -> bool:
    """Return whether the targets let the score of `validation_score` tell one epoch from another."""
    targets, weight = held_out.labels()
    if weight is not None:
        targets = targets[weight > 0]
    if (targets != targets[:1]).any():
        return True
    if options.scoring is None:
        return options.task != REGRESSOR
    if options.watches_loss:
        return True
    metric = getattr(check_scoring(estimator, options.scoring), "_score_func", None)
    name, module = (getattr(metric, what, "") for what in ("__name__", "__module__"))
    return not (name in NEED_DIFFERENT_TARGETS and module.startswith("sklearn."))


def refuse_undefined(options: Options, held_out: Dataset, given: bool, estimator: Any) -> None:
    """Raise ValueError if the score is undefined for the validation rows, `given` by the user or not."""
    if is_defined(options, held_out, estimator):
        return
    more = "give X_val and y_val more rows"
    if not given:
        more = (
            f"set more rows aside by validation_fraction (now {options.validation_fraction!r}), give "
            "X_val and y_val"
        )
    raise ValueError(
        f"The score that early stopping watches (scoring={options.scoring!r}) is undefined for the "
        f"validation rows, since their targets are all the same: {more}, or choose scoring='loss'."
    )
