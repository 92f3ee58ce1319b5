"""The rows that early stopping watches, set aside or given by the user, and their score."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse
from sklearn.metrics import d2_pinball_score
from sklearn.model_selection import train_test_split


@dataclass
class Rows:
    """Inputs, encoded targets and weights of the same rows; `index` has their numbers in the user's arrays,
    where these are not all.
    """

    X: np.ndarray | scipy.sparse.csr_matrix
    targets: np.ndarray
    sample_weight: np.ndarray | None
    index: np.ndarray | None = None

    def take(self, index: np.ndarray) -> "Rows":
        weight = None if self.sample_weight is None else self.sample_weight[index]
        return Rows(self.X[index], self.targets[index], weight, index)


class GivenRows(NamedTuple):
    """The arguments `X_val`, `y_val` and `sample_weight_val` of `fit`."""

    X_val: Any = None
    y_val: Any = None
    sample_weight_val: Any = None

    def check(self, early_stopping: bool, solver_stops_early: bool) -> bool:
        """Whether there are rows; ValueError where they are incomplete, or would not be used."""
        if all(part is None for part in self):
            return False
        if self.X_val is None or self.y_val is None:
            names = [name for name, part in self._asdict().items() if part is not None]
            lacking = [name for name in ("X_val", "y_val") if getattr(self, name) is None]
            raise ValueError(
                f"{' and '.join(names)} given to fit without {' and '.join(lacking)}: validation rows need "
                "X_val and y_val."
            )
        if not (early_stopping and solver_stops_early):
            change = "early_stopping=True" if solver_stops_early else "a solver of mini-batches"
            raise ValueError(
                f"X_val and y_val are given to fit, but only early stopping would use them: set {change}, or "
                "leave them out."
            )
        return True


NO_ROWS = GivenRows()


def split(
    rows: Rows, fraction: float, random_state: np.random.RandomState, stratify: bool
) -> tuple[Rows, Rows]:
    """Rows to train on and rows to validate on: scikit-learn's own split for the same random state."""
    if fraction == 0:
        raise ValueError("early_stopping=True needs validation_fraction > 0, got validation_fraction=0.")
    n_rows = rows.targets.shape[0]
    train, held_out = train_test_split(
        np.arange(n_rows),
        random_state=random_state,
        test_size=fraction,
        # the same values as scikit-learn's, so that its error about small classes reads the same
        stratify=rows.targets.astype(bool) if stratify else None,
    )
    if len(held_out) < 2:
        raise ValueError(
            "The validation set is too small. Increase 'validation_fraction' or the size of your dataset."
        )
    parts = rows.take(train), rows.take(held_out)
    for part, name in zip(parts, ("training", "validation"), strict=True):
        if part.sample_weight is not None and not part.sample_weight.any():
            raise ValueError(
                f"Sample weights must contain at least one non-zero number among the {name} rows."
            )
    return parts


def accuracy(
    outputs: np.ndarray,
    targets: np.ndarray,
    weight: np.ndarray | None,
    multilabel: bool,
    threshold: float,
) -> float:
    """Share of the weight of rows whose every label is right; targets are 0 and 1."""
    if multilabel:
        right = ((outputs > threshold) == (targets > 0.5)).all(axis=1)
    elif outputs.shape[1] == 1:
        right = (outputs[:, 0] > threshold) == (targets[:, 0] > 0.5)
    else:
        label = targets[:, 0] if targets.shape[1] == 1 else targets.argmax(axis=1)
        right = outputs.argmax(axis=1) == label
    return float(np.average(right, weights=weight))


def r_squared(outputs: np.ndarray, targets: np.ndarray, weight: np.ndarray | None) -> float:
    """R² averaged over the outputs, as ``sklearn.metrics.r2_score``: a constant target counts as 1 or 0."""
    outputs, targets = outputs.astype(np.float64), targets.astype(np.float64)
    row_weight = np.ones((len(targets), 1)) if weight is None else weight.astype(np.float64)[:, None]
    mean = np.average(targets, axis=0, weights=weight)
    residual = (row_weight * (targets - outputs) ** 2).sum(axis=0)
    total = (row_weight * (targets - mean) ** 2).sum(axis=0)
    constant = np.where(residual == 0, 1.0, 0.0)
    varies = total != 0
    return float(np.mean(np.where(varies, 1 - residual / np.where(varies, total, 1), constant)))


def d2_pinball(y: np.ndarray, outputs: np.ndarray, quantiles: Sequence[float], weight) -> float:
    """The mean over several quantiles of the share of pinball loss that the best constant leaves."""
    scores = [
        d2_pinball_score(y, column, sample_weight=weight, alpha=quantile)
        for column, quantile in zip(outputs.T, quantiles, strict=True)
    ]
    return float(np.mean(scores))
