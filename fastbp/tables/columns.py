"""The kind of each column of a table, by its dtype and its values."""

import hashlib
from typing import Any, NamedTuple

import numpy as np

from fastbp.tables.frame import Column, parse_date, parse_number, text_of

FEW_LEVELS = 50  # more are high cardinality
DISTINCT = 0.9  # share of distinct texts from which a column is an identifier or free text
INTEGER_LEVELS = 0  # integers of at most so many levels are one-hot as well; 0: none are
ROWS_PER_LEVEL = 20  # at least, on average, of such a column
LEVELS = ("text", "category")  # storages that are codes of levels
SPELLED_MISSING = {
    "",
    "?",
    "na",
    "n/a",
    "nan",
    "nat",
    "none",
    "null",
}  # among texts that are numbers or dates


class ColumnSummary(NamedTuple):
    """How a column of a table is used."""

    name: Any
    kind: str
    treatment: str
    n_outputs: int


def numbers_of(column: Column) -> np.ndarray:
    """Return the column as float64, a copy, NaN for what is missing, infinite or not a number."""
    if column.storage in LEVELS:
        levels = np.array([*map(parse_number, column.levels), np.nan])
        levels[np.isinf(levels)] = np.nan
        return levels[column.values]
    if column.storage == "date":
        days = (column.values - np.datetime64(0, "us")) / np.timedelta64(1, "D")
        return np.where(np.isnat(column.values), np.nan, days)
    with np.errstate(over="ignore"):
        values = np.array(column.values, dtype=np.float64)
    values[np.isinf(values)] = np.nan
    return values


def dates_of(column: Column) -> np.ndarray:
    """Return the column as datetime64, NaT for what is missing or not a date."""
    if column.storage == "date":
        return column.values
    dates = np.array([*map(parse_date, column.levels), np.datetime64("NaT")], dtype="datetime64[us]")
    if column.storage in LEVELS:
        return dates[column.values]
    return np.full(len(column.values), np.datetime64("NaT"), "datetime64[us]")


def levels_of(column: Column) -> Column:
    """Return the column as codes of levels."""
    if column.storage in LEVELS:
        return column
    values = column.values
    present = ~(np.isnat(values) if values.dtype.kind == "M" else np.isnan(values))
    distinct, inverse = np.unique(values[present], return_inverse=True)
    codes = np.full(len(values), -1, np.intp)
    codes[present] = inverse
    if column.storage == "boolean":
        distinct = distinct.astype(bool)
    return column._replace(storage="text", values=codes, levels=tuple(text_of(v) for v in distinct.tolist()))


def used_levels(column: Column) -> Column:
    """Return the column with the levels that occur only, their order kept."""
    used = np.flatnonzero(np.bincount(column.values + 1, minlength=len(column.levels) + 1)[1:])
    codes = np.full(len(column.levels) + 1, -1, np.intp)
    codes[used] = np.arange(len(used))
    return column._replace(values=codes[column.values], levels=tuple(column.levels[i] for i in used))


def read_kind(column: Column, categorical: bool | None) -> tuple[str, Column]:
    """Return the kind of a column and the column as that kind.

    Parameters
    ----------
    column : Column
    categorical : bool or None
        Whether the user says so; None leaves it to the dtype.

    Returns
    -------
    kind : str
        "numeric", "integer", "boolean", "date", "time", "duration", "categorical", "ordered", "string",
        "high cardinality", "identifier", "constant" or "missing".
    column : Column
        With text parsed where all of it is numbers or dates, and no unused levels.
    """
    if categorical or (column.storage == "category" and categorical is None):
        return _level_kind(used_levels(levels_of(column)), "ordered" if column.ordered else "categorical")
    if column.storage in LEVELS:
        parsed = _parsed(used_levels(column))
        if parsed.levels:
            return _level_kind(parsed, "ordered" if column.ordered else "string")
        column = parsed
    if column.storage == "date":
        dates = column.values[~np.isnat(column.values)]
        return _constant_or("date", dates), column
    values = numbers_of(column)
    finite = values[~np.isnan(values)]
    kind = _constant_or(column.storage, finite)
    if kind == "number":
        kind = "integer" if _few_integers(finite) else "numeric"
    return kind, column._replace(values=values)


def _constant_or(kind: str, values: np.ndarray) -> str:
    if not len(values):
        return "missing"
    return "constant" if values.min() == values.max() else kind


def _few_integers(values: np.ndarray) -> bool:
    if not INTEGER_LEVELS or values.max() - values.min() > 1000 * INTEGER_LEVELS:
        return False
    if np.any(values != np.floor(values)):
        return False
    return len(np.unique(values)) <= min(INTEGER_LEVELS, len(values) / ROWS_PER_LEVEL)


def _parsed(column: Column) -> Column:
    """Return a column of text as numbers or dates if all of its levels are, else itself."""
    if not column.levels:
        return column
    texts = column._replace(storage="text")
    spelled = {level.strip().lower() for level in column.levels} - SPELLED_MISSING
    if not spelled:
        return column
    if not any(np.isnan(parse_number(level)) for level in spelled):
        numbers = numbers_of(texts)
        storage = "boolean" if spelled <= {"true", "false"} else "number"
        return Column(column.name, storage, numbers)
    if not any(np.isnat(parse_date(level)) for level in spelled):
        return Column(column.name, "date", dates_of(texts))
    return column


def _level_kind(column: Column, kind: str) -> tuple[str, Column]:
    n_levels, n_present = len(column.levels), int(np.count_nonzero(column.values >= 0))
    if n_levels <= 1:
        return "constant" if n_levels else "missing", column
    if kind == "ordered":
        return kind, column
    if n_levels > 2 and n_levels >= DISTINCT * n_present:
        return "identifier", column
    return "high cardinality" if n_levels > FEW_LEVELS else kind, column


def missing_of(column: Column, storage: str) -> np.ndarray:
    """Return which values are missing once the column is read as of another storage."""
    if storage in LEVELS:
        return levels_of(column).values < 0
    return np.isnat(dates_of(column)) if storage == "date" else np.isnan(numbers_of(column))


def has_missing(column: Column) -> bool:
    """Return whether any value of the column is missing."""
    return bool(missing_of(column, column.storage).any())


def fingerprint(column: Column) -> bytes:
    """Return a digest that two columns share if they hold the same information.

    Levels count by the rows in which they stand, not by their names, unless they are in an order.
    """
    values = column.values
    digest = hashlib.blake2b(digest_size=16)
    if column.storage in LEVELS:
        first = np.full(len(column.levels) + 1, len(values), np.intp)
        np.minimum.at(first, values, np.arange(len(values)))  # the row where each level is first
        first[-1] = -1
        digest.update(b"ordered" if column.ordered else b"levels")
        values = values if column.ordered else first[values]
    elif column.storage == "date":
        digest.update(b"date")
    else:
        values = values + 0.0  # no negative zeros
        values[np.isnan(values)] = np.nan
    digest.update(np.ascontiguousarray(values).view(np.uint8).data)
    return digest.digest()
