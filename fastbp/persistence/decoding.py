"""Values from JSON and arrays: the inverse of `encoding`. Nothing is executed that a file names."""

import base64
import datetime
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import scipy.sparse
from sklearn import config_context

from fastbp.functions.own.formula import register
from fastbp.functions.values import shown
from fastbp.persistence.class_table import (
    FORMULAS,
    MODULES,
    class_named,
    field_names,
    is_record,
    parameter_names,
)
from fastbp.persistence.encoding import ARRAY_KINDS
from fastbp.persistence.random_states import checked_random_state

SPARSE = ("csr_array", "csr_matrix", "csc_array", "csc_matrix")


class Decoder:
    """Decoder of one file.

    Parameters
    ----------
    arrays : mapping of str to ndarray

    Attributes
    ----------
    kinds : dict of str to callable
        The values that JSON has not, by their keys.
    """

    def __init__(self, arrays: Mapping[str, np.ndarray]) -> None:
        self._arrays = arrays
        self.kinds: dict[str, Callable[[Any], Any]] = {
            "$float": self._float,
            "$tuple": lambda given: tuple(self._list(given)),
            "$dict": lambda given: {self.value(key): self.value(part) for key, part in given},
            "$bytes": lambda given: base64.b64decode(given, validate=True),
            "$bytearray": lambda given: bytearray(base64.b64decode(given, validate=True)),
            "$complex": lambda given: complex(*self._list(given)),
            "$range": lambda given: range(*self._list(given)),
            "$slice": lambda given: slice(*self._list(given)),
            "$set": lambda given: set(self._list(given)),
            "$frozenset": lambda given: frozenset(self._list(given)),
            "$date": datetime.date.fromisoformat,
            "$datetime": datetime.datetime.fromisoformat,
            "$dtype": _dtype,
            "$numpy type": lambda given: _dtype(given).type,
            "$random_state": lambda given: checked_random_state(self.value(given)),
            "$array": self._array,
            "$objects": self._objects,
            "$scalar": self._scalar,
            "$sparse": self._sparse,
            "$registered": self._registered,
        }

    def value(self, given: Any) -> Any:
        """Return the value that JSON stands for; ValueError, TypeError or KeyError if it stands for none."""
        if isinstance(given, list):
            return self._list(given)
        if not isinstance(given, dict):
            return given
        if "$object" in given:
            return self.object(given)
        if len(given) == 1:
            ((kind, content),) = given.items()
            if kind.startswith("$"):
                if kind not in self.kinds:
                    raise ValueError(f"it holds a value of the unknown kind {shown(kind)}")
                return self.kinds[kind](content)
        return {key: self.value(part) for key, part in given.items()}

    def object(self, given: dict[str, Any]) -> Any:
        """Return the object of a class of the table."""
        name = given.get("$object")
        if not isinstance(name, str) or name not in MODULES:
            raise ValueError(f"it holds an object of the unknown class {shown(name)}")
        kind = class_named(name)
        if name in FORMULAS:
            return kind.from_plain(self.value(given["plain"]))
        state = self._checked(given["attributes"], name)
        wanted = parameter_names(kind)
        if wanted:
            state = self._parameters(given["parameters"], kind, name) | state
        for own in state:
            if not own.isidentifier() or own.startswith("__") or _is_of_class(kind, own):
                raise ValueError(f"{name} has no attribute {shown(own)}")
        if is_record(kind):
            unknown = state.keys() - set(field_names(kind))
            if unknown:
                raise ValueError(f"{name} has no field {shown(min(unknown))}")
            return kind(**state)
        made = object.__new__(kind)
        if hasattr(kind, "_saved_state"):
            made._set_saved_state(state)
        else:
            made.__dict__.update(state)
        if given.get("requests"):
            _set_requests(made, given["requests"])
        if hasattr(kind, "_check_saved"):
            made._check_saved()
        return made

    def _parameters(self, given: dict[str, Any], kind: Any, name: str) -> dict[str, Any]:
        """Return the parameters of an estimator: those that a file of an older version lacks are defaults."""
        state, known = self._checked(given, name), parameter_names(kind)
        for own in state:
            if own not in known:
                raise ValueError(f"{name} has no parameter {shown(own)} in this version")
        if len(state) == len(known):
            return state
        defaults = kind().get_params(deep=False)
        return {own: state[own] if own in state else defaults[own] for own in known}

    def _checked(self, given: Any, name: str) -> dict[str, Any]:
        if not isinstance(given, dict):
            raise ValueError(f"the attributes of {name} are no dictionary")
        return {own: self.value(part) for own, part in given.items()}

    def _list(self, given: Any) -> list[Any]:
        if not isinstance(given, list):
            raise ValueError("a sequence is no list")
        return [self.value(one) for one in given]

    def _float(self, given: Any) -> float:
        if given not in ("nan", "inf", "-inf"):
            raise ValueError(f"{shown(given)} is no number")
        return float(given)

    def _array(self, name: Any) -> np.ndarray:
        if not isinstance(name, str) or name not in self._arrays:
            raise ValueError(f"the array {shown(name)} is missing")
        return self._arrays[name]

    def _objects(self, given: Any) -> np.ndarray:
        shape, values = given["shape"], self._list(given["values"])
        if not (isinstance(shape, list) and all(type(one) is int and one >= 0 for one in shape)):
            raise ValueError("an array has no shape")
        array = np.empty(len(values), object)
        array[:] = values
        return array.reshape(shape)

    def _scalar(self, given: Any) -> np.generic:
        if isinstance(given, dict):
            array = self.value(given)
        else:
            name, item = self._list(given)
            dtype = _dtype(name)
            array = np.array(item, np.int64).view(dtype) if dtype.kind in "mM" else np.array(item, dtype)
        scalar: np.generic = array[()]
        if not isinstance(scalar, np.generic):
            raise ValueError("a number is an array")
        return scalar

    def _registered(self, given: Any) -> str:
        """Register a formula again, which was known by its name; return the name."""
        formula = self.value(given)
        register(formula)
        name: str = formula.name
        return name

    def _sparse(self, given: Any) -> Any:
        if given["class"] not in SPARSE:
            raise ValueError(f"it holds a sparse matrix of the unknown class {shown(given['class'])}")
        parts = tuple(self.value(given[name]) for name in ("data", "indices", "indptr"))
        matrix = getattr(scipy.sparse, given["class"])(parts, shape=tuple(given["shape"]))
        matrix.check_format(full_check=True)
        return matrix


def _dtype(given: Any) -> np.dtype:
    if not isinstance(given, str):
        raise ValueError(f"{shown(given)} is no dtype")
    dtype = np.dtype(given)
    if dtype.kind not in ARRAY_KINDS:
        raise ValueError(f"the dtype {shown(given)} is not one of those that are saved")
    return dtype


def _is_of_class(kind: Any, name: str) -> bool:
    """Return whether a class has a method or a property of this name, which no attribute may hide."""
    found = getattr(kind, name, None)
    own = next((vars(one)[name] for one in kind.__mro__ if name in vars(one)), None)
    if is_record(kind):
        return callable(found)
    return callable(found) or hasattr(type(own), "__set__") or isinstance(own, property)


def _set_requests(estimator: Any, requests: Any) -> None:
    with config_context(enable_metadata_routing=True):
        for method, given in requests.items():
            setter = getattr(estimator, f"set_{method}_request", None)
            if setter is None or not isinstance(given, dict):
                raise ValueError(f"it has metadata requests of the unknown method {shown(method)}")
            if not all(value is None or isinstance(value, bool | str) for value in given.values()):
                raise ValueError(f"its metadata requests of {method} are neither flags nor names")
            setter(**given)
