"""Checks of rows that occur several times."""

import numpy as np
import scipy.sparse

from fastbp.diagnosis.case import Case
from fastbp.diagnosis.registry import check, need
from fastbp.diagnosis.report import Finding

# Shares of the rows. Repeated: load_iris 0.7 %, load_digits 0. With a tenth of the rows repeated, a fifth of
# a validation set may be known, and its accuracy some points too high.
SOME, MANY = 0.01, 0.10
CONTRADICTING, MOSTLY_CONTRADICTING = 0.02, 0.20  # points of accuracy that nothing can bring
# Values of a regression that differ by less than this share of the spread do not contradict each other.
SAME_VALUE = 1e-3


def groups(X) -> np.ndarray:
    """Number of each row, the same for equal rows."""
    if scipy.sparse.issparse(X):
        X = X.toarray()
    X = np.ascontiguousarray(X) + 0.0  # -0 is 0
    whole = X.view(np.dtype((np.void, X.dtype.itemsize * X.shape[1]))).ravel()
    return np.unique(whole, return_inverse=True)[1]


@check(
    meaning="rows that occur several times, also their target",
    figure="share of rows that repeat another",
    threshold=f"above {SOME:.0%} (info), {MANY:.0%} (warning)",
    remedy="drop them, or keep copies on one side of every split (GroupKFold)",
)
def duplicate_rows(case: Case) -> Finding | None:
    rows = case.rows
    both = np.column_stack([groups(rows.X), groups(_numbered(rows.y))])
    _, first = np.unique(both, axis=0, return_index=True)
    share = 1 - len(first) / len(rows)
    if share <= SOME:
        return None
    repeated = np.setdiff1d(np.arange(len(rows)), first)
    return Finding(
        "warning" if share > MANY else "info",
        f"{len(repeated)} rows ({share:.1%}) repeat another row, target and all. Copies on both sides of a "
        "split make its score too good.",
        share,
        "Drop them (DataFrame.drop_duplicates) and weigh the row that stays by sample_weight, or keep "
        "copies together by GroupKFold.",
        details={"rows": rows.index[repeated].tolist()},
    )


@check(
    meaning="equal rows with other targets: no model can be right for all of them",
    figure="share of rows that disagree with most of their equals",
    threshold=f"above {CONTRADICTING:.0%} (warning), {MOSTLY_CONTRADICTING:.0%} (serious)",
    remedy="look for missing columns or wrong labels; expect at least this error",
)
def conflicting_rows(case: Case) -> Finding | None:
    rows = case.rows
    group, y = groups(rows.X), rows.y
    if case.is_classifier:
        target = groups(_numbered(y))
        pairs, counts = np.unique(np.column_stack([group, target]), axis=0, return_counts=True)
        most = np.zeros(group.max() + 1, np.intp)
        np.maximum.at(most, pairs[:, 0], counts)
        n_wrong = int(len(rows) - most.sum())
        several = np.bincount(pairs[:, 0]) > 1
        where = np.flatnonzero(several[group])
    else:
        values = y.reshape(len(y), -1).astype(np.float64)
        n = np.bincount(group)
        where = np.zeros(len(rows), bool)
        for value in values.T:
            mean = np.bincount(group, value) / n
            where |= np.abs(value - mean[group]) > SAME_VALUE * value.std()
        where = np.flatnonzero(where)
        n_wrong = len(where)
    share = n_wrong / len(rows)
    if share <= CONTRADICTING:
        return None
    return Finding(
        "serious" if share > MOSTLY_CONTRADICTING else "warning",
        f"{n_wrong} rows ({share:.1%}) have another target than equal rows: with these columns, no model "
        "can be right for them.",
        share,
        "Look for columns that would tell them apart (dropped, rounded, or an encoding that merges "
        "levels), and for wrong targets.",
        details={"rows": rows.index[where].tolist()},
    )


@check(
    meaning="rows that are in the training and in the validation rows",
    figure="share of validation rows that are also training rows",
    threshold=f"{SOME:.0%} more than rows repeat within the training rows; {MANY:.0%} more (serious)",
    remedy="split before anything else, and by groups",
)
def shared_rows(case: Case) -> Finding | None:
    need(case.rows_val is not None, "no X_val was given")
    rows, val = case.rows, case.rows_val
    assert val is not None
    X, X_val = (part.toarray() if scipy.sparse.issparse(part) else part for part in (rows.X, val.X))
    need(X.shape[1] == X_val.shape[1], "X_val has other columns")
    group = groups(np.vstack([X, X_val.astype(X.dtype)]))
    own, others = group[: len(X)], group[len(X) :]
    shared = np.isin(others, own)
    repeats = float((np.bincount(own)[own] > 1).mean())  # expected of honest splits of such data
    share = float(shared.mean())
    if share <= SOME + repeats:
        return None
    return Finding(
        "serious" if share > MANY + repeats else "warning",
        f"{int(shared.sum())} of {len(val)} validation rows ({share:.1%}) are among the training rows"
        + (f", where {repeats:.1%} have an equal" if repeats else "")
        + ": their score shows what was learnt by heart.",
        share,
        "Split first (train_test_split), before rows are resampled or repeated; keep copies together by "
        "GroupShuffleSplit.",
        details={"rows_val": val.index[shared].tolist()},
    )


def _numbered(y: np.ndarray) -> np.ndarray:
    """Targets as numbers, a column each."""
    if y.dtype.kind in "fiub":
        return y.reshape(len(y), -1).astype(np.float64)
    return np.unique(y, return_inverse=True)[1].reshape(len(y), -1).astype(np.float64)
