"""The rows to look at: X and y as numbers, without missing values, a sample if there are many."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import scipy.sparse
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_array, check_consistent_length, column_or_1d

from fastbp.estimators.exact_labels import label_array
from fastbp.estimators.options import CLASSIFIER


@dataclass(frozen=True)
class Rows:
    """Rows as a network takes them, and what was found on the way.

    Attributes
    ----------
    X : ndarray or CSR matrix of shape (n, n_features)
        Finite; float32 or float64.
    y : ndarray of shape (n,) or (n, n_outputs)
    weight : ndarray of shape (n,) or None
    index : ndarray of shape (n,)
        Numbers of the rows in the user's X.
    n_given : int
        Rows that the user gave.
    counts : dict
        For class labels: rows of each class among those given.
    n_missing : int
        Values of X that were not finite, among the rows given.
    missing_columns : ndarray
        Columns with such values.
    n_missing_targets : int
        Rows left out because their target is missing.
    """

    X: Any
    y: np.ndarray
    weight: np.ndarray | None
    index: np.ndarray
    n_given: int
    counts: dict[Any, int] = field(default_factory=dict)
    n_missing: int = 0
    missing_columns: np.ndarray = field(default_factory=lambda: np.empty(0, np.intp))
    n_missing_targets: int = 0

    def __len__(self) -> int:
        return len(self.y)

    def take(self, rows: np.ndarray) -> "Rows":
        """Return some of the rows, by their numbers in this sample."""
        weight = None if self.weight is None else self.weight[rows]
        return Rows(self.X[rows], self.y[rows], weight, self.index[rows], self.n_given, self.counts)


def checked_rows(
    X: Any, y: Any, weight: Any, task: str, most: int, random_state: int, name: str = ""
) -> Rows:
    """Check the data and draw a sample of at most `most` rows.

    Parameters
    ----------
    name : str
        What is added to "X" and "y" in messages.
    """
    if y is None:
        raise ValueError(f"y{name} is None: the doctor looks at how a network learns, which needs targets.")
    X = _numbers(X, f"X{name}")
    y = _targets(y, task, f"y{name}")
    check_consistent_length(X, y, weight)
    n_given = len(y)
    if weight is not None:
        weight = column_or_1d(np.asarray(weight, dtype=np.float64))
    present = _present(y)
    index = np.flatnonzero(present)
    if len(index) < 2:
        raise ValueError(f"X{name} has {len(index)} rows with a target; a diagnosis needs at least 2.")
    X, n_missing, missing_columns = _filled(X)
    counts: dict[Any, int] = {}
    if task == CLASSIFIER and y.ndim == 1:
        labels, numbers = np.unique(y[index], return_counts=True)
        counts = dict(zip(labels.tolist(), numbers.tolist(), strict=True))
    if len(index) > most:
        index = np.sort(check_random_state(random_state).choice(index, most, replace=False))
    if len(index) < n_given:
        X, y = X[index], y[index]
        weight = None if weight is None else weight[index]
    n_missing_targets = int(n_given - present.sum())
    return Rows(X, y, weight, index, n_given, counts, n_missing, missing_columns, n_missing_targets)


def _numbers(X: Any, name: str) -> Any:
    if scipy.sparse.issparse(X):
        X = X.tocsr()
    try:
        return check_array(
            X,
            accept_sparse="csr",
            dtype=[np.float64, np.float32],
            ensure_all_finite=False,
            order="C",
            input_name=name,
        )
    except ValueError as error:
        if "could not convert" not in str(error):
            raise
        raise ValueError(
            f"{name} has values that are no numbers ({error}). Pass a Pipeline whose first steps encode "
            "them, or TabularClassifier() or TabularRegressor(), which encode tables themselves."
        ) from error


def _targets(y: Any, task: str, name: str) -> np.ndarray:
    if task != CLASSIFIER:
        y = check_array(
            y, ensure_2d=False, dtype=[np.float64, np.float32], ensure_all_finite=False, input_name=name
        )
    else:
        y = np.asarray(label_array(y))
    return y[:, 0] if y.ndim == 2 and y.shape[1] == 1 else y


def _present(y: np.ndarray) -> np.ndarray:
    """Mask of the rows whose targets are all there."""
    if y.dtype.kind == "f":
        there = np.isfinite(y)
    elif y.dtype.kind == "O":
        there = np.array([one is not None and one == one for one in y.ravel()]).reshape(y.shape)
    else:
        there = np.ones(y.shape, bool)
    return there.reshape(len(y), -1).all(axis=1)


def _filled(X: Any) -> tuple[Any, int, np.ndarray]:
    """Return X with the median of the column for what is not finite, and how much and where it was."""
    if scipy.sparse.issparse(X):
        bad = ~np.isfinite(X.data)
        if not bad.any():
            return X, 0, np.empty(0, np.intp)
        X = X.copy()
        X.data[bad] = 0.0
        return X, int(bad.sum()), np.unique(X.indices[bad])
    bad = ~np.isfinite(X)
    columns = np.flatnonzero(bad.any(axis=0))
    if not len(columns):
        return X, 0, columns
    X = X.copy()
    for column in columns:
        holes = bad[:, column]
        X[holes, column] = 0.0 if holes.all() else np.median(X[~holes, column])
    return X, int(bad.sum()), columns
