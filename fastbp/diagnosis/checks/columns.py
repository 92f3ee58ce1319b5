"""Checks of whole columns: constant, repeated, or telling the target alone."""

import numpy as np
import scipy.sparse
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from fastbp.diagnosis.case import Case
from fastbp.diagnosis.registry import check, need
from fastbp.diagnosis.report import Finding

MOSTLY_CONSTANT = 0.5  # share of constant columns from which something went wrong before the network
# Columns that are copies up to scale: their correlation is one up to rounding of float32 (1e-7).
COPY = 1e-6
MOST_COLUMNS = 2000  # that are compared with each other, or looked at alone
MOST_ROWS = 2000  # that a tree is grown on
FEWEST_ROWS = 50  # on fewer, a small tree fits chance
# Share of what a constant leaves unexplained. Best honest columns: petal width of load_iris 0.94, worst area
# of load_breast_cancer 0.81, flavanoids of load_wine 0.72, body mass of load_diabetes 0.53; a copy of the
# target 1 for classes, 1 - 1/64^2 for 64 leaves of uniform numbers.
TELLS_ALL = 0.99
TELLS_ALL_VALUES = 0.995
LEAVES_A_CLASS = 2
LEAVES_OF_VALUES = 64


@check(
    meaning="columns with one value",
    figure="number of such columns",
    threshold=f"any (info); more than {MOSTLY_CONSTANT:.0%} of the columns (warning)",
    remedy="VarianceThreshold() before the network",
)
def constant_columns(case: Case) -> Finding | None:
    columns = np.flatnonzero(_is_constant(case.rows.X))
    if not len(columns):
        return None
    n_columns = case.rows.X.shape[1]
    return Finding(
        "warning" if len(columns) > MOSTLY_CONSTANT * n_columns else "info",
        f"{len(columns)} of {n_columns} columns have one value only: {case.named(columns)}.",
        float(len(columns)),
        "Leave them out, with sklearn.feature_selection.VarianceThreshold() for instance; they do no harm "
        "but cost time.",
        details={"columns": columns.tolist()},
    )


@check(
    meaning="columns that are copies of others, up to shift and scale",
    figure="number of columns that repeat an earlier one",
    threshold="any (info if binary, else warning)",
    remedy="leave them out",
)
def duplicate_columns(case: Case) -> Finding | None:
    X = case.rows.X
    need(X.shape[1] <= MOST_COLUMNS, f"more than {MOST_COLUMNS} columns are not compared")
    X = X.toarray() if scipy.sparse.issparse(X) else X
    X = X.astype(np.float64)
    X = X - X.mean(axis=0)
    norm = np.linalg.norm(X, axis=0)
    varies = np.flatnonzero((norm > 0) & ~_is_constant(case.rows.X))
    # a column against itself mirrored, as the two levels of one category, is no copy
    Z = X[:, varies] / norm[varies]
    alike = np.triu(Z.T @ Z, 1) > 1 - COPY
    repeated = varies[np.flatnonzero(alike.any(axis=0))]
    if not len(repeated):
        return None
    of = varies[alike.argmax(axis=0)[alike.any(axis=0)]]
    binary = all(len(np.unique(X[:, column])) == 2 for column in repeated)
    pairs = "; ".join(
        f"{case.name(b)!r} of {case.name(a)!r}" for a, b in list(zip(of, repeated, strict=True))[:4]
    )
    return Finding(
        "info" if binary else "warning",
        f"{len(repeated)} of {X.shape[1]} columns are copies of others: {pairs}. They count several times "
        "in the first layer and in its penalties.",
        float(len(repeated)),
        "Leave the copies out.",
        details={"columns": repeated.tolist(), "copies_of": of.tolist()},
    )


@check(
    meaning="one column alone tells the target: it may not be known when predictions are wanted",
    figure="share of the target that a small tree on this column explains",
    threshold=f"at least {TELLS_ALL:g} for classes, {TELLS_ALL_VALUES:g} for values",
    remedy="look at where the column comes from; leave it out if it is made from the target",
)
def leakage(case: Case) -> Finding | None:
    rows = case.rows
    need(rows.y.ndim == 1, "there are several targets")
    need(len(rows) >= FEWEST_ROWS, f"there are fewer than {FEWEST_ROWS} rows")
    need(rows.X.shape[1] <= MOST_COLUMNS, f"more than {MOST_COLUMNS} columns are not looked at one by one")
    some = np.random.RandomState(case.random_state).permutation(len(rows))[:MOST_ROWS]
    X, y = rows.X[some], rows.y[some]
    X = X.toarray() if scipy.sparse.issparse(X) else X
    X = np.clip(X, -1e38, 1e38)  # trees take float32
    need(len(np.unique(y)) > 1, "all rows have one target")
    case.progress.step("looking at each column alone")
    explained = np.array([_explained(X[:, [column]], y, case.is_classifier) for column in range(X.shape[1])])
    columns = np.flatnonzero(explained >= (TELLS_ALL if case.is_classifier else TELLS_ALL_VALUES))
    if not len(columns):
        return None
    best = float(explained.max())
    return Finding(
        "serious",
        f"{case.named(columns)} alone explains {best:.2%} of the target. Such a column is often made from "
        "the target, or known only after it.",
        best,
        "Look at where the column comes from, and leave it out if it is not known when predictions are "
        "wanted.",
        details={"columns": columns.tolist()},
    )


def _explained(column: np.ndarray, y: np.ndarray, is_classifier: bool) -> float:
    """Share of the errors, or of the variance, of the best constant that a small tree removes."""
    if column[0, 0] == column[-1, 0] and (column == column[0, 0]).all():
        return 0.0
    if is_classifier:
        counts = np.unique(y, return_counts=True)[1]
        tree = DecisionTreeClassifier(max_leaf_nodes=LEAVES_A_CLASS * len(counts), random_state=0)
        wrong_of_constant = 1 - counts.max() / len(y)
        return float(1 - (1 - tree.fit(column, y).score(column, y)) / wrong_of_constant)
    n_leaves = min(LEAVES_OF_VALUES, len(y) // 8)  # enough rows in each that chance is not fitted
    tree = DecisionTreeRegressor(max_leaf_nodes=n_leaves, random_state=0)
    return float(tree.fit(column, y).score(column, y))


def _is_constant(X) -> np.ndarray:
    if scipy.sparse.issparse(X):
        low, high = X.min(axis=0).toarray().ravel(), X.max(axis=0).toarray().ravel()
        return low == high
    return X.min(axis=0) == X.max(axis=0)
