"""Data that are no real numbers are refused by name, wherever they are given; those that are, are taken."""

from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction

import data
import numpy as np
import pytest
from helpers import assert_equal_state, assert_same_bits, snapshot
from scipy import sparse

from fastbp import BPClassifier, BPRegressor

SMALL = {"hidden_layer_sizes": (3,), "max_iter": 2, "random_state": 0, "batch_size": 25}

# Of numbers: the same taken for something else.
KINDS = {
    "datetime64": lambda a: (1e4 * a).astype("i8").astype("M8[D]"),
    "datetime64 with NaT": lambda a: np.where(
        a == a.flat[0], np.datetime64("NaT"), np.full(a.shape, "2020", "M8[D]")
    ),
    "timedelta64": lambda a: (1e4 * a).astype("i8").astype("m8[s]"),
    "numeric strings": lambda a: a.astype(str),
    "bytes": lambda a: a.astype(str).astype("S"),
    "complex": lambda a: a + 1j,
    "records": lambda a: np.array([(v,) for v in a.ravel()], [("a", "f8")]).reshape(a.shape),
    "void": lambda a: np.ascontiguousarray(a, "f8").view("V8").reshape(a.shape),
    "objects: strings": lambda a: a.astype(str).astype(object),
    "objects: bytes": lambda a: a.astype(str).astype("S").astype(object),
    "objects: complex": lambda a: (a + 1j).astype(object),
    "objects: dates": lambda a: objects(a, lambda v: date(2020, 1, 1 + int(abs(v)))),
    "objects: durations": lambda a: objects(a, lambda v: timedelta(days=v)),
    "objects: datetime64": lambda a: objects(a, lambda v: np.datetime64(int(v), "D")),
    "objects: dictionaries": lambda a: objects(a, lambda v: {"a": v}),
    "objects: lists": lambda a: objects(a, lambda v: [v]),
    "a single string among objects": lambda a: with_first(a.astype(object), "1.5"),
}


def objects(array, make):
    made = np.empty(array.shape, object)
    for index, value in np.ndenumerate(array):
        made[index] = make(value)
    return made


def with_first(array, value):
    array.flat[0] = value
    return array


def load(Estimator):
    return data.iris() if Estimator is BPClassifier else data.regression()


BOTH = pytest.mark.parametrize("Estimator", [BPClassifier, BPRegressor])
EVERY_KIND = pytest.mark.parametrize("kind", KINDS)


def refused(name):
    return pytest.raises((ValueError, TypeError), match=rf"{name}(?!\w).* must hold real numbers")


@EVERY_KIND
def test_targets_of_a_regressor(kind):
    X, y = data.regression()
    made = KINDS[kind](y)
    fitted, twin = (BPRegressor(**SMALL).fit(X, y) for _ in range(2))
    before = snapshot(fitted)
    for bad in (made, made[:, None], made.tolist() if made.dtype.kind in "US" else made):
        with refused("y"):
            BPRegressor(**SMALL).fit(X, bad)
        with refused("y"):
            fitted.partial_fit(X, bad)
        with refused("y"):
            fitted.loss_and_gradients(X, bad)
        with refused("y"):
            fitted.score(X, bad)
    assert_equal_state(snapshot(fitted), before)
    assert_same_bits(fitted.partial_fit(X, y), twin.partial_fit(X, y))


@BOTH
@EVERY_KIND
def test_inputs(kind, Estimator):
    X, y = load(Estimator)
    bad = KINDS[kind](np.array(X))
    with refused("X"):
        Estimator(**SMALL).fit(X=bad, y=y)
    fitted = Estimator(**SMALL).fit(X, y)
    before = snapshot(fitted)
    for call in (fitted.predict, fitted.transform, fitted.activations):
        with refused("X"):
            call(bad)
    with refused("X"):
        fitted.loss_and_gradients(bad, y)
    with refused("X"):
        fitted.partial_fit(bad, y)
    with refused("X_val"):
        Estimator(**SMALL, early_stopping=True).fit(X, y, X_val=bad, y_val=y)
    assert_equal_state(snapshot(fitted), before)


