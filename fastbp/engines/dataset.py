"""The rows that an engine trains on or computes a loss for."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import scipy.sparse


@dataclass
class Dataset:
    """Inputs, encoded targets and weights of the same rows.

    If there is an `index`, the data set consists of the rows at these indices, in this order. The arrays are
    not copied for it.
    """

    X: np.ndarray | scipy.sparse.csr_matrix
    targets: np.ndarray
    sample_weight: np.ndarray | None = None
    index: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.targets if self.index is None else self.index)

    @cached_property
    def largest_input(self) -> float | None:
        """The largest absolute value in X, also of rows that are not in the index; None on a GPU."""
        values = self.X.data if scipy.sparse.issparse(self.X) else self.X
        if not isinstance(values, np.ndarray):
            return None
        return largest_of(values) if values.size else 0.0

    def only(self, index: np.ndarray) -> "Dataset":
        """Return the rows at these indices."""
        return replace(self, index=index)

    def labels(self) -> tuple[np.ndarray, np.ndarray | None]:
        """Targets and weights of the rows: copies if there is an index."""
        if self.index is None:
            return self.targets, self.sample_weight
        weight = None if self.sample_weight is None else self.sample_weight[self.index]
        return self.targets[self.index], weight

    def taken(self) -> "Dataset":
        """Return the same rows without an index."""
        return self if self.index is None else Dataset(self.X[self.index], *self.labels())


def largest_of(values: np.ndarray) -> float:
    """Return the largest absolute value, without a copy."""
    return max(float(values.max()), -float(values.min()))
