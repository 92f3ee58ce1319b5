"""When the compiler runs: never at import, never again for another shape, twice at most for a kernel."""

import subprocess
import sys

import data
import numpy as np
import pytest
from helpers import kernels
from scipy import sparse

from fastbp import BPClassifier, BPRegressor
from fastbp.estimators.fit_many import FitJob, fit_many

PARAMS = {"max_iter": 2, "random_state": 0}


def run(program):
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_importing_compiles_nothing():
    """Numba, plotting and the other optional packages are not even imported."""
    program = """
import sys
import fastbp
fastbp.BPClassifier(), fastbp.BPRegressor()
heavy = {"numba", "llvmlite", "matplotlib", "torch", "jax", "cupy", "onnx", "sklearn.ensemble"}
print(*sorted(heavy & sys.modules.keys()))
"""
    assert run(program).split() == []


def test_the_mathematics_can_be_read_without_numba():
    program = """
import sys
sys.modules["numba"] = None  # an import of it now fails
import importlib, pkgutil
import fastbp.functions, fastbp.plan.network
for module in pkgutil.walk_packages(fastbp.functions.__path__, "fastbp.functions."):
    importlib.import_module(module.name)
"""
    assert run(program) == ""


def varied_fits():
    """Both precisions, all solvers and heads, dense and sparse, weighted or not, many shapes."""
    yield lambda X: BPClassifier((), **PARAMS).fit(X, np.arange(len(X)) % 3)
    yield lambda X: BPClassifier((5,), early_stopping=True, **PARAMS).fit(X, np.arange(len(X)) % 2)
    yield lambda X: BPClassifier((9, 4), activation="tanh", solver="sgd", batch_size=7, **PARAMS).fit(
        X, np.arange(len(X)) % 4, np.arange(len(X))
    )
    yield lambda X: BPClassifier((3,), activation="logistic", solver="lbfgs", **PARAMS).fit(
        X, np.eye(2, dtype=int)[np.arange(len(X)) % 2]
    )
    yield lambda X: BPRegressor(
        (3,), activation="identity", loss="mean_squared_error", n_jobs=2, **PARAMS
    ).fit(X, X[:, :2])
    yield lambda X: BPRegressor((33,), loss="poisson", shuffle=False, **PARAMS).fit(X, np.arange(len(X)) % 5)
    yield lambda X: BPRegressor((70,), solver="sgd", loss="log_loss", n_jobs=1, **PARAMS).fit(
        X, np.arange(len(X)) % 2
    )
    yield lambda X: BPRegressor((6, 4), activation=["maxout", "relu"], maxout_pieces=3, **PARAMS).fit(
        X, X[:, :2]
    )
    for out_activation in ("identity", "logistic", "tanh", "relu", "softmax", "exp"):
        yield lambda X, out=out_activation: BPRegressor((4,), out_activation=out, **PARAMS).fit(X, X[:, :2])

    def on_sparse(X):
        y = np.arange(len(X)) % 3
        model = BPClassifier((6,), **PARAMS).fit(sparse.csr_array(X), y)
        wide = sparse.csr_array(X)
        wide.indices, wide.indptr = wide.indices.astype(np.int64), wide.indptr.astype(np.int64)
        model.fit(wide, y, np.ones(len(X)))
        model.predict_proba(wide)
        model.predict_proba(sparse.csc_array(X))
        model.loss_and_gradients(wide, y)

    yield on_sparse

    def everything_else(X):
        y = np.arange(len(X)) % 3
        model = BPClassifier((6, 5), warm_start=True, **PARAMS).fit(X, y)
        model.fit(X, y)
        model.partial_fit(X[::2], y[::2])
        model.predict_proba(X[:1])
        model.transform(np.asfortranarray(X))
        model.activations(X)
        model.loss_and_gradients(X, y, np.ones(len(X)))
        frozen = X.copy()
        frozen.flags.writeable = False
        model.fit(frozen, y).predict(frozen)

    yield everything_else

    def blocks(X):
        y = np.arange(len(X)) % 3
        for rows in (X, sparse.csr_array(X)):
            for fit_params in ({}, {"sample_weight": np.ones(len(y))}):
                models = [BPClassifier((3,), max_iter=2, random_state=seed) for seed in range(4)]
                fitted = fit_many([FitJob(model, rows, y, fit_params) for model in models], 1)
                assert fitted == models

    yield blocks


