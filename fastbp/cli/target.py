"""The target of a table: whether it is classes or numbers, and its values."""

from typing import NamedTuple

import numpy as np

from fastbp.cli.errors import CommandError, UsageError
from fastbp.cli.results import listed
from fastbp.cli.tables import Table
from fastbp.tables.columns import LEVELS, read_kind
from fastbp.tables.frame import Column, columns_of, parse_number, text_of

CLASSIFY, REGRESS = "classify", "regress"
MOST_CLASSES = 20  # of whole numbers; ratings and digits are classes, ages and years are not
ROWS_PER_CLASS = 5  # at least, on average, for whole numbers to be classes
DISTINCT = 0.5  # share of distinct texts from which they are no classes


class Target(NamedTuple):
    """The target of the rows that have one.

    Attributes
    ----------
    rows : ndarray of int
        The numbers of these rows in the table.
    values : ndarray of shape (len(rows),)
    task : {"classify", "regress"}
    reason : str
        Why it is this task.
    """

    rows: np.ndarray
    values: np.ndarray
    task: str
    reason: str


def target_of(table: Table, name: str, task: str = "auto") -> Target:
    """Return the target in a column of a table.

    Parameters
    ----------
    task : {"auto", "classify", "regress"}

    Raises
    ------
    CommandError
        If nothing can be learned from the column.
    UsageError
        If it holds no numbers, and ``task="regress"``.
    """
    (given,) = columns_of(table.only([name]).frame)
    kind, column = read_kind(given, None)
    if kind == "missing":
        raise CommandError(f"the target {name!r} has no values")
    if kind in ("date", "time", "duration"):
        raise CommandError(f"the target {name!r} holds {kind}s: give a column of numbers or of classes")
    if column.storage in LEVELS:
        return _of_levels(name, column, task)
    values = np.asarray(column.values, dtype=np.float64)
    rows = np.flatnonzero(~np.isnan(values))
    values = values[rows]
    if kind == "constant":
        raise CommandError(f"the target {name!r} has one value only ({text_of(values[0])})")
    return _of_numbers(name, values, rows, column.storage == "boolean", task)


def _of_levels(name: str, column: Column, task: str) -> Target:
    rows = np.flatnonzero(column.values >= 0)
    values = np.array(column.levels, dtype=object)[column.values[rows]]
    classes = sorted(set(values))
    if len(classes) < 2:
        raise CommandError(f"the target {name!r} has one value only ({classes[0]!r})")
    if task == REGRESS:
        texts = [text for text in classes if np.isnan(parse_number(text))]
        raise UsageError(
            f"--task regress: the target {name!r} holds text such as {listed(texts or classes, 3)}"
        )
    if len(classes) > 2 and len(classes) >= DISTINCT * len(rows):
        raise CommandError(
            f"the target {name!r} has {len(classes)} distinct texts in {len(rows)} rows: these are no classes"
        )
    reason = f"{name!r} holds {len(classes)} distinct texts or categories: {listed(classes, 5)}"
    return Target(rows, values, CLASSIFY, reason)


def _of_numbers(name: str, values: np.ndarray, rows: np.ndarray, is_boolean: bool, task: str) -> Target:
    distinct = np.unique(values)
    is_whole = bool(np.all(distinct == np.floor(distinct)))
    if is_boolean:
        is_class, reason = True, f"{name!r} is true or false"
    elif is_whole and len(distinct) <= min(MOST_CLASSES, len(values) / ROWS_PER_CLASS):
        is_class, reason = True, f"{name!r} has {len(distinct)} distinct whole numbers only"
    else:
        what = "whole numbers" if is_whole else "numbers"
        is_class, reason = False, f"{name!r} has {len(distinct)} distinct {what}"
    if task != "auto":
        is_class, reason = task == CLASSIFY, f"--task {task}"
    if not is_class:
        return Target(rows, values, REGRESS, reason)
    if is_boolean:
        values = values > 0
    elif is_whole:
        values = values.astype(np.int64)
    else:  # scikit-learn takes numbers with fractions for measurements
        values = np.array([text_of(value) for value in values.tolist()], dtype=object)
    return Target(rows, values, CLASSIFY, reason)
