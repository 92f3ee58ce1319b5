"""Columns of any table as NumPy arrays, without an import of pandas, polars or pyarrow.

A column of text or of categories is stored as integer codes and a short list of levels, all of them strings:
1, 1.0 and "1" are one level whichever library holds them.
"""

import datetime
import numbers
from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Any, NamedTuple

import numpy as np

COMPLEX = "Complex data not supported"


class Column(NamedTuple):
    """One column of a table.

    `storage` is "number" or "boolean" (floats, NaN for missing; integers and booleans where none is),
    "date" (datetime64 in UTC), "duration" or "time" (seconds), "text" or "category" (integer codes of
    `levels`, -1 for missing).
    """

    name: Any
    storage: str
    values: np.ndarray
    levels: tuple[str, ...] = ()
    ordered: bool = False
    weight: np.ndarray | None = None  # of the rows


def columns_of(X: Any) -> Iterator[Column]:
    """Yield the columns of a data frame, an array or a list of rows."""
    if hasattr(X, "iloc"):
        for i, name in enumerate(X.columns):
            yield _of_pandas(name, X.iloc[:, i])
    elif hasattr(X, "get_columns"):
        for series in X.get_columns():
            yield _of_polars(series.name, series)
    elif _is_arrow(X):
        for name, values in zip(X.column_names, X.columns, strict=True):
            yield _of_arrow(name, values)
    else:
        for i in range(X.shape[1]):
            yield from_array(i, X[:, i])


def as_table(X: Any) -> Any:
    """Return X itself if it is a data frame or an array, else an array; raise ValueError if it is not 2d."""
    if hasattr(X, "iloc") or hasattr(X, "get_columns") or _is_arrow(X):
        if len(getattr(X, "shape", ())) == 2:
            return X
    elif not isinstance(X, np.ndarray):
        X = np.asarray(X) if hasattr(X, "__array__") else _array_of_rows(X)
    if len(X.shape) != 2:
        raise ValueError(
            f"Expected 2D array, got {len(X.shape)}D array instead:\narray={X}.\n"
            "Reshape your data either using array.reshape(-1, 1) if your data has a single feature or "
            "array.reshape(1, -1) if it contains a single sample."
        )
    if X.dtype.kind == "c":
        raise ValueError(f"{COMPLEX}\n{X}\n")
    if X.dtype.kind == "V":
        raise ValueError(f"X must be a table of numbers, dates or text; got an array of dtype {X.dtype}.")
    return X


def _array_of_rows(X: Any) -> np.ndarray:
    """Return a list of rows as an array of objects: NumPy would turn numbers beside a string into strings."""
    try:
        return np.array(X, dtype=object)
    except ValueError as error:  # rows of several lengths
        raise ValueError(f"X must be a table, all rows of one length: {error}") from error


def _is_arrow(X: Any) -> bool:
    return hasattr(X, "column_names") and hasattr(X, "schema")


def from_array(name: Any, values: np.ndarray) -> Column:
    """Return a column of a one-dimensional array of any dtype."""
    kind = values.dtype.kind
    if kind in "fiu":
        return Column(name, "number", values)
    if kind == "b":
        return Column(name, "boolean", values)
    if kind == "M":
        return Column(name, "date", values.astype("datetime64[us]"))
    if kind == "m":
        return Column(name, "duration", _seconds(values))
    if kind == "c":
        raise ValueError(f"{COMPLEX}\n{values}\n")
    return from_objects(name, values.astype(object))


def _seconds(values: np.ndarray) -> np.ndarray:
    return values / np.timedelta64(1, "s")  # NaT becomes NaN


def from_levels(name: Any, codes: np.ndarray, levels: Iterable[Any], ordered: bool) -> Column:
    """Return a column of categories; levels of the same text become one."""
    levels = list(levels)
    table: dict[str, int] = {}
    merged = [-1 if is_missing(level) else table.setdefault(text_of(level), len(table)) for level in levels]
    new_codes = np.array([*merged, -1], dtype=np.intp)[codes]  # code -1 is the last
    return Column(name, "category", new_codes, tuple(table), ordered)


def from_objects(name: Any, values: np.ndarray) -> Column:
    """Return a column of Python objects by their types."""
    present = np.fromiter((not is_missing(v) for v in values), bool, len(values))
    kept = values[present]
    kinds = {_kind_of(kind) for kind in set(map(type, kept))}
    if kinds <= {"number", "boolean"}:
        numbers_ = _numbers(kept)
        if numbers_ is not None:
            return Column(name, "boolean" if kinds == {"boolean"} else "number", _spread(numbers_, present))
    elif kinds == {"date"}:
        dates = np.full(len(values), np.datetime64("NaT"), "datetime64[us]")
        dates[present] = [_in_utc(v) for v in kept]
        return Column(name, "date", dates)
    elif kinds == {"time"}:
        return Column(name, "time", _spread([_time_of_day(v) for v in kept], present))
    elif kinds == {"duration"}:
        seconds = [
            v / np.timedelta64(1, "s") if isinstance(v, np.timedelta64) else v.total_seconds() for v in kept
        ]
        return Column(name, "duration", _spread(seconds, present))
    codes = np.full(len(values), -1, np.intp)
    table: dict[str, int] = {}
    texts = kept if set(map(type, kept)) <= {str} else map(text_of, kept)
    codes[present] = np.fromiter((table.setdefault(v, len(table)) for v in texts), np.intp, len(kept))
    return Column(name, "text", codes, tuple(table))


