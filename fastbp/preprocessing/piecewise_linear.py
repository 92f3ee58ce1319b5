"""The piecewise-linear encoding of numbers."""

from numbers import Integral
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin, _fit_context
from sklearn.utils._param_validation import Interval
from sklearn.utils.validation import (
    _check_feature_names_in,
    _check_sample_weight,
    check_is_fitted,
    validate_data,
)

from fastbp.hover_texts import DescribedInHTML
from fastbp.persistence.mixin import SaveMixin
from fastbp.preprocessing.quantiles import weighted_quantiles

FLOATS = [np.float64, np.float32]
EDGE_ROWS = 100_000  # that edges are found from, at most


class PiecewiseLinearEncoder(DescribedInHTML, SaveMixin, TransformerMixin, BaseEstimator):
    """Encode each feature by how far its value has passed through each of several bins.

    With edges b_0 < … < b_T, bin t of a value x becomes

        min(max((x - b_(t-1)) / (b_t - b_(t-1)), 0), 1)

    which is 1 for the bins below the value, 0 for those above, and the position within its own. A linear
    layer on top of it is a continuous, piecewise-linear function of each feature.

    The edges of a feature are quantiles of its training values. A value so frequent that it would fill a bin
    alone is an edge, and the other values share the bins that are left: of a feature that is mostly zero, the
    values beside zero are resolved as well. A feature of few distinct values has an edge at each of them.

    Parameters
    ----------
    n_bins : int, default=16
        In [1, inf). Bins of each feature, at most.

    Attributes
    ----------
    bin_edges_ : list of ndarray of shape (n_bins of the feature + 1,)
        Increasing edges of each feature. Those of a constant feature are its value v and v + 1.
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Only if X has names that are all strings.

    Notes
    -----
    The outermost bins end at the smallest and the largest training value: values beyond have the code of the
    end, so that a single outlier in new data cannot become a large input. In the paper these two bins go on
    without limit.

    References
    ----------
    Gorishniy, Rubachev, Babenko: On embeddings for numerical features in tabular deep learning. NeurIPS 2022,
    section 3.2.

    Examples
    --------
    >>> import numpy as np
    >>> from fastbp.preprocessing import PiecewiseLinearEncoder
    >>> encoder = PiecewiseLinearEncoder(n_bins=2).fit([[0.0], [1.0], [5.0]])
    >>> encoder.transform([[0.5], [3.0], [9.0]])
    array([[0.5, 0. ],
           [1. , 0.5],
           [1. , 1. ]])
    """

    _parameter_constraints: dict = {"n_bins": [Interval(Integral, 1, None, closed="left")]}

    def __init__(self, n_bins: int = 16) -> None:
        self.n_bins = n_bins

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Find the edges.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Finite numbers. Of more than 100,000 rows, evenly spaced ones count.
        y : None
            Ignored.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights: a row of weight 2 counts as two.

        Returns
        -------
        self : PiecewiseLinearEncoder
        """
        X = validate_data(self, X, dtype=FLOATS)
        weight = np.ones(len(X))
        if sample_weight is not None:
            weight = _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
            X, weight = X[weight > 0], weight[weight > 0]
        step = -(-len(X) // EDGE_ROWS)
        ends = np.stack([X.min(axis=0), X.max(axis=0)])
        self.bin_edges_ = [
            _bin_edges(values[::step], weight[::step], outer, self.n_bins)
            for values, outer in zip(X.T, ends.T, strict=True)
        ]
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Encode X.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples, number of bins of all features)
            Of X's dtype, float32 or float64; the bins of a feature side by side.
        """
        check_is_fitted(self)
        X = validate_data(self, X, dtype=FLOATS, reset=False)
        widths = [len(edges) - 1 for edges in self.bin_edges_]
        out = np.empty((len(X), sum(widths)), X.dtype)
        end = 0
        for column, edges, width in zip(X.T, self.bin_edges_, widths, strict=True):
            begin, end = end, end + width
            half = edges / 2  # the difference of two halves cannot overflow
            with np.errstate(over="ignore"):
                position = (column[:, np.newaxis] / 2 - half[:-1]) / np.diff(half)  # in float64, as edges are
            np.clip(position, 0, 1, out=out[:, begin:end], casting="same_kind")
        return out

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Names of the columns of `transform`: that of the feature, and the number of the bin.

        Parameters
        ----------
        input_features : array-like of str, default=None
            Names of the features; None: those of `fit`, or x0, x1, ….

        Returns
        -------
        ndarray of str
        """
        check_is_fitted(self)
        names = _check_feature_names_in(self, input_features)
        return np.array(
            [
                f"{name}_bin{number}"
                for name, edges in zip(names, self.bin_edges_, strict=True)
                for number in range(len(edges) - 1)
            ],
            dtype=object,
        )

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def _bin_edges(values: np.ndarray, weight: np.ndarray, ends: np.ndarray, n_bins: int) -> np.ndarray:
    """Return the edges of one feature's bins in float64: two at least, `n_bins` + 1 at most."""
    low, high = (float(end) for end in ends)
    if low == high:
        return np.array([low, low + 1])
    distinct, positions = np.unique(values.astype(np.float64), return_inverse=True)
    shares = np.bincount(positions, weight)
    frequent = np.zeros(len(distinct), bool)  # values that are edges
    while len(distinct) > n_bins + 1:
        n_left = max(n_bins - int(np.count_nonzero(frequent)), 1)
        fills_bin = ~frequent & (shares * n_left >= shares[~frequent].sum())
        if not fills_bin.any() or np.count_nonzero(frequent | fills_bin) >= n_bins:
            levels = np.linspace(0, 1, n_left + 1)
            shared = weighted_quantiles(distinct[~frequent], shares[~frequent], levels)
            distinct = np.unique(np.concatenate([distinct[frequent], shared]))
            break
        frequent |= fills_bin
    return np.unique(np.concatenate([[low], distinct[1:-1], [high]]))
