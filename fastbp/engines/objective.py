"""The objective on all rows: the common base of the `Objective` and the `Loss` of both engines."""

from abc import ABC, abstractmethod
from typing import Any

import numpy as np

from fastbp.engines.dataset import Dataset
from fastbp.plan.network import NetworkPlan


class FullBatch(ABC):
    """The loss over all rows with its penalties, and the space in which an optimiser searches.

    An engine's ``Objective`` derives from it, and calls `_set_penalty` once `network` and `total_weight` are
    known. Flat vectors are row-major outside; an engine may compute in a layout of its own, which its `_pack`
    and `_unpack` convert to and from.

    A point of the search is a float64 vector of the parameters that training changes, in the order of the
    engine's layout: so an evaluation converts nothing, and penalties and the optimiser's inner products are
    sums in the order of memory. Whoever keeps points or gradients by them has to keep the engine's name, too.
    """

    network: NetworkPlan
    total_weight: float

    def _set_penalty(self, alpha: float, l2: float) -> None:
        self._penalty = alpha / self.total_weight + l2
        self._penalised = self._pack(self.network.mask(biases=False))

    def _pack(self, vector: np.ndarray) -> np.ndarray:
        """Copy a row-major vector of any dtype into the engine's layout."""
        return vector.copy()

    def _unpack(self, flat: np.ndarray) -> np.ndarray:
        """Inverse of `_pack`."""
        return flat.copy()

    @abstractmethod
    def _mean_loss(self, flat: np.ndarray) -> tuple[float, np.ndarray]:
        """Loss without penalties and its gradient, a new array, at a vector in the engine's layout."""

    def _evaluate(self, flat: np.ndarray) -> tuple[float, np.ndarray]:
        loss, gradient = self._mean_loss(flat)
        weights = np.where(self._penalised, flat, 0)
        gradient += flat.dtype.type(self._penalty) * weights
        return loss + 0.5 * self._penalty * float(weights @ weights), gradient

    def _packed(self, parameters: np.ndarray) -> np.ndarray:
        return self._pack(np.asarray(parameters, self.network.dtype))

    def __call__(self, parameters: np.ndarray) -> tuple[float, np.ndarray]:
        """Loss and gradient (a new array) at a flat vector."""
        loss, gradient = self._evaluate(self._packed(parameters))
        return loss, self._unpack(gradient)

    def begin_search(self, parameters: np.ndarray) -> np.ndarray:
        """Return the point of a flat vector, from which other points take what training does not change."""
        self._flat, self._learned = self._packed(parameters), self._pack(self.network.mask())
        return self._flat[self._learned].astype(np.float64)

    def at_point(self, point: np.ndarray) -> tuple[float, np.ndarray]:
        """Loss and gradient (by the point, in the network's dtype)."""
        self._flat[self._learned] = point
        loss, gradient = self._evaluate(self._flat)
        return loss, gradient[self._learned]

    def parameters_of(self, point: np.ndarray) -> np.ndarray:
        """Return the flat vector of a point, a new array."""
        self._flat[self._learned] = point
        return self._unpack(self._flat)


class LossValue:
    """Mixin before an engine's `Objective`: the loss without penalties."""

    def __init__(self, network: NetworkPlan, rows: Dataset, n_jobs: int | None = None) -> None:
        objective: Any = super()
        objective.__init__(network, rows, 0.0, 0.0, n_jobs)

    def value(self, parameters: np.ndarray) -> float:
        """At a flat vector."""
        objective: Any = self
        return float(objective._evaluate(objective._packed(parameters))[0])
