"""Fast copies of unfitted estimators, as `sklearn.base.clone` makes them.

scikit-learn deep-copies each of the sixty parameters and inspects the constructor's signature three times, of
a pipeline and of each of its steps. In a search of small networks that takes as long as training them. Most
values are immutable, and the names of a class's parameters do not change.
"""

import copy
from functools import lru_cache
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, clone
from sklearn.pipeline import Pipeline

from fastbp.functions.values import PLAIN

MAX_CLASSES = 64


@lru_cache(MAX_CLASSES)
def parameter_names_of(kind: Any) -> frozenset[str]:
    """The arguments of a class's constructor."""
    return frozenset(kind._get_param_names())


def is_immutable(value: Any) -> bool:
    """Return whether a deep copy of the value would be the value itself."""
    kind = type(value)
    return kind in PLAIN or (kind is tuple and all(map(is_immutable, value))) or isinstance(value, np.number)


def copied(value: Any) -> Any:
    """Return ``clone(value, safe=False)``."""
    if is_immutable(value):
        return value
    kind: Any = type(value)
    if kind is list or kind is tuple:
        return kind([copied(one) for one in value])
    own = getattr(kind, "__sklearn_clone__", None)
    if own is BaseEstimator.__sklearn_clone__ and "__sklearn_clone__" not in vars(value):
        return cloned(value)
    return clone(value, safe=False)


def has_plain_parameters(kind: Any) -> bool:
    """Return whether `get_params(deep=False)` of a class reads the arguments of its constructor."""
    return kind is Pipeline or kind.get_params is BaseEstimator.get_params


def cloned(estimator: Any) -> Any:
    """Return an unfitted copy: the same parameters, metadata requests, callbacks and output container.

    The same as scikit-learn's default, ``sklearn.base._clone_parametrized``.
    """
    kind: Any = type(estimator)
    plain = has_plain_parameters(kind)
    if plain:
        values = {name: getattr(estimator, name) for name in parameter_names_of(kind)}
    else:
        values = estimator.get_params(deep=False)
    values = {name: copied(value) for name, value in values.items()}
    new = kind(**values)
    own = vars(estimator)
    if hasattr(estimator, "_metadata_request"):
        new._metadata_request = clone(estimator._metadata_request)
    if "_skl_callbacks" in own:
        new._skl_callbacks = own["_skl_callbacks"]  # shared by all clones, by their protocol
    is_set = vars(new) if plain else new.get_params(deep=False)
    for name, value in values.items():
        if (is_set[name] if name in is_set else getattr(new, name, None)) is not value:
            raise RuntimeError(
                f"Cannot clone object {estimator}, as the constructor either does not set or modifies "
                f"parameter {name}"
            )
    if hasattr(estimator, "_sklearn_output_config"):
        new._sklearn_output_config = copy.deepcopy(estimator._sklearn_output_config)
    return new


def set_parameters(estimator: Any, given: dict[str, Any]) -> None:
    """Set parameters as `set_params` does, to copies of the values as `clone` makes them."""
    kind: Any = type(estimator)
    plain = kind.set_params is BaseEstimator.set_params and kind.get_params is BaseEstimator.get_params
    if plain and given.keys() <= parameter_names_of(kind):
        for name, value in given.items():
            setattr(estimator, name, copied(value))
    else:
        estimator.set_params(**{name: copied(value) for name, value in given.items()})
