"""Importance of the columns of a table, by permutation among held-out rows."""

from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.sparse

from fastbp.tables.encoder import Encoded, TableEncoder
from fastbp.tables.members import Member
from fastbp.tables.training_table import TrainingTable

MOST_ROWS = 500  # that are kept in a model, of all members together
LEAST_ROWS = 50  # of a member, where it has held out so many
SEED = 0  # of the permutations: the importances of a model do not change


def sample_rows(
    held_out: TrainingTable, n_members: int, random_state: np.random.RandomState
) -> TrainingTable:
    """Draw the held-out rows of a member that its model keeps."""
    n_rows = len(held_out.targets)
    n_kept = min(n_rows, max(MOST_ROWS // n_members, LEAST_ROWS))
    return held_out.only(np.sort(random_state.permutation(n_rows)[:n_kept]))


def importances(
    members: list[Member],
    samples: list[TrainingTable],
    encoder: TableEncoder,
    losses: Callable[[Member, TrainingTable], np.ndarray],
    n_features: int,
) -> np.ndarray:
    """Return the increase of the mean loss without each column, negative ones as 0, of sum 1.

    Parameters
    ----------
    losses : callable
        ``losses(member, table)`` of each row.

    Returns
    -------
    ndarray of shape (n_features,)
    """
    if not samples:
        return np.full(n_features, np.nan)
    increase = np.zeros(n_features)
    random_state = np.random.RandomState(SEED)
    outputs = list(encoder.output_slices())
    for member, sample in zip(members, samples, strict=True):
        encoded = sample.encoded
        before = losses(member, sample).mean()
        order = random_state.permutation(len(sample.targets))
        for column, (numeric, binary) in enumerate(outputs):
            if numeric.start == numeric.stop and binary.start == binary.stop:
                continue
            permuted = Encoded(_permuted(encoded.numeric, numeric, order), encoded.binary.copy())
            permuted.binary[:, binary] = encoded.binary[order, binary]
            increase[column] += losses(member, sample._replace(encoded=permuted)).mean() - before
    increase = np.maximum(increase, 0.0)
    total = increase.sum()
    return increase / total if total > 0 else increase


def _permuted(values: Any, columns: slice, order: np.ndarray) -> Any:
    """Return the values with the rows of some columns in another order."""
    if scipy.sparse.issparse(values):
        changed = values.tolil()
        changed[:, columns] = values[order, columns]
        return changed.tocsr()
    changed = values.copy()
    changed[:, columns] = values[order, columns]
    return changed
