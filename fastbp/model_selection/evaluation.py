"""One evaluation: a candidate trained and scored on one fold, a call of scikit-learn's `_fit_and_score`."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.model_selection._validation import _fit_and_score
from sklearn.pipeline import Pipeline

from fastbp.estimators.cloning import copied, set_parameters

if TYPE_CHECKING:
    from fastbp.model_selection.groups import Group

Call = tuple[Callable, tuple, dict[str, Any]]

# The arguments that the fused evaluation knows. Another version of scikit-learn may have more.
KNOWN = frozenset(
    (
        "scorer",
        "train",
        "test",
        "verbose",
        "parameters",
        "fit_params",
        "score_params",
        "return_train_score",
        "return_parameters",
        "return_n_test_samples",
        "return_times",
        "return_estimator",
        "split_progress",
        "candidate_progress",
        "error_score",
        "caller",
        "callback_ctx",
    )
)
DEFAULTS = {
    name: parameter.default
    for name, parameter in inspect.signature(_fit_and_score).parameters.items()
    if parameter.default is not inspect.Parameter.empty
}


def is_evaluation(call: Call) -> bool:
    """Return whether a call is one of `_fit_and_score` that has no unknown arguments."""
    function, positional, named = call
    return (
        getattr(function, "function", function) is _fit_and_score
        and len(positional) == 3
        and named.keys() <= KNOWN
    )


class Parameters:
    """The parameters of a candidate, separated into the network's and the earlier steps'.

    Attributes
    ----------
    network : dict
        Parameters of the last step, or of the estimator without a pipeline.
    replacement : estimator or None
        The candidate's last step where it replaces the pipeline's.
    earlier : dict
        Parameters of the steps before, including steps that are replaced, with the names of the pipeline.
    others : tuple of str
        Names of parameters of the pipeline itself, and of a last step that is left out.
    key : tuple
        Equal for candidates with equal `earlier` and the same `replacement`.
    observed : bool
        Whether a step of the candidate's has callbacks.
    """

    def __init__(self, estimator: Any, parameters: dict[str, Any] | None) -> None:
        self.network: dict[str, Any] = {}
        self.earlier: dict[str, Any] = {}
        self.replacement: Any = None
        others = []
        if not isinstance(estimator, Pipeline):
            self.network = parameters or {}
        else:
            names = [name for name, _ in estimator.steps]
            for name, value in (parameters or {}).items():
                step, nested, own = name.partition("__")
                if step not in names or (name == names[-1] and value is None):
                    others.append(name)
                elif step != names[-1]:
                    self.earlier[name] = value
                elif nested:
                    self.network[own] = value
                else:
                    self.replacement = value
        self.others = tuple(others)
        self.observed = any(map(has_callbacks, [self.replacement, *self.earlier.values()]))
        replaced = None if self.replacement is None else id(self.replacement)
        self.key = replaced, tuple((name, value_key(value)) for name, value in sorted(self.earlier.items()))


def has_callbacks(value: Any) -> bool:
    """Return whether an estimator or one within it has callbacks."""
    if not hasattr(value, "get_params") or isinstance(value, type):
        return False
    return any(hasattr(one, "_skl_callbacks") for one in (value, *value.get_params(deep=True).values()))


def value_key(value: Any) -> tuple:
    """Return a key that only values have in common which are equal as parameters.

    The values must be kept while their keys are in use.
    """
    if isinstance(value, bool | int | float | str | np.generic) or value is None:
        return type(value), repr(value)  # unlike ==, repr tells 0.0 from -0.0, and NaN is like NaN
    return type(value), id(value)


@dataclass(eq=False, slots=True)
class Evaluation:
    """An evaluation that is fused with others.

    Attributes
    ----------
    number : int
        Place in the order of scikit-learn's calls.
    estimator : estimator
        The clone made for this evaluation: the network, or a pipeline that ends with it.
    X, y : array-like
        All rows.
    arguments : dict
        The further arguments of `_fit_and_score`.
    parameters : Parameters
    observed : bool
        Whether callbacks see it.
    group : Group
        The evaluations with the same rows and the same steps before the network.
    error : Exception or None
        Raised by its fit.
    fit_time, score_time : float
        Seconds. The time of work done for several evaluations is divided among them.
    """

    number: int
    estimator: Any
    X: Any
    y: Any
    arguments: dict[str, Any]
    parameters: Parameters
    observed: bool
    group: Group = field(init=False)
    error: Exception | None = None
    fit_time: float = 0.0
    score_time: float = 0.0

    @property
    def network(self) -> Any:
        return self.estimator.steps[-1][1] if isinstance(self.estimator, Pipeline) else self.estimator

    def set_parameters(self) -> None:
        """Set the candidate's parameters of the network. Names that do not exist raise ValueError."""
        if self.parameters.replacement is not None:
            self.estimator.set_params(**{self.estimator.steps[-1][0]: copied(self.parameters.replacement)})
        if self.parameters.network:
            set_parameters(self.network, self.parameters.network)
