"""Tables as the numbers that a network learns from."""

import pickle

import numpy as np
import pytest
import scipy.sparse
from sklearn.base import clone

from fastbp.tables import Encoded, TableEncoder, columns
from fastbp.tables.treatments import MOST_SCALED

N = 300


def encoded(column, y=None, **parameters):
    """Return an encoder, fitted to a table of one column, and the encoded table."""
    encoder = TableEncoder(**parameters)
    return encoder, encoder.fit_transform(table(column), y)


def table(column):
    return np.fromiter(column, dtype=object, count=len(column))[:, None]


def draw(values, n=N, seed=0):
    return [values[i] for i in np.random.default_rng(seed).integers(len(values), size=n)]


def check(result, rows=None):
    assert isinstance(result, Encoded)
    assert result.numeric.dtype == result.binary.dtype == np.float32
    assert result.numeric.flags.c_contiguous and result.binary.flags.c_contiguous
    assert np.isfinite(result.numeric).all() and np.isin(result.binary, (0, 1)).all()
    assert rows is None or len(result.numeric) == len(result.binary) == rows


def test_numbers_are_centred_and_scaled():
    x = np.random.default_rng(0).normal(5, 3, N)
    encoder, result = encoded(x)
    check(result, N)
    low, middle, high = np.quantile(x, (0.25, 0.5, 0.75), method="inverted_cdf")
    np.testing.assert_allclose(result.numeric[:, 0], (x - middle) / (high - low), rtol=1e-5, atol=1e-6)
    assert result.binary.shape == (N, 0)
    assert encoder.columns_[0] == (0, "numeric", "numeric", 1)


def test_missing_numbers_are_the_median_with_an_indicator():
    x = np.arange(9.0)
    x[3], x[4] = np.nan, np.inf
    encoder, result = encoded(x)
    check(result)
    np.testing.assert_array_equal(result.binary[:, 0], [0, 0, 0, 1, 1, 0, 0, 0, 0])
    assert result.numeric[3, 0] == result.numeric[4, 0] == 0
    assert encoder.get_feature_names_out().tolist() == ["x0", "x0_missing"]


def test_new_missing_numbers_are_the_median():
    encoder = encoded(np.arange(9.0))[0]
    new = encoder.transform(table([np.nan, 4.0, None, np.inf]))
    assert not new.numeric.any() and new.binary.shape == (4, 0)


@pytest.mark.parametrize("largest", (1e30, 1e300, 1.7e308))
def test_magnitudes_do_not_overflow(largest):
    rng = np.random.default_rng(0)
    for x in (rng.uniform(-1, 1, N) * largest, np.where(np.arange(N) == 7, largest, rng.normal(size=N))):
        encoder, result = encoded(x)
        check(result)
        assert np.abs(result.numeric).max() <= MOST_SCALED and result.numeric.std() > 0
        check(encoder.transform(table([largest, -largest])))


@pytest.mark.parametrize("rare", (1, 5, 20))
def test_columns_of_equal_quartiles_are_scaled_by_wider_quantiles(rare):
    x = np.zeros(N)
    x[:rare] = np.arange(1, rare + 1)
    x[rare] = 0.5
    result = encoded(x)[1]
    check(result)
    assert 0.5 < result.numeric.max() < 30


def test_few_distinct_floats_stay_numeric():
    encoder, result = encoded(draw([0.5, 1.0, 3.5]))
    assert encoder.columns_[0].kind == "numeric" and result.numeric.shape[1] == 1


def test_booleans_are_binary():
    x = draw([True, False])
    result = encoded(x)[1]
    np.testing.assert_array_equal(result.binary[:, 0], x)
    assert result.numeric.shape == (N, 0)
    encoder, result = encoded(draw([True, False, None]))
    assert encoder.columns_[0].treatment == "binary with an indicator of missing values"
    new = encoder.transform(table(["True", 0, None]))
    np.testing.assert_array_equal(new.binary[:, 1], [0, 0, 1])
    np.testing.assert_array_equal(new.binary[:2, 0], [1, 0])


def test_two_numbers_are_binary():
    encoder, result = encoded([3, 7, 7, 3, 7])
    np.testing.assert_array_equal(result.binary[:, 0], [0, 1, 1, 0, 1])
    new = encoder.transform(table([1, 9, 4, None]))
    np.testing.assert_array_equal(new.binary[:, 0], [0, 1, 0, 1])  # missing: the more frequent


def test_two_levels_are_binary():
    encoder, result = encoded(["b", "a", "a", "b", "a"])
    assert encoder.get_feature_names_out().tolist() == ["x0_a"]
    np.testing.assert_array_equal(result.binary[:, 0], [0, 1, 1, 0, 1])
    new = encoder.transform(table(["b", "a", "c", None]))
    np.testing.assert_array_equal(new.binary[:, 0], [0, 1, 1, 1])  # unknown and missing: the more frequent


def test_levels_are_one_hot():
    x = draw("abc")
    encoder, result = encoded(x)
    check(result)
    np.testing.assert_array_equal(result.binary, [[v == level for level in "abc"] for v in x])
    new = encoder.transform(table(["c", "unknown", None]))
    np.testing.assert_array_equal(new.binary, [[0, 0, 1], [0, 0, 0], [0, 0, 0]])
    assert encoder.get_feature_names_out().tolist() == ["x0_a", "x0_b", "x0_c"]


def test_missing_is_a_level():
    encoder, result = encoded(draw(["a", "b", None]))
    assert result.binary.shape == (N, 3)
    np.testing.assert_array_equal(encoder.transform(table(["a", None])).binary, [[1, 0, 0], [0, 0, 1]])


def test_rare_levels_share_a_column():
    encoder, result = encoded(draw("ab") + list("cde"))
    assert encoder.columns_[0].treatment == "one-hot, rare levels together"
    assert result.binary.shape[1] == 3
    new = encoder.transform(table(["c", "unknown", None, "a"]))
    np.testing.assert_array_equal(new.binary[:, 2], [1, 1, 1, 0])


def test_ordered_levels_are_one_hot_and_a_number():
    pd = pytest.importorskip("pandas")
    kind = pd.CategoricalDtype(["lo", "mid", "hi"], ordered=True)
    x = pd.DataFrame({"o": pd.Series(draw(["hi", "lo", "mid"]), dtype=kind)})
    encoder = TableEncoder()
    result = encoder.fit_transform(x)
    check(result, N)
    assert encoder.get_feature_names_out().tolist() == ["o_rank", "o_hi", "o_lo", "o_mid"]
    new = encoder.transform(pd.DataFrame({"o": ["lo", "mid", "hi", "unknown", None]}))
    assert new.numeric[0, 0] < new.numeric[1, 0] < new.numeric[2, 0]
    assert new.numeric[3, 0] == new.numeric[4, 0] == 0


def high_cardinality(levels=80, n=2000, seed=0):
    """Return texts of many levels and the mean of the target of each."""
    rng = np.random.default_rng(seed)
    codes, effects = rng.integers(levels, size=n), rng.normal(size=levels)
    return [f"level {code}" for code in codes], effects[codes]


def test_many_levels_are_encoded_by_the_target_out_of_fold():
    x, means = high_cardinality()
    y = means + np.random.default_rng(1).normal(size=len(x))
    encoder, result = encoded(x, y, random_state=0)
    check(result)
    assert encoder.columns_[0].kind == "high cardinality" and "target" in encoder.columns_[0].treatment
    assert result.numeric.shape[1] == 1 and result.binary.shape[1] == 50
    assert np.corrcoef(result.numeric[:, 0], means)[0, 1] > 0.9
    refitted = encoder.transform(table(x))
    np.testing.assert_array_equal(refitted.binary, result.binary)
    assert np.corrcoef(refitted.numeric[:, 0], y)[0, 1] > np.corrcoef(result.numeric[:, 0], y)[0, 1]
    again = TableEncoder(random_state=0).fit_transform(table(x), y)
    np.testing.assert_array_equal(again.numeric, result.numeric)
    check(encoder.transform(table(["unknown", None])))


def test_the_target_leaves_no_trace_in_levels_without_a_meaning():
    x, _ = high_cardinality(levels=700)
    y = np.random.default_rng(1).normal(size=len(x))
    result = encoded(x, y, random_state=0)[1]
    assert abs(np.corrcoef(result.numeric[:, 0], y)[0, 1]) < 0.1


@pytest.mark.parametrize(
    ("target", "n"),
    (
        (lambda means: means > 0, 1),
        (lambda means: np.where(means > 0, "yes", "no"), 1),
        (lambda means: np.digitize(means, (-0.5, 0.5)), 3),
        (lambda means: np.stack([means, -means, means**2], 1), 3),
        (lambda means: np.stack([means > 0, means > 1], 1).astype(int), 2),
        (lambda means: np.arange(len(means)) % 11, 0),  # too many classes
        (lambda means: np.ones(len(means)), 0),
    ),
)
def test_targets(target, n):
    x, means = high_cardinality()
    encoder, result = encoded(x, target(means))
    check(result)
    assert result.numeric.shape[1] == n
    check(encoder.transform(table(x)))


def test_target_type_of_integers_of_a_regression():
    x, means = high_cardinality()
    y = np.digitize(means, np.linspace(-1, 1, 8))
    assert encoded(x, y, target_type="continuous")[1].numeric.shape[1] == 1
    assert encoded(x, y)[1].numeric.shape[1] == len(np.unique(y))


def test_targets_of_any_magnitude():
    x, means = high_cardinality()
    large = encoded(x, means * 1e300, target_type="continuous", random_state=0)[1]
    check(large)
    small = encoded(x, means, target_type="continuous", random_state=0)[1]
    np.testing.assert_allclose(large.numeric, small.numeric, rtol=1e-5, atol=1e-6)


def test_classes_of_few_rows():
    x, means = high_cardinality()
    y = (means > 0).astype(int)
    y[:2] = 2
    check(encoded(x, y)[1])


def test_many_levels_without_a_target():
    x, _ = high_cardinality()
    result = encoded(x)[1]
    assert result.numeric.shape[1] == 0 and result.binary.shape[1] == 50
    with pytest.raises(ValueError, match="no level is frequent"):
        encoded(draw([f"l{i}" for i in range(200)]))


def test_dates_are_days_and_cyclic_parts():
    days = np.datetime64("2020-01-31") + np.random.default_rng(0).integers(1000, size=N)
    X = days[:, None].astype("datetime64[ns]")
    encoder = TableEncoder()
    result = encoder.fit_transform(X)
    check(result, N)
    names = encoder.get_feature_names_out().tolist()
    parts = ("month", "day_of_month", "day_of_week")
    assert names == ["x0_days"] + [f"x0_{part}_{wave}" for part in parts for wave in ("sin", "cos")]
    np.testing.assert_allclose(np.corrcoef(result.numeric[:, 0], days.astype(int))[0, 1], 1, rtol=1e-6)
    months = days.astype("datetime64[M]").astype(int) % 12
    np.testing.assert_allclose(result.numeric[:, 1], np.sin(2 * np.pi * months / 12), atol=1e-6)
    monday = encoder.transform(np.array([["2024-01-01"]], "datetime64[D]"))
    np.testing.assert_allclose(monday.numeric[0, -2:], [0, 1], atol=1e-6)
    new = encoder.transform(np.array([["NaT"], ["2300-01-01"]], "datetime64[D]"))
    check(new)
    assert not new.numeric[0].any()


def test_hours_and_missing_dates():
    x = [
        None if i == 5 else np.datetime64("2020-01-01T00:30") + np.timedelta64(6 * (i % 4), "h")
        for i in range(40)
    ]
    encoder, result = encoded(x)
    check(result)
    assert encoder.get_feature_names_out().tolist() == ["x0_days", "x0_hour_sin", "x0_hour_cos", "x0_missing"]
    np.testing.assert_array_equal(np.flatnonzero(result.binary), [5])


def test_texts_of_numbers_and_dates():
    x = np.round(np.random.default_rng(0).normal(size=N), 3)
    encoder, result = encoded([*map(str, x[:-1]), None])
    assert encoder.columns_[0].kind == "numeric" and result.numeric.shape[1] == 1
    np.testing.assert_array_equal(
        encoder.transform(table([str(x[3]), x[3]])).numeric[:, 0], result.numeric[3, 0]
    )
    np.testing.assert_array_equal(encoder.transform(table(["word", None])).binary[:, 0], [1, 1])
    encoder = encoded([f"2021-03-{1 + i % 28:02d}" for i in range(N)])[0]
    assert encoder.columns_[0].kind == "date"
    check(encoder.transform(table(["2021-03-04", "tomorrow", None])))


def test_durations_and_times_are_numbers():
    minutes = np.arange(N) * np.timedelta64(1, "m")
    encoder = TableEncoder().fit(minutes[:, None])
    assert encoder.columns_[0].kind == "duration" and encoder.columns_[0].n_outputs == 1


@pytest.mark.parametrize(
    ("x", "kind"),
    (
        (np.ones(N), "constant"),
        (["a"] * N, "constant"),
        ([None] * N, "missing"),
        ([f"row {i}" for i in range(N)], "identifier"),
    ),
)
def test_columns_that_are_not_used(x, kind):
    with pytest.raises(ValueError, match="X has no column to learn from: 0 not used"):
        encoded(x)
    X = np.column_stack([table(x), table(range(N))])
    encoder = TableEncoder().fit(X)
    assert [c.kind for c in encoder.columns_] == [kind, "numeric"]
    assert encoder.columns_[0].n_outputs == 0 and encoder.columns_[0].treatment.startswith("not used: ")
    check(encoder.transform(X))


def test_a_constant_that_may_be_missing_is_an_indicator():
    for x in ([1.0, None, 1.0], ["a", None, "a"], [np.datetime64("2020"), None, None], ["1", "nan", "1"]):
        encoder, result = encoded(x)
        np.testing.assert_array_equal(result.binary[:, 0], [v in (None, "nan") for v in x])
        assert encoder.columns_[0].treatment == "indicator of missing values"


def test_duplicates_are_not_used():
    x = np.random.default_rng(0).normal(size=N)
    X = np.column_stack([table(x), table(draw("abc")), table([*map(str, x)]), table(draw("xyz")), table(x)])
    encoder = TableEncoder().fit(X)
    assert [c.kind for c in encoder.columns_] == ["numeric", "string", "duplicate", "duplicate", "duplicate"]
    assert encoder.columns_[3].treatment == "not used: the same as 1"


def test_integers_of_few_levels_as_numbers_and_one_hot(monkeypatch):
    monkeypatch.setattr(columns, "INTEGER_LEVELS", 10)
    encoder, result = encoded(draw([1, 2, 5, None]))
    check(result)
    assert encoder.columns_[0] == (0, "integer", "numeric and one-hot", 5)
    new = encoder.transform(table([1.0, "2", None, 7]))
    np.testing.assert_array_equal(new.binary, np.eye(4)[[0, 1, 3]].tolist() + [[0] * 4])


@pytest.mark.parametrize("given", ([0], [True, False], ["a"], "from_dtype", None, []))
def test_categorical_features(given):
    pd = pytest.importorskip("pandas")
    X = pd.DataFrame({"a": pd.Categorical(draw([1, 2, 3])), "b": draw([1, 2, 3], seed=1)})
    encoder = TableEncoder(categorical_features=given).fit(X)
    declared = given is not None and len(given) > 0
    assert [c.kind for c in encoder.columns_] == ["categorical" if declared else "numeric", "numeric"]


