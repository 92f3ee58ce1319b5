"""The objective without penalties: what both engines' `Loss` adds to their `Objective`."""

from typing import Any

import numpy as np

from fastbp.plan.network import NetworkPlan


class LossValue:
    """Mixin before an engine's `Objective`."""

    def __init__(self, network: NetworkPlan, X, targets, sample_weight, n_jobs=None, index=None) -> None:
        objective: Any = super()
        objective.__init__(network, X, targets, sample_weight, 0.0, 0.0, n_jobs, index)

    def value(self, parameters: np.ndarray) -> float:
        """At a flat parameter vector."""
        objective: Any = self
        return float(objective(parameters)[0])
