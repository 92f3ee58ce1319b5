"""Every form in which scikit-learn's users hand over their data."""

import sys

import data
import joblib
import numpy as np
import pytest
from helpers import EVERY_EPOCH, assert_same_bits, weights
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.compose import TransformedTargetRegressor
from tolerances import SAME_ARITHMETIC, SAME_ARITHMETIC_32

from fastbp import BPClassifier, BPRegressor

PARAMS = {"hidden_layer_sizes": (6,), "max_iter": 3, "random_state": 0, "batch_size": 16, **EVERY_EPOCH}


@pytest.mark.parametrize("solver", ["sgd", "adam", "lbfgs"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("Estimator", [BPClassifier, BPRegressor])
def test_precision_is_kept(Estimator, dtype, solver):
    X, y = data.iris() if Estimator is BPClassifier else data.multi_output()
    X = X.astype(dtype)
    model = Estimator(**{**PARAMS, "solver": solver}).fit(X, y)
    assert {w.dtype for w in [*model.coefs_, *model.intercepts_]} == {np.dtype(dtype)}
    outputs = [model.transform(X), *model.activations(X)]
    outputs += (
        [model.predict_proba(X), model.predict_log_proba(X)]
        if Estimator is BPClassifier
        else [model.predict(X)]
    )
    gradients = model.loss_and_gradients(X, y)
    for array in [*outputs, *gradients.coefs, *gradients.intercepts]:
        assert array.dtype == dtype


@pytest.mark.parametrize("dtype", [np.int8, np.int64, np.uint16, np.bool_, np.float16, np.longdouble, object])
def test_other_types_become_float64(dtype):
    X, y = data.iris()
    X = np.abs(np.round(X * 3)).astype(dtype)
    model = BPClassifier(**PARAMS).fit(X, y)
    assert model.coefs_[0].dtype == np.float64
    assert_same_bits(model, BPClassifier(**PARAMS).fit(X.astype(np.float64), y))


def test_float32_is_near_float64():
    X, y = data.iris()
    single = BPClassifier(**PARAMS).fit(X.astype(np.float32), y)
    assert_allclose(weights(single), weights(BPClassifier(**PARAMS).fit(X, y)), **SAME_ARITHMETIC_32)


def test_a_model_of_one_precision_predicts_on_the_other():
    X, y = data.iris()
    single = BPClassifier(**PARAMS).fit(X.astype(np.float32), y)
    double = BPClassifier(**PARAMS).fit(X, y)
    assert_allclose(single.predict_proba(X), single.predict_proba(X.astype(np.float32)), **SAME_ARITHMETIC_32)
    assert_allclose(double.predict_proba(X.astype(np.float32)), double.predict_proba(X), **SAME_ARITHMETIC_32)


LAYOUTS = {
    "list of lists": lambda X: X.tolist(),
    "Fortran order": np.asfortranarray,
    "every other column of a wider array": lambda X: np.repeat(X, 2, axis=1)[:, ::2],
    "every other row of a longer array": lambda X: np.repeat(X, 2, axis=0)[::2],
    "reversed twice": lambda X: X[::-1, ::-1].copy()[::-1, ::-1],
    "writable": lambda X: X.copy(),
    "unaligned": lambda X: np.frombuffer(b"x" + X.tobytes(), dtype=X.dtype, offset=1, count=X.size).reshape(
        X.shape
    ),
    "other byte order": lambda X: X.astype(X.dtype.newbyteorder()),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_memory_layouts(layout):
    X, y = data.iris()
    given = LAYOUTS[layout](X)
    plain = BPClassifier(**PARAMS).fit(X, y)
    assert_same_bits(BPClassifier(**PARAMS).fit(given, y), plain)
    assert_array_equal(plain.predict_proba(given), plain.predict_proba(X))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_read_only_memory_map(tmp_path, dtype):
    """joblib hands large arrays to its workers like this."""
    X, y = data.iris()
    X = X.astype(dtype)
    joblib.dump((X, y), tmp_path / "data")
    X_map, y_map = joblib.load(tmp_path / "data", mmap_mode="r")
    assert isinstance(X_map, np.memmap)
    assert not X_map.flags.writeable
    model = BPClassifier(**PARAMS).fit(X_map, y_map)
    assert_same_bits(model, BPClassifier(**PARAMS).fit(X, y))
    assert_array_equal(model.predict(X_map), model.predict(X))
    model.partial_fit(X_map, y_map).loss_and_gradients(X_map, y_map)


def test_the_data_are_never_written_to():
    X, y = data.iris()
    X, y, w = X.copy(), y.copy(), np.ones(len(y))
    kept = X.copy(), y.copy(), w.copy()
    model = BPClassifier(**PARAMS).fit(X, y, w)
    model.partial_fit(X, y, w).predict(X)
    for before, after in zip(kept, (X, y, w), strict=True):
        assert_array_equal(before, after)


SPARSE = {
    "csr_array": sparse.csr_array,
    "csr_matrix": sparse.csr_matrix,
    "csc_array": sparse.csc_array,
    "csc_matrix": sparse.csc_matrix,
    "coo_array": sparse.coo_array,
}


@pytest.mark.parametrize("solver", ["sgd", "adam", "lbfgs"])
@pytest.mark.parametrize("container", SPARSE)
def test_sparse_is_dense(container, solver):
    X, y = data.sparse_like()
    X_sparse = SPARSE[container](X)
    params = {**PARAMS, "solver": solver, "max_iter": 5}
    on_sparse, on_dense = BPClassifier(**params).fit(X_sparse, y), BPClassifier(**params).fit(X, y)
    assert_allclose(weights(on_sparse), weights(on_dense), **SAME_ARITHMETIC)
    for method in ("predict_proba", "predict_log_proba", "transform"):
        assert_allclose(getattr(on_dense, method)(X_sparse), getattr(on_dense, method)(X), **SAME_ARITHMETIC)
    ours, dense = on_dense.loss_and_gradients(X_sparse, y), on_dense.loss_and_gradients(X, y)
    assert_allclose(ours.loss, dense.loss, **SAME_ARITHMETIC)
    for a, b in zip(ours.coefs, dense.coefs, strict=True):
        assert_allclose(a, b, **SAME_ARITHMETIC)


@pytest.mark.parametrize(
    "params", [{"hidden_layer_sizes": ()}, {"early_stopping": True}, {"fit_intercept": False}], ids=str
)
def test_sparse_variants(params):
    X, y = data.sparse_like()
    w = np.random.RandomState(0).uniform(0, 2, len(y))
    params = {**PARAMS, **params}
    on_sparse, on_dense = (BPClassifier(**params).fit(A, y, w) for A in (sparse.csr_array(X), X))
    assert_allclose(weights(on_sparse), weights(on_dense), **SAME_ARITHMETIC)


def test_sparse_partial_fit_and_float32():
    X, y = data.sparse_like()
    on_sparse, on_dense = (BPClassifier(**{**PARAMS, "batch_size": "auto"}) for _ in range(2))
    for part in (slice(0, 50), slice(50, 120), slice(7, 8)):
        on_sparse.partial_fit(sparse.csr_array(X[part].astype("f")), y[part], classes=[0, 1, 2])
        on_dense.partial_fit(X[part].astype("f"), y[part], classes=[0, 1, 2])
    assert on_sparse.coefs_[0].dtype == np.float32
    assert_allclose(weights(on_sparse), weights(on_dense), **SAME_ARITHMETIC_32)


def odd_sparse():
    X, _ = data.sparse_like()
    X = X.copy()
    X[3] = 0  # an empty row
    X[:, 5] = 0  # an empty column
    canonical = sparse.csr_array(X)

    unsorted = canonical.copy()
    for row in range(X.shape[0]):
        part = slice(unsorted.indptr[row], unsorted.indptr[row + 1])
        unsorted.indices[part] = unsorted.indices[part][::-1].copy()
        unsorted.data[part] = unsorted.data[part][::-1].copy()
    unsorted.has_sorted_indices = False

    row, column = X.nonzero()
    half = X[row, column] / 2
    coo = sparse.coo_array((np.r_[half, half], (np.r_[row, row], np.r_[column, column])), shape=X.shape)
    # Rows in order and every entry twice: a CSR array with duplicates.
    order = np.lexsort((coo.col, coo.row))
    indptr = np.r_[0, np.cumsum(np.bincount(coo.row, minlength=X.shape[0]))]
    duplicates = sparse.csr_array((coo.data[order], coo.col[order], indptr), shape=X.shape)

    zeros = sparse.csr_array(np.ones_like(X))
    zeros.data[:] = X.ravel()

    wide = sparse.csr_array(X)
    wide.indices, wide.indptr = wide.indices.astype(np.int64), wide.indptr.astype(np.int64)

    frozen = sparse.csr_array(X)
    for part in (frozen.data, frozen.indices, frozen.indptr):
        part.flags.writeable = False
    return X, {
        "empty rows and columns": canonical,
        "unsorted indices": unsorted,
        "duplicates": duplicates,
        "explicit zeros": zeros,
        "64-bit indices": wide,
        "read-only": frozen,
    }


@pytest.mark.parametrize("name", odd_sparse()[1])
def test_odd_sparse_matrices(name):
    _, y = data.sparse_like()
    X, odd = odd_sparse()
    given = odd[name]
    kept = given.data.copy(), given.indices.copy(), given.indptr.copy()
    model = BPClassifier(**PARAMS).fit(given, y)
    assert_allclose(weights(model), weights(BPClassifier(**PARAMS).fit(X, y)), **SAME_ARITHMETIC)
    assert_allclose(model.predict_proba(given), model.predict_proba(X), **SAME_ARITHMETIC)
    for before, after in zip(kept, (given.data, given.indices, given.indptr), strict=True):
        assert_array_equal(before, after)  # the user's matrix is not sorted in place


def frame(library, X, names):
    return pytest.importorskip(library).DataFrame({name: X[:, i] for i, name in enumerate(names)})


@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_data_frames_and_their_names(library, early_stopping):
    """Warnings are errors: scoring inside an early-stopped fit must not complain about missing names."""
    X, y = data.iris()
    names = ["a", "b", "c", "d"]
    X_frame = frame(library, X, names)
    y_series = sys.modules[library].Series(y.copy())
    params = {**PARAMS, "early_stopping": early_stopping}
    model = BPClassifier(**params).fit(X_frame, y_series)
    assert_same_bits(model, BPClassifier(**params).fit(X, y))
    assert_array_equal(model.feature_names_in_, names)
    assert_array_equal(model.predict(X_frame), model.predict(X_frame))
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        model.predict(X)
    with pytest.raises(ValueError, match="feature names should match"):
        model.predict(frame(library, X, ["a", "b", "d", "c"]))


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_transform_gives_frames_when_asked(library):
    X, y = data.iris()
    module = pytest.importorskip(library)
    model = BPClassifier(**PARAMS).fit(X, y)
    plain = model.transform(X)
    framed = model.set_output(transform=library).transform(X)
    assert isinstance(framed, module.DataFrame)
    assert_array_equal(framed.to_numpy(), plain)
    assert list(framed.columns) == list(model.get_feature_names_out())


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_frame_in_the_other_byte_order(dtype):
    """As read from a file of another machine or format."""
    pd = pytest.importorskip("pandas")
    X, y = data.iris()
    X = X.astype(dtype)
    given = pd.DataFrame(X.astype(X.dtype.newbyteorder()))
    plain = BPClassifier(**PARAMS).fit(X, y)
    assert_same_bits(BPClassifier(**PARAMS).fit(given, y), plain)
    assert_array_equal(plain.predict_proba(given), plain.predict_proba(X))


def test_pandas_weights_and_index():
    """A series with an index in disorder is taken by position."""
    pd = pytest.importorskip("pandas")
    X, y = data.iris()
    w = np.random.RandomState(0).uniform(size=len(y))
    index = np.random.RandomState(1).permutation(len(y))
    model = BPClassifier(**PARAMS).fit(X, pd.Series(y.copy(), index=index), pd.Series(w, index=index))
    assert_same_bits(model, BPClassifier(**PARAMS).fit(X, y, w))


LABELS = {
    "words": np.array(["setosa", "versicolor", "virginica"]),
    "objects": np.array(["setosa", "versicolor", "virginica"], dtype=object),
    "negative numbers": np.array([-5, 0, 7]),
    "unsorted numbers": np.array([30, 10, 20]),
    "floats": np.array([1.0, 2.0, 3.0]),
    "unsigned": np.array([1, 2, 200], dtype=np.uint8),
}


@pytest.mark.parametrize("labels", LABELS)
@pytest.mark.parametrize("n_classes", [2, 3])
def test_labels(labels, n_classes):
    X, y = data.iris()
    names = LABELS[labels][:n_classes]
    X, y = X[y < n_classes], names[y[y < n_classes]]
    model = BPClassifier(**{**PARAMS, "max_iter": 60, "learning_rate_init": 0.02}).fit(X, y)
    assert_array_equal(model.classes_, np.unique(names))
    predicted = model.predict(X)
    assert predicted.dtype == y.dtype
    assert (predicted == y).mean() > 0.9
    assert_array_equal(predicted, model.classes_[model.predict_proba(X).argmax(axis=1)])


def test_boolean_labels():
    X, y = data.binary()
    model = BPClassifier(**PARAMS).fit(X, y.astype(bool))
    assert model.predict(X).dtype == bool


def test_multilabel():
    X, Y = data.multilabel()
    model = BPClassifier(**{**PARAMS, "max_iter": 300, "learning_rate_init": 0.02}).fit(X, Y)
    assert model.n_outputs_ == 3
    assert model.out_activation_ == "logistic"
    proba = model.predict_proba(X)
    assert proba.shape == Y.shape
    predicted = model.predict(X)
    assert_array_equal(predicted, (proba > 0.5).astype(int))
    assert (predicted == Y).mean() > 0.85


def test_multilabel_with_sparse_targets():
    X, Y = data.multilabel()
    model = BPClassifier(**PARAMS).fit(X, sparse.csr_matrix(Y))
    assert_same_bits(model, BPClassifier(**PARAMS).fit(X, Y))


def test_multilabel_partial_fit():
    X, Y = data.multilabel()
    steps = BPClassifier(**PARAMS)
    for _ in range(3):
        steps.partial_fit(X, Y, classes=[0, 1, 2])
    assert_same_bits(steps, BPClassifier(**PARAMS).fit(X, Y))


def test_multi_output_regression():
    X, Y = data.multi_output()
    model = BPRegressor((20,), learning_rate_init=0.02, max_iter=200, random_state=0, **EVERY_EPOCH).fit(X, Y)
    assert model.predict(X).shape == Y.shape
    assert model.score(X, Y) > 0.8


@pytest.mark.parametrize(
    "convert", [np.asarray, lambda y: y.astype(np.float32), lambda y: np.round(y * 10).astype(int)]
)
def test_types_of_regression_targets(convert):
    X, y = data.regression()
    y = convert(y)
    model = BPRegressor(**PARAMS).fit(X, y)
    assert model.predict(X).dtype == np.float64
    assert_same_bits(model, BPRegressor(**PARAMS).fit(X, y.astype(np.float64).tolist()))


def test_column_of_regression_targets():
    from sklearn.exceptions import DataConversionWarning

    X, y = data.regression()
    with pytest.warns(DataConversionWarning):
        model = BPRegressor(**PARAMS).fit(X, y[:, None])
    assert model.predict(X).shape == (len(X),)
    assert_same_bits(model, BPRegressor(**PARAMS).fit(X, y))


def test_inside_other_estimators():
    X, y = data.counts()
    model = TransformedTargetRegressor(BPRegressor(**PARAMS), func=np.log1p, inverse_func=np.expm1)
    assert model.fit(X, y).predict(X).shape == y.shape


def test_one_feature_and_many():
    for n_features in (1, 2, 3, 7, 17, 129):
        rng = np.random.RandomState(n_features)
        X, y = rng.normal(size=(40, n_features)), rng.normal(size=40)
        model = BPRegressor(**PARAMS).fit(X, y)
        assert model.coefs_[0].shape == (n_features, 6)
        assert np.isfinite(model.predict(X)).all()


def test_html_representation():
    X, y = data.iris()
    assert "BPClassifier" in BPClassifier(**PARAMS).fit(X, y)._repr_html_()
