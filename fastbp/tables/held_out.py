"""The rows that each member of a table model is scored on while it trains."""

from collections.abc import Iterator

import numpy as np

FOLDS = 10  # a member is trained on nine tenths
FEWEST_ROWS = 50  # of fewer, all are trained on


def member_rows(
    y: np.ndarray, n_members: int, is_classes: bool, random_state: np.random.RandomState
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield training and held-out row numbers of each member, of which every one holds out another tenth.

    Classes, or the range of the target, are spread evenly over the tenths. A class with a single row is
    always trained on.

    Parameters
    ----------
    y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
        Numbers of classes, or targets, of which the first counts.

    Yields
    ------
    train, held_out : ndarray of int
        Increasing; `held_out` is empty for fewer than 50 rows.
    """
    n_rows = len(y)
    y = y if y.ndim == 1 else y[:, 0]
    shuffled = random_state.permutation(n_rows)
    fold = np.empty(n_rows, np.int8)
    fold[shuffled[np.argsort(y[shuffled], kind="stable")]] = np.arange(n_rows) % FOLDS
    if is_classes:
        of_row, counts = np.unique(y, return_inverse=True, return_counts=True)[1:]
        fold[counts[of_row] < 2] = -1
    for member in range(n_members):
        held_out = fold == member % FOLDS
        if n_rows < FEWEST_ROWS:
            held_out[:] = False
        yield np.flatnonzero(~held_out), np.flatnonzero(held_out)
