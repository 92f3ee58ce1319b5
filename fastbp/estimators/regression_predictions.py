"""Predictions of a trained regressor: values, their standard deviations, intervals."""

import numbers
from typing import Any, Literal, overload

import numpy as np
from scipy.special import ndtri
from sklearn.base import RegressorMixin
from sklearn.metrics import r2_score
from sklearn.utils import column_or_1d
from sklearn.utils._param_validation import Interval
from sklearn.utils.metaestimators import available_if

from fastbp.estimators.data_kinds import real_numbers
from fastbp.estimators.exports import of_regressor
from fastbp.estimators.inspection import FittedNetwork
from fastbp.estimators.parameter_checks import check
from fastbp.estimators.regression_targets import quantiles
from fastbp.estimators.scaling import near_one
from fastbp.estimators.type_hints import Flag, Real
from fastbp.export.prediction import Prediction
from fastbp.functions.loss_entry import Loss
from fastbp.functions.loss_lookup import NORMAL_LOSSES, default_output, find_loss
from fastbp.training.float_errors import silent
from fastbp.training.metrics import d2_pinball

COVERAGE: dict[str, list] = {"coverage": [Interval(numbers.Real, 0, 1, closed="neither")]}


def _has_intervals(estimator) -> bool:
    """Check for `available_if`: True, or AttributeError with the reason."""
    if not (isinstance(estimator.loss, str) and estimator.loss in NORMAL_LOSSES):
        raise AttributeError(_needs_std("predict_interval", estimator.loss))
    return True


def _needs_std(what: str, loss: Any) -> str:
    return (
        f"{what} needs a network that predicts standard deviations: fit with loss in {NORMAL_LOSSES}, got "
        f"loss={loss!r}."
    )


def normal_interval(estimator: Any, X: Any, coverage: Real) -> np.ndarray:
    """Return the intervals of normal distributions with the mean and std that an estimator predicts."""
    check(COVERAGE, {"coverage": coverage}, "predict_interval")
    mean, std = estimator.predict(X, return_std=True)
    half = (std * ndtri(0.5 + 0.5 * float(coverage))).astype(std.dtype)
    return np.stack([mean - half, mean + half], axis=-1)


class RegressionPredictions(RegressorMixin, FittedNetwork):
    """Prediction methods of the regressor."""

    loss: Any

    target_mean_: np.ndarray
    target_scale_: np.ndarray
    target_range_: np.ndarray

    @overload
    def predict(self, X: Any, return_std: Literal[False] = False) -> np.ndarray: ...

    @overload
    def predict(self, X: Any, return_std: Literal[True]) -> tuple[np.ndarray, np.ndarray]: ...

    @overload
    def predict(self, X: Any, return_std: Flag) -> np.ndarray | tuple[np.ndarray, np.ndarray]: ...

    @silent
    def predict(self, X: Any, return_std: Flag = False) -> np.ndarray | tuple[np.ndarray, np.ndarray]:
        """Predict target values for the rows of X.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The input data.
        return_std : bool, default=False
            Whether to return the standard deviation of each target too. Needs loss='gaussian_nll'.

        Returns
        -------
        mean : ndarray of shape (n_samples,) for one target, else (n_samples, n_targets)
            In the dtype of the network. For several quantiles, a column for each.
        std : ndarray of the same shape
            Only with `return_std`. The noise of the targets as the network has learnt it.

        Raises
        ------
        ValueError
            For `return_std` with a loss that has no standard deviation.
        """
        if not return_std:
            return self._values(self._forward(X))
        loss = self._loss()
        if loss.normal is None:
            raise ValueError(_needs_std("return_std=True", self.loss))
        outputs = self._forward(X)
        raw = outputs[:, loss.n_targets(outputs.shape[1]) :]
        std = loss.normal.std(raw, loss.constants(self._options().loss_params or {}))
        if hasattr(self, "target_mean_"):
            std = (std * self.target_scale_).astype(std.dtype)
        return self._values(outputs), _column_alone(std)

    @available_if(_has_intervals)
    @silent
    def predict_interval(self, X: Any, coverage: Real = 0.9) -> np.ndarray:
        """Predict intervals that contain a new target with a given probability, by a normal distribution.

        Available with loss='gaussian_nll'. The interval is the mean plus and minus a multiple of the standard
        deviation. Its coverage is right as far as the network is right about both, which rows that it was
        not trained on must show; see the notes of the class for intervals with a guarantee.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The input data.
        coverage : float, default=0.9
            In (0, 1). Probability of the interval.

        Returns
        -------
        ndarray of shape (n_samples, 2) for one target, else (n_samples, n_targets, 2)
            Lower and upper ends, in the dtype of the network.
        """
        return normal_interval(self, X, coverage)

    @silent
    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """R², or for several quantiles the mean of their D² (`sklearn.metrics.d2_pinball_score`).

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The input data.
        y : array-like of shape (n_samples,) or (n_samples, n_targets)
            Target values.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights.

        Returns
        -------
        float
            1 is perfect; 0 is the score of the best constant.
        """
        y, sample_weight = real_numbers(y, "y"), real_numbers(sample_weight, "sample_weight")
        if levels := quantiles(self._options()):
            return d2_pinball(column_or_1d(y), self.predict(X), levels, sample_weight)
        predicted = self.predict(X)
        return float(r2_score(*near_one(y, predicted), sample_weight=sample_weight))

    # --- What the outputs mean

    def _prediction(self) -> Prediction:
        return of_regressor(self)

    def _loss(self) -> Loss:
        return find_loss(self.loss, self._out_activation(), "regressor")

    def _default_output(self) -> str:
        return default_output(
            self._options().loss, task="regressor", several=bool(quantiles(self._options()))
        )

    def _values(self, outputs: np.ndarray) -> np.ndarray:
        """Predicted values, in the units of y."""
        if self.loss in NORMAL_LOSSES:
            outputs = outputs[:, : self._loss().n_targets(outputs.shape[1])]
        if hasattr(self, "target_mean_"):
            values = (outputs * self.target_scale_ + self.target_mean_).astype(outputs.dtype)
            # Clipped to the range of targets seen: beyond it a network only extrapolates.
            outputs = np.clip(values, *self.target_range_).astype(outputs.dtype)
        return _column_alone(outputs)


def _column_alone(values: np.ndarray) -> np.ndarray:
    return values[:, 0] if values.shape[1] == 1 else values
