"""The kind of a column, by its dtype and its values."""

import numpy as np
import pytest

from fastbp.tables import columns
from fastbp.tables.columns import (
    dates_of,
    fingerprint,
    has_missing,
    levels_of,
    numbers_of,
    read_kind,
    used_levels,
)
from fastbp.tables.frame import Column, from_array, from_levels, from_objects

N = 60


def text(*values):
    return from_objects("a", np.fromiter(values, dtype=object, count=len(values)))


def number(*values):
    return from_array("a", np.array(values))


def kind_of(column, categorical=None):
    return read_kind(column, categorical)[0]


@pytest.mark.parametrize(
    ("column", "kind"),
    (
        (number(0.5, 1.5, 2.5), "numeric"),
        (number(0.5, 0.5, 2.5, 0.5), "numeric"),  # few distinct values of a float
        (number(0.5, np.nan, np.inf), "constant"),
        (number(np.nan, np.inf), "missing"),
        (number(3, 3, 3), "constant"),
        (number(True, False), "boolean"),
        (number(True, True), "constant"),
        (text("a", "b", "a"), "string"),
        (text("a", "a", None), "constant"),
        (text(None, None), "missing"),
        (text(*(f"r{i}" for i in range(N))), "identifier"),
        (text(*(f"r{i % 55}" for i in range(N * 5))), "high cardinality"),
        (text("1", "2.5", "-3e4", None), "numeric"),
        (text("1", "2", "nan", "NA", ""), "numeric"),
        (text("1", "2", "x", "x"), "string"),
        (text("nan", "na", "na", "nan"), "string"),
        (text("True", "false"), "boolean"),
        (text("2021-03-04", "2021/03/05", None), "date"),
        (text("2021-03-04T05:06:07Z", "2021-03-04T05:06:07+02:00"), "date"),
        (text("2021-03-04", "soon", "soon"), "string"),
        (number(*np.array(["2020-01-01", "2020-01-02"], "datetime64[D]")), "date"),
        (number(*np.array(["2020-01-01", "NaT"], "datetime64[D]")), "constant"),
        (number(*np.array([1, 2], "timedelta64[h]")), "duration"),
    ),
)
def test_kinds(column, kind):
    assert kind_of(column) == kind


def test_categorical_from_dtype_and_declared():
    codes = np.arange(N) % 3
    category = from_levels("a", codes, [1, 2, 3], ordered=False)
    assert kind_of(category) == kind_of(category, True) == "categorical"
    assert kind_of(category, False) == "numeric"  # the levels are numbers
    assert kind_of(from_levels("a", codes, "xyz", ordered=False), False) == "string"
    assert kind_of(from_levels("a", codes, "xyz", ordered=True)) == "ordered"
    assert kind_of(number(*codes), True) == "categorical"
    assert kind_of(number(*codes), False) == "numeric"


def test_ordered_levels_may_all_be_distinct():
    assert kind_of(from_levels("a", np.arange(N), range(N), ordered=True)) == "ordered"


def test_integers_of_few_levels_where_wanted(monkeypatch):
    few, many = number(*np.arange(200) % 5), number(*range(200))
    assert kind_of(few) == kind_of(many) == "numeric"
    monkeypatch.setattr(columns, "INTEGER_LEVELS", 10)
    assert kind_of(few) == "integer"
    assert kind_of(many) == kind_of(number(*few.values * 0.5)) == "numeric"
    assert kind_of(number(*few.values[:20])) == "numeric"  # too few rows of each level


def test_columns_are_read_as_another_kind():
    """Of a table at prediction, whatever it holds."""
    spelled = text("1", "x", "true", None, "1e999", "inf")
    np.testing.assert_array_equal(numbers_of(spelled), [1, np.nan, 1, np.nan, np.nan, np.nan])
    np.testing.assert_array_equal(numbers_of(number(1.0, -np.inf)), [1, np.nan])
    days = number(*np.array(["1970-01-02", "NaT"], "datetime64[D]"))
    np.testing.assert_array_equal(numbers_of(days), [1, np.nan])
    assert np.isnat(dates_of(number(1, 2))).all()
    np.testing.assert_array_equal(np.isnat(dates_of(text("2020-01-01", "x", None))), [False, True, True])
    assert levels_of(number(2.0, np.nan, 1.0)).levels == ("1", "2")
    assert levels_of(number(True, False)).levels == ("False", "True")
    assert levels_of(days).levels == ("1970-01-02 00:00:00",)
    assert levels_of(spelled) is spelled


def test_unused_levels():
    column = used_levels(from_levels("a", np.array([2, -1, 0]), "xyz", ordered=True))
    assert column.levels == ("x", "z") and column.values.tolist() == [1, -1, 0]


def test_missing_values():
    assert has_missing(number(1.0, np.nan)) and not has_missing(number(1.0, 2.0))
    assert has_missing(text("a", None)) and not has_missing(text("a", "b"))
    assert has_missing(number(*np.array(["NaT", "2020"], "datetime64[D]")))


def test_fingerprints():
    one = fingerprint(number(1.0, 0.0, np.nan))
    assert one == fingerprint(Column("b", "number", np.array([1.0, -0.0, -np.nan])))
    assert one != fingerprint(number(1.0, 0.0, 0.0))
    assert fingerprint(text("a", "b", None, "a")) == fingerprint(text("y", "x", None, "y"))  # other names
    assert fingerprint(text("a", "b", None, "a")) != fingerprint(text("a", "b", "c", "a"))
    codes = np.array([0, 1, 2])
    assert fingerprint(from_levels("a", codes, "xyz", True)) != fingerprint(
        from_levels("a", codes, "xyz", False)
    )
