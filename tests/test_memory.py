"""No copy of the data: peaks as tracemalloc sees them, to which NumPy reports its arrays."""

import tracemalloc

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from fastbp import BPClassifier, BPRegressor
from fastbp.estimators import precision

PARAMS = {"hidden_layer_sizes": (2,), "batch_size": 1000, "max_iter": 1, "random_state": 0}
N_BYTES = 40_000_000


def peak(call):
    """The most memory held during a call, above what was held before it; and the call's result."""
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        result = call()
        return tracemalloc.get_traced_memory()[1] - before, result
    finally:
        tracemalloc.stop()


def large(dtype, n_features=200):
    X = np.empty((N_BYTES // n_features // np.dtype(dtype).itemsize, n_features), dtype)
    X[:] = np.linspace(-1, 1, n_features)
    X[::2, 0] = 0.5
    return X, np.arange(len(X)) % 2


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
@pytest.mark.parametrize("Estimator", [BPClassifier, BPRegressor])
def test_no_copy_of_the_rows(Estimator, solver, dtype, monkeypatch):
    """But for the rows of the batch that are worked on, whose memory has a bound."""
    from fastbp.engines.cpu import arena

    monkeypatch.setattr(arena, "PASS_BYTES", 4_000_000)
    X, y = large(dtype)
    model = Estimator(solver=solver, **PARAMS).fit(X[:2000], y[:2000])  # imports, compiles
    assert peak(lambda: X.copy())[0] >= X.nbytes  # which the test would see
    for call in (lambda: model.fit(X, y), lambda: model.predict(X), lambda: model.loss_and_gradients(X, y)):
        assert peak(call)[0] < X.nbytes / 4
    if solver == "adam":
        assert peak(lambda: model.partial_fit(X, y))[0] < X.nbytes / 4


def test_rows_that_need_a_copy_are_copied_once():
    """Of Fortran's order, or integers: the peak is that of one copy."""
    X, y = large(np.float64)
    model = BPClassifier(**PARAMS).fit(X[:2000], y[:2000])
    for other in (np.asfortranarray(X), X.astype(np.int64)):
        assert X.nbytes <= peak(lambda X=other: model.fit(X, y))[0] < 1.5 * X.nbytes


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("hidden", [(), (100,), (64, 32, 16)], ids=str)
def test_predictions_of_many_rows_are_bounded(hidden, dtype):
    """The activations of hidden layers are never held for all rows."""
    rng = np.random.RandomState(0)
    X = rng.normal(size=(100_000, 10)).astype(dtype)
    Y = X[:, :3]
    classifier = BPClassifier(hidden, max_iter=1).fit(X[:500], np.arange(500) % 10)
    regressor = BPRegressor(hidden, max_iter=1).fit(X[:500], Y[:500])
    calls = [classifier.predict, classifier.predict_proba, regressor.predict]
    if hidden:
        calls.append(regressor.transform)
    for call in calls:
        used, result = peak(lambda call=call: call(X))
        assert result.nbytes <= used < 3 * result.nbytes + 1_000_000


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("preset", [None, "tabular"])
@pytest.mark.parametrize("Estimator", [BPClassifier, BPRegressor])
def test_early_stopping_copies_no_rows_that_it_trains_on(Estimator, preset, dtype):
    """Fifteen hundredths of X beside it: rows are found by their numbers; else one copy and as much.

    The activations of a batch in the preset's network take some megabytes, whatever the number of rows. It
    computes in float32, to which float64 rows are cast.
    """
    X, y = large(dtype)
    params = {**PARAMS, "preset": preset, "early_stopping": True}
    Estimator(**params).fit(X[:2000], y[:2000])
    own = 0 if preset is None else 20_000_000
    if preset is not None and dtype == np.float64:
        own += X.nbytes // 2
    assert peak(lambda: Estimator(**params).fit(X, y))[0] < 0.15 * X.nbytes + own
    for other in (np.asfortranarray(X), pd.DataFrame(X)):
        used, _ = peak(lambda X=other: Estimator(**params).fit(X, y))
        assert used < 1.15 * X.nbytes + own


@pytest.mark.parametrize("early_stopping", [False, True])
def test_frames_of_any_columns_are_copied_once(early_stopping):
    """Of several dtypes, or with places for missing values: the array that they become, and little else."""
    X, y = large(np.float64)
    model = BPClassifier(**PARAMS, early_stopping=early_stopping).fit(X[:2000], y[:2000])
    frame = pd.DataFrame(X)
    mixed = frame.astype({column: np.float32 for column in range(0, 200, 2)})
    pl = pytest.importorskip("polars")
    for other in (mixed, frame.astype("Float64"), pl.DataFrame(X.astype(np.float32))):
        assert peak(lambda X=other: model.fit(X, y))[0] < 1.15 * X.nbytes
        assert peak(lambda X=other: model.predict(X))[0] < 1.15 * X.nbytes


def test_predictions_of_wide_sparse_rows_are_bounded():
    """A block of rows has all features: of 100,000 only as many rows are taken at a time as memory bears."""
    rng = np.random.RandomState(0)
    n, n_features, each = 20_000, 100_000, 10
    indices = np.sort(rng.randint(0, n_features, (n, each)), axis=1).ravel()
    values, starts = np.ones(n * each, np.float32), np.arange(0, n * each + 1, each)
    X = sparse.csr_matrix((values, indices, starts), (n, n_features))
    X.sum_duplicates()
    model = BPRegressor((30,), max_iter=1, batch_size=10, n_jobs=1).fit(X[:20], np.arange(20.0))
    weights = sum(coef.nbytes for coef in model.coefs_)
    assert peak(lambda: model.predict(X))[0] < 2.3 * weights


def test_float64_rows_are_cast_to_float32_once(monkeypatch):
    """Whatever holds them, and however they lie: the peak is that of the float32 copy, half of X."""
    from fastbp.engines.cpu import arena

    monkeypatch.setattr(arena, "PASS_BYTES", 4_000_000)
    X, y = large(np.float64)
    params = {**PARAMS, "dtype": "float32"}
    model = BPClassifier(**params).fit(X[:2000], y[:2000])
    integers = (100 * X).astype(np.int64)
    pl = pytest.importorskip("polars")
    for other in (
        X,
        np.asfortranarray(X),
        np.repeat(X, 2, axis=1)[:, ::2],
        integers,
        list(X),
        X.tolist(),
        pd.DataFrame(X),
        pd.DataFrame(X).astype({column: int for column in range(0, 200, 2)}),
        pl.DataFrame(X),
    ):
        for call in (lambda X=other: model.fit(X, y), lambda X=other: model.loss_and_gradients(X, y)):
            assert X.nbytes / 2 <= peak(call)[0] < 0.65 * X.nbytes


def test_sparse_float64_rows_are_cast_without_their_indices():
    """Half of the values; the row starts are made int64."""
    X, y = large(np.float64)
    rows = sparse.csr_array(X)
    model = BPClassifier(**PARAMS, dtype="float32").fit(rows[:2000], y[:2000])
    for call in (lambda: model.fit(rows, y), lambda: model.predict(rows)):
        assert rows.data.nbytes / 2 <= peak(call)[0] < 0.65 * rows.data.nbytes


def test_predictions_of_float64_rows_in_float32_hold_no_copy():
    X, y = large(np.float64)
    model = BPClassifier(**PARAMS, dtype="float32").fit(X[:2000], y[:2000])
    frames = pd.DataFrame(X), pd.DataFrame(X).astype("Float64")
    for other in (X, np.asfortranarray(X), (100 * X).astype(np.int64), *frames):
        for call in (model.predict, model.predict_proba, model.transform):
            assert peak(lambda call=call, X=other: call(X))[0] < 1.2 * precision.PREDICTION_BYTES
