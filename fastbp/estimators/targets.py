"""Targets of a fit: class labels, or values of a regression."""

from abc import ABC, abstractmethod
from collections.abc import Hashable
from typing import Any

import numpy as np

from fastbp.estimators.input_checks import checked_weights
from fastbp.estimators.options import Options
from fastbp.functions.loss_entry import Loss
from fastbp.plan.network import NetworkPlan


class Targets(ABC):
    """Targets of one fit, made from y; immutable.

    Attributes
    ----------
    options : Options
    out_activation : str
        Activation of the output layer; never "auto".
    n_outputs : int
        Units of the output layer.
    """

    options: Options
    out_activation: str
    n_outputs: int

    @property
    @abstractmethod
    def attributes(self) -> dict[str, Any]:
        """Fitted attributes that describe the outputs."""

    @property
    def of_y(self) -> Any:
        """What `learn` has found in `y` whatever the options, for other fits on the same `y`; or None."""
        return None

    @abstractmethod
    def encoding(self, network: NetworkPlan) -> Hashable:
        """Key of all that `encode` depends on besides `y`. It is valid as long as these targets live."""

    @abstractmethod
    def encode(self, y: Any, network: NetworkPlan) -> np.ndarray:
        """Targets for the engine, of shape (n, network.n_targets) in its dtype."""

    @abstractmethod
    def score(self, outputs: np.ndarray, targets: np.ndarray, weight: np.ndarray | None) -> float:
        """The estimator's own score of some rows; `targets` are encoded."""

    @abstractmethod
    def check(self, y: Any) -> None:
        """Raise ValueError if `y` cannot be targets of the same network."""

    @property
    def stratified(self) -> bool:
        """True if the validation split is stratified by class."""
        return False

    def as_metrics_compare(self, y: Any) -> Any:
        """Return `y` in a form that scikit-learn's metrics compare with predictions exactly."""
        return y

    def class_weights(self, y: Any) -> np.ndarray | None:
        """Weight of each row by its labels, float64; None if all are equal."""
        return None

    @property
    def loss(self) -> Loss:
        """Loss, with its output activation."""
        return self.options.loss_entry(self.out_activation)

    def weights(self, sample_weight: Any, X: Any, y: Any) -> np.ndarray | None:
        """Weight of each row in the dtype of X, class weights included; None if there are none."""
        by_class = self.class_weights(y)
        if by_class is not None:
            own = 1.0 if sample_weight is None else checked_weights(sample_weight, X, np.float64)
            return checked_weights(own * by_class, X, X.dtype, "sample_weight * class_weight")
        return None if sample_weight is None else checked_weights(sample_weight, X, X.dtype)
