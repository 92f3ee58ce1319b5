"""Predictions of a trained classifier: labels, probabilities, scores."""

from typing import Any

import numpy as np
from scipy.special import expit
from sklearn.base import ClassifierMixin
from sklearn.metrics import accuracy_score
from sklearn.utils import column_or_1d
from sklearn.utils.metaestimators import available_if

from fastbp.estimators.class_targets import rounds, threshold_of
from fastbp.estimators.exact_labels import label_array, positions
from fastbp.estimators.exports import of_classifier
from fastbp.estimators.inspection import FittedNetwork
from fastbp.estimators.labels import Labels, target_kind
from fastbp.estimators.probabilities import log_probabilities
from fastbp.export.prediction import Prediction
from fastbp.functions.loss_lookup import default_output
from fastbp.functions.losses import LOSSES
from fastbp.training.float_errors import silent


def _has_probabilities(estimator) -> bool:
    out = getattr(estimator, "out_activation_", estimator.out_activation)
    if isinstance(out, str) and out == "auto":
        return estimator.loss not in LOSSES or not LOSSES[estimator.loss].signed
    return isinstance(out, str) and out in ("logistic", "softmax")


def _has_no_probabilities(estimator) -> bool:
    return not _has_probabilities(estimator)


class ClassPredictions(ClassifierMixin, FittedNetwork):
    """Prediction methods of the classifier."""

    classes_: np.ndarray
    _indicator: str | None = None  # format of multilabel targets: "dense" or "sparse"

    @silent
    def predict(self, X: Any) -> np.ndarray:
        """Predict class labels for the rows of X.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The input data.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_labels)
            The class with the largest output; for multilabel targets, the labels with outputs above 1/2.
        """
        labels = self._known_labels()
        out_activation = self._out_activation()
        if labels.one_of_many(labels.n_outputs(out_activation)):
            # As in predict_proba: logistic outputs may all round to zero, or several to one.
            layer = "logits" if out_activation == "logistic" else None
            return labels.classes[self._forward(X, layer, largest=True)]
        return labels.decode(self._forward(X), self._threshold())

    @available_if(_has_probabilities)
    @silent
    def predict_proba(self, X: Any) -> np.ndarray:
        """Probabilities of the classes.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The input data.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            In the order of `classes_`, rows summing to one; for multilabel targets the probability of each
            label. 'logistic' outputs of three and more classes are divided by their sum.
        """
        labels = self._known_labels()
        if len(labels.classes) > 1 and (labels.kind == "multilabel" or self._out_activation() == "softmax"):
            return self._forward(X)
        if len(labels.classes) == 2:
            # from the logits: 1 - p would round a small probability of the first class to zero
            logits = self._forward(X, "logits")
            return np.hstack([expit(-logits), expit(logits)])
        return np.exp(self._log_proba(X))

    @available_if(_has_probabilities)
    @silent
    def predict_log_proba(self, X: Any) -> np.ndarray:
        """Logarithms of the probabilities, computed from the logits: finite if the logits are.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The input data.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            ``log(predict_proba(X))``, except for probabilities that underflow in it.
        """
        probabilities = self.predict_proba(X)
        small = self._log_proba(X)
        # Near one, use the rounded values of predict_proba, so that both rank classes alike.
        return np.where(probabilities > 0.5, np.log(np.maximum(probabilities, 0.5)), small)

    def _log_proba(self, X) -> np.ndarray:
        return log_probabilities(self._known_labels(), self._forward(X, "logits"), self._out_activation())

    @available_if(_has_no_probabilities)
    @silent
    def decision_function(self, X: Any) -> np.ndarray:
        """Outputs that are not probabilities, minus 1/2; for hinge losses, the outputs themselves.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The input data.

        Returns
        -------
        ndarray of shape (n_samples,) for two classes, else (n_samples, n_classes)
            Positive for the second of two classes, or for a label of a multilabel target. Among several
            classes, the largest wins.
        """
        labels = self._known_labels()
        scores = self._forward(X) - self._threshold()
        return scores[:, 0] if labels.kind == "binary" else scores

    @silent
    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Accuracy of the labels; for multilabel targets, the share of rows with all labels right.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The input data.
        y : array-like of shape (n_samples,) or {array-like, sparse matrix} of shape (n_samples, n_labels)
            The true labels.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights.

        Returns
        -------
        float
        """
        labels, y = self._known_labels(), label_array(y)
        if labels.indicator is not None or not rounds(y, labels.classes):
            return super().score(X, y, sample_weight)
        if y.dtype.kind == "f":
            target_kind(y)  # refuses NaN and fractions, which are not just wrong labels
        found, predicted = (positions(column_or_1d(one), labels.classes) for one in (y, self.predict(X)))
        return float(accuracy_score(found, predicted, sample_weight=sample_weight))

    def _prediction(self) -> Prediction:
        return of_classifier(self)

    def _threshold(self) -> float:
        """Threshold above which an output means its label."""
        return threshold_of(self._options().loss_entry(self._out_activation()))

    def _labels(self) -> Labels:
        classes: Any = self.classes_
        if not isinstance(classes, np.ndarray):  # assigned by the user
            classes = np.asarray(label_array(classes))
        if classes.ndim != 1:
            raise ValueError(f"classes_ must be a list or vector of labels, got {self.classes_!r}.")
        return Labels(classes, self._indicator)

    def _known_labels(self) -> Labels:
        """Labels, checked against the number of outputs of the weights."""
        self._require("coefs_", "intercepts_", "classes_")
        labels, n_outputs = self._labels(), self._n_weight_outputs()
        if labels.n_outputs(self._out_activation()) != n_outputs:
            raise ValueError(
                f"classes_ has {len(labels.classes)} labels, which does not go with coefs_[-1] that makes "
                f"{n_outputs} outputs and out_activation_={self._out_activation()!r}: assign classes_ anew, "
                "one label for each output, or two for a single output."
            )
        return labels

    def _default_output(self) -> str:
        multiclass = self._indicator is None and self._n_weight_outputs() > 1
        return default_output(self._options().loss, task="classifier", multiclass=multiclass)
