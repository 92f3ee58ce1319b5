"""The parameter `dtype`: float64 arrays computed with in float32, and the other way round."""

import pickle

import data
import numpy as np
import pytest
from helpers import assert_equal_state, assert_same_bits, snapshot
from numpy.testing import assert_array_equal
from scipy import sparse
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.utils._param_validation import InvalidParameterError

from fastbp import BPClassifier, BPRegressor, learning_rate_range
from fastbp.callbacks import Checkpoint, StopWhen
from fastbp.estimators import frames, precision

PARAMS = {"hidden_layer_sizes": (4,), "max_iter": 3, "random_state": 0, "batch_size": 40}
BEYOND = r"too large for (dtype\('float32'\)|float32)\..*dtype='float64'"
ESTIMATORS = pytest.mark.parametrize("Estimator", [BPClassifier, BPRegressor])


def rows():
    """Float64 numbers of which none is one of float32."""
    X, y = data.iris()
    return X * (1 + 1e-9), y


def scaled_up(X):
    return np.round(1e7 * X).astype(np.int64)  # float32 holds seven digits


def frame(X, **options):
    return pytest.importorskip("pandas").DataFrame(X, columns=list("abcd"), **options)


CONTAINERS = {
    "array": np.array,
    "array in Fortran's order": np.asfortranarray,
    "every other column": lambda X: np.repeat(X, 2, axis=1)[:, ::2],
    "rows backwards": lambda X: X[::-1].copy()[::-1],
    "big-endian array": lambda X: X.astype(">f8"),
    "long doubles": lambda X: X.astype(np.longdouble),
    "integers": scaled_up,
    "flags": lambda X: X > 0,
    "objects": lambda X: X.astype(object),
    "list": lambda X: X.tolist(),
    "list of arrays": list,
    "tuple of lists of integers": lambda X: tuple(scaled_up(X).tolist()),
    "CSR matrix": lambda X: sparse.csr_matrix(np.maximum(X, 0)),
    "CSR array of integers": lambda X: sparse.csr_array(scaled_up(X)),
    "CSC array": lambda X: sparse.csc_array(np.maximum(X, 0)),
    "COO array": lambda X: sparse.coo_array(np.maximum(X, 0)),
    "LIL array": lambda X: sparse.lil_array(np.maximum(X, 0)),
    "pandas": frame,
    "pandas, several dtypes": lambda X: frame(X).astype({"a": np.float32, "b": int}),
    "pandas, nullable": lambda X: frame(X).astype("Float64"),
    "pandas, objects": lambda X: frame(X).astype(object),
    "Polars": lambda X: pytest.importorskip("polars").from_pandas(frame(X)),
}


def dense(X):
    """The same numbers as an array of float64, or of integers."""
    return X.toarray() if sparse.issparse(X) else np.asarray(X if hasattr(X, "shape") else list(X))


def single(X):
    """What the user would write to cast X."""
    return X.astype(np.float32) if sparse.issparse(X) else dense(X).astype(np.float32)


@pytest.fixture(params=["whole", "in blocks"])
def blocks(request, monkeypatch):
    """Lists, frames and rows to predict as a whole, or a few rows at a time."""
    if request.param == "in blocks":
        monkeypatch.setattr(frames, "MOST_BLOCKS", 1000)
        monkeypatch.setattr(frames, "BLOCK_BYTES", 1)
        monkeypatch.setattr(frames, "FEWEST_ROWS", 7)
        monkeypatch.setattr(precision, "BLOCK_BYTES", 300)
        monkeypatch.setattr(precision, "PREDICTION_BYTES", 200)


# Every container and every call


@pytest.mark.parametrize("container", CONTAINERS)
@ESTIMATORS
def test_a_fit_in_float32_is_that_of_rows_cast_by_the_user(Estimator, container, blocks):
    X, y = rows()
    X = CONTAINERS[container](X)
    wanted = Estimator(**PARAMS).fit(single(X), y)
    found = Estimator(dtype="float32", **PARAMS).fit(X, y)
    assert_same_bits(found, wanted)
    assert found.coefs_[0].dtype == np.float32
    assert found.loss_curve_ == wanted.loss_curve_
    assert_array_equal(found.predict(X), wanted.predict(single(X)))
    assert_array_equal(found.transform(X), wanted.transform(single(X)))
    for one, other in zip(found.activations(X), wanted.activations(single(X)), strict=True):
        assert_array_equal(one, other)
    gradients = found.loss_and_gradients(X, y), wanted.loss_and_gradients(single(X), y)
    assert_equal_state(dict(gradients[0]), dict(gradients[1]))


