"""Values as JSON and arrays.

JSON's own values stand for themselves. Any other value is an object with a single key that begins with ``$``,
see README.md. Arrays are named by the attribute that holds them.
"""

import base64
import datetime
import math
import re
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse

from fastbp.functions.own.formula import Formula, registered
from fastbp.persistence.class_table import FORMULAS, field_names, is_record, name_of, parameter_names

ARRAY_KINDS = "biufcUSmM"
FRAMES = ("pandas", "polars")  # whose columns and indices are saved as arrays
NOT_SAVED = ("_skl_callback", "_callback", "_parent_callback")  # attributes of callbacks begin so
MEMBERS = ("estimators_", "members_")
OF_FORMULAS = {  # parameters that may name a user's own formula
    "activation": "Activation",
    "out_activation": "Activation",
    "loss": "Loss",
    "solver": "Solver",
    "schedule": "Schedule",
}
OURS_ONLY = "fastbp saves its own estimators; skops.io.dump and pickle save others."


class Registered(NamedTuple):
    """A name that a user has registered, as its formula: other processes do not know it."""

    formula: Formula


class Encoder:
    """Encoder of one object.

    Attributes
    ----------
    arrays : dict of str to ndarray
        Those that the encoded values refer to.
    """

    def __init__(self) -> None:
        self.arrays: dict[str, np.ndarray] = {}
        self._known: dict[int, tuple[np.ndarray, str]] = {}
        self._within: list[int] = []  # containers and objects that are being encoded

    def value(self, value: Any, path: str) -> Any:
        """Return a value for JSON.

        Parameters
        ----------
        path : str
            Of the attribute, such as ``estimators_[0].coefs_``.

        Raises
        ------
        TypeError
            Of a value that cannot be saved; it names the attribute and the type.
        """
        kind = type(value)
        if value is None or kind in (bool, int, str):
            return value
        if kind is float:
            return value if math.isfinite(value) else {"$float": repr(value)}
        if isinstance(value, np.ndarray):
            return self._array(value, path)
        if isinstance(value, np.generic):
            return self._scalar(value, path)
        if id(value) in self._within:
            raise TypeError(f"{path} holds itself, which cannot be saved.")
        self._within.append(id(value))
        try:
            return self._composite(value, kind, path)
        finally:
            self._within.pop()

    def _composite(self, value: Any, kind: Any, path: str) -> Any:
        if kind is list:
            return self._items(value, path)
        if kind is Registered:
            return {"$registered": self.value(value.formula, path)}
        if kind is tuple:
            return {"$tuple": self._items(value, path)}
        if kind is dict:
            return self._dictionary(value, path)
        if kind in (bytes, bytearray):
            return {f"${kind.__name__}": base64.b64encode(value).decode()}
        if kind is complex:
            return {"$complex": self._items([value.real, value.imag], path)}
        if kind in (range, slice):
            return {f"${kind.__name__}": self._items([value.start, value.stop, value.step], path)}
        if kind in (set, frozenset):
            return {f"${kind.__name__}": self._items(sorted(value, key=repr), path)}
        if kind in (datetime.date, datetime.datetime) and getattr(value, "tzinfo", None) is None:
            return {f"${kind.__name__}": value.isoformat()}
        if isinstance(value, np.dtype) and value.kind in ARRAY_KINDS:
            return {"$dtype": value.str}
        if isinstance(value, type) and issubclass(value, np.generic) and np.dtype(value).kind in ARRAY_KINDS:
            return {"$numpy type": np.dtype(value).name}
        if kind.__module__.partition(".")[0] in FRAMES and hasattr(kind, "__array__"):
            return self.value(np.asarray(value), path)
        if kind is np.random.RandomState:
            return {"$random_state": self.value(value.get_state(legacy=False), path)}
        if scipy.sparse.issparse(value) and value.format in ("csr", "csc"):
            return self._sparse(value, path)
        return self.object(value, path)

    def object(self, value: Any, path: str = "") -> dict[str, Any]:
        """Return an object of a class of the table for JSON."""
        kind: Any = type(value)
        name = name_of(kind)
        if name is None:
            raise TypeError(_fault(value, path))
        if hasattr(kind, "_check_saved"):
            value._check_saved()
        found: dict[str, Any] = {"$object": name}
        if name in FORMULAS:
            return found | {"plain": self.value(value.to_plain(), path)}
        if is_record(kind):
            state = {own: getattr(value, own) for own in field_names(kind)}
        else:
            state = value._saved_state() if hasattr(kind, "_saved_state") else dict(vars(value))
        parameters = parameter_names(kind)
        if parameters:
            found["parameters"] = {}
        found["attributes"] = {}
        for own, part in state.items():
            if own.startswith(NOT_SAVED):
                continue
            if own == "_metadata_request":
                found["requests"] = _requests(part)
                continue
            is_of_member = any(members in path for members in MEMBERS)
            if own == "scoring" and callable(part) and is_of_member:
                part = None  # of training only; the model's own parameter is refused if it is a function
            if own in OF_FORMULAS and own in parameters:
                part = _with_registered(part, OF_FORMULAS[own])
            group = "parameters" if own in parameters else "attributes"
            found[group][own] = self.value(part, f"{path}.{own}" if path else own)
        return found

    def _items(self, values: Any, path: str) -> list[Any]:
        return [self.value(value, f"{path}[{i}]") for i, value in enumerate(values)]

    def _dictionary(self, value: dict, path: str) -> dict[str, Any]:
        if all(type(key) is str and not key.startswith("$") for key in value):
            return {key: self.value(part, f"{path}[{key!r}]") for key, part in value.items()}
        pairs = [[self.value(key, path), self.value(part, f"{path}[{key!r}]")] for key, part in value.items()]
        return {"$dict": pairs}

    def _array(self, value: np.ndarray, path: str) -> dict[str, Any]:
        if type(value) not in (np.ndarray, np.memmap):
            raise TypeError(_fault(value, path))
        if value.dtype == object:
            items = self._items(value.ravel().tolist(), path)
            return {"$objects": {"shape": list(value.shape), "values": items}}
        if value.dtype.kind not in ARRAY_KINDS:
            raise TypeError(f"{path or 'It'} is an array of dtype {value.dtype}, which cannot be saved.")
        if id(value) in self._known:
            return {"$array": self._known[id(value)][1]}
        name = self._name(path)
        self.arrays[name] = np.asarray(value)
        self._known[id(value)] = value, name  # the object must live as long as its identity counts
        return {"$array": name}

    def _name(self, path: str) -> str:
        """Return a new name of an array: its path, of letters that file names may have."""
        base = re.sub(r"[^A-Za-z0-9_]+", ".", path).strip(".")[:100] or "array"
        name, number = base, 1
        while name in self.arrays:
            number += 1
            name = f"{base}.{number}"
        return name

    def _scalar(self, value: np.generic, path: str) -> dict[str, Any]:
        kind, item = value.dtype.kind, value.item()
        if kind in "mM":
            item = int(value.view(np.int64))
        elif kind != "U" and (kind not in "biuf" or value.dtype.itemsize > 8):
            return {"$scalar": self._array(np.array(value), path)}
        return {"$scalar": [value.dtype.str, self.value(item, path)]}

    def _sparse(self, value: Any, path: str) -> dict[str, Any]:
        is_array = isinstance(value, scipy.sparse.sparray)
        found = {"class": f"{value.format}_{'array' if is_array else 'matrix'}", "shape": list(value.shape)}
        for name in ("data", "indices", "indptr"):
            found[name] = self.value(getattr(value, name), f"{path}.{name}")
        return {"$sparse": found}


def _with_registered(value: Any, kind: str) -> Any:
    """Return a parameter with the formulas of registered names in their place."""
    if type(value) in (list, tuple):
        return type(value)(_with_registered(one, kind) for one in value)
    formula = registered(kind, value) if type(value) is str else None
    return value if formula is None else Registered(formula)


def _requests(request: Any) -> dict[str, dict[str, Any]]:
    """Return scikit-learn's metadata requests of an estimator, by method."""
    methods = vars(request)
    found = {name: dict(getattr(methods[name], "requests", {})) for name in methods if name != "owner"}
    return {name: given for name, given in found.items() if given}


def _fault(value: Any, path: str) -> str:
    kind = f"{type(value).__module__}.{type(value).__qualname__}"
    if not path:
        return f"Objects of type {kind} cannot be saved. {OURS_ONLY}"
    if callable(value) and not isinstance(value, type) and not hasattr(value, "get_params"):
        return f"{path} is a function ({kind}): give it by name or set it to None before save."
    return f"{path} is of type {kind}, which cannot be saved. Set it to plain values before save. {OURS_ONLY}"
