"""Rows that all members of an ensemble predict for, validated once in the ensemble's name."""

from collections.abc import Callable
from typing import Any

import numpy as np

from fastbp.engines.select import on_gpu
from fastbp.estimators.input_checks import canonical, validated
from fastbp.estimators.shared_rows import SharedRows
from fastbp.plan.network import NetworkPlan


class EnsembleRows(SharedRows):
    """Rows of X for the members of a fitted ensemble.

    Parameters
    ----------
    ensemble : estimator
        Its number and names of features count.
    X : array-like or sparse matrix
    """

    def __init__(self, ensemble: Any, X: Any) -> None:
        super().__init__(X if hasattr(X, "shape") else np.asarray(X))
        self._ensemble = ensemble

    def checked(self, network: NetworkPlan, check: Callable[[Any, NetworkPlan], Any]) -> Any:
        """Return the rows as the members' networks take them."""
        return super().checked(network, check if on_gpu(self.X) else self._check)

    def _check(self, X: Any, network: NetworkPlan) -> Any:
        return canonical(
            validated(self._ensemble, X, reset=False, accept_sparse="csr", dtype=network.dtype, order="C")
        )