@ESTIMATORS
def test_float32_rows_computed_with_in_float64(Estimator):
    X, y = rows()
    X = X.astype(np.float32)
    wanted = Estimator(**PARAMS).fit(X.astype(np.float64), y)
    found = Estimator(dtype="float64", **PARAMS).fit(X, y)
    assert_same_bits(found, wanted)
    assert found.coefs_[0].dtype == np.float64


@ESTIMATORS
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_auto_is_the_dtype_of_the_rows(Estimator, dtype):
    X, y = rows()
    X = X.astype(dtype)
    assert Estimator(**PARAMS).fit(X, y).coefs_[0].dtype == dtype
    assert_same_bits(Estimator(**PARAMS).fit(X, y), Estimator(dtype=np.dtype(dtype).name, **PARAMS).fit(X, y))


@pytest.mark.parametrize(
    "params",
    [
        {"solver": "lbfgs"},
        {"early_stopping": True},
        {"early_stopping": True, "scoring": "neg_log_loss"},
        {"class_weight": "balanced"},
        {"input_scaling": "robust", "learn_input_scales": True},
        {"out_bias": "data"},
    ],
    ids=str,
)
def test_in_every_kind_of_fit(params):
    X, y = rows()
    weight = np.linspace(0.1, 1, len(y))
    params = {**PARAMS, "max_iter": 30, "tol": 0.1, **params}
    wanted = BPClassifier(**params).fit(X.astype(np.float32), y, weight.astype(np.float32))
    found = BPClassifier(dtype="float32", **params).fit(X, y, weight)
    assert_same_bits(found, wanted)


@ESTIMATORS
def test_validation_rows_given_in_float64(Estimator):
    X, y = rows()
    weight = np.linspace(0.1, 1, 50)
    params = {**PARAMS, "early_stopping": True, "scoring": "loss"}
    given = {"X_val": X[:50], "y_val": y[:50], "sample_weight_val": weight}
    found = Estimator(dtype="float32", **params).fit(X[50:], y[50:], **given)
    given = {**given, "X_val": X[:50].astype("f"), "sample_weight_val": weight.astype("f")}
    wanted = Estimator(**params).fit(X[50:].astype("f"), y[50:], **given)
    assert_same_bits(found, wanted)
    assert found.validation_scores_ == wanted.validation_scores_


def test_targets_scaled_in_float32():
    X, y = data.regression()
    params = {**PARAMS, "target_scaling": "standard"}
    found = BPRegressor(dtype="float32", **params).fit(X, 1000 * y + 5000)
    wanted = BPRegressor(**params).fit(X.astype(np.float32), 1000 * y + 5000)
    assert_same_bits(found, wanted)
    assert_array_equal(found.predict(X), wanted.predict(X.astype(np.float32)))
    assert found.predict(X).dtype == np.float32


def test_weights_given_to_start_from_are_cast():
    X, y = rows()
    start = BPClassifier(**PARAMS).fit(X, y)
    model = BPClassifier(dtype="float32", **PARAMS)
    model.fit(X, y, coefs_init=start.coefs_, intercepts_init=start.intercepts_)
    single = ([one.astype(np.float32) for one in several] for several in (start.coefs_, start.intercepts_))
    wanted = BPClassifier(**PARAMS)
    wanted.fit(X.astype(np.float32), y, **dict(zip(("coefs_init", "intercepts_init"), single, strict=True)))
    assert_same_bits(model, wanted)


def test_a_stream_of_float64_blocks():
    X, y = rows()
    models = BPClassifier(dtype="float32", **PARAMS), BPClassifier(**PARAMS)
    for start in range(0, 150, 50):
        some = slice(start, start + 50)
        models[0].partial_fit(X[some], y[some], classes=[0, 1, 2])
        models[1].partial_fit(X[some].astype(np.float32), y[some], classes=[0, 1, 2])
    assert_same_bits(*models)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_probabilities_and_decisions_come_in_the_dtype_of_the_fit(dtype, blocks):
    X, y = rows()
    for loss, names in (
        ("log_loss", ("predict_proba", "predict_log_proba")),
        ("hinge", ("decision_function",)),
    ):
        model = BPClassifier(dtype=dtype, loss=loss, **PARAMS).fit(X, y)
        for name in names:
            ours = [getattr(model, name)(X.astype(other)) for other in (np.float32, np.float64)]
            assert ours[0].dtype == ours[1].dtype == dtype
            np.testing.assert_allclose(*ours, rtol=1e-4, atol=1e-6)
        assert model.score(X, y) == model.score(X.astype(np.float32), y)