def run_all(n_rows, n_features):
    rng = np.random.RandomState(0)
    X = np.abs(rng.normal(size=(n_rows, n_features)))
    for dtype in (np.float32, np.float64):
        for fit in varied_fits():
            fit(X.astype(dtype))


# conftest.py moves this test to the end, so that it sees what the whole suite has compiled.
@pytest.mark.last
def test_two_specialisations_of_a_kernel_at_most():
    run_all(40, 5)
    too_many = {k.py_func.__qualname__: k.signatures for k in kernels() if len(k.signatures) > 2}
    assert not too_many


def test_other_shapes_compile_nothing():
    from numba.core import event

    class Compilations(event.Listener):
        def __init__(self):
            self.names = []

        def on_start(self, event):
            self.names.append(str(event.data["dispatcher"]))

        def on_end(self, event):
            pass

    run_all(40, 5)
    before = {id(k): list(k.signatures) for k in kernels()}
    compilations = Compilations()
    with event.install_listener("numba:compile", compilations):
        run_all(57, 11)
        run_all(24, 3)
    assert compilations.names == []
    after = {id(k): list(k.signatures) for k in kernels()}
    assert after == before  # not even loaded from the cache


def test_a_second_process_compiles_nothing():
    """The cache on disk is used, by the first fit of a process of its own."""
    X, y = data.iris()
    BPClassifier((3,), max_iter=2).fit(X, y)
    program = """
import warnings
import numpy as np
from fastbp import BPClassifier
from numba.core import event

class Compilations(event.Listener):
    def on_start(self, event):
        print(event.data["dispatcher"])
    def on_end(self, event):
        pass

warnings.simplefilter("ignore")
with event.install_listener("numba:compile", Compilations()):
    BPClassifier((9, 2), max_iter=2).fit(np.random.RandomState(0).normal(size=(30, 6)), np.arange(30) % 3)
"""
    assert run(program) == ""


def test_a_kernel_inside_another_is_compiled_as_a_part_of_it():
    """It has no code of its own until Python calls it itself."""
    from fastbp.engines.compiler import is_linked, jit

    @jit
    def inner(x):
        return x + 1.0

    @jit
    def outer(x):
        return inner(2.0 * x)

    assert outer(3.0) == 7.0
    (part,) = inner.overloads.values()
    assert is_linked(part)
    assert inner(3.0) == 4.0
    (whole,) = inner.overloads.values()
    assert not is_linked(whole)
    assert outer(3.0) == 7.0


def test_kernels_inside_others_are_shared_by_them():
    from fastbp.engines.compiler import jit

    @jit
    def inner(x):
        return x + 1.0

    @jit
    def first(x):
        return 2.0 * inner(x)

    @jit
    def second(x):
        return first(x) + inner(x)

    assert first(1.0) == 4.0 and second(1.0) == 6.0
    assert len(inner.overloads) == 1


def test_a_fit_does_not_depend_on_the_kernels_that_a_process_has_loaded_before():
    """The linker of compiled code finds functions by name: parts of kernels must not be found."""
    program = """
import warnings
import numpy as np
from fastbp import BPClassifier
warnings.simplefilter("ignore")
X = np.random.RandomState(0).normal(size=(300, 13)).astype("f4")
y = (X[:, 0] > 0).astype(int)
{before}
print(BPClassifier((19, 5), norm="batch", max_iter=4, random_state=1).fit(X, y).loss_curve_)
"""
    alone = run(program.format(before=""))
    assert alone == run(program.format(before="BPClassifier((19, 5), max_iter=2).fit(X, y)"))
