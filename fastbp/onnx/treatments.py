"""The columns of a table as a table model encodes them, as ONNX nodes.

Strings have no missing value in ONNX: the texts of `MISSING` stand for it, unless they are levels. Dates are
int64, microseconds since 1970 in UTC.
"""

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np

from fastbp.onnx.formulas import cos, sin
from fastbp.onnx.graph import BOOL, INT64, ML, STRING, Graph, Tensor
from fastbp.tables.encoder import TableEncoder
from fastbp.tables.frame import Column, parse_number, text_of
from fastbp.tables.treatments import (
    CYCLES,
    MOST_SCALED,
    Dates,
    Integer,
    Missing,
    Number,
    OneHot,
    TwoLevels,
    TwoNumbers,
)

MISSING = ("nan", "None", "NaN", "<NA>", "NaT")  # the first two are NaN and None as ONNX Runtime reads them
NO_DATE = np.iinfo(np.int64).min  # NumPy's NaT
TRUE, FALSE = ("True", "true", "TRUE"), ("False", "false", "FALSE")
MICROSECONDS_A_DAY = 86_400_000_000


class InputColumn(NamedTuple):
    """A column of the inputs of an ONNX model.

    Attributes
    ----------
    name
        Of the column in the table.
    source : Tensor
        The input that it belongs to.
    place : int or None
        Its number there; None: it is the whole input.
    """

    name: Any
    source: Tensor
    place: int | None = None

    @property
    def tensor(self) -> Tensor:
        """The column, of shape (n_rows, 1)."""
        return self.source if self.place is None else self.source.columns([self.place])


class Parts:
    """Columns of float32 with their places in the encoded table."""

    def __init__(self) -> None:
        self._tensors: list[Tensor] = []
        self._places: list[int] = []

    def add(self, tensor: Tensor, places: Sequence[int]) -> None:
        if len(places):
            self._tensors.append(tensor.cast(np.float32))
            self._places.extend(places)

    def joined(self) -> Tensor | None:
        """All of them in order; None if there is none."""
        if not self._tensors:
            return None
        whole = self._tensors[0].graph.concat(self._tensors)
        order = np.argsort(self._places)
        return whole if np.array_equal(order, np.arange(len(order))) else whole.columns(order)


def input_columns(graph: Graph, variables: Sequence[Any], encoder: TableEncoder) -> list[InputColumn]:
    """The columns of all inputs, in the order of the table that the encoder was fitted on."""
    names = [summary.name for summary in encoder.columns_]
    found: list[tuple[Tensor, int | None]] = []
    for variable in variables:
        tensor = graph.input(variable)
        width = variable.type.shape[1] if len(variable.type.shape) > 1 else 1
        width = len(names) if width is None and len(variables) == 1 else width or 1
        found += [(tensor, None)] if width == 1 else [(tensor, i) for i in range(width)]
    if len(found) != len(names):
        raise ValueError(
            f"The ONNX model has {len(found)} columns as inputs, but the table model was fitted on "
            f"{len(names)}."
        )
    return [InputColumn(name, *place) for name, place in zip(names, found, strict=True)]


def encoded_columns(columns: list[InputColumn], encoder: TableEncoder) -> tuple[Tensor | None, Tensor | None]:
    """The numeric and the binary columns of an encoded table; None where there are none."""
    numeric, binary = Parts(), Parts()
    numbers: list[tuple[InputColumn, Any, range, range]] = []
    pairs: list[tuple[InputColumn, Any, range, range]] = []
    slices = encoder.output_slices()
    for column, treatment, (of_numeric, of_binary) in zip(columns, encoder.treatments_, slices, strict=True):
        p, q = range(of_numeric.start, of_numeric.stop), range(of_binary.start, of_binary.stop)
        if not len(p) and not len(q):
            continue
        if isinstance(treatment, Integer):
            numbers.append((column, treatment, p, range(0)))
            as_number = InputColumn(column.name, number_of(column.tensor))
            binary.add(_levels(as_number, treatment.one_hot, 0), q)
        elif isinstance(treatment, Number):
            numbers.append((column, treatment, p, q))
        elif isinstance(treatment, TwoNumbers):
            pairs.append((column, treatment, p, q))
        elif isinstance(treatment, Missing):
            binary.add(_is_missing(column), q)
        elif isinstance(treatment, Dates):
            _dates(column, treatment, numeric, binary, p, q)
        elif isinstance(treatment, OneHot | TwoLevels):
            both = _levels(column, treatment, len(p))
            numeric.add(both.columns(range(len(p))) if len(q) else both, p)
            binary.add(both.columns(range(len(p), len(p) + len(q))) if len(p) else both, q)
        else:
            raise NotImplementedError(
                f"Column {column.name!r} cannot be exported to ONNX: {type(treatment).__name__} has no "
                "expression there."
            )
    if numbers:
        _numbers(numbers, numeric, binary)
    if pairs:
        _two_numbers(pairs, binary)
    return numeric.joined(), binary.joined()


