"""Models as functions for compiled code, against their own predictions."""

import os
import pickle
import subprocess
import sys

import exported
import numba
import numpy as np
import pytest
from numba.core.errors import NumbaWarning, TypingError
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fastbp import BPClassifier, BPEnsembleClassifier, BPEnsembleRegressor, BPRegressor, export
from fastbp.export.numba_function import compiled_kernel, source_of

rng = np.random.RandomState(0)
X = rng.normal(size=(30, 3))
Y = np.c_[X[:, 0] + X[:, 1], 10 * X[:, 2]]
PARAMS = {"hidden_layer_sizes": (4,), "max_iter": 2, "random_state": 0}
TOLERANCE = {"float32": 1e-5, "float64": 1e-12}


@pytest.fixture(scope="module")
def regressor():
    return BPRegressor(**PARAMS, target_scaling="standard").fit(X, Y[:, 0])


@pytest.fixture(scope="module")
def f(regressor):
    return regressor.to_numba()


@pytest.fixture(scope="module")
def classifier():
    return BPClassifier(**PARAMS).fit(X, np.arange(30) % 3)


def test_every_function():
    """The kernels, without the function around them."""
    for seed, chosen in enumerate(exported.singles()):
        model = exported.make(chosen, seed)
        rows = exported.rows(chosen["dtype"])
        expected = exported.scores(model, rows)
        with_std = isinstance(model, BPRegressor) and model.loss == "gaussian_nll"
        source, constants = source_of(model._prediction(), with_std)
        kernel = compiled_kernel(source, constants.dtype)
        if with_std:
            expected = np.hstack([a.reshape(len(rows), -1) for a in model.predict(rows, return_std=True)])
        found = np.empty_like(expected)
        for x, out in zip(rows, found, strict=True):
            kernel(constants, x, out)
        assert exported.error(found, expected) < TOLERANCE[chosen["dtype"]], chosen


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_extreme_numbers(dtype):
    """Large ones overflow nowhere, and NaN stays NaN."""
    names = ["softplus", "gelu", "mish", "tanh", "selu", "logistic", "silu"]
    model = BPClassifier([4] * len(names), activation=names, max_iter=1, random_state=0, dtype=dtype)
    model.fit(X, np.arange(30) % 3)
    rows = X.astype(dtype)
    for size in (1.0, 30.0, 1000.0):
        model.coefs_ = [size * coef for coef in model.coefs_]
        source, constants = source_of(model._prediction())
        kernel, found = compiled_kernel(source, constants.dtype), np.empty((30, 3), dtype)
        for x, out in zip(rows, found, strict=True):
            kernel(constants, x, out)
        assert np.isfinite(found).all()
        assert_allclose(found, model.predict_proba(rows), 1e-3 if dtype == "float32" else 1e-9, atol=1e-7)
    kernel(constants, np.full(3, np.nan, dtype), out)
    assert np.isnan(out).all()


def test_in_compiled_code(regressor, f):
    @numba.njit
    def total(X):
        result = 0.0
        for i in range(len(X)):
            result += f(X[i])
        return result

    assert_allclose(total(X), regressor.predict(X).sum(), 1e-10)


def test_rows_and_batches(regressor, f, classifier):
    expected = regressor.predict(X)
    assert_allclose(f(X), expected, 1e-12)
    assert f(X).shape == (30,) and isinstance(f(X[0]), float)
    assert_allclose([f(tuple(x)) for x in X.tolist()], expected, 1e-12)
    assert_allclose(f(X[:, ::-1].copy()[:, ::-1]), expected, 1e-12)  # other strides
    for out in (np.empty(30, np.float32), np.empty((30, 1))):
        assert f(X, out) is not None
        assert_allclose(out.ravel(), expected, 1e-6 if out.dtype == np.float32 else 1e-12)
    g, expected = classifier.to_numba(), classifier.predict_proba(X)
    assert_allclose(g(X), expected, 1e-12)
    assert_allclose(g(X[3]), expected[3], 1e-12)
    out = np.empty((30, 3))
    assert_array_equal(g(X, out), out)
    assert_allclose(g(X[4], out[0]), expected[4], 1e-12)
    assert_allclose(out[0], expected[4], 1e-12)


def test_frozen_readonly_and_float32_inputs(f, regressor):
    frozen = X.copy()
    frozen.flags.writeable = False
    assert_array_equal(f(frozen), f(X))
    assert_allclose(f(X.astype(np.float32)), regressor.predict(X), 1e-4)