def test_blocks_of_rows_are_looked_at_as_the_whole_is(blocks):
    X, y = rows()
    model = BPClassifier(dtype="float32", **PARAMS).fit(X, y)
    with pytest.raises(ValueError, match="X has 3 features, but BPClassifier is expecting 4"):
        model.predict(X[:, :3])
    X[-1, 0] = np.nan
    with pytest.raises(ValueError, match="Input X contains NaN"):
        model.predict(X)
    named = BPClassifier(dtype="float32", **PARAMS).fit(frame(rows()[0]), y)
    with pytest.warns(UserWarning, match="X does not have valid feature names") as told:
        named.predict(rows()[0])
    assert len(told) == 1


def test_a_bad_list_is_refused_as_a_whole(blocks):
    X, y = rows()
    for spoil, message in [
        (lambda X: [*X[:-1], X[-1][:3]], "rows of the same length"),
        (lambda X: [*X[:75], *(row[:3] for row in X[75:])], "rows of the same length"),
        (lambda X: [*X[:-1], [*X[-1][:3], "many"]], "are strings"),
        (lambda X: [*X[:-1], [*X[-1][:3], 10**400]], "too large for a float"),
        (lambda X: [*X[:-1], [*X[-1][:3], None]], "NaN"),
        (lambda X: [row[0] for row in X], "Expected 2D array"),
        (lambda X: [[row] for row in X], "dim 3"),
    ]:
        with pytest.raises(ValueError, match=message):
            BPClassifier(dtype="float32", **PARAMS).fit(spoil(X.tolist()), y)


# Numbers that float32 does not hold


def spoilt(X, number=1e300):
    X = X.copy()
    X[-1, 2] = number
    return X


@pytest.mark.parametrize(
    "container", ["array", "list", "CSR matrix", "CSC array", "pandas", "Polars", "objects"]
)
@ESTIMATORS
def test_rows_too_large_for_float32(Estimator, container, blocks):
    X, y = rows()
    good, bad = CONTAINERS[container](X), CONTAINERS[container](spoilt(X))
    model = Estimator(dtype="float32", **PARAMS).fit(good, y)
    before = snapshot(model)
    for call in (
        lambda: model.fit(bad, y),
        lambda: model.partial_fit(bad, y),
        lambda: model.predict(bad),
        lambda: model.transform(bad),
        lambda: model.score(bad, y),
        lambda: model.loss_and_gradients(bad, y),
    ):
        with pytest.raises(ValueError, match=f"X contains .*{BEYOND}"):
            call()
    assert_equal_state(snapshot(model), before)


def test_validation_rows_too_large_for_float32():
    X, y = rows()
    model = BPRegressor(dtype="float32", early_stopping=True, **PARAMS)
    with pytest.raises(ValueError, match=f"X_val.* X contains .*{BEYOND}"):
        model.fit(X, y, X_val=spoilt(X), y_val=y)
    with pytest.raises(ValueError, match=f"y_val.* y contains .*{BEYOND}"):
        model.fit(X, y, X_val=X, y_val=1e300 * y)
    with pytest.raises(ValueError, match=f"sample_weight_val.* contains .*{BEYOND}"):
        model.fit(X, y, X_val=X, y_val=y, sample_weight_val=np.full(150, 1e300))