# --- Numbers


def number_of(x: Tensor) -> Tensor:
    """Columns as float64, NaN for what is missing or infinite."""
    if x.dtype == STRING:
        x = _spelled_number(x)
    x = x.cast(np.float64)
    return x.graph.where(x.graph.node("IsInf", x, dtype=BOOL), np.nan, x)


def _spelled_number(x: Tensor) -> Tensor:
    where = x.graph.where
    for texts, text in (((*MISSING, ""), "nan"), (TRUE, "1"), (FALSE, "0")):
        x = where(_is_one_of(x, texts), text, x)
    return x.cast(np.float64)


def _is_one_of(x: Tensor, texts: Sequence[str]) -> Tensor:
    found = x == texts[0]
    for text in texts[1:]:
        found = found | (x == text)
    return found


def _joined(columns: list[tuple[InputColumn, Any, range, range]]) -> Tensor:
    """Columns as `number_of` makes them, neighbours at once, so that wide tables are few nodes."""
    groups = []
    for _, group in groupby((column for column, *_ in columns), key=_of_one_kind):
        found = list(group)
        places = [column.place for column in found if column.place is not None]
        graph = found[0].source.graph
        joined = found[0].source.columns(places) if places else graph.concat([one.source for one in found])
        groups.append(number_of(joined))
    return groups[0].graph.concat(groups)


def _of_one_kind(column: InputColumn) -> tuple:
    return column.source.dtype, None if column.place is None else column.source.name


def _numbers(columns: list[tuple[InputColumn, Any, range, range]], numeric: Parts, binary: Parts) -> None:
    """Scaled numbers, all columns at once, and the indicators of those that have one."""
    values = _joined(columns)
    scales = [treatment.scale for _, treatment, _, _ in columns]
    scaled = _scaled(values, [one.center for one in scales], [one.scale for one in scales])
    numeric.add(scaled, [place for _, _, p, _ in columns for place in p])
    with_indicator = [i for i, (_, _, _, q) in enumerate(columns) if len(q)]
    if with_indicator:
        absent = values.columns(with_indicator).is_nan()
        binary.add(absent, [place for _, _, _, q in columns for place in q])


def _scaled(values: Tensor, center: Any, scale: Any) -> Tensor:
    scaled = ((values - center) / scale).clip(-MOST_SCALED, MOST_SCALED)
    return values.graph.where(values.is_nan(), 0.0, scaled)


def _two_numbers(columns: list[tuple[InputColumn, Any, range, range]], binary: Parts) -> None:
    values = _joined(columns)
    graph, absent = values.graph, values.is_nan()
    treatments = [treatment for _, treatment, _, _ in columns]
    is_larger = (values > values.constant([one.middle for one in treatments])).cast(np.float32)
    fallback = graph.constant([one.fallback for one in treatments], np.float32)
    binary.add(graph.where(absent, fallback, is_larger), [q[0] for _, _, _, q in columns])
    with_indicator = [i for i, (_, _, _, q) in enumerate(columns) if len(q) > 1]
    if with_indicator:
        binary.add(absent.columns(with_indicator), [q[1] for _, _, _, q in columns if len(q) > 1])


def _is_missing(column: InputColumn) -> Tensor:
    if column.tensor.dtype == STRING:
        return _is_one_of(column.tensor, MISSING)
    return number_of(column.tensor).is_nan()


# --- Levels: what a level becomes is looked up in a table that the treatment itself has filled


def _levels(column: InputColumn, treatment: Any, n_numeric: int) -> Tensor:
    """The numeric, then the binary columns of a treatment of levels."""
    levels = _known_levels(treatment)
    if column.tensor.dtype == STRING:
        return _levels_of_texts(column, treatment, levels, n_numeric)
    x = column.tensor
    if x.dtype == BOOL:
        storage, known = "boolean", [0.0, 1.0]
    else:
        storage = "number"
        numbers = {parse_number(level): level for level in levels}
        known = [value for value, level in numbers.items() if text_of(value) == level and value == value]
    table = _table(
        treatment, Column(column.name, storage, np.array([*known, _other(known), np.nan])), n_numeric
    )
    value = x.cast(np.float64)
    absent = value.is_nan().cast(np.float32)
    masks = [(value == value.constant(known)).cast(np.float32)] if known else []
    found = x.graph.concat([*masks, absent])
    unknown = 1.0 - found.reduce("ReduceSum")
    return x.graph.concat([*masks, unknown, absent]).matmul(table)


