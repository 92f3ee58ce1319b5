"""The same bits for every number of threads, alone or beside others, in workers and forked children."""

import multiprocessing
import threading
from concurrent.futures import ThreadPoolExecutor

import data
import joblib
import numpy as np
import pytest
from helpers import EVERY_EPOCH, assert_same_bits
from numpy.testing import assert_array_equal
from scipy import sparse
from sklearn.model_selection import GridSearchCV, cross_val_predict

from fastbp import BPClassifier, BPRegressor

# Large enough that threads could share the work, odd enough that their shares are unequal.
WIDE = {"hidden_layer_sizes": (131, 67), "batch_size": 150, "max_iter": 2, "random_state": 0, **EVERY_EPOCH}
# Weights in many blocks, widths that are no multiple of a register.
LONG = {**WIDE, "hidden_layer_sizes": (530, 345, 7)}
SMALL = {"hidden_layer_sizes": (5,), "batch_size": 16, "max_iter": 3, "random_state": 0, **EVERY_EPOCH}


def digits(dtype=np.float64):
    X, y = data.digits()
    return X[:400].astype(dtype), y[:400]


def fit(Estimator, params, X, y, **more):
    return Estimator(**{**params, **more}).fit(X, y)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("solver", ["sgd", "adam", "lbfgs"])
@pytest.mark.parametrize("params", [WIDE, SMALL], ids=["wide", "small"])
def test_number_of_threads_does_not_matter(params, solver, dtype):
    X, y = digits(dtype)
    one = fit(BPClassifier, params, X, y, solver=solver, n_jobs=1)
    for n_jobs in (2, 3, -1, None):
        several = fit(BPClassifier, params, X, y, solver=solver, n_jobs=n_jobs)
        assert_same_bits(one, several)
        assert one.loss_ == several.loss_
        assert_array_equal(one.predict_proba(X), several.predict_proba(X))
        ours, theirs = one.loss_and_gradients(X, y), several.loss_and_gradients(X, y)
        assert ours.loss == theirs.loss
        for a, b in zip(ours.coefs, theirs.coefs, strict=True):
            assert_array_equal(a, b)


@pytest.mark.parametrize("Estimator", [BPClassifier, BPRegressor])
def test_number_of_threads_with_sparse_rows_and_weights(Estimator):
    X, y = digits()
    w = np.random.RandomState(0).uniform(size=len(y))
    X_sparse = sparse.csr_array(X)
    one = Estimator(**WIDE, n_jobs=1).fit(X_sparse, y, w)
    for n_jobs in (2, 3):
        several = Estimator(**WIDE, n_jobs=n_jobs).fit(X_sparse, y, w)
        assert_same_bits(one, several)
        assert_array_equal(one.predict(X_sparse), several.predict(X_sparse))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])
@pytest.mark.parametrize(
    "params",
    [WIDE, LONG, SMALL, {**SMALL, "hidden_layer_sizes": ()}],
    ids=["wide", "long", "small", "none"],
)
def test_a_row_alone_has_the_bits_of_the_row_in_a_batch(params, container, dtype):
    X, y = digits(dtype)
    model = fit(BPClassifier, params, X, y)
    X = container(X)
    together = model.predict_proba(X)
    hidden = model.transform(X)
    for i in (0, 1, 17, 398, 399):
        assert_array_equal(model.predict_proba(X[i : i + 1]), together[i : i + 1])
        if params["hidden_layer_sizes"]:
            assert_array_equal(model.transform(X[i : i + 1]), hidden[i : i + 1])
    for part in (slice(0, 2), slice(3, 12), slice(3, 13), slice(3, 16), slice(5, 38), slice(250, 400)):
        assert_array_equal(model.predict_proba(X[part]), together[part])


@pytest.fixture
def teams(monkeypatch):
    """The numbers of threads of the teams that are made, in order."""
    from fastbp.engines.cpu import batches, engine

    sizes = []

    class Spied(engine.Threads):
        def __init__(self, *args):
            super().__init__(*args)
            sizes.append(self.n_threads)

    for module in (batches, engine):
        monkeypatch.setattr(module, "Threads", Spied)
    return sizes


