"""The periodic encoding of numbers."""

from numbers import Integral, Real
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin, _fit_context
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval
from sklearn.utils.validation import _check_feature_names_in, check_is_fitted, validate_data

from fastbp.hover_texts import DescribedInHTML
from fastbp.persistence.mixin import SaveMixin

FLOATS = [np.float64, np.float32]


class PeriodicEncoder(DescribedInHTML, SaveMixin, TransformerMixin, BaseEstimator):
    """Encode each feature by sines and cosines of random frequencies, besides the feature itself.

    A value x becomes x, sin(2 pi c_k x) and cos(2 pi c_k x), k = 1 … `n_frequencies`, with frequencies c_k of
    its feature drawn from N(0, `scale`^2). With them a network learns functions that vary quickly in a single
    feature, which it learns late or never from the feature alone.

    Parameters
    ----------
    n_frequencies : int, default=4
        Of each feature.
    scale : float, default=0.25
        Standard deviation of the frequencies, in periods per unit of the feature: standardise X first.
    random_state : int, RandomState instance or None, default=None
        Source of the frequencies.

    Attributes
    ----------
    frequencies_ : ndarray of shape (n_features_in_, n_frequencies)
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Only if X has names that are all strings.

    References
    ----------
    Gorishniy, Rubachev, Babenko: On embeddings for numerical features in tabular deep learning. NeurIPS
    2022, section 3.3, where frequencies are trained. Fixed random ones: Tancik et al.: Fourier features let
    networks learn high frequency functions in low dimensional domains. NeurIPS 2020.

    Examples
    --------
    >>> from fastbp.preprocessing import PeriodicEncoder
    >>> PeriodicEncoder(n_frequencies=1, random_state=0).fit_transform([[0.0], [1.0]]).round(2)
    array([[ 0.  ,  0.  ,  1.  ],
           [ 1.  ,  0.36, -0.93]])
    """

    _parameter_constraints: dict = {
        "n_frequencies": [Interval(Integral, 1, None, closed="left")],
        "scale": [Interval(Real, 0, None, closed="neither")],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        n_frequencies: int = 4,
        *,
        scale: float = 0.25,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.n_frequencies = n_frequencies
        self.scale = scale
        self.random_state = random_state

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any = None) -> Self:
        """Draw the frequencies.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Finite numbers; only their number of features counts.
        y : None
            Ignored.

        Returns
        -------
        self : PeriodicEncoder
        """
        X = validate_data(self, X, dtype=FLOATS)
        random_state = check_random_state(self.random_state)
        self.frequencies_ = random_state.normal(0, self.scale, (X.shape[1], self.n_frequencies))
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Encode X.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples, n_features * (1 + 2 * n_frequencies))
            Of X's dtype, float32 or float64: the features, then sines, then cosines, those of a feature side
            by side.
        """
        check_is_fitted(self)
        X = validate_data(self, X, dtype=FLOATS, reset=False)
        n_features, n_waves = X.shape[1], self.frequencies_.size
        out = np.empty((len(X), n_features + 2 * n_waves), X.dtype)
        out[:, :n_features] = X
        sines, cosines = out[:, n_features : n_features + n_waves], out[:, n_features + n_waves :]
        angular = (2 * np.pi * self.frequencies_).astype(X.dtype)
        angles = (X[:, :, np.newaxis] * angular).reshape(len(X), n_waves)
        np.sin(angles, out=sines)
        np.cos(angles, out=cosines)
        return out

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Names of the columns of `transform`.

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
        waves = [
            f"{wave}{number}({name})"
            for wave in ("sin", "cos")
            for name in names
            for number in range(self.frequencies_.shape[1])
        ]
        return np.array([*names, *waves], dtype=object)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags
