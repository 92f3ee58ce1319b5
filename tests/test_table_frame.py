"""Columns of tables of every library, as NumPy arrays."""

import ast
import datetime
import decimal
from pathlib import Path

import numpy as np
import pytest

import fastbp.tables
from fastbp.tables.frame import as_table, columns_of, from_array, from_objects, is_missing, text_of

DAY = datetime.date(2021, 3, 4)
MOMENT = datetime.datetime(2021, 3, 4, 5, 6, 7)


def objects(*values):
    return np.fromiter(values, dtype=object, count=len(values))


def column(*values):
    return from_objects("a", objects(*values))


def texts(column):
    return [column.levels[code] if code >= 0 else None for code in column.values]


ROWS = {
    "integer": [1, 2, None],
    "float": [1.5, None, 2.0],
    "boolean": [True, None, False],
    "string": ["a", None, "b"],
    "bytes": [b"a", None, b"b"],
    "date": [DAY, None, datetime.date(2022, 1, 1)],
    "datetime": [MOMENT, None, datetime.datetime(1960, 1, 1)],
    "time": [datetime.time(1), None, datetime.time(2, 0, 1)],
    "duration": [datetime.timedelta(1), None, datetime.timedelta(seconds=2)],
    "decimal": [decimal.Decimal("1.5"), None, decimal.Decimal(2)],
    "none": [None, None, None],
}
WANTED = {
    "integer": ("number", [1, 2, np.nan]),
    "float": ("number", [1.5, np.nan, 2]),
    "boolean": ("boolean", [1, np.nan, 0]),
    "string": ("text", ["a", None, "b"]),
    "bytes": ("text", ["a", None, "b"]),
    "date": ("date", ["2021-03-04", "NaT", "2022-01-01"]),
    "datetime": ("date", ["2021-03-04T05:06:07", "NaT", "1960-01-01"]),
    "time": ("time", [3600, np.nan, 7201]),
    "duration": ("duration", [86400, np.nan, 2]),
    "decimal": ("number", [1.5, np.nan, 2]),
    "none": ("number", [np.nan] * 3),
}


def check_all(columns):
    for column in columns:
        storage, values = WANTED[column.name]
        assert column.storage == storage, column
        if storage == "text":
            assert texts(column) == values
        elif storage == "date":
            np.testing.assert_array_equal(column.values, np.array(values, "datetime64[us]"))
        else:
            np.testing.assert_array_equal(column.values.astype(float), values)


def test_lists_of_rows():
    rows = as_table([list(row) for row in zip(*ROWS.values(), strict=True)])
    check_all(c._replace(name=name) for c, name in zip(columns_of(rows), ROWS, strict=True))


def test_pandas():
    pd = pytest.importorskip("pandas")
    check_all(columns_of(pd.DataFrame(ROWS)))
    check_all(columns_of(pd.DataFrame(ROWS).astype(object)))
    check_all(columns_of(pd.DataFrame(ROWS)[["integer", "float", "boolean", "string"]].convert_dtypes()))


def test_polars():
    pl = pytest.importorskip("polars")
    check_all(columns_of(pl.DataFrame(ROWS)))


def test_pyarrow():
    pa = pytest.importorskip("pyarrow")
    table = pa.table(ROWS)
    check_all(columns_of(table))
    check_all(columns_of(pa.concat_tables([table.slice(0, 1), table.slice(1)])))
    check_all(columns_of(table.to_batches()[0]))


def test_pandas_dtypes_of_arrow():
    pd = pytest.importorskip("pandas")
    pa = pytest.importorskip("pyarrow")
    check_all(columns_of(pa.table(ROWS).to_pandas(types_mapper=pd.ArrowDtype)))


def test_pandas_categories():
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(
        {
            "plain": pd.Categorical(["a", None, "b"], ["b", "unused", "a"]),
            "ordered": pd.Categorical(["lo", "hi", None], ["lo", "mid", "hi"], ordered=True),
            "numbers": pd.Categorical([1.0, 2.0, np.nan]),
        }
    )
    plain, ordered, numbers = columns_of(frame)
    assert {c.storage for c in (plain, ordered, numbers)} == {"category"}
    assert texts(plain) == ["a", None, "b"] and not plain.ordered
    assert ordered.levels == ("lo", "mid", "hi") and ordered.ordered
    assert texts(numbers) == ["1", "2", None]


def test_polars_categories():
    pl = pytest.importorskip("polars")
    frame = pl.DataFrame(
        [
            pl.Series("plain", ["a", None, "b"], dtype=pl.Categorical),
            pl.Series("ordered", ["hi", "lo", None], dtype=pl.Enum(["lo", "mid", "hi"])),
            pl.Series("none", [None, None, None], dtype=pl.Categorical),
        ]
    )
    plain, ordered, none = columns_of(frame)
    assert plain.storage == "category" and texts(plain) == ["a", None, "b"] and not plain.ordered
    assert ordered.levels == ("lo", "mid", "hi") and ordered.ordered and texts(ordered) == ["hi", "lo", None]
    assert np.isnan(none.values).all()