def test_large_steps_use_the_threads_and_small_ones_do_not(teams):
    X, y = digits()
    fit(BPClassifier, WIDE, X, y, n_jobs=2)
    fit(BPClassifier, SMALL, X, y, n_jobs=2)
    assert teams == [2, 1]


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_more_threads_than_cores(solver, teams):
    """They wait for one another at every step, and cores are switched among them."""
    X, y = digits()
    one = fit(BPClassifier, WIDE, X, y, solver=solver, batch_size=400, n_jobs=1)
    many = fit(BPClassifier, WIDE, X, y, solver=solver, batch_size=400, n_jobs=8)
    assert teams == [1, 8]
    assert_same_bits(one, many)
    assert_array_equal(one.predict_proba(X), many.predict_proba(X))


def test_several_fits_at_once():
    X, y = digits()
    seeds = range(6)
    alone = [fit(BPClassifier, WIDE, X, y, random_state=seed, n_jobs=2) for seed in seeds]
    with ThreadPoolExecutor(4) as pool:
        at_once = list(
            pool.map(lambda seed: fit(BPClassifier, WIDE, X, y, random_state=seed, n_jobs=2), seeds)
        )
    for a, b in zip(alone, at_once, strict=True):
        assert_same_bits(a, b)


def test_several_predictions_of_one_model_at_once():
    X, y = digits()
    model = fit(BPClassifier, WIDE, X, y)
    expected = model.predict_proba(X)
    with ThreadPoolExecutor(4) as pool:
        for result in pool.map(lambda _: model.predict_proba(X), range(12)):
            assert_array_equal(result, expected)


def test_no_thread_is_left_behind():
    """Neither by a fit that ends nor by one that fails."""
    X, y = digits()
    fit(BPClassifier, WIDE, X, y, n_jobs=3)
    before = threading.active_count()
    for _ in range(5):
        fit(BPClassifier, WIDE, X, y, n_jobs=3)
        with pytest.raises(ValueError, match="non-finite"):
            fit(BPRegressor, WIDE, X, y * 1e300, n_jobs=3)
    assert threading.active_count() <= before


@pytest.mark.parametrize("backend", ["loky", "threading", "multiprocessing"])
# Python warns of what is tested here: a fork of a process that has had threads.
@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
def test_joblib_workers(backend):
    X, y = data.iris()
    model = BPClassifier(**SMALL)
    expected = cross_val_predict(model, X, y, cv=3, method="predict_proba")
    with joblib.parallel_config(backend=backend):
        found = cross_val_predict(model, X, y, cv=3, method="predict_proba", n_jobs=2)
    assert_array_equal(found, expected)


def test_search_in_threads_with_threads():
    X, y = data.iris()
    grid = {"learning_rate_init": [1e-2, 1e-3], "n_jobs": [1, 2]}
    results = []
    for n_jobs in (1, 2):
        with joblib.parallel_config(backend="threading"):
            search = GridSearchCV(BPClassifier(**SMALL), grid, cv=3, n_jobs=n_jobs).fit(X, y)
        results.append(search.cv_results_["mean_test_score"])
    assert_array_equal(*results)


@pytest.mark.parametrize("backend", ["loky", "threading", "multiprocessing"])
@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
def test_teams_in_joblib_workers(backend):
    """Several threads in each of several workers, after a fit with several in this process."""
    X, y = digits()
    expected = fit(BPClassifier, WIDE, X, y, n_jobs=2)
    with joblib.parallel_config(backend=backend):
        found = joblib.Parallel(n_jobs=2)(
            joblib.delayed(fit)(BPClassifier, WIDE, X, y, n_jobs=n_jobs) for n_jobs in (2, None, 3)
        )
    for model in found:
        assert_same_bits(model, expected)


def fit_in_child(connection, teams, X, y):
    teams.clear()
    model = BPClassifier(**WIDE, n_jobs=2).fit(X, y)
    connection.send((teams, model.coefs_, model.predict_proba(X)))
    connection.close()


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="no fork on this platform")
# Python warns of what is tested here: a fork of a process that has had threads.
@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
def test_forked_child_after_a_fit(teams):
    """Threads do not survive a fork; a child that waits for them would hang."""
    X, y = digits()
    model = fit(BPClassifier, WIDE, X, y, n_jobs=2)
    assert teams == [2]
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe(duplex=False)
    child = context.Process(target=fit_in_child, args=(theirs, teams, X, y))
    child.start()
    try:
        assert ours.poll(120), "the child hangs"
        sizes, coefs, proba = ours.recv()
        child.join(60)
        assert child.exitcode == 0
        assert sizes[0] == 2
    finally:
        if child.is_alive():
            child.kill()
            child.join()
    for a, b in zip(coefs, model.coefs_, strict=True):
        assert_array_equal(a, b)
    assert_array_equal(proba, model.predict_proba(X))
