"""A case: the statements that make data and estimator, and the calls."""

from dataclasses import dataclass, field

IMPORTS = """
import copy
import pickle
import tempfile
from fractions import Fraction
from operator import attrgetter

import numpy as np
import pandas as pd
import polars as pl
from scipy import sparse
from sklearn.base import clone
from sklearn.metrics import make_scorer, median_absolute_error

from fastbp import BPClassifier, BPRegressor, learning_rate_range
from fastbp.callbacks import Checkpoint, StopWhen, TimeLimit
"""
FOLDER = "folder = tempfile.mkdtemp()"


@dataclass(frozen=True)
class Call:
    """One statement on the estimator `model`.

    Attributes
    ----------
    kind : str
        What it does, for the oracles.
    code : str
    X, y, sample_weight : str or None
        The names of the data that it is given.
    part : str
        Which rows of X: an index, or "" for all.
    bad, odd : frozenset of str
        The parameters that have a bad value when it is made; and all those that a refusal may name.
    """

    kind: str
    code: str
    X: str | None = None
    y: str | None = None
    sample_weight: str | None = None
    bad: frozenset[str] = frozenset()
    odd: frozenset[str] = frozenset()
    part: str = ""


@dataclass
class Case:
    """A program of a user's.

    Attributes
    ----------
    data : list of str
        Statements; their names stand before the "=".
    model : str
        The statement that makes the estimator.
    calls : list of Call
    """

    seed: int
    number: int
    model: str = ""
    data: list[str] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)

    def source(self) -> str:
        """The whole as a program that can be run."""
        folder = [FOLDER] if any("folder" in call.code for call in self.calls) else []
        return "\n".join(
            [IMPORTS.strip(), "", *folder, *self.data, self.model, *(call.code for call in self.calls)]
        )