def _levels_of_texts(column: InputColumn, treatment: Any, levels: list[str], n_numeric: int) -> Tensor:
    unknown = "unknown"
    while unknown in levels:
        unknown += " "
    codes = np.array([*range(len(levels) + 1), -1])
    table = _table(treatment, Column(column.name, "text", codes, (*levels, unknown)), n_numeric)
    missing = [text for text in MISSING if text not in levels]
    number = column.tensor.graph.node(
        "LabelEncoder",
        column.tensor,
        dtype=INT64,
        domain=ML,
        keys_strings=[*levels, *missing],
        values_int64s=[*range(len(levels)), *[len(levels) + 1] * len(missing)],
        default_int64=len(levels),
    )
    return number.graph.constant(table, np.float32).rows(number.reshape(0))


def _table(treatment: Any, column: Column, n_numeric: int) -> np.ndarray:
    """The outputs for known levels, then for an unknown one, then for a missing one."""
    n_rows = len(column.values)
    numeric = np.zeros((n_rows, n_numeric), np.float32)
    binary = np.zeros((n_rows, len(treatment.binary_names)), np.float32)
    treatment.fill(column, numeric, binary)
    return np.hstack([numeric, binary])


def _known_levels(treatment: Any) -> list[str]:
    if isinstance(treatment, TwoLevels):
        return list(treatment.levels)
    categories = [treatment.one_hot.categories_[0], *(e.categories_[0] for e in treatment.encoders)]
    found = [level for one in categories for level in one if isinstance(level, str)]
    return list(dict.fromkeys([*found, *treatment.order]))


def _other(known: list[float]) -> float:
    """A number that is none of these."""
    return float(max([abs(value) for value in known if np.isfinite(value)], default=0.0) + 0.5)


# --- Dates


def _dates(column: InputColumn, treatment: Dates, numeric: Parts, binary: Parts, p: range, q: range) -> None:
    given = column.tensor
    if given.dtype != INT64:
        raise ValueError(
            f"Column {column.name!r} holds dates, which ONNX has not: its input must be int64, microseconds "
            "since 1970 in UTC. Export with fastbp.onnx.to_onnx(model, X), which declares it so, and make "
            "the inputs of the session by fastbp.onnx.inputs_of(onnx_model, X)."
        )
    graph = given.graph
    absent = given == NO_DATE
    time = graph.where(absent, 0, given)
    days = time.cast(np.float64) / float(MICROSECONDS_A_DAY)
    days = graph.where(absent, np.nan, days)
    outputs = [_scaled(days, treatment.scale.center, treatment.scale.scale).cast(np.float32)]
    parts = _parts(time)
    for part in treatment.cycles:
        for wave in _waves(parts[part], CYCLES[part]):
            outputs.append(graph.where(absent, 0.0, wave).cast(np.float32))
    numeric.add(graph.concat(outputs), p)
    binary.add(absent, q)


def _waves(part: Tensor, cycle: int) -> Iterator[Tensor]:
    """Sine and cosine of a part of a date.

    Those of whole numbers are NumPy's, from a table: members may have learnt its sin(pi) of 1e-16.
    """
    factor = 2 * np.pi / cycle
    whole = part.cast(INT64)
    rest = None if part.dtype == INT64 else part - whole.cast(np.float64)
    for function, of_tensor in ((np.sin, sin), (np.cos, cos)):
        table = part.graph.constant(function(np.arange(cycle) * factor), np.float64)
        known = table.rows(whole)
        if rest is None:
            yield known
        else:
            yield part.graph.where(rest == 0.0, known, of_tensor(part * factor))


def _parts(time: Tensor) -> dict[str, Tensor]:
    """The cyclic parts of dates, from 0, by the proleptic Gregorian calendar.

    Years begin in March, so that a leap day is a year's last, and 400 of them are an era of 146,097 days.
    """
    since_midnight = _modulo(time, MICROSECONDS_A_DAY)
    days = (time - since_midnight) / MICROSECONDS_A_DAY
    day_of_era = _modulo(days + 719_468, 146_097)
    leap_days = day_of_era / 1_460 - day_of_era / 36_524 + day_of_era / 146_096
    year = (day_of_era - leap_days) / 365
    day_of_year = day_of_era - (year * 365 + year / 4 - year / 100)
    month = (day_of_year * 5 + 2) / 153  # 0 is March
    return {
        "month": _modulo(month + 2, 12),
        "day of month": day_of_year - (month * 153 + 2) / 5,
        "day of week": _modulo(days + 3, 7),
        "hour": since_midnight.cast(np.float64) / 3.6e9,
    }


def _modulo(x: Tensor, n: int) -> Tensor:
    return x.graph.node("Mod", x, x.constant(n))