def _kind_of(kind: type) -> str:
    if issubclass(kind, (bool, np.bool_)):
        return "boolean"
    if issubclass(kind, np.timedelta64 | datetime.timedelta):  # timedelta64 is a np.signedinteger
        return "duration"
    if issubclass(kind, (numbers.Real, Decimal, np.number)) and not issubclass(kind, np.complexfloating):
        return "number"
    if issubclass(kind, (datetime.date, np.datetime64)):
        return "date"
    return "time" if issubclass(kind, datetime.time) else "text"


def _numbers(values: np.ndarray) -> np.ndarray | None:
    try:
        return values.astype(np.float64)
    except OverflowError:  # an integer of more than 308 digits
        return None


def _spread(values: Any, present: np.ndarray) -> np.ndarray:
    """Return the values at the rows where they are present, NaN elsewhere."""
    whole = np.full(len(present), np.nan)
    whole[present] = values
    return whole


def _time_of_day(value: datetime.time) -> float:
    return value.hour * 3600.0 + value.minute * 60 + value.second + value.microsecond / 1e6


def _in_utc(value: Any) -> np.datetime64:
    if isinstance(value, datetime.datetime) and value.tzinfo is not None:
        value = value.astimezone(datetime.UTC).replace(tzinfo=None)
    if isinstance(
        value, datetime.datetime
    ):  # a Timestamp of pandas has nanoseconds, which NumPy would refuse
        value = datetime.datetime(*value.timetuple()[:6], value.microsecond)
    return np.datetime64(value, "us")


def is_missing(value: Any) -> bool:
    """Return whether an object stands for a missing value: None, NaN, NaT or pandas.NA."""
    if value is None:
        return True
    if isinstance(value, str):
        return False
    if type(value).__name__ in ("NAType", "NaTType"):
        return True
    if isinstance(value, (float, np.floating, Decimal, np.datetime64, np.timedelta64)):
        return bool(value != value)
    return False


def text_of(value: Any) -> str:
    """Return the name of a level: the same for 1, 1.0 and "1"."""
    if isinstance(value, str):
        return str(value)
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, (float, np.floating)) and float(value).is_integer():
        return str(int(value))
    return str(value)


def parse_number(text: str) -> float:
    """Return the number that a string spells, NaN if none."""
    try:
        return float(text)
    except ValueError:
        return {"true": 1.0, "false": 0.0}.get(text.strip().lower(), np.nan)


def parse_date(text: str) -> np.datetime64:
    """Return the date that a string spells in ISO format, also with slashes; NaT if none."""
    text = text.strip().upper()
    try:
        return _in_utc(datetime.datetime.fromisoformat(text[:10].replace("/", "-") + text[10:]))
    except (ValueError, OverflowError):
        return np.datetime64("NaT", "us")


def _of_pandas(name: Any, series: Any) -> Column:
    dtype = series.dtype
    if hasattr(dtype, "categories"):
        return from_levels(name, series.cat.codes.to_numpy(), dtype.categories, bool(dtype.ordered))
    if isinstance(dtype, np.dtype):
        return from_array(name, series.to_numpy())
    if hasattr(dtype, "pyarrow_dtype"):
        return _of_arrow(name, series.array.__arrow_array__())
    if hasattr(dtype, "fill_value"):  # sparse
        return from_array(name, np.asarray(series))
    kind = getattr(dtype, "kind", "O")
    if kind in "iufb":
        values = series.to_numpy(dtype=np.float64, na_value=np.nan)
        return Column(name, "boolean" if kind == "b" else "number", values)
    if kind == "M":  # with a time zone
        return from_array(name, series.to_numpy(dtype="datetime64[us]"))
    if str(dtype).startswith("period"):
        return from_array(name, series.dt.to_timestamp().to_numpy())
    return from_objects(name, series.to_numpy(dtype=object))


def _of_polars(name: str, series: Any) -> Column:
    kind = str(series.dtype).split("(")[0]
    if kind == "Enum":
        codes = series.to_physical().cast(int).fill_null(-1).to_numpy()
        return from_levels(name, codes, series.dtype.categories.to_list(), ordered=True)
    if kind == "Categorical":
        column = from_objects(name, _objects(series.to_list()))
        return column._replace(storage="category") if column.levels else column
    if kind == "Boolean":
        values = series.cast(float) if series.null_count() else series
        return Column(name, "boolean", values.to_numpy())
    if kind in ("Date", "Datetime", "Duration") or (series.dtype.is_numeric() and kind != "Decimal"):
        return from_array(name, series.to_numpy())
    return from_objects(name, _objects(series.to_list()))


def _of_arrow(name: str, values: Any) -> Column:
    kind = str(values.type)
    if kind.startswith("dictionary"):
        whole = values.unify_dictionaries().combine_chunks() if hasattr(values, "num_chunks") else values
        codes = whole.indices.cast("int64").fill_null(-1).to_numpy(zero_copy_only=False)
        return from_levels(name, codes, whole.dictionary.to_pylist(), bool(values.type.ordered))
    if kind.startswith(("int", "uint", "float", "double", "halffloat")):
        return from_array(name, values.to_numpy(zero_copy_only=False))
    if kind.startswith(("timestamp", "date")):
        return from_array(name, values.to_numpy(zero_copy_only=False).astype("datetime64[us]"))
    if kind.startswith("duration"):
        return from_array(name, values.to_numpy(zero_copy_only=False).astype("timedelta64[us]"))
    return from_objects(name, _objects(values.to_pylist()))


def _objects(values: list) -> np.ndarray:
    """Return a one-dimensional array of objects, also where they are lists."""
    return np.fromiter(values, dtype=object, count=len(values))