def test_targets_weights_and_starts_too_large_for_float32():
    X, y = rows()
    with pytest.raises(ValueError, match=f"y contains .*{BEYOND}"):
        BPRegressor(dtype="float32", **PARAMS).fit(X, 1e300 * y)
    for weight in (np.full(150, 1e300), 1e300):
        with pytest.raises(ValueError, match=f"sample_weight contains .*{BEYOND}"):
            BPRegressor(dtype="float32", **PARAMS).fit(X, y, weight)
    with pytest.raises(ValueError, match=f"class_weight.* contains .*{BEYOND}"):
        BPClassifier(dtype="float32", class_weight={0: 1e300}, **PARAMS).fit(X, y)
    start = [np.full((4, 4), 1e300), np.zeros((4, 3))]
    with pytest.raises(ValueError, match=rf"coefs_init\[0\] contains .*{BEYOND}"):
        BPClassifier(dtype="float32", **PARAMS).fit(X, y, coefs_init=start)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_repeated_entries_of_a_sparse_row_whose_sum_is_too_large(dtype):
    y = [0, 1]
    large = 0.9 * float(np.finfo(dtype).max)
    X = sparse.csr_array(([large, large, 1.0], [0, 0, 1], [0, 2, 3]), shape=(2, 2))
    with pytest.raises(ValueError, match=f"X contains a value too large for {dtype}"):
        BPClassifier(dtype=dtype, **PARAMS).fit(X, y)


def test_where_numpy_raises_errors_a_fit_in_float32_is_the_same():
    X, y = rows()
    X[:, 0] *= 1e-60  # nothing is left of that
    wanted = BPClassifier(dtype="float32", **PARAMS).fit(X, y)
    with np.errstate(all="raise"):
        found = BPClassifier(dtype="float32", **PARAMS).fit(X, y)
        assert_array_equal(found.predict(X), wanted.predict(X))
        with pytest.raises(ValueError, match=BEYOND):
            found.fit(spoilt(X), y)
    assert_same_bits(found, wanted)


# Between two fits


@ESTIMATORS
def test_another_dtype_for_a_new_fit(Estimator):
    X, y = rows()
    model = Estimator(dtype="float32", **PARAMS).fit(X, y)
    model.set_params(dtype="float64")
    assert model.transform(X).dtype == np.float32
    assert_same_bits(model.fit(X, y), Estimator(**PARAMS).fit(X, y))


@pytest.mark.parametrize("call", ["partial_fit", "fit"])
@pytest.mark.parametrize("dtypes", [("float32", "float64"), ("float64", "float32"), ("auto", "float32")])
def test_another_dtype_where_training_goes_on(call, dtypes):
    X, y = rows()
    model = BPRegressor(dtype=dtypes[0], warm_start=True, **PARAMS).fit(X, y)
    used = model.coefs_[0].dtype.name
    before = snapshot(model.set_params(dtype=dtypes[1]))
    with pytest.raises(ValueError, match=f"dtype='{dtypes[1]}' is not that of the weights .* {used}: set"):
        getattr(model, call)(X, y)
    assert_equal_state(snapshot(model), before)
    # what the message says
    for known in (used, "auto"):
        assert getattr(clone_of(model).set_params(dtype=known), call)(X, y).coefs_[0].dtype == used
    model.set_params(warm_start=False)
    model.fit(X, y, coefs_init=model.coefs_, intercepts_init=model.intercepts_)
    assert model.coefs_[0].dtype == dtypes[1]


def clone_of(model):
    """With what has been learnt."""
    return pickle.loads(pickle.dumps(model))


def test_a_warm_start_goes_on_in_float32_whatever_the_rows():
    X, y = rows()
    models = [BPClassifier(dtype=dtype, warm_start=True, **PARAMS) for dtype in ("float32", "auto")]
    models[0].fit(X, y).fit(X, y)
    models[1].fit(X.astype(np.float32), y).fit(X, y)
    assert_same_bits(*models)


def test_assigned_weights_keep_their_dtype():
    X, y = rows()
    trained = BPClassifier(**PARAMS).fit(X, y)
    model = BPClassifier(dtype="float32", **PARAMS)
    model.coefs_, model.intercepts_, model.classes_ = trained.coefs_, trained.intercepts_, trained.classes_
    model._indicator = None
    assert_array_equal(model.predict(X), trained.predict(X))
    assert model.transform(X).dtype == np.float64
    with pytest.raises(ValueError, match=r"dtype='float32' is not that of the weights .* float64"):
        model.partial_fit(X, y)


