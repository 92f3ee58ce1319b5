"""Presets: other values of parameters that the user has left at their defaults."""

import copy
import inspect
from functools import lru_cache
from typing import Any

from sklearn.utils._param_validation import StrOptions

from fastbp.estimators.parameter_checks import check
from fastbp.functions.loss_entry import ANY
from fastbp.functions.loss_lookup import find_loss
from fastbp.functions.values import is_plain

# Defaults for tabular data. From RealMLP-TD-S (Holzmüller, Grinsztajn, Steinwart 2024, arXiv:2407.04491),
# reduced to what is cheap: robust scaling with smooth clipping, learned input scales, learning rates of
# weights divided by the root of their number of inputs, of biases by ten, Adam with beta_2 0.95, a zero
# output layer, label smoothing or a standardised target, the best epoch on validation rows. The rate factor
# of the scales is 2 in place of 6, with which they fitted the noise of few rows.
_TABULAR = {
    "hidden_layer_sizes": (128, 128, 128),
    "input_scaling": "robust",
    "learn_input_scales": True,
    "rate_factors": {"weights": 1.0, "biases": 0.1, "features": 2.0, "fan_in_power": 0.5},
    "init": "lecun",
    "out_init": "zeros",
    "beta_2": 0.95,
    "schedule": "coslog",
    "batch_size": 128,
    "max_iter": 64,
    "alpha": 0.0,
    "early_stopping": True,
    "n_iter_no_change": float("inf"),
    "dtype": "float32",
}
_PRESETS: dict[str, dict[str, dict[str, Any]]] = {
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
NAMES = list(_PRESETS)


def parameters(preset: str, task: str) -> dict[str, Any]:
    """Return the parameters of a preset, to inspect or to modify.

    Parameters
    ----------
    preset : {"tabular"}
    task : {"classifier", "regressor"}

    Returns
    -------
    dict
        A copy.

    Examples
    --------
    >>> from fastbp import BPClassifier
    >>> from fastbp.presets import parameters
    >>> model = BPClassifier(**{**parameters("tabular", "classifier"), "input_scaling": None})
    """
    constraints = {"preset": [StrOptions(set(_PRESETS))], "task": [StrOptions({"classifier", "regressor"})]}
    check(constraints, {"preset": preset, "task": task}, "presets.parameters")
    return copy.deepcopy(_PRESETS[preset][task])


def changes(estimator: Any, task: str) -> dict[str, Any]:
    """Return the parameters that an estimator's preset changes: those at their defaults that suit the loss.

    Empty for an unknown preset, which parameter validation reports.
    """
    if not isinstance(estimator.preset, str) or estimator.preset not in _PRESETS:
        return {}
    kind: Any = type(estimator)
    defaults = _defaults(kind)
    wanted = parameters(estimator.preset, task)
    if task == "classifier" and estimator.loss != "log_loss":
        del wanted["loss_params"]
    if task == "regressor" and not takes_scaled_targets(estimator.loss, estimator.out_activation):
        del wanted["target_scaling"]
    return {name: value for name, value in wanted.items() if _same(getattr(estimator, name), defaults[name])}


def takes_scaled_targets(loss: str, out_activation: str) -> bool:
    """Return whether a regressor's loss and outputs are for all real numbers."""
    if not isinstance(out_activation, str) or out_activation not in ("auto", "identity", "increasing"):
        return False
    try:
        return find_loss(loss, "identity", "regressor").domain is ANY
    except ValueError:
        return False  # a loss with its own output activation


@lru_cache
def _defaults(estimator_type: type) -> dict[str, Any]:
    """Defaults of the constructor that has `preset`: a subclass may have another one."""
    for owner in estimator_type.__mro__:
        found = inspect.signature(owner.__init__).parameters  # type: ignore[misc]
        if "preset" in found:
            return {name: parameter.default for name, parameter in found.items()}
    raise TypeError(f"{estimator_type.__name__} has no parameter 'preset'")


def _same(value: Any, default: Any) -> bool:
    # Defaults are plain; a tuple with arrays in it cannot be compared like this.
    return type(value) is type(default) and is_plain(value) and value == default
