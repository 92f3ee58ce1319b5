"""Presets: what the parameters are that the user has left at their defaults."""

import inspect
from functools import lru_cache
from typing import Any


class AtMost(int):
    """A size that is clipped to the number of rows without a warning."""


# Good by default on tables. From RealMLP-TD-S (Holzmüller, Grinsztajn, Steinwart 2024, arXiv:2407.04491),
# cut to what is cheap: robust scales with a smooth cut, learned scales of the inputs, weights that learn at
# a rate divided by the root of their number of inputs, biases at a tenth, Adam with beta_2 0.95, an output
# layer that begins at zero, smoothed labels or a standardised target, the best epoch of a validation part.
_TABULAR = {
    "hidden_layer_sizes": (128, 128, 128),
    "input_scaling": "robust",
    "learn_input_scales": True,
    "rate_factors": {"weights": 1.0, "biases": 0.1, "features": 6.0, "fan_in_power": 0.5},
    "init": "lecun",
    "out_init": "zeros",
    "beta_2": 0.95,
    "schedule": "coslog",
    "batch_size": AtMost(128),
    "max_iter": 64,
    "alpha": 0.0,
    "early_stopping": True,
    "n_iter_no_change": float("inf"),
}
PRESETS: dict[str, dict[str, dict[str, Any]]] = {
    "tabular": {
        "classifier": {
            **_TABULAR,
            "activation": "selu",
            "learning_rate_init": 0.04,
            "loss_params": {"label_smoothing": 0.1},
        },
        "regressor": {
            **_TABULAR,
            "activation": "mish",
            "learning_rate_init": 0.07,
            "target_scaling": "standard",
        },
    }
}


@lru_cache
def _defaults(estimator_type: type) -> dict[str, Any]:
    parameters = inspect.signature(estimator_type).parameters.values()
    return {parameter.name: parameter.default for parameter in parameters}


def changes(estimator: Any, task: str) -> dict[str, Any]:
    """The parameters that the estimator's preset changes: those that are at their defaults.

    Parameters
    ----------
    task : str
        "classifier" or "regressor".
    """
    if estimator.preset is None:
        return {}
    kind: Any = type(estimator)
    defaults = _defaults(kind)
    wanted = PRESETS[estimator.preset][task]
    return {name: value for name, value in wanted.items() if _same(getattr(estimator, name), defaults[name])}


def _same(value: Any, default: Any) -> bool:
    return type(value) is type(default) and value == default
