"""The objective without penalties: `Loss` of both engines is their `Objective` with this mixin."""

from typing import Any

import numpy as np

from fastbp.engines.dataset import Dataset
from fastbp.plan.network import NetworkPlan


class LossValue:
    """Mixin before an engine's `Objective`."""

    def __init__(self, network: NetworkPlan, rows: Dataset, n_jobs: int | None = None) -> None:
        objective: Any = super()
        objective.__init__(network, rows, 0.0, 0.0, n_jobs)

    def value(self, parameters: np.ndarray) -> float:
        """At a flat parameter vector."""
        objective: Any = self
        return float(objective(parameters)[0])