def test_weights_are_those_of_the_call():
    model = BPRegressor(**PARAMS, dtype="float32").fit(X, Y)
    f, before = model.to_numba(), model.predict(X)
    model.coefs_[0][:] = 0
    assert f(X).dtype == np.float32
    assert_allclose(f(X), before, 1e-5)
    assert_allclose(model.to_numba()(X), model.predict(X), 1e-5)
    assert np.abs(model.predict(X) - before).max() > 0.01


def test_mistakes(f, classifier):
    with pytest.raises(ValueError, match="x must have 3 numbers"):
        f(np.ones(4))
    with pytest.raises(ValueError, match="out must have 1 number"):
        f(np.ones(3), np.ones(2))
    with pytest.raises(ValueError, match="as many rows as x"):
        f(X, np.ones(29))
    with pytest.raises(TypingError, match="x must be a row of numbers"):
        f(1.0)
    with pytest.raises(TypingError, match="out must be an array of 1 dimension"):
        f(X[0], np.ones((3, 1)))
    with pytest.raises(ValueError, match="return_std=True needs"):
        classifier.to_numba(return_std=True)
    with pytest.raises(ValueError, match="not fitted"):
        BPRegressor().to_numba()


def test_standard_deviations():
    model = BPRegressor(**PARAMS, loss="gaussian_nll").fit(X, Y)
    assert_allclose(model.to_numba(return_std=True)(X), np.hstack(model.predict(X, return_std=True)), 1e-12)
    assert_allclose(model.to_numba()(X), model.predict(X), 1e-12)


def test_ensembles():
    members = BPRegressor(**PARAMS), BPClassifier(**PARAMS)
    model = BPEnsembleRegressor(members[0], n_estimators=2, random_state=0).fit(X, Y[:, 0])
    found = model.to_numba(return_std=True)(X)
    assert_allclose(found, np.transpose(model.predict(X, return_std=True)), 1e-10)
    model = BPEnsembleClassifier(members[1], n_estimators=2, random_state=0).fit(X, np.arange(30) % 3)
    assert_allclose(model.to_numba()(X), model.predict_proba(X), 1e-12)


def test_pipelines():
    model = make_pipeline(StandardScaler(), BPRegressor(**PARAMS)).fit(10 * X + 3, Y)
    assert_allclose(export.to_numba(model)(10 * X + 3), model.predict(10 * X + 3), 1e-10)


def test_in_threads(f):
    @numba.njit(parallel=True)
    def all_rows(X):
        out = np.empty(len(X))
        for i in numba.prange(len(X)):
            out[i] = f(X[i])
        return out

    assert_array_equal(all_rows(X), f(X))


def test_pickle(f):
    again = pickle.loads(pickle.dumps(f))
    assert again is not f
    assert_array_equal(again(X), f(X))


def test_numba_keeps_no_code_with_old_weights(f, tmp_path, monkeypatch):
    """Its own cache would find that code again for another model."""
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))

    @numba.njit(cache=True)
    def twice(x):
        return 2 * f(x)

    with pytest.warns(NumbaWarning, match="dynamic globals"):
        assert twice(X[0]) == 2 * f(X[0])


def test_another_process_compiles_no_kernel(regressor, tmp_path, monkeypatch):
    """Kernels are kept by their source, without the weights."""
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))
    source, constants = source_of(regressor._prediction())
    compiled_kernel(source, constants.dtype)
    program = """
import sys
import numpy as np
import fastbp
sys.modules["numba"] = None  # no C file needs it
model = fastbp.BPRegressor((3,))
model.coefs_, model.intercepts_ = [np.ones((2, 3)), np.ones((3, 1))], [np.ones(3), np.ones(1)]
assert "model_predict" in model.to_c()
del sys.modules["numba"]
from fastbp.export.numba_function import compiled_kernel
dispatcher = compiled_kernel(sys.stdin.read(), np.dtype(float))
assert not dispatcher.stats.cache_misses and len(dispatcher.stats.cache_hits) == 1, dispatcher.stats
print(*[dispatcher(np.arange(99.0), np.ones(3), out := np.empty(1)) or out[0]])
"""
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, input=source, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    compiled_kernel(source, constants.dtype)(np.arange(99.0), np.ones(3), out := np.empty(1))
    assert float(done.stdout) == out[0]