@BOTH
@EVERY_KIND
def test_weights_of_rows(kind, Estimator):
    X, y = load(Estimator)
    bad = KINDS[kind](np.linspace(1, 2, len(y)))
    fitted = Estimator(**SMALL).fit(X, y)
    for call in (Estimator(**SMALL).fit, fitted.partial_fit, fitted.loss_and_gradients):
        with refused("sample_weight"):
            call(X, y, bad)
    with refused("sample_weight_val"):
        Estimator(**SMALL, early_stopping=True).fit(X, y, X_val=X, y_val=y, sample_weight_val=bad)


@EVERY_KIND
def test_validation_targets(kind):
    X, y = data.regression()
    with refused("y_val.*y"):
        BPRegressor(**SMALL, early_stopping=True).fit(X, y, X_val=X, y_val=KINDS[kind](y))


@EVERY_KIND
def test_initial_weights_and_weights_assigned(kind):
    X, y = data.regression()
    model = BPRegressor(**SMALL).fit(X, y)
    first, second = model.coefs_
    bad = KINDS[kind](np.array(first))
    with pytest.raises(ValueError, match=r"coefs_init\[0\] must be an array of real numbers"):
        BPRegressor(**SMALL).fit(X, y, coefs_init=[bad, second])
    model.coefs_ = [bad, second]
    with refused(r"coefs_\[0\]"):
        model.predict(X)


@pytest.mark.parametrize("value", ["2", b"2", 2 + 0j, np.datetime64(2, "D"), timedelta(2), [2]])
def test_class_weights(value):
    X, y = data.iris()
    with pytest.raises(ValueError, match="class_weight must hold finite numbers"):
        BPClassifier(**SMALL, class_weight={0: 1.0, 1: value, 2: 1.0}).fit(X, y)
    X, Y = data.multilabel()
    of_labels = [{0: 1, 1: 1}, {0: 1, 1: value}, {0: 1, 1: 1}]
    with pytest.raises(ValueError, match="class_weight must hold finite numbers"):
        BPClassifier(**SMALL, class_weight=of_labels).fit(X, Y)


@pytest.mark.parametrize("kind", ["records", "void", "complex"])
def test_labels_that_are_none(kind):
    X, y = data.iris()
    with pytest.raises(ValueError, match="y holds no labels"):
        BPClassifier(**SMALL).fit(X, KINDS[kind](y))


@pytest.mark.parametrize("kind", ["datetime64", "timedelta64", "numeric strings"])
def test_labels_that_are_dates_or_strings(kind):
    X, y = data.iris()
    labels = KINDS[kind](y)
    model = BPClassifier(**SMALL).fit(X, labels)
    assert set(model.predict(X).tolist()) <= set(labels.tolist())


@pytest.mark.parametrize("dtype", ["M8[s]", "m8[s]", "U8", "S8", complex])
def test_sparse_inputs(dtype):
    X, y = data.sparse_like()
    X = sparse.csr_array(X)
    X.data = (100 * X.data).astype("i8").astype(dtype)
    with refused("X"):
        BPClassifier(**SMALL).fit(X, y)


@pytest.mark.parametrize("layout", ["csr", "csc", "coo", "lil"])
def test_sparse_objects(layout):
    X, y = data.sparse_like()
    X = sparse.csr_array(X).asformat(layout)
    if layout == "lil":
        X.data[0][0] = "1"
        X.dtype = np.dtype(object)
    else:
        X.data = X.data.astype(str).astype(object)
    with refused("X"):
        BPClassifier(**SMALL).fit(X, y)


@pytest.mark.parametrize(
    "value", [True, 1, 2**70, Decimal("0.5"), Fraction(1, 2), np.float16(0.5), np.int8(1)]
)
def test_real_numbers_of_every_type_are_taken_as_objects(value):
    X, y = data.regression()
    plain, given = np.array(X), X.astype(object)
    plain[0, 0], given[0, 0] = float(value), value
    assert_same_bits(BPRegressor(**SMALL).fit(plain, y), BPRegressor(**SMALL).fit(given, y))
    assert_same_bits(BPRegressor(**SMALL).fit(plain, y), BPRegressor(**SMALL).fit(given.tolist(), y.tolist()))
    plain, given = np.array(y), y.astype(object)
    plain[0], given[0] = float(value), value
    assert_same_bits(BPRegressor(**SMALL).fit(X, plain), BPRegressor(**SMALL).fit(X, given))


