"""Views: how the numeric columns of a table are shown to a network.

Networks that see the same table differently make other mistakes, and their mean is better than that of
networks which differ in their random state alone.
"""

from typing import Any, Self

import numpy as np
import scipy.sparse

from fastbp.preprocessing import PeriodicEncoder, PiecewiseLinearEncoder

LIMIT = 3.0  # of bounded values

VALUES, BOTH, FINE_BINS, WAVES = "values", "values and bins", "fine bins", "waves"
VIEWS = {
    VALUES: "numbers as they are",
    BOTH: "numbers and their piecewise-linear encoding, 16 bins",
    FINE_BINS: "piecewise-linear encoding, 32 bins",
    WAVES: "sines and cosines of random frequencies",
}


class View:
    """A view of the numeric columns of an encoded table.

    Parameters
    ----------
    name : str
        Key of `VIEWS`.
    random_state : int
    """

    def __init__(self, name: str, random_state: int) -> None:
        self.name = name
        self._bins: PiecewiseLinearEncoder | None = None
        self._waves: PeriodicEncoder | None = None
        self._random_state = random_state

    def fit(self, numeric: Any, weight: np.ndarray | None) -> Self:
        """Learn the encoding from the training rows; a sparse matrix, or no column, is shown as it is."""
        if scipy.sparse.issparse(numeric) or not numeric.shape[1]:
            return self
        if self.name in (BOTH, FINE_BINS):
            n_bins = 16 if self.name == BOTH else 32
            self._bins = PiecewiseLinearEncoder(n_bins).fit(numeric, sample_weight=weight)
        elif self.name == WAVES:
            self._waves = PeriodicEncoder(random_state=self._random_state).fit(numeric)
        return self

    def transform(self, numeric: Any) -> Any:
        """Return the columns as the network sees them."""
        if self._waves is not None:
            return self._waves.transform(smoothly_bounded(numeric))
        if self._bins is None:
            return numeric
        bins = self._bins.transform(numeric)
        return bins if self.name == FINE_BINS else np.hstack([smoothly_bounded(numeric), bins])


def smoothly_bounded(X: np.ndarray) -> np.ndarray:
    """Return x / sqrt(1 + (x / 3)^2): about x near 0, never beyond 3 in magnitude.

    It is the function of ``input_scaling="robust"`` (Holzmüller, Grinsztajn, Steinwart 2024, section 3).
    """
    bounded: np.ndarray = X / np.sqrt(1 + np.square(X / LIMIT))
    return bounded
