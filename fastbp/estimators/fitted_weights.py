"""Weights of a fitted model in one vector; `coefs_`, `intercepts_` and `feature_params_` are its views.

Predictions of a few rows read this vector directly; changing an array in place changes the model. Newly
assigned arrays are not views: they are packed at each use.
"""

from collections.abc import Sequence

import numpy as np

from fastbp.plan.network import NetworkPlan


class StoredWeights:
    """A flat vector and its views.

    Parameters
    ----------
    network : NetworkPlan
    vector : ndarray
        Not copied.
    intercepts : sequence of arrays
        Intercepts to show for layers that have none.

    Attributes
    ----------
    parameters : tuple or None
        The estimator's parameters that the plan was made from, if they can be compared.
    """

    def __init__(self, network: NetworkPlan, vector: np.ndarray, intercepts: Sequence | None = None) -> None:
        self.network = network
        self.vector = vector
        self.parameters: tuple | None = None
        self.coefs: list[np.ndarray] = []
        self.intercepts: list[np.ndarray] = []
        for layer, op in enumerate(self.network.dense):
            whole = op.matrix(vector)
            self.coefs.append(whole[: op.n_in])
            if op.bias:
                self.intercepts.append(whole[op.n_in])
            else:
                shown = np.zeros(op.n_out) if intercepts is None else intercepts[layer]
                self.intercepts.append(np.array(shown, dtype=vector.dtype))
        self.features = self.network.rows(vector)

    def are(self, coefs: Sequence, intercepts: Sequence, features: Sequence) -> bool:
        """Return whether the given arrays are still the views of this vector."""
        given, own = [*coefs, *intercepts, *features], [*self.coefs, *self.intercepts, *self.features]
        if len(given) != len(own) or any(a is not b for a, b in zip(given, own, strict=True)):
            return False
        # Intercepts that the network was planned without are not in the vector, but may have been set.
        return all(op.bias or not b.any() for op, b in zip(self.network.dense, self.intercepts, strict=True))
