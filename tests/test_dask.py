"""Searches on a Dask cluster: blocks of candidates on its workers, with the same scores."""

import logging
import os
import time

import numpy as np
import pytest
import sklearn.experimental.enable_halving_search_cv  # noqa: F401
from joblib import parallel_config
from sklearn import model_selection
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.datasets import load_iris
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

import fastbp.model_selection as fused
from fastbp import BPClassifier
from fastbp.model_selection.distributed import blocks_of, evaluate_on_cluster
from fastbp.model_selection.evaluation import Evaluation, Parameters

X, y = load_iris(return_X_y=True)
NETWORK = BPClassifier((5,), max_iter=4, random_state=0, learning_rate_init=0.02)
CHAIN = Pipeline([("scale", StandardScaler()), ("net", NETWORK)])
GRID = {"net__alpha": [1e-4, 0.1, 1.0], "scale__with_mean": [True, False]}


@pytest.fixture(scope="module")
def client():
    """The client of a cluster of two worker processes."""
    distributed = pytest.importorskip("dask.distributed")
    options = {"n_workers": 2, "threads_per_worker": 1, "processes": True, "dashboard_address": None}
    with (
        distributed.LocalCluster(**options, memory_limit=0, silence_logs=logging.CRITICAL) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


@pytest.fixture
def cluster(client):
    """With both workers: with one, joblib makes the calls itself."""
    client.wait_for_workers(2, timeout=20)


def compare(results, expected):
    for name, values in expected.items():
        if not name.endswith("_time"):
            np.testing.assert_array_equal(values, results[name], err_msg=name)


@pytest.fixture
def logged(caplog):
    caplog.set_level(logging.DEBUG, "fastbp.model_selection")
    return lambda text: [one for one in caplog.messages if text in one]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("estimator", [CHAIN, NETWORK], ids=["pipeline", "alone"])
def test_same_scores(cluster, estimator, logged):
    grid = GRID if estimator is CHAIN else {"alpha": [1e-4, 0.1], "solver": ["adam", "lbfgs"]}
    options = {"cv": 3, "return_train_score": True, "scoring": ["accuracy", "neg_log_loss"], "refit": False}
    expected = model_selection.GridSearchCV(estimator, grid, **options).fit(X, y).cv_results_
    with parallel_config("dask"):
        results = fused.GridSearchCV(estimator, grid, **options).fit(X, y).cv_results_
    compare(results, expected)
    assert logged("are distributed in")
    assert not logged("not fused")


@pytest.mark.filterwarnings("ignore")
def test_rows_are_sent_apart_from_blocks(cluster, monkeypatch):
    """Dask holds X and y once for all blocks of an iteration, and copies them from worker to worker."""
    distributed = pytest.importorskip("dask.distributed")
    sent = []
    real = distributed.Client.scatter

    def scatter(self, data, *args, **kwargs):
        sent.append(data)
        return real(self, data, *args, **kwargs)

    monkeypatch.setattr(distributed.Client, "scatter", scatter)
    with parallel_config("dask"):
        fused.GridSearchCV(CHAIN, GRID, cv=3, refit=False).fit(X, y)
    assert sorted(np.shape(one) for one in sent) == [y.shape, X.shape]


@pytest.mark.filterwarnings("ignore")
def test_halving_and_weights(cluster, logged):
    options = {"resource": "net__max_iter", "min_resources": 2, "max_resources": 8, "factor": 2, "cv": 2}
    weights = np.random.RandomState(0).uniform(0.5, 2, len(y))
    expected = model_selection.HalvingGridSearchCV(CHAIN, GRID, random_state=0, **options)
    expected.fit(X, y, net__sample_weight=weights)
    with parallel_config("dask"):
        search = fused.HalvingGridSearchCV(CHAIN, GRID, random_state=0, **options)
        search.fit(X, y, net__sample_weight=weights)
    compare(search.cv_results_, expected.cv_results_)
    np.testing.assert_array_equal(search.predict_proba(X), expected.predict_proba(X))
    assert len(logged("are distributed in")) == 3


@pytest.mark.filterwarnings("ignore")
def test_errors_of_fits(cluster):
    grid = {"learning_rate_init": [1e-3, 1e200]}
    network = BPClassifier((5,), max_iter=4, solver="sgd", random_state=0)
    expected = model_selection.GridSearchCV(network, grid, refit=False).fit(X, y)
    with parallel_config("dask"):
        compare(fused.GridSearchCV(network, grid, refit=False).fit(X, y).cv_results_, expected.cv_results_)
        with pytest.raises(ValueError, match="non-finite parameter weights"):
            fused.GridSearchCV(network, grid, error_score="raise").fit(X, y)


class KillsOnce(TransformerMixin, BaseEstimator):
    """Ends the worker process at the first fit of all."""

    def __init__(self, path="", here=0):
        self.path, self.here = path, here

    def fit(self, X, y=None):
        if os.getpid() != self.here:
            time.sleep(0.2)
            try:
                os.close(os.open(self.path, os.O_CREAT | os.O_EXCL))
            except FileExistsError:
                pass
            else:
                os._exit(1)
        return self

    def transform(self, X):
        return X


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("n_blocks", [1, 8])
def test_a_killed_worker(cluster, tmp_path, n_blocks):
    """The worker of a single block is the only one with all rows, and they are sent again."""
    path = tmp_path / "killed"
    chain = Pipeline([("kill", KillsOnce(str(path), os.getpid())), ("net", NETWORK)])
    grid = {"net__alpha": [1e-4, 0.1, 1.0][: 1 if n_blocks == 1 else 3]}
    splits = model_selection.ShuffleSplit(1 if n_blocks == 1 else 4, random_state=0)
    expected = model_selection.GridSearchCV(chain, grid, cv=splits).fit(X, y)
    assert not path.exists()
    with parallel_config("dask"):
        search = fused.GridSearchCV(chain, grid, cv=splits).fit(X, y)
    assert path.exists()
    compare(search.cv_results_, expected.cv_results_)


def test_blocks():
    """Each block has one fold, equal earlier steps are neighbours, and nothing is left out."""
    folds = list(model_selection.KFold(3).split(X))
    evaluations = []
    for number, alpha in enumerate([1e-4, 0.1, 1.0, 2.0] * 6):
        train, test = folds[number % 3]
        parameters = {"net__alpha": alpha, "scale__with_mean": bool(number % 2)}
        arguments = {"train": train, "test": test, "parameters": parameters, "caller": None}
        whole = Parameters(CHAIN, parameters)
        evaluations.append(Evaluation(number, CHAIN, X, y, arguments, whole, False))
    blocks = blocks_of(evaluations, 6)
    assert [len(block) for block in blocks] == [4] * 6
    assert sorted(entry.number for block in blocks for entry in block) == list(range(24))
    for block in blocks:
        assert len({entry.number % 3 for entry in block}) == 1
        assert len({entry.arguments["parameters"]["scale__with_mean"] for entry in block}) == 1
        assert all("caller" not in entry.arguments for entry in block)
    assert evaluate_on_cluster([], {}) == {}
