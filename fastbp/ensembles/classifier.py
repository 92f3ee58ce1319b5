"""An ensemble of classifiers."""

from typing import Any, Self

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.metrics import accuracy_score
from sklearn.utils.metaestimators import available_if

from fastbp.ensembles.base import Ensemble
from fastbp.ensembles.incremental import has_partial_fit
from fastbp.estimators.classifier import BPClassifier
from fastbp.training.float_errors import silent


def _member(ensemble: Any) -> Any:
    return ensemble.estimators_[0] if hasattr(ensemble, "estimators_") else ensemble._template()


def _has_probabilities(ensemble: Any) -> bool:
    return hasattr(_member(ensemble), "predict_proba")


def _has_no_probabilities(ensemble: Any) -> bool:
    return not _has_probabilities(ensemble)


class BPEnsembleClassifier(ClassifierMixin, Ensemble):
    """A deep ensemble of classifiers: networks with other seeds, whose probabilities are averaged.

    The members are trained in one run, each with the bits of a single fit. Their mean is more accurate than a
    member, and its probabilities are better calibrated (Lakshminarayanan, Pritzel and Blundell 2017).

    Parameters
    ----------
    estimator : BPClassifier, default=None
        Members are clones of it, with other random states. None: ``BPClassifier()``. Searches reach its
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
    estimators_ : list of BPClassifier
        The members.
    classes_ : ndarray of shape (n_classes,)
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Only if X has names that are all strings.
    oob_score_ : float
        Accuracy on rows that members have not seen.
    oob_decision_function_ : ndarray of shape (n_samples, n_classes)
        Mean probabilities by these members; NaN for a row that all have seen.

    References
    ----------
    Lakshminarayanan, Pritzel, Blundell: Simple and scalable predictive uncertainty estimation using deep
    ensembles. NeurIPS 2017.

    Examples
    --------
    >>> from sklearn.datasets import load_wine
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from fastbp import BPClassifier, BPEnsembleClassifier
    >>> X, y = load_wine(return_X_y=True)
    >>> network = BPClassifier((20,), solver="lbfgs")
    >>> model = make_pipeline(StandardScaler(), BPEnsembleClassifier(network, random_state=0))
    >>> float(model.fit(X[::2], y[::2]).score(X[1::2], y[1::2])) > 0.95
    True
    """

    _kind = BPClassifier

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
        y : array-like of shape (n_samples,) or (n_samples, n_labels)
            Class labels.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights.
        X_val, y_val, sample_weight_val : array-like, default=None
            Validation rows for the early stopping of all members.

        Returns
        -------
        self : BPEnsembleClassifier

        Raises
        ------
        ValueError
            If a member cannot be trained; the ensemble is then as it was.
        """
        return self._fit(X, y, sample_weight, X_val=X_val, y_val=y_val, sample_weight_val=sample_weight_val)

    @available_if(has_partial_fit)
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None, classes: Any = None) -> Self:
        """Train each member for one epoch over the given rows; see `BPClassifier.partial_fit`.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        y : array-like of shape (n_samples,) or (n_samples, n_labels)
        sample_weight : array-like of shape (n_samples,), default=None
        classes : array-like of shape (n_classes,), default=None
            All labels that may occur; required in the first call.

        Returns
        -------
        self : BPEnsembleClassifier
        """
        return self._fit_incrementally(X, y, sample_weight, classes)

    @silent
    def predict(self, X: Any) -> np.ndarray:
        """Class labels with the largest mean probability, or the largest mean output.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_labels)
        """
        return self._decode(self._scores(X))

    @available_if(_has_probabilities)
    @silent
    def predict_proba(self, X: Any) -> np.ndarray:
        """Mean over the members of their probabilities.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            In the order of `classes_`; of each label for multilabel targets.
        """
        return self._mean(X, "predict_proba")

    @available_if(_has_probabilities)
    @silent
    def predict_log_proba(self, X: Any) -> np.ndarray:
        """Logarithms of the mean probabilities, computed from the members' logarithms.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            Finite where a probability would underflow.
        """
        total: Any = None
        for member, rows in self._members(X):
            logs = member.predict_log_proba(rows)
            total = logs if total is None else np.logaddexp(total, logs)
        mean: np.ndarray = total - total.dtype.type(np.log(len(self.estimators_)))
        return mean

    @available_if(_has_no_probabilities)
    @silent
    def decision_function(self, X: Any) -> np.ndarray:
        """Mean over the members of their decision functions, for losses without probabilities.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples,) for two classes, else (n_samples, n_classes)
        """
        return self._mean(X, "decision_function")

    @silent
    def predict_members(self, X: Any) -> np.ndarray:
        """Labels by each member.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_estimators, n_samples) or (n_estimators, n_samples, n_labels)
        """
        return np.stack([_dense(member.predict(rows)) for member, rows in self._members(X)])

    def _scores(self, X: Any) -> np.ndarray:
        return self.predict_proba(X) if _has_probabilities(self) else self.decision_function(X)

    def _decode(self, scores: np.ndarray) -> Any:
        """Labels of mean probabilities or mean decision functions."""
        labels = self.estimators_[0]._known_labels()
        if labels.kind == "multilabel":
            return labels.decode(scores, 0.5 if _has_probabilities(self) else 0.0)
        if scores.ndim == 1:
            return labels.classes[(scores > 0).astype(int)]
        return labels.classes[scores.argmax(axis=1)]

    def _set_oob(self, attributes: dict[str, Any], X: Any, y: Any) -> None:
        fitted = self._with(attributes)
        method = "predict_proba" if _has_probabilities(fitted) else "decision_function"
        mean = self._mean_out_of_bag(attributes, X, method)
        known = np.isfinite(mean.reshape(len(mean), -1)).all(axis=1)
        attributes["oob_decision_function_"] = mean
        found = fitted._decode(np.nan_to_num(mean))
        y = _dense(y)
        y = y.ravel() if found.ndim == 1 else y
        attributes["oob_score_"] = float(accuracy_score(y[known], _dense(found)[known]))


def _dense(labels: Any) -> np.ndarray:
    return labels.toarray() if hasattr(labels, "toarray") else np.asarray(labels)
