"""The targets of a classifier."""

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.utils import column_or_1d

from fastbp.estimators.exact_labels import compares_exactly, holds_integers, label_array
from fastbp.estimators.labels import Labels, target_kind
from fastbp.estimators.options import CLASSIFIER, Options
from fastbp.estimators.parameter_checks import naming
from fastbp.estimators.targets import Targets
from fastbp.functions.loss_lookup import default_output
from fastbp.plan.network import NetworkPlan
from fastbp.training.metrics import accuracy


@dataclass(frozen=True)
class ClassTargets(Targets):
    """Mutually exclusive labels, or the labels of a multilabel target."""

    options: Options
    labels: Labels
    out_activation: str
    n_outputs: int

    @classmethod
    def learn(
        cls,
        options: Options,
        y: Any,
        known: Labels | None,
        n_outputs_before: int | None = None,
        *,
        incremental: bool = False,
    ) -> "ClassTargets":
        """Return the targets of a fit on `y`.

        Parameters
        ----------
        known : Labels or None
            Labels of the fit that this one resumes, labels listed by the user, or those that another fit
            has found in `y`.
        n_outputs_before : int or None
            Number of outputs of the weights that this fit resumes from; None for a new fit.
        incremental : bool
            Whether `y` may lack some of the labels.
        """
        resumes = n_outputs_before is not None
        if known is not None and (resumes or not incremental or target_kind(y) != "multilabel"):
            labels = known
        else:
            labels = Labels.of(y)
        if incremental or resumes:
            labels.check_known(y, exactly=not incremental)
        out = options.out_activation
        if labels.kind == "multilabel" and out == "softmax":
            raise ValueError(
                "out_activation='softmax' gives labels that exclude each other, but y is multilabel; "
                "choose out_activation='logistic'."
            )
        if out == "auto":
            # Assigned weights may have an output for each of two classes.
            multiclass = labels.kind == "multiclass" or (
                n_outputs_before is not None and labels.one_of_many(n_outputs_before)
            )
            out = default_output(options.loss, task=CLASSIFIER, multiclass=multiclass)
        return cls(options, labels, out, labels.n_outputs(out))

    @property
    def attributes(self) -> dict[str, Any]:
        return {
            "classes_": self.labels.classes,
            "_indicator": self.labels.indicator,
            "out_activation_": self.out_activation,
            "n_outputs_": self.n_outputs,
        }

    @property
    def of_y(self) -> Labels:
        return self.labels

    def check(self, y: Any) -> None:
        self.labels.check_known(y, exactly=False)

    def encoding(self, network: NetworkPlan) -> Hashable:
        return id(self.labels), network.n_targets, network.dtype

    def encode(self, y: Any, network: NetworkPlan) -> np.ndarray:
        return self.labels.encode(y, network)

    def class_weights(self, y: Any) -> np.ndarray | None:
        weight = self.options.class_weight
        return None if weight is None else self.labels.row_weights(weight, y)

    def as_metrics_compare(self, y: Any) -> Any:
        labels, exact = self.labels, label_array(y)
        if labels.indicator is not None or (exact is y and not rounds(y, labels.classes)):
            return y
        return labels.classes[labels.positions(column_or_1d(exact))]

    def score(self, outputs: np.ndarray, targets: np.ndarray, weight: np.ndarray | None) -> float:
        return accuracy(outputs, targets, weight, self.labels.indicator is not None, threshold_of(self.loss))

    @property
    def stratified(self) -> bool:
        # scikit-learn's rule, so that the same random state splits off the same rows
        return self.labels.kind == "binary"


def threshold_of(loss: Any) -> float:
    """Threshold above which an output means its label."""
    return 0.0 if loss.signed else 0.5


def listed_labels(options: Options, classes: Any, known: Labels | None) -> Labels | None:
    """Return the labels in the argument `classes` of `partial_fit`, or those of the first call."""
    if options.class_weight == "balanced":
        raise ValueError(
            "class_weight 'balanced' is not supported for partial_fit, which does not see how many rows "
            "there will be of each class. Use compute_class_weight('balanced', classes=classes, y=y) "
            "with the whole training set in place of y, or a large enough sample of it, and pass the "
            "resulting weights as the class_weight parameter: a dictionary {class: weight}."
        )
    if classes is None:
        if known is None:
            raise ValueError("classes must be passed on the first call to partial_fit.")
        return known
    with naming("classes"):
        listed = Labels.listed(classes)
    if known is None:
        return listed
    if not known.are(listed):
        raise ValueError(
            f"`classes={classes!r}` is not the same as on last call to partial_fit, was: {known.classes!r}"
        )
    return known


def rounds(y: Any, classes: np.ndarray) -> bool:
    """Return whether NumPy, and so scikit-learn, would round numbers to compare them."""
    numbers = (
        isinstance(one, np.ndarray) and (one.dtype.kind in "biuf" or holds_integers(one))
        for one in (y, classes)
    )
    return all(numbers) and not compares_exactly(y.dtype, classes.dtype)
