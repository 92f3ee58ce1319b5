"""Initial weights: drawn, given by the user, or taken from a fitted model."""

from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Any

import numpy as np

from fastbp.estimators.data_kinds import real_numbers
from fastbp.estimators.precision import too_large
from fastbp.functions.initialisers import INITIALISERS
from fastbp.functions.values import listed
from fastbp.plan.network import NetworkPlan
from fastbp.plan.planner import hidden_activations, network_plan, pieces_of

Weights = tuple[list[np.ndarray], list[np.ndarray], list[np.ndarray]]  # coefs, intercepts, feature parameters
Layers = tuple[list[np.ndarray], list[np.ndarray]]  # coefs, intercepts

# Prediction plans its network again at each call, since coefs_ may have been replaced.
cached_plan = lru_cache(maxsize=128)(network_plan)


def draw(
    network: NetworkPlan,
    init: str,
    out_init: str,
    activation: str | Sequence[str],
    random_state: np.random.RandomState,
) -> Layers:
    """Draw initial weights by name; for the output layer by `out_init`, where "auto" means `init`.

    `activation` is one name for all layers, as in scikit-learn, or one for each hidden layer: the output
    layer then uses the last. Each piece of a maxout layer is drawn as a separate layer.
    """
    coefs, intercepts, pieces = [], [], network.pieces
    last = len(network.layer_shapes) - 1
    for layer, (n_in, n_out) in enumerate(network.layer_shapes):
        name = out_init if layer == last and out_init != "auto" else init
        own = activation if isinstance(activation, str) else [*activation, *activation[-1:], ""][layer]
        k = pieces[layer]
        of_gain = pieces[max(layer - 1, 0)] if layer == last else k
        drawn = [INITIALISERS[name].draw(random_state, n_in, n_out // k, own, of_gain) for _ in range(k)]
        coefs.append(_side_by_side([coef for coef, _ in drawn]).astype(network.dtype))
        intercepts.append(_side_by_side([intercept for _, intercept in drawn]).astype(network.dtype))
    return coefs, intercepts


def _side_by_side(pieces: list[np.ndarray]) -> np.ndarray:
    """Interleave the columns of several pieces of a layer, unit by unit."""
    if len(pieces) == 1:
        return pieces[0]
    return np.stack(pieces, axis=-1).reshape(*pieces[0].shape[:-1], -1)


def given(network: NetworkPlan, arrays: Any, name: str) -> list[np.ndarray]:
    """Return the user's `coefs_init` or `intercepts_init` in the network's dtype, or raise ValueError."""
    shapes = network.layer_shapes if name == "coefs_init" else [(n_out,) for _, n_out in network.layer_shapes]
    # an array of matrices or of objects also counts as a list
    layers = list(arrays) if isinstance(arrays, np.ndarray) and arrays.ndim else listed(arrays)
    if layers is None or len(layers) != len(shapes):
        raise ValueError(f"{name} must be a list of {len(shapes)} arrays, one for each layer of weights.")
    checked = []
    for layer, (array, shape) in enumerate(zip(layers, shapes, strict=True)):
        try:
            real = np.asarray(real_numbers(array, f"{name}[{layer}]"))
            values = np.array(real, dtype=network.dtype, order="C")
        except Exception as error:  # raised by an object that is not an array
            raise ValueError(f"{name}[{layer}] must be an array of real numbers.") from error
        if values.shape != shape:
            raise ValueError(f"{name}[{layer}] must have the shape {shape}, got {values.shape}.")
        if not np.isfinite(values).all():
            if np.isfinite(real.astype(np.float64)).all():
                raise too_large(f"{name}[{layer}]", network.dtype)
            raise ValueError(f"{name}[{layer}] contains NaN or infinity.")
        checked.append(values)
    return checked


def check_fitted(
    coefs: Sequence, intercepts: Sequence, activation: str | Sequence[str], maxout_pieces: int
) -> Layers:
    """Return `coefs_` and `intercepts_` as arrays that fit together; users may have assigned anything."""
    arrays = _real_arrays(coefs, "coefs_"), _real_arrays(intercepts, "intercepts_")
    widths = [coef.shape for coef in arrays[0]]
    chained, pieces = bool(widths) and all(len(shape) == 2 for shape in widths), [1]
    if chained:
        pieces = [pieces_of(name, maxout_pieces) for name in hidden_activations(activation, len(widths) - 1)]
        chained = all(a[1] == k * b[0] for (a, b), k in zip(pairwise(widths), pieces, strict=True))
    if not chained:
        divided = f" (behind maxout divided by {maxout_pieces=})" if max(pieces, default=1) > 1 else ""
        raise ValueError(
            f"coefs_ must be matrices in which each has as many rows as the one before has columns{divided}, "
            f"got the shapes {widths}."
        )
    if [intercept.shape for intercept in arrays[1]] != [(n_out,) for _, n_out in widths]:
        raise ValueError(
            f"intercepts_ must be vectors of the lengths {[n_out for _, n_out in widths]}, "
            f"got the shapes {[intercept.shape for intercept in arrays[1]]}."
        )
    return arrays[0], arrays[1]


def _real_arrays(given: Sequence, name: str) -> list[np.ndarray]:
    """Return the arrays of a list that the user may have assigned, or raise ValueError."""
    if isinstance(given, str) or not hasattr(given, "__len__"):
        raise ValueError(f"{name} must be a list of arrays, one for each layer of weights, got {given!r}.")
    return [np.asarray(real_numbers(array, f"{name}[{layer}]")) for layer, array in enumerate(given)]


def check_features(network: NetworkPlan, arrays: Sequence) -> list[np.ndarray]:
    """Return `feature_params_` as arrays that fit the network; they or parameters may have been changed."""
    checked = _real_arrays(arrays, "feature_params_")
    shapes = [start.shape for start in network.start]
    if [array.shape for array in checked] != shapes:
        raise ValueError(
            f"feature_params_ has arrays of the shapes {[array.shape for array in checked]}, but the "
            f"estimator's parameters ask for {shapes}: fit it again."
        )
    return checked


def common_dtype(arrays: Sequence[np.ndarray]) -> np.dtype:
    """Return float32 if all arrays are float32, else float64."""
    single = all(array.dtype == np.float32 for array in arrays)
    return np.dtype(np.float32 if single else np.float64)
