"""Parameter validation: the one place that refuses parameters, by name and for any value.

Constraints and messages are scikit-learn's. Its own check lets errors through that a value itself raises
(when arrays in a tuple are compared, or an integer is too large for a float), and ignores the elements of
lists and dictionaries.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from numbers import Integral, Real
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.metrics import check_scoring, get_scorer_names
from sklearn.utils._param_validation import Interval, InvalidParameterError, make_constraint

from fastbp.functions.loss_lookup import entries_of, loss_names
from fastbp.functions.parameters import Parameter, resolve
from fastbp.functions.schedules import RATE_SCHEDULES
from fastbp.functions.solvers import SOLVERS
from fastbp.functions.values import PLAIN, as_float, listed, plain_key, python_number, shown
from fastbp.plan.planner import refuse_hidden, refuse_output
from fastbp.plan.training import AVERAGES

LARGEST = 2**63 - 1  # kernels count in 64 bits
MAX_REMEMBERED = 1024
RATE = Parameter("dropout", 0.0, 0.0, 1.0)

_valid: set[tuple] = set()  # keys of values found valid
_constraints: WeakKeyDictionary[type, tuple[dict, dict]] = WeakKeyDictionary()


# --- Constraints


def check(constraints: Mapping[str, Sequence], values: Mapping[str, Any], owner: str) -> None:
    """Validate like scikit-learn's ``validate_parameter_constraints``, but for any `values`.

    Raises
    ------
    InvalidParameterError
        Both a ValueError and a TypeError; names the parameter.
    """
    for name, value in values.items():
        made = [make_constraint(constraint) for constraint in constraints[name]]
        if not _is_satisfied(made, value):
            _refuse_value(name, made, value, owner)


def _is_satisfied(made: Sequence[Any], value: Any) -> bool:
    try:
        value = python_number(value)
        if isinstance(value, Real) and type(value) not in PLAIN:
            return False  # not a number after all, or too large for one
        if type(value) is int and abs(value) > LARGEST:
            # as a float it may be valid
            made = [one for one in made if isinstance(one, Interval) and one.type is Real]
            value = as_float(value)
        return any(one.is_satisfied_by(value) for one in made)
    except Exception:  # a value that cannot even be compared
        return False


def _refuse_value(name: str, made: Sequence[Any], value: Any, owner: str) -> None:
    *first, last = (str(one) for one in made if not one.hidden)
    wanted = f"{', '.join(first)} or {last}" if first else last
    limit = " Integers must fit into 64 bits." if isinstance(value, int) and abs(value) > LARGEST else ""
    raise InvalidParameterError(
        f"The {name!r} parameter of {owner} must be {wanted}. Got {shown(value)} instead.{limit}"
    )


class CheckedParameters(BaseEstimator, ABC):
    """Estimator whose parameters are checked here; valid values are cached.

    A full check takes as long as a thousand steps of a tiny network, and a search fits the same values
    repeatedly.
    """

    _parameter_constraints: dict

    @abstractmethod
    def _options(self) -> Any:
        """Parameters of a fit."""

    def _validate_params(self) -> None:
        self._check_parameters(self._parameter_constraints)

    def _check_parameters(self, names: Iterable[str]) -> None:
        """Raise InvalidParameterError if one of these parameters is invalid."""
        names = tuple(names)
        key = plain_key(tuple(map(self.__dict__.get, names)))
        if key is None:
            self._check_values(names)
            return
        key = type(self), names, key
        if key in _valid:
            return
        self._check_values(names)
        if len(_valid) >= MAX_REMEMBERED:
            _valid.clear()
        _valid.add(key)

    def _check_values(self, names: Iterable[str]) -> None:
        owner, all_made = type(self).__name__, _made(type(self))
        given = self.__dict__
        if "out_activation" in names:
            refuse_output(given.get("out_activation"))
        checked = [name for name in names if name in all_made]
        for name in checked:
            value = given.get(name)
            if not _is_satisfied(all_made[name], value):
                _refuse_plain_function(name, value, owner)
                _refuse_value(name, all_made[name], value, owner)
        options = self._options()
        for name, check_elements in ELEMENTS.items():
            if name in checked:
                check_elements(options)
        if "scoring" in checked:
            _check_scoring(self)


# Parameters that name a formula, and the class of an own one.
OF_FORMULAS = {
    "activation": "Activation",
    "out_activation": "Activation",
    "loss": "Loss",
    "solver": "Solver",
    "schedule": "Schedule",
}


def _refuse_plain_function(name: str, value: Any, owner: str) -> None:
    """Raise InvalidParameterError for a function in place of a formula."""
    if name in OF_FORMULAS and callable(value):
        kind = OF_FORMULAS[name]
        raise InvalidParameterError(
            f"The {name!r} parameter of {owner} is a function, {shown(value)}: make a formula of it, "
            f"fastbp.{kind}('a_name', the function)."
        )


def _made(kind: type) -> dict[str, list]:
    """Constraints of a class, made once; a subclass may have fewer, as in scikit-learn."""
    written: dict = kind._parameter_constraints  # type: ignore[attr-defined]
    kept = _constraints.get(kind)
    if kept is None or kept[0] is not written:
        made = {
            name: [make_constraint(one) for one in several]
            for name, several in written.items()
            if not isinstance(several, str)  # "no_validation"
        }
        kept = _constraints[kind] = written, made
    return kept[1]


# --- Elements of lists and dictionaries, names that depend on other parameters


def hidden_sizes(value: Any) -> tuple[int, ...]:
    """Return `hidden_layer_sizes` as a tuple of Python integers, or raise InvalidParameterError."""
    sizes = [value] if isinstance(value, Integral) else listed(value)
    if sizes is None or any(
        isinstance(size, bool | np.timedelta64) or not isinstance(size, Integral) for size in sizes
    ):
        raise InvalidParameterError(
            f"hidden_layer_sizes must be integers: one, or a list of them. Got {shown(value)}."
        )
    numbers = tuple(int(size) for size in sizes)
    if any(size <= 0 for size in numbers):
        raise InvalidParameterError(f"hidden_layer_sizes must be > 0, got {shown(value)}.")
    if any(size > LARGEST for size in numbers):
        raise InvalidParameterError(
            f"hidden_layer_sizes must be numbers of units that fit into 64 bits, got {shown(value)}."
        )
    return numbers


def dropout_rates(value: Any) -> float | tuple[float, ...]:
    """Return `dropout` as a float or a tuple of floats, or raise InvalidParameterError."""
    several = listed(value)
    rates = [RATE.number(python_number(rate)) for rate in ([value] if several is None else several)]
    numbers = tuple(rate for rate in rates if rate is not None)
    if len(numbers) < len(rates):
        raise InvalidParameterError(
            f"dropout must be in [0, 1), or a list of such numbers, got {shown(value)}."
        )
    return numbers[0] if several is None else numbers


def _check_activation(own: Any) -> None:
    for name in [own.activation] if isinstance(own.activation, str) else own.activation:
        refuse_hidden(name)


def _check_loss_params(own: Any) -> None:
    """Check `loss_params`; their names and ranges do not depend on the output activation."""
    entries_of(own.loss)[0].constants(own.loss_params or {})


def _check_solver_params(own: Any) -> None:
    solver_own = SOLVERS[own.solver].own if own.solver in SOLVERS else ()
    resolve(solver_own, own.solver_params or {}, "solver_params", f"solver={own.solver!r}")


def _check_schedule_params(own: Any) -> None:
    name = "constant" if own.schedule in (None, "plateau") else own.schedule
    RATE_SCHEDULES[name].constants(own.schedule_params or {})


def _check_average_params(own: Any) -> None:
    average_own = () if own.average is None else (AVERAGES[own.average],)
    resolve(average_own, own.average_params or {}, "average_params", f"average={own.average!r}")


def _check_scoring(estimator: Any) -> None:
    if estimator.scoring is None or estimator.scoring == "loss":
        return
    if isinstance(estimator.scoring, str):
        good = estimator.scoring in get_scorer_names()
    else:
        check_scoring(estimator, estimator.scoring)  # refuses metrics, which take other arguments
        good = not isinstance(estimator.scoring, type)
    if not good:
        raise InvalidParameterError(
            f"The 'scoring' parameter of {type(estimator).__name__} must be 'loss', the name of a scorer of "
            "scikit-learn's (sklearn.metrics.get_scorer_names() lists them), a callable or None. Got "
            f"{shown(estimator.scoring)} instead."
        )


def _check_class_weight(own: Any) -> None:
    given = own.class_weight
    for of_label in given if isinstance(given, list) else [given]:
        if of_label is None or isinstance(of_label, str):
            continue
        numbers = [as_float(weight) for weight in of_label.values()] if isinstance(of_label, dict) else [None]
        if any(number is None or not 0 <= number < np.inf for number in numbers):
            raise InvalidParameterError(
                "class_weight must hold finite numbers that are not negative: a dictionary {class: weight}, "
                f"or for multilabel targets a list of such. Got {shown(given)}."
            )


ELEMENTS: dict[str, Callable[[Any], Any]] = {
    "hidden_layer_sizes": lambda own: hidden_sizes(own.hidden_layer_sizes),
    "activation": _check_activation,
    "dropout": lambda own: dropout_rates(own.dropout),
    "loss_params": _check_loss_params,
    "solver_params": _check_solver_params,
    "schedule_params": _check_schedule_params,
    "average_params": _check_average_params,
    "class_weight": _check_class_weight,
}


# --- Arguments


@contextmanager
def naming(argument: str) -> Iterator[None]:
    """Turn any error about an argument of a method into a ValueError or TypeError that names it."""
    try:
        yield
    except MemoryError:
        raise
    except Exception as error:  # an overflow, or an error raised by a user's class
        if isinstance(error, ValueError | TypeError) and argument in str(error):
            raise
        raise ValueError(f"{argument}: {error}") from error


def refuse_name_of_loss(value: Any, owner: str) -> None:
    """Raise InvalidParameterError if hidden_layer_sizes is a loss, MLPRegressor's first parameter."""
    if isinstance(value, str) and value in loss_names():
        raise InvalidParameterError(
            f"The first parameter of {owner} is hidden_layer_sizes, got {value!r}: loss={value!r} is meant. "
            f'Write {owner}(loss="{value}").'
        )
