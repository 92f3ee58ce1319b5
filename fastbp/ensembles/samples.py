"""The rows that each member of an ensemble is trained on, as weights: no row is copied."""

from typing import Any

import numpy as np
from sklearn.utils import check_random_state


def n_drawn(max_samples: Any, n_rows: int) -> int:
    """Return the number of rows to draw for a member, or raise ValueError."""
    if max_samples is None:
        return n_rows
    if isinstance(max_samples, int | np.integer):
        if max_samples > n_rows:
            raise ValueError(f"max_samples={max_samples} is more than the {n_rows} rows of X.")
        return int(max_samples)
    return max(1, int(max_samples * n_rows))


def draws(seed: int, n_rows: int, n_samples: int, bootstrap: bool) -> np.ndarray:
    """Return how often each row is drawn: with replacement for `bootstrap`, else without."""
    random_state = check_random_state(seed)
    if bootstrap:
        rows = random_state.randint(0, n_rows, n_samples)
    else:
        rows = random_state.permutation(n_rows)[:n_samples]
    return np.bincount(rows, minlength=n_rows)


def weights_of(counts: np.ndarray, sample_weight: Any) -> np.ndarray:
    """Return the weights of a member's rows: the user's times the numbers of draws."""
    given = 1.0 if sample_weight is None else np.asarray(sample_weight, np.float64)
    return counts * given
