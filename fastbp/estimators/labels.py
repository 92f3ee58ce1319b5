"""Class labels: kind of target, encoding for a network, decoding of its outputs."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.multiclass import check_classification_targets, type_of_target, unique_labels

from fastbp.estimators.exact_labels import holds_integers, label_array, plain_values, positions
from fastbp.plan.network import NetworkPlan


@dataclass(frozen=True)
class Labels:
    """Labels known to a classifier.

    Attributes
    ----------
    classes : ndarray of shape (n_classes,)
        Distinct labels; column indices for multilabel targets.
    indicator : {"dense", "sparse"} or None
        Format of multilabel targets, and of predictions. None for mutually exclusive labels.
    """

    classes: np.ndarray
    indicator: str | None = None

    @classmethod
    def of(cls, y) -> "Labels":
        """The labels of targets `y`."""
        if _are_plain_labels(y):
            known = np.unique(y)
            # Integers and strings are labels: scikit-learn's slower check tells floats and matrices apart,
            # and warns if there are nearly as many classes as rows.
            if 2 * len(known) <= len(y):
                return cls(known)
        if target_kind(y) == "multilabel":
            return cls(np.arange(y.shape[1]), "sparse" if scipy.sparse.issparse(y) else "dense")
        return cls(_different(y))

    @classmethod
    def listed(cls, classes: Any) -> "Labels":
        """Labels listed by the user."""
        classes = label_array(classes)
        if holds_integers(classes):
            return cls(np.unique(classes))
        return cls(unique_labels(classes))

    @property
    def kind(self) -> str:
        """ "binary", "multiclass" or "multilabel"; a single class counts as binary, as in scikit-learn."""
        if self.indicator is not None:
            return "multilabel"
        return "binary" if len(self.classes) <= 2 else "multiclass"

    def n_outputs(self, out_activation: str) -> int:
        """Units of the output layer: one for two classes, unless softmax needs one for each."""
        return 1 if self.kind == "binary" and out_activation != "softmax" else len(self.classes)

    def encode(self, y, network: NetworkPlan) -> np.ndarray:
        """Targets of shape (n, network.n_targets) in its dtype: class indices, or zeros and ones."""
        if self.indicator is not None:
            dense = y.toarray() if scipy.sparse.issparse(y) else np.asarray(y)
            return np.ascontiguousarray(dense, dtype=network.dtype)
        index = self.positions(y)
        if network.n_targets == 1:
            return index.astype(network.dtype).reshape(-1, 1)
        targets = np.zeros((len(index), network.n_targets), dtype=network.dtype)
        targets[np.arange(len(index)), index] = 1
        return targets

    def positions(self, y: np.ndarray) -> np.ndarray:
        """Class index of each row; ValueError for unknown labels."""
        index = positions(y, self.classes)
        if (index < 0).any():
            raise ValueError(
                "`y` has classes not in `self.classes_`. "
                f"`self.classes_` has {self.classes}. 'y' has {_different(y[index < 0])} beside them."
            )
        return index

    def row_weights(self, class_weight: Any, y) -> np.ndarray:
        """Weight of each row by its labels, as scikit-learn's ``compute_sample_weight``.

        A dictionary may name any known label, also one that is not in `y`.
        """
        if self.indicator is not None:
            of_row = compute_sample_weight(class_weight, y)
        elif isinstance(class_weight, str):
            of_row = compute_sample_weight(class_weight, self.positions(y))
        else:
            of_row = self._weights_of_classes(class_weight)[self.positions(y)]
        if not (np.isfinite(of_row).all() and (of_row >= 0).all()):
            raise ValueError(
                f"class_weight must hold finite numbers that are not negative, got {class_weight}."
            )
        return of_row

    def _weights_of_classes(self, class_weight: Any) -> np.ndarray:
        if isinstance(class_weight, list):
            raise ValueError(
                "class_weight is a list, which is for multilabel targets, one dictionary for each label; "
                "pass one dictionary {class: weight}."
            )
        known = plain_values(self.classes)
        named = [label for label in known if label in class_weight]
        if len(named) < min(len(class_weight), len(known)):
            lacking = [label for label in known if label not in class_weight]
            raise ValueError(f"The classes, {lacking}, are not in class_weight, which is {class_weight}.")
        try:
            return np.array([float(class_weight.get(label, 1.0)) for label in known])
        except (TypeError, ValueError) as error:
            raise ValueError(f"class_weight must hold numbers, got {class_weight}.") from error

    def one_of_many(self, n_outputs: int) -> bool:
        """Return whether the largest of several outputs gives the label."""
        return self.indicator is None and n_outputs > 1

    def decode(self, outputs: np.ndarray, threshold: float) -> np.ndarray:
        """Labels of the network's outputs, of shape (n,), or (n, n_classes) for multilabel targets.

        An output above `threshold` means its label.

        Not for outputs that are `one_of_many`: the engine finds their maximum itself.
        """
        if self.indicator is not None:
            return self._matrix((outputs > threshold).astype(int))
        if len(self.classes) == 1:
            return np.repeat(self.classes, len(outputs))
        return self.classes[(outputs[:, 0] > threshold).astype(int)]

    def _matrix(self, indicator: np.ndarray) -> Any:
        return scipy.sparse.csr_matrix(indicator) if self.indicator == "sparse" else indicator

    def check_known(self, y, *, exactly: bool) -> None:
        """Refuse targets of another kind or with unknown labels; if `exactly`, also with missing ones."""
        # a column of integers needs no check: scikit-learn's takes as long as training steps
        plain = isinstance(y, np.ndarray) and y.ndim == 1 and y.dtype.kind in "biu"
        kind = self.kind if plain and self.indicator is None else target_kind(y)
        if (kind == "multilabel") != (self.indicator is not None):
            raise ValueError(f"`y` is {kind}, but the classifier was fitted on {self.kind} targets.")
        if self.indicator is not None:
            if y.shape[1] != len(self.classes):
                raise ValueError(
                    "`y` has classes not in `self.classes_`. "
                    f"`self.classes_` has {self.classes}. 'y' has {np.arange(y.shape[1])}."
                )
            return
        if len(set(plain_values(self.classes))) < len(self.classes):
            raise ValueError(f"classes_ must be all different to train with them, got {self.classes}.")
        found = positions(y, self.classes)
        if exactly and set(found.tolist()) != set(range(len(self.classes))):
            raise ValueError(
                "warm_start can only be used where `y` has the same "
                "classes as in the previous call to fit. Previously "
                f"got {self.classes}, `y` has {_different(y)}"
            )
        self.positions(y)

    def are(self, others: "Labels") -> bool:
        """Return whether these are the same labels, in any order."""
        if self.indicator is not None:
            return len(others.classes) == len(self.classes)
        found = positions(others.classes, self.classes)
        return len(found) == len(self.classes) and bool((found >= 0).all())


def _different(y: np.ndarray) -> np.ndarray:
    """Sorted distinct labels; ValueError for objects that cannot be sorted."""
    try:
        return np.unique(y)
    except TypeError as error:
        raise ValueError(f"Labels must be all numbers or all strings: {error}.") from error


def _are_plain_labels(y) -> bool:
    return isinstance(y, np.ndarray) and y.ndim == 1 and (y.dtype.kind in "biuU" or holds_integers(y))


def target_kind(y) -> str:
    """ "binary", "multiclass" or "multilabel"; ValueError for anything except a classification target."""
    if holds_integers(y):
        y = np.unique(y, return_inverse=True)[1]  # class indices of labels beyond NumPy's integer dtypes
    with np.errstate(invalid="ignore"):  # it casts floats of any size to integers
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