@ESTIMATORS
def test_a_pickle_and_a_clone(Estimator):
    X, y = rows()
    model = Estimator(dtype="float32", **PARAMS).fit(X, y)
    assert model.get_params()["dtype"] == "float32"
    assert "dtype" in model._repr_html_() and "dtype='float32'" in repr(model)
    assert_array_equal(pickle.loads(pickle.dumps(model)).predict(X), model.predict(X))
    assert_same_bits(clone(model).fit(X, y), model)
    assert model.__sklearn_tags__().transformer_tags.preserves_dtype == ["float32"]
    assert clone(model).set_params(dtype="auto").__sklearn_tags__().transformer_tags.preserves_dtype == [
        "float64",
        "float32",
    ]


def test_a_frame_by_set_output():
    X, y = rows()
    model = BPClassifier(dtype="float32", **PARAMS).fit(X, y).set_output(transform="pandas")
    assert set(model.transform(X).dtypes) == {np.dtype(np.float32)}


def test_a_search_over_dtypes():
    X, y = rows()
    search = GridSearchCV(BPClassifier(**PARAMS), {"dtype": ["float32", "float64"]}, cv=2).fit(X, y)
    chosen = search.best_params_["dtype"]
    assert search.best_estimator_.coefs_[0].dtype == chosen
    with pytest.raises(InvalidParameterError, match="The 'dtype' parameter of BPClassifier must be"):
        GridSearchCV(BPClassifier(**PARAMS), {"dtype": [np.float32]}, cv=2, error_score="raise").fit(X, y)


def test_a_learning_rate_is_looked_for_in_the_dtype_of_the_fit():
    X, y = rows()
    found = learning_rate_range(BPClassifier(dtype="float32", **PARAMS), X, y)
    assert_array_equal(
        found.losses, learning_rate_range(BPClassifier(**PARAMS), X.astype(np.float32), y).losses
    )


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_a_fit_taken_up_in_its_dtype(solver, tmp_path):
    X, y = rows()
    path, params = (
        tmp_path / "run.ckpt",
        {**PARAMS, "solver": solver, "max_iter": 6, "dtype": "float32", "tol": 0},
    )
    stopped = BPClassifier(**params)
    stopped.set_callbacks(Checkpoint(path), StopWhen(lambda epoch: epoch.number == 3)).fit(X, y)
    model = BPClassifier(**params).set_callbacks(Checkpoint(path, resume=True))
    with pytest.raises(ValueError, match="dtype was 'float32' and is 'float64'"):
        clone(model).set_params(dtype="float64").fit(X, y)
    if solver == "lbfgs":
        with pytest.warns(UserWarning, match="lbfgs failed to converge"):
            model.fit(X, y)
        with pytest.warns(UserWarning, match="lbfgs failed to converge"):
            whole = BPClassifier(**params).fit(X, y)
    else:
        model.fit(X, y)
        whole = BPClassifier(**params).fit(X, y)
    assert_same_bits(model, whole)


def test_callbacks_see_the_dtype_of_the_fit():
    X, y = rows()
    seen = []

    def look(epoch):
        seen.append((epoch.estimator.coefs_[0].dtype, epoch.estimator.predict_proba(X).dtype))
        return False

    BPClassifier(dtype="float32", **PARAMS).set_callbacks(StopWhen(look)).fit(X, y)
    assert seen == [(np.float32, np.float32)] * 3


# The preset


@ESTIMATORS
def test_the_preset_computes_in_float32_unless_told(Estimator):
    X, y = rows()
    preset = {**PARAMS, "preset": "tabular"}
    model = Estimator(**preset).fit(X, y)
    assert model.coefs_[0].dtype == np.float32 and model.dtype == "auto"
    assert_same_bits(model, Estimator(**preset).fit(X.astype(np.float32), y))
    assert_same_bits(model, Estimator(dtype="float32", **preset).fit(X, y))
    assert Estimator(dtype="float64", **preset).fit(X, y).coefs_[0].dtype == np.float64
    assert model.__sklearn_tags__().transformer_tags.preserves_dtype == ["float32"]
    with pytest.raises(ValueError, match=f"X contains .*{BEYOND}"):
        model.fit(spoilt(X), y)


def test_a_preset_goes_on_in_the_dtype_of_the_weights():
    X, y = rows()
    model = BPRegressor(preset="tabular", dtype="float64", **PARAMS).fit(X, y)
    model.set_params(dtype="auto").partial_fit(X, y)
    assert model.coefs_[0].dtype == np.float64
    with pytest.raises(ValueError, match="dtype='float32' is not that of the weights"):
        model.set_params(dtype="float32").partial_fit(X, y)
