"""Initial intercepts of the output layer from the training data: ``out_bias="data"``.

With zero output weights, the network then predicts the best constant for its loss, or the class frequencies.
So the first epochs are not spent on finding it (Karpathy, "A recipe for training neural networks", 2019).
"""

import numpy as np
from scipy.optimize import brentq

from fastbp.engines.dataset import Dataset
from fastbp.functions.activations import ACTIVATIONS
from fastbp.functions.loss_entry import Loss
from fastbp.plan.network import NetworkPlan

# Open range of an activation's values; of those that do not increase everywhere, for z > 0.
RANGES = {
    "logistic": (0.0, 1.0),
    "hard_sigmoid": (0.0, 1.0),
    "tanh": (-1.0, 1.0),
    "softsign": (-1.0, 1.0),
    "hard_tanh": (-1.0, 1.0),
    "relu6": (0.0, 6.0),
    "exp": (0.0, np.inf),
    "softplus": (0.0, np.inf),
    "elu": (-1.0, np.inf),
    "selu": (-1.7580993408473766, np.inf),
    **dict.fromkeys(("relu", "gelu", "gelu_tanh", "silu", "mish"), (0.0, np.inf)),
}
WIDEST = 1e9  # bound of the search for the inverse of an activation, unless its value is larger


def with_data_bias(
    network: NetworkPlan, parameters: np.ndarray, rows: Dataset, loss: Loss, out_activation: str
) -> np.ndarray:
    """Return a copy of the flat vector `parameters` with new intercepts in the output layer."""
    vector = parameters.copy()
    output = network.dense[-1]
    output.matrix(vector)[output.n_in :] = data_bias(network, rows, loss, out_activation)
    return vector


def data_bias(network: NetworkPlan, rows: Dataset, loss: Loss, out_activation: str) -> np.ndarray:
    """Intercepts of the output layer, float64 of shape (n_outputs,)."""
    # A class without rows counts as half a row, since no finite intercept gives probability 0.
    least = 0.5 / len(rows)
    wanted = best_constant(loss, network, rows)
    if out_activation == "softmax":
        return np.log(np.maximum(wanted, least))
    if out_activation == "increasing":
        return _steps(wanted)
    if loss.normal is not None:
        k = network.n_targets
        return np.concatenate([wanted[:k], loss.normal.raw(wanted[k:], network.constants)])
    return np.array([inverse(out_activation, float(value), least) for value in wanted])


def best_constant(loss: Loss, network: NetworkPlan, rows: Dataset) -> np.ndarray:
    """Best constant outputs for all rows, of shape (n_outputs,).

    For classes, their shares; for normal distributions, means and variances.
    """
    targets, weight = rows.labels()
    targets = targets.astype(np.float64)
    weight = np.ones(len(targets)) if weight is None else weight.astype(np.float64)
    if loss.class_targets:
        counts = np.bincount(targets[:, 0].astype(np.intp), weight, minlength=network.n_outputs)
        return counts / counts.sum()
    if loss.centre == "quantile":
        # The constants of the loss come first.
        if loss.one_target:
            levels = network.constants[: network.n_outputs]
            return np.array([quantile(targets[:, 0], weight, level) for level in levels])
        return np.array([quantile(column, weight, network.constants[0]) for column in targets.T])
    if loss.centre == "median":
        return np.array([quantile(column, weight, 0.5) for column in targets.T])
    if loss.signed:
        targets = 2.0 * targets - 1.0
    mean = np.average(targets, axis=0, weights=weight)
    if loss.normal is None:
        return mean
    return np.concatenate([mean, np.average((targets - mean) ** 2, axis=0, weights=weight)])


def quantile(values: np.ndarray, weight: np.ndarray, level: float) -> float:
    """Weighted quantile: the midpoint of all numbers with this share of the weight below them."""
    order = np.argsort(values, kind="stable")
    below = np.cumsum(weight[order])
    ends = [np.searchsorted(below, level * below[-1], side) for side in ("left", "right")]
    return float(np.mean(values[order[np.minimum(ends, len(values) - 1)]]))


def inverse(activation: str, value: float, margin: float) -> float:
    """Return z with f(z) = value, after clipping value to f's range less `margin` of it at both ends."""
    if activation == "identity":
        return value
    low, high = RANGES.get(activation, (-np.inf, np.inf))
    margin *= high - low if np.isfinite(high - low) else 1.0
    value = min(max(value, low + margin), high - margin)
    if activation == "logistic":
        return float(np.log(value) - np.log1p(-value))
    if activation == "exp":
        return float(np.log(value))
    f = ACTIVATIONS[activation].value
    widest = max(WIDEST, 200.0 * abs(value))
    from_zero = low == 0 and float(f(0.0)) == 0
    return float(brentq(lambda z: float(f(z)) - value, 0.0 if from_zero else -widest, widest, xtol=1e-14))


def _steps(wanted: np.ndarray) -> np.ndarray:
    """Return z with f_0 = z_0, f_k = f_(k-1) + ln(1 + e^z_k) for quantiles f; equal ones are separated."""
    spread = float(wanted[-1] - wanted[0]) or 1.0
    steps = np.maximum(np.diff(wanted), 0.01 * spread / len(wanted))
    return np.concatenate([wanted[:1], steps + np.log(-np.expm1(-steps))])