def test_pyarrow_dictionaries():
    pa = pytest.importorskip("pyarrow")
    chunks = [pa.array(part).dictionary_encode() for part in (["a", None], ["b", "a"])]
    (column,) = columns_of(pa.table({"c": pa.chunked_array(chunks)}))
    assert column.storage == "category" and texts(column) == ["a", None, "b", "a"]


@pytest.mark.parametrize("library", ("pandas", "polars", "pyarrow"))
def test_time_zones_are_utc(library):
    module = pytest.importorskip(library)
    zone = datetime.timezone(datetime.timedelta(hours=2))
    moments = [MOMENT.replace(tzinfo=zone), MOMENT.replace(tzinfo=zone)]
    make = module.table if library == "pyarrow" else module.DataFrame
    (column,) = columns_of(make({"t": moments}))
    np.testing.assert_array_equal(column.values, np.array(["2021-03-04T03:06:07"] * 2, "datetime64[us]"))


def test_pandas_periods_and_sparse_columns():
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame({"p": pd.period_range("2000-01", periods=2, freq="M"), "s": [0.0, 1.0]})
    frame["s"] = frame["s"].astype(pd.SparseDtype(float, 0.0))
    period, sparse = columns_of(frame)
    np.testing.assert_array_equal(period.values, np.array(["2000-01-01", "2000-02-01"], "datetime64[us]"))
    np.testing.assert_array_equal(sparse.values, [0, 1])


@pytest.mark.parametrize("dtype", (np.float16, np.float32, np.float64, np.int8, np.uint64))
def test_arrays_of_numbers_are_not_copied(dtype):
    X = np.ones((3, 2), dtype)
    for i, column in enumerate(columns_of(as_table(X))):
        assert (column.name, column.storage) == (i, "number") and np.shares_memory(column.values, X)


def test_arrays_of_other_dtypes():
    assert from_array(0, np.array([True, False])).storage == "boolean"
    assert from_array(0, np.array(["2020-01-01", "NaT"], "datetime64[ns]")).storage == "date"
    seconds = from_array(0, np.array([90, "NaT"], "timedelta64[m]"))
    np.testing.assert_array_equal(seconds.values, [5400, np.nan])
    assert texts(from_array(0, np.array(["a", "b"]))) == ["a", "b"]
    assert texts(from_array(0, np.array([b"a", b"b"]))) == ["a", "b"]


def test_objects_of_several_types_are_texts():
    assert texts(column(1, "a", 2.0, b"q", (1, 2), None, True)) == [
        "1",
        "a",
        "2",
        "q",
        "(1, 2)",
        None,
        "True",
    ]
    assert texts(column({"a": 1}, [1])) == ["{'a': 1}", "[1]"]  # not hashable
    assert column(True, 2).storage == "number"
    assert column(10**400, 1).storage == "text"
    assert column(np.float32(1), 2, decimal.Decimal(3)).storage == "number"
    assert column(MOMENT, DAY, np.datetime64("2020")).storage == "date"


def test_all_sorts_of_missing_values():
    pd = pytest.importorskip("pandas")
    missing = [
        None,
        np.nan,
        float("nan"),
        np.float32("nan"),
        pd.NA,
        pd.NaT,
        np.datetime64("NaT"),
        decimal.Decimal("nan"),
    ]
    assert all(map(is_missing, missing))
    assert texts(column("a", *missing)) == ["a"] + [None] * len(missing)
    np.testing.assert_array_equal(column(1, *missing).values, [1] + [np.nan] * len(missing))


def test_text_of_a_level_does_not_depend_on_its_type():
    assert text_of(1) == text_of(1.0) == text_of(np.float32(1)) == text_of("1") == text_of(b"1") == "1"
    assert text_of(1.5) == "1.5"


@pytest.mark.parametrize("X", ([1, 2], np.ones(3), np.ones((2, 2, 2)), 3.0, {"a": [1]}, [[1, 2], [1]]))
def test_what_is_not_a_table(X):
    with pytest.raises(ValueError, match=r"Expected 2D array|all rows of one length"):
        as_table(X)


def test_series_are_not_tables():
    pd = pytest.importorskip("pandas")
    with pytest.raises(ValueError, match="Expected 2D array, got 1D array instead"):
        as_table(pd.Series([1, 2]))


def test_refused_dtypes():
    with pytest.raises(ValueError, match="Complex data not supported"):
        as_table(np.ones((2, 2), complex))
    with pytest.raises(ValueError, match="numbers, dates or text"):
        as_table(np.zeros((2, 2), [("a", float)]))


@pytest.mark.parametrize(
    "path", sorted(Path(fastbp.tables.__file__).parent.glob("*.py")), ids=lambda path: path.stem
)
def test_no_data_frame_library_is_imported(path):
    """They are no dependencies; scikit-learn itself imports those that are installed."""
    imports = [
        node
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Import | ast.ImportFrom)
    ]
    modules = {getattr(node, "module", None) or node.names[0].name for node in imports}
    assert not {name.split(".")[0] for name in modules} & {"pandas", "polars", "pyarrow", "narwhals"}