@pytest.mark.parametrize("dtype", [bool, "i1", "u8", "f2", "f4", "f8", "g"])
def test_real_numbers_of_every_width_are_taken(dtype):
    X, y = data.counts()
    given = np.abs(X * 10).astype(dtype)
    wide = given.astype("f4" if dtype == "f4" else "f8")
    assert_same_bits(BPRegressor(**SMALL).fit(given, y), BPRegressor(**SMALL).fit(wide, y))
    assert_same_bits(
        BPRegressor(**SMALL).fit(X, y.astype(dtype)),
        BPRegressor(**SMALL).fit(X, y.astype(dtype).astype("f8")),
    )
    weight = np.ones(len(y), dtype)
    assert_same_bits(BPRegressor(**SMALL).fit(X, y, weight), BPRegressor(**SMALL).fit(X, y, np.ones(len(y))))


def frames():
    pandas, polars = pytest.importorskip("pandas"), pytest.importorskip("polars")
    X, _ = data.regression()
    days = KINDS["datetime64"](X[:, 0])
    columns = {
        "dates": pandas.Series(days),
        "dates with a zone": pandas.Series(pandas.to_datetime(days)).dt.tz_localize("UTC"),
        "periods": pandas.Series(pandas.PeriodIndex(days, freq="D")),
        "durations": pandas.Series(KINDS["timedelta64"](X[:, 0])),
        "strings": pandas.Series(X[:, 0].astype(str)),
        "categories of strings": pandas.Series(pandas.Categorical(X[:, 0].astype(str))),
        "categories of dates": pandas.Series(pandas.Categorical(days)),
        "complex": pandas.Series(X[:, 0] + 1j),
    }
    for name, column in columns.items():
        frame = pandas.DataFrame(X)
        frame[3] = column
        yield f"pandas {name}", frame, column
    names = [f"x{i}" for i in range(X.shape[1])]
    columns = {
        "dates": polars.Series(days.astype("M8[ms]")),
        "durations": polars.Series(KINDS["timedelta64"](X[:, 0]).astype("m8[ms]")),
        "strings": polars.Series(X[:, 0].astype(str).tolist()),
        "categories": polars.Series(X[:, 0].astype(str).tolist(), dtype=polars.Categorical),
    }
    for name, column in columns.items():
        yield f"polars {name}", polars.DataFrame(X, schema=names).with_columns(column.alias("x3")), column


def test_frames_with_a_column_of_another_kind():
    X, y = data.regression()
    for name, frame, column in frames():
        with pytest.raises((ValueError, TypeError), match=r"X must hold real numbers.* in column '?x?3\b"):
            BPRegressor(**SMALL).fit(frame, y)
        with pytest.raises((ValueError, TypeError), match="y must hold real numbers"):
            BPRegressor(**SMALL).fit(X, column)
            pytest.fail(f"{name} was taken for numbers")


def test_frames_of_numbers():
    pandas, polars = pytest.importorskip("pandas"), pytest.importorskip("polars")
    X, y = data.regression()
    X, y = np.array(X), np.array(y)
    X[:, 0], X[:, 1] = np.round(3 * X[:, 0]), X[:, 1] > 0
    plain = BPRegressor(**SMALL).fit(X, y)
    frame = pandas.DataFrame(X)
    frame[0] = pandas.Series(pandas.Categorical(X[:, 0].astype(int)))
    frame[1] = pandas.Series(X[:, 1] > 0, dtype="boolean")
    frame[2] = pandas.Series(X[:, 2], dtype="Float64")
    frame[3] = frame[3].astype(object)
    assert_same_bits(plain, BPRegressor(**SMALL).fit(frame, pandas.Series(y, dtype="Float64")))
    frame = polars.DataFrame(X, schema=[f"x{i}" for i in range(X.shape[1])])
    frame = frame.with_columns(frame["x0"].cast(polars.Int16), frame["x1"].cast(polars.Boolean))
    assert_same_bits(plain, BPRegressor(**SMALL).fit(frame, polars.Series(y)))
