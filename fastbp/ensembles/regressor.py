"""An ensemble of regressors."""

from typing import Any, Self

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.metrics import r2_score
from sklearn.utils.metaestimators import available_if

from fastbp.ensembles.base import Ensemble, mean_of
from fastbp.ensembles.incremental import has_partial_fit
from fastbp.estimators.regression_predictions import normal_interval
from fastbp.estimators.regressor import BPRegressor
from fastbp.functions.loss_lookup import NORMAL_LOSSES
from fastbp.training.float_errors import silent


def _has_intervals(ensemble: Any) -> bool:
    loss = ensemble._template().loss
    if loss not in NORMAL_LOSSES:
        raise AttributeError(
            f"predict_interval needs members that predict standard deviations: choose loss in "
            f"{NORMAL_LOSSES} for the estimator, got loss={loss!r}."
        )
    return True


class BPEnsembleRegressor(RegressorMixin, Ensemble):
    """A deep ensemble of regressors: networks with other seeds, whose predictions are averaged.

    The members are trained in one run, each with the bits of a single fit. With ``loss="gaussian_nll"`` each
    predicts a normal distribution, and the ensemble has the mean and the variance of their mixture
    (Lakshminarayanan, Pritzel and Blundell 2017).

    Parameters
    ----------
    estimator : BPRegressor, default=None
        Members are clones of it, with other random states. None: ``BPRegressor()``. Searches reach its
        parameters as ``estimator__…``.
    n_estimators : int, default=8
        In [1, inf). Number of members.
    bootstrap : bool, default=False
        Whether each member is trained on rows drawn with replacement. The numbers of draws are weights of
        the rows, times `sample_weight`, so that none is copied. Networks with other seeds mostly differ
        enough without it.
    max_samples : int or float, default=None
        Rows to draw for each member, or their fraction in (0, 1]; None: as many as there are, and without
        `bootstrap` all.
    oob_score : bool, default=False
        Whether to compute `oob_score_` from the rows that members have not seen. Needs ``bootstrap=True``.
    warm_start : bool, default=False
        Whether `fit` keeps the members of the previous fit and only adds new ones.
    random_state : int, RandomState instance or None, default=None
        Source of the members' random states and of their rows.
    n_jobs : int, default=None
        Number of threads; None: as many as help. Does not change the result.
    device : {'cpu', 'cuda', 'auto'}, default=None
        Where members are trained; None: as `estimator` says.
    verbose : bool or int, default=0
        Whether to show a progress bar, in a terminal or a notebook; elsewhere nothing is printed.

    Attributes
    ----------
    estimators_ : list of BPRegressor
        The members.
    n_outputs_ : int
        Outputs of each network.
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Only if X has names that are all strings.
    oob_score_ : float
        R² on rows that members have not seen.
    oob_prediction_ : ndarray of shape (n_samples,) or (n_samples, n_targets)
        Mean predictions by these members; NaN for a row that all have seen.

    Notes
    -----
    Predictions are averaged in the units of the targets, also for losses whose output is an exponential: that
    is the mean of the mixture.

    References
    ----------
    Lakshminarayanan, Pritzel, Blundell: Simple and scalable predictive uncertainty estimation using deep
    ensembles. NeurIPS 2017.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from fastbp import BPEnsembleRegressor, BPRegressor
    >>> X, y = load_diabetes(return_X_y=True)
    >>> network = BPRegressor((20,), loss="gaussian_nll", max_iter=60, learning_rate_init=0.01)
    >>> ensemble = BPEnsembleRegressor(network, n_estimators=5, random_state=0)
    >>> model = make_pipeline(StandardScaler(), ensemble).fit(X, y)
    >>> mean, std = model.predict(X[:3], return_std=True)
    >>> mean.shape, std.shape
    ((3,), (3,))
    """

    _kind = BPRegressor

    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        X_val: Any = None,
        y_val: Any = None,
        sample_weight_val: Any = None,
    ) -> Self:
        """Train the members.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Input data.
        y : array-like of shape (n_samples,) or (n_samples, n_targets)
            Target values.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights.
        X_val, y_val, sample_weight_val : array-like, default=None
            Validation rows for the early stopping of all members.

        Returns
        -------
        self : BPEnsembleRegressor

        Raises
        ------
        ValueError
            If a member cannot be trained; the ensemble is then as it was.
        """
        return self._fit(X, y, sample_weight, X_val=X_val, y_val=y_val, sample_weight_val=sample_weight_val)

    @available_if(has_partial_fit)
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train each member for one epoch over the given rows; see `BPRegressor.partial_fit`.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        y : array-like of shape (n_samples,) or (n_samples, n_targets)
        sample_weight : array-like of shape (n_samples,), default=None

        Returns
        -------
        self : BPEnsembleRegressor
        """
        return self._fit_incrementally(X, y, sample_weight)

    @silent
    def predict(self, X: Any, return_std: bool = False) -> Any:
        """Mean prediction of the members, and its standard deviation.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        return_std : bool, default=False
            Whether to return standard deviations, too.

        Returns
        -------
        mean : ndarray of shape (n_samples,) or (n_samples, n_targets)
        std : ndarray of the same shape
            Only with `return_std`. With ``loss="gaussian_nll"`` that of the mixture: the square root of the
            mean of the members' variances plus the variance of their means. Else that of the members'
            predictions alone, which is their disagreement: the noise of the targets is not in it.
        """
        if not return_std:
            return self._mean(X, "predict")
        means, noise = [], 0.0
        for member, rows in self._members(X):
            if member.loss in NORMAL_LOSSES:
                mean, std = member.predict(rows, return_std=True)
                noise = noise + std * std
            else:
                mean = member.predict(rows)
            means.append(mean)
        stacked = np.stack(means)
        variance = noise / len(means) + stacked.var(axis=0)
        return mean_of(means), np.sqrt(variance).astype(stacked.dtype)

    @available_if(_has_intervals)
    @silent
    def predict_interval(self, X: Any, coverage: float = 0.9) -> np.ndarray:
        """Predict intervals that contain a new target with a given probability.

        Available with ``loss="gaussian_nll"``: those of a normal distribution with the mean and the variance
        of the mixture of the members.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        coverage : float, default=0.9
            In (0, 1). Probability of the interval.

        Returns
        -------
        ndarray of shape (n_samples, 2) for one target, else (n_samples, n_targets, 2)
            Lower and upper ends.
        """
        return normal_interval(self, X, coverage)

    @silent
    def predict_members(self, X: Any) -> np.ndarray:
        """Predictions of each member.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_estimators, n_samples) or (n_estimators, n_samples, n_targets)
        """
        return np.stack([member.predict(rows) for member, rows in self._members(X)])

    def _set_oob(self, attributes: dict[str, Any], X: Any, y: Any) -> None:
        mean = self._mean_out_of_bag(attributes, X, "predict")
        known = np.isfinite(mean.reshape(len(mean), -1)).all(axis=1)
        attributes["oob_prediction_"] = mean
        attributes["oob_score_"] = float(r2_score(np.asarray(y).reshape(mean.shape)[known], mean[known]))
