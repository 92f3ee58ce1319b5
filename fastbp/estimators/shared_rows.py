"""Rows that many networks predict for, and that are validated once."""

from collections.abc import Callable
from typing import Any

import numpy as np

from fastbp.plan.network import NetworkPlan


class SharedRows:
    """Rows for the predictions of networks that were fitted on the same rows.

    Validation takes longer than the forward pass of a small network. Its result depends on the dtype alone:
    names and number of the features are the same for all.

    Parameters
    ----------
    X : array-like with a shape
    """

    def __init__(self, X: Any) -> None:
        self.X, self.shape = X, X.shape
        self._checked: dict[np.dtype, Any] = {}

    def checked(self, network: NetworkPlan, check: Callable[[Any, NetworkPlan], Any]) -> Any:
        """Return the rows as `check` makes them for this network or made them for another."""
        found = self._checked.get(network.dtype)
        if found is None:
            found = self._checked[network.dtype] = check(self.X, network)
        return found
