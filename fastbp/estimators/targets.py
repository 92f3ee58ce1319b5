"""What the outputs of a network mean in a fit: labels of classes, or values of a regression."""

from abc import ABC, abstractmethod
from typing import Any

import numpy as np

from fastbp.estimators.input_checks import checked_weights
from fastbp.estimators.options import Options
from fastbp.functions.losses import Loss
from fastbp.plan.network import NetworkPlan


class Targets(ABC):
    """The targets of one fit, made from y; never changed.

    Attributes
    ----------
    options : Options
    out_activation : str
        Of the output layer: never "auto".
    n_outputs : int
        Units of the output layer.
    """

    options: Options
    out_activation: str
    n_outputs: int

    @property
    @abstractmethod
    def attributes(self) -> dict[str, Any]:
        """The fitted attributes that say what the outputs mean."""

    @abstractmethod
    def encode(self, y: Any, network: NetworkPlan) -> np.ndarray:
        """Targets for the engine, of shape (n, network.n_targets) in its dtype."""

    @abstractmethod
    def score(self, outputs: np.ndarray, targets: np.ndarray, weight: np.ndarray | None) -> float:
        """The estimator's own score of some rows; `targets` are encoded."""

    @abstractmethod
    def check(self, y: Any) -> None:
        """ValueError where `y` cannot be targets of the same network."""

    @property
    def stratified(self) -> bool:
        """Whether early stopping keeps the shares of the classes in its split."""
        return False

    def as_metrics_compare(self, y: Any) -> Any:
        """`y` as scikit-learn's metrics compare it with predictions without changing a value."""
        return y

    def class_weights(self, y: Any) -> np.ndarray | None:
        """A float64 weight of each row by its labels; None where they all count alike."""
        return None

    @property
    def loss(self) -> Loss:
        """The loss with its output activation."""
        return self.options.loss_entry(self.out_activation)

    def weights(self, sample_weight: Any, X: Any, y: Any) -> np.ndarray | None:
        """The weight of each row in the dtype of X, its labels' included; None where there are none."""
        by_class = self.class_weights(y)
        if by_class is not None:
            own = 1.0 if sample_weight is None else checked_weights(sample_weight, X, np.float64)
            return checked_weights(own * by_class, X, X.dtype, "sample_weight * class_weight")
        return None if sample_weight is None else checked_weights(sample_weight, X, X.dtype)