def test_categorical_features_of_arrays():
    X = np.array([draw([1, 2, 3]), draw([1, 2, 3], seed=1)], float).T
    assert [c.kind for c in TableEncoder([1]).fit(X).columns_] == ["numeric", "categorical"]
    for given, message in (
        ([2], r"must be in \[0, n_features - 1\]"),
        ([True], "must have shape"),
        (["a"], "without feature names"),
        ([0.5], "array-like of bool, int or str"),
    ):
        with pytest.raises(ValueError, match=message):
            TableEncoder(given).fit(X)


def test_unknown_name_of_a_categorical_feature():
    pd = pytest.importorskip("pandas")
    with pytest.raises(ValueError, match="item value 'z' which is not a valid feature name"):
        TableEncoder(["z"]).fit(pd.DataFrame({"a": [1, 2]}))


def test_names_and_number_of_columns_are_checked():
    pd = pytest.importorskip("pandas")
    X = pd.DataFrame({"a": [1.0, 2, 3], "b": [3.0, 1, 1]})
    encoder = TableEncoder().fit(X)
    assert encoder.n_features_in_ == 2 and encoder.feature_names_in_.tolist() == ["a", "b"]
    with pytest.raises(ValueError, match="The feature names should match those that were passed during fit"):
        encoder.transform(X[["b", "a"]])
    with pytest.raises(ValueError, match="Feature names seen at fit time, yet now missing"):
        encoder.transform(X[["a"]])
    with pytest.raises(ValueError, match="X has 3 features, but TableEncoder is expecting 2 features"):
        TableEncoder().fit(X.to_numpy()).transform(np.ones((2, 3)))


def test_names_that_are_integers():
    pd = pytest.importorskip("pandas")
    encoder = TableEncoder().fit(pd.DataFrame(np.random.default_rng(0).normal(size=(9, 2)), columns=[7, 8]))
    assert not hasattr(encoder, "feature_names_in_")
    assert encoder.get_feature_names_out().tolist() == ["x7", "x8"]


@pytest.mark.parametrize(
    ("X", "message"),
    (
        (np.ones((0, 2)), r"Found array with 0 sample\(s\) .* minimum of 2 is required"),
        (np.ones((1, 2)), r"Found array with 1 sample\(s\)"),
        (
            np.ones((3, 0)),
            r"Found array with 0 feature\(s\) \(shape=\(3, 0\)\) while a minimum of 1 is required",
        ),
        (np.ones(3), "Expected 2D array, got 1D array instead"),
    ),
)
def test_tables_that_are_too_small(X, message):
    with pytest.raises(ValueError, match=message):
        TableEncoder().fit(X)


def test_a_single_row_can_be_transformed():
    encoder = encoded(draw("abc"))[0]
    check(encoder.transform(table(["a"])), rows=1)
    with pytest.raises(ValueError, match=r"Found array with 0 sample\(s\)"):
        encoder.transform(np.ones((0, 1)))


@pytest.mark.parametrize("kind", ("csr_matrix", "csc_matrix", "csr_array"))
def test_sparse_matrices_stay_sparse(kind):
    X = getattr(scipy.sparse, kind)(scipy.sparse.random(50, 8, 0.3, random_state=0)) * 1e30
    encoder = TableEncoder()
    result = encoder.fit_transform(X)
    assert scipy.sparse.issparse(result.numeric) and abs(result.numeric).max() == 1
    assert result.numeric.nnz == X.nnz and result.binary.shape == (50, 0)
    np.testing.assert_allclose(encoder.transform(X).numeric.toarray(), result.numeric.toarray())
    assert len(encoder.columns_) == len(encoder.get_feature_names_out()) == 8
    np.testing.assert_allclose(encoder.transform(X.toarray()).numeric.toarray(), result.numeric.toarray())


def test_arrays_of_numbers():
    X = np.random.default_rng(0).normal(size=(500, 20)).astype(np.float32)
    result = TableEncoder().fit_transform(X)
    check(result)
    assert result.numeric.shape == X.shape
    np.testing.assert_array_equal(TableEncoder().fit_transform(X.tolist()).numeric, result.numeric)


