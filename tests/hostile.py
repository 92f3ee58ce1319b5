"""Values that no parameter is meant to get, by names that tests can list."""

from collections import UserDict
from decimal import Decimal
from fractions import Fraction
from numbers import Real

import numpy as np
import pandas as pd


class Raises:
    """Every question is an error: comparisons, truth, length, numbers, its own name."""

    def _raise(self, *arguments):
        raise RuntimeError("asked")

    __eq__ = __ne__ = __lt__ = __gt__ = __le__ = __ge__ = _raise
    __bool__ = __len__ = __iter__ = __float__ = __int__ = __index__ = __repr__ = __str__ = _raise
    __hash__ = object.__hash__


class RealInName(Raises):
    """A number that says so and is none."""


Real.register(RealInName)


def values():
    """Name -> value; made anew, since some can be read once only."""
    return {
        "None": None,
        "True": True,
        "np.bool_": np.bool_(True),
        "0": 0,
        "-1": -1,
        "-0.5": -0.5,
        "0.5": 0.5,
        "2": 2,
        "2.0": 2.0,
        "nan": float("nan"),
        "inf": float("inf"),
        "-inf": float("-inf"),
        "np.float16 nan": np.float16("nan"),
        "longdouble 1e400": np.longdouble("1e400"),
        "2**70": 2**70,
        "-2**70": -(2**70),
        "10**400": 10**400,
        "10**5000": 10**5000,
        "complex": 1 + 0j,
        "np.complex64": np.complex64(1),
        "Decimal": Decimal("0.5"),
        "Fraction 10**400": Fraction(10**400),
        "timedelta64": np.timedelta64(1),
        "datetime64": np.datetime64("2020"),
        "text": "nonsense",
        "empty text": "",
        "digits": "1",
        "bytes": b"relu",
        "bytearray": bytearray(b"\x04"),
        "memoryview": memoryview(b"\x04"),
        "empty list": [],
        "list": [1],
        "floats": [0.5],
        "words": ["nonsense"],
        "lists": [[1, 2], [3]],
        "empty tuple": (),
        "tuple with None": (None,),
        "tuple of arrays": (np.array([1, 2]),),
        "tuple of Raises": (Raises(),),
        "huge in a tuple": (10**400,),
        "nan in a tuple": (float("nan"),),
        "set": {4},
        "frozenset": frozenset({4}),
        "dict": {1: 2},
        "empty dict": {},
        "dict of unknown name": {"nonsense": 1},
        "keys": {4: 0}.keys(),
        "UserDict": UserDict({"decay": 0.5}),
        "generator": (size for size in (4,)),
        "iterator": iter([4]),
        "array of 0 dimensions": np.array(3),
        "float array of 0 dimensions": np.array(0.5),
        "array of 1 element": np.array([0.5]),
        "array of text": np.array(["relu"]),
        "array of 2 dimensions": np.array([[4], [5]]),
        "array of objects": np.array([None]),
        "masked": np.ma.masked,
        "frame": pd.DataFrame({1: [0.5]}),
        "pd.NA": pd.NA,
        "pd.NaT": pd.NaT,
        "class": int,
        "function": lambda *arguments: 0.5,
        "object": object(),
        "Ellipsis": ...,
        "slice": slice(3),
        "Raises": Raises(),
        "a class that raises": Raises,
        "number that raises": RealInName(),
    }
