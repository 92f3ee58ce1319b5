"""Class labels: what kind of target they are, their encoding for a network, and back."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse
from sklearn.utils.class_weight import compute_class_weight, compute_sample_weight
from sklearn.utils.multiclass import check_classification_targets, type_of_target, unique_labels

from fastbp.plan import NetworkPlan


@dataclass(frozen=True)
class Labels:
    """The labels that a classifier knows.

    Attributes
    ----------
    kind : {"binary", "multiclass", "multilabel"}
        A single class counts as binary, as in scikit-learn.
    classes : ndarray of shape (n_classes,)
        Sorted; column numbers for multilabel targets.
    sparse : bool
        Whether multilabel targets came as a sparse matrix; predictions are then sparse, too.
    """

    kind: str
    classes: np.ndarray
    sparse: bool = False

    @classmethod
    def of(cls, y, classes: np.ndarray | None = None) -> "Labels":
        """The labels of targets `y`; where `y` is not multilabel, `classes` may list them instead."""
        known = np.unique(y) if _are_plain_labels(y) else None
        # Integers and strings are labels: scikit-learn's longer look tells floats and matrices apart, and
        # warns where there are nearly as many classes as rows.
        if known is None or 2 * len(known) > len(y):
            kind = target_kind(y)
            if kind == "multilabel":
                return cls(kind, np.arange(y.shape[1]), scipy.sparse.issparse(y))
            known = np.unique(y)
        if classes is not None:
            known = classes
        return cls("binary" if len(known) <= 2 else "multiclass", known)

    def n_outputs(self, out_activation: str) -> int:
        """Units of the output layer: one for two classes, unless softmax needs one for each."""
        return 1 if self.kind == "binary" and out_activation != "softmax" else len(self.classes)

    def encode(self, y, network: NetworkPlan) -> np.ndarray:
        """Targets of shape (n, network.n_targets) in its dtype: class indices, or zeros and ones."""
        if self.kind == "multilabel":
            dense = y.toarray() if scipy.sparse.issparse(y) else np.asarray(y)
            return np.ascontiguousarray(dense, dtype=network.dtype)
        index = np.searchsorted(self.classes, y)
        if network.n_targets == 1:
            return index.astype(network.dtype).reshape(-1, 1)
        targets = np.zeros((len(index), network.n_targets), dtype=network.dtype)
        targets[np.arange(len(index)), index] = 1
        return targets

    def row_weights(self, class_weight: Any, y) -> np.ndarray:
        """The weight of each row by its labels, as scikit-learn's ``compute_sample_weight``.

        A dictionary may name any label that is known, whether it is among `y` or not.
        """
        if self.kind == "multilabel" or class_weight == "balanced":
            of_row = compute_sample_weight(class_weight, y)
        else:
            of_row = self._weights_of_classes(class_weight, y)[np.searchsorted(self.classes, y)]
        if not (np.isfinite(of_row).all() and (of_row >= 0).all()):
            raise ValueError(
                f"class_weight must hold finite numbers that are not negative, got {class_weight}."
            )
        return of_row

    def _weights_of_classes(self, class_weight: Any, y) -> np.ndarray:
        if isinstance(class_weight, list):
            raise ValueError(
                "class_weight is a list, which is for multilabel targets, one dictionary for each label; "
                "pass one dictionary {class: weight}."
            )
        return compute_class_weight(class_weight, classes=self.classes, y=y)

    def one_of_many(self, n_outputs: int) -> bool:
        """Whether the largest of several outputs gives the label."""
        return self.kind != "multilabel" and n_outputs > 1

    def decode(self, outputs: np.ndarray, threshold: float) -> np.ndarray:
        """Labels of the network's outputs, of shape (n,), or (n, n_classes) for multilabel targets.

        `threshold` is what an output that stands for one label is compared with.

        Not for outputs that are `one_of_many`: the engine finds the largest itself.
        """
        if self.kind == "multilabel":
            indicator = (outputs > threshold).astype(int)
            return scipy.sparse.csr_matrix(indicator) if self.sparse else indicator
        if len(self.classes) == 1:
            return np.repeat(self.classes, len(outputs))
        return self.classes[(outputs[:, 0] > threshold).astype(int)]

    def check_known(self, y, *, exactly: bool) -> None:
        """Refuse targets of another kind or with unknown labels; `exactly`: with missing ones, too."""
        kind = target_kind(y)
        if (kind == "multilabel") != (self.kind == "multilabel"):
            raise ValueError(f"`y` is {kind}, but the classifier was fitted on {self.kind} targets.")
        found = unique_labels(y)
        if exactly and set(found.tolist()) != set(self.classes.tolist()):
            raise ValueError(
                "warm_start can only be used where `y` has the same "
                "classes as in the previous call to fit. Previously "
                f"got {self.classes}, `y` has {found}"
            )
        unknown = np.setdiff1d(found, self.classes)
        if len(unknown) or (self.kind == "multilabel" and y.shape[1] != len(self.classes)):
            raise ValueError(
                "`y` has classes not in `self.classes_`. "
                f"`self.classes_` has {self.classes}. 'y' has {found}."
            )


def _are_plain_labels(y) -> bool:
    return isinstance(y, np.ndarray) and y.ndim == 1 and y.dtype.kind in "biuU"


def target_kind(y) -> str:
    """ "binary", "multiclass" or "multilabel"; ValueError for anything that is no classification target."""
    kind = type_of_target(y, input_name="y")
    if kind not in ("binary", "multiclass", "multiclass-multioutput", "multilabel-indicator"):
        check_classification_targets(y)  # raises, in scikit-learn's words
    if kind == "multiclass-multioutput":
        raise ValueError(
            "Multioutput target data is not supported: y must be one column of labels, "
            "or an indicator matrix of zeros and ones for multilabel classification."
        )
    if kind == "multilabel-indicator":
        values = np.unique(y.data if scipy.sparse.issparse(y) else y)
        if not np.isin(values, [0, 1]).all():
            raise ValueError(f"A multilabel y must hold zeros and ones only, got the values {values}.")
        return "multilabel"
    return kind