def test_clone_and_pickle():
    encoder = encoded(draw(["a", "b", "c", None]), random_state=3)[0]
    assert clone(encoder).get_params() == encoder.get_params()
    again = pickle.loads(pickle.dumps(encoder))
    np.testing.assert_array_equal(again.transform(table(["a", None])).binary, [[1, 0, 0, 0], [0, 0, 0, 1]])


def test_global_output_configuration_is_of_no_effect():
    pytest.importorskip("pandas")
    from sklearn import config_context

    x, means = high_cardinality()
    with config_context(transform_output="pandas"):
        encoder, result = encoded(x, means)
        check(result)
        check(encoder.transform(table(x)))
        assert scipy.sparse.issparse(TableEncoder().fit_transform(scipy.sparse.eye(5, format="csr")).numeric)


# values of which the random tables are made
POOLS = (
    [None],
    [0.0, -0.0, 1e300, -1e300, 1e-320, np.nan, np.inf, -np.inf],
    [1, 2, 3, None, 2**70, 10**400],
    [True, False, None],
    list("abcdefgh") + [None],
    [f"l{i}" for i in range(200)],
    ["1", "2.5", "nan", "", "inf", " 3 "],
    ["2020-01-01", "0001-01-01", "9999-12-31T23:59:59", "NaT", None],
    [np.datetime64("2020-01-01"), np.datetime64("NaT"), np.datetime64("1500-01-01", "us")],
    [np.timedelta64(1, "s"), np.timedelta64(9, "D"), None],
    [1, "a", b"b", (1, 2), None, 2.5, True, np.nan, frozenset({1}), {"k": 1}, [1]],
    [3.25],
    list(np.random.default_rng(0).standard_cauchy(300)),
)


@pytest.mark.parametrize("seed", range(40))
def test_no_table_fails(seed):
    """Any values in training, any others at prediction."""
    rng = np.random.default_rng(seed)
    n, width = int(rng.integers(2, 120)), int(rng.integers(1, 7))

    def column(rows):
        pool = POOLS[rng.integers(len(POOLS))]
        return table([pool[i] for i in rng.integers(len(pool), size=rows)])

    usable = table(range(n))
    y = [None, rng.normal(size=n), rng.integers(3, size=n)][seed % 3]
    encoder = TableEncoder(random_state=seed)
    result = encoder.fit_transform(np.hstack([usable] + [column(n) for _ in range(width)]), y)
    check(result, n)
    assert result.numeric.shape[1] + result.binary.shape[1] == sum(c.n_outputs for c in encoder.columns_)
    assert len(encoder.get_feature_names_out()) == sum(c.n_outputs for c in encoder.columns_)
    new = encoder.transform(np.hstack([column(9) for _ in range(width + 1)]))
    check(new, 9)
    assert new.numeric.shape[1] == result.numeric.shape[1] and new.binary.shape[1] == result.binary.shape[1]


@pytest.mark.parametrize("library", ("pandas", "polars", "pyarrow"))
def test_libraries_agree(library):
    """The same table, held by a library and as lists."""
    module = pytest.importorskip(library)
    data = {
        "number": draw([0.5, 1.5, 2.5, None]),
        "integer": draw([1, 2, 3]),
        "boolean": draw([True, False, None]),
        "text": draw(["a", "b", "c", None]),
        "date": [np.datetime64("2020-01-01", "us").item()]
        + draw([np.datetime64("2021-06-05", "us").item(), None], N - 1),
        "level": draw([f"l{i}" for i in range(70)], seed=1),
    }
    make = module.table if library == "pyarrow" else module.DataFrame
    y = np.random.default_rng(0).normal(size=N)
    wanted = TableEncoder(random_state=0).fit_transform(
        [list(row) for row in zip(*data.values(), strict=True)], y
    )
    encoder = TableEncoder(random_state=0)
    result = encoder.fit_transform(make(data), y)
    np.testing.assert_array_equal(result.numeric, wanted.numeric)
    np.testing.assert_array_equal(result.binary, wanted.binary)
    assert encoder.feature_names_in_.tolist() == list(data)
