"""Networks that no memory holds are refused before anything is drawn, by the parameters and their size."""

import sys

import data
import numpy as np
import pytest
from helpers import EVERY_EPOCH, assert_equal_state, snapshot
from scipy import sparse

from fastbp import BPClassifier, BPRegressor, learning_rate_range
from fastbp.estimators import initial_weights
from fastbp.plan import network_size
from fastbp.plan.network_size import bytes_per_parameter, machine_memory

MAXOUT = {"activation": "maxout", "maxout_pieces": 2**30}
TOO_LARGE = {
    "maxout_pieces=2**30": MAXOUT,
    "maxout in one layer": {**MAXOUT, "hidden_layer_sizes": (3, 4), "activation": ["relu", "maxout"]},
    "2**30": {"hidden_layer_sizes": (2**30,)},
    "10**18": {"hidden_layer_sizes": (10**18,)},
    "2**62": {"hidden_layer_sizes": 2**62},
    "10**9, 10**9": {"hidden_layer_sizes": (10**9, 10**9)},
    "10**30, 2": {"hidden_layer_sizes": (10**30, 2)},
    "NumPy's": {"hidden_layer_sizes": np.array([2**40, 2**40])},
    "lbfgs": {"hidden_layer_sizes": (2**30,), "solver": "lbfgs"},
    "a preset": {"hidden_layer_sizes": (2**40,), "preset": "tabular"},
    "activations": {"hidden_layer_sizes": (2**26,)},
}
METHODS = ["fit", "partial_fit", "learning_rate_range"]


@pytest.fixture(autouse=True)
def _small_machine(monkeypatch):
    monkeypatch.setattr(network_size, "machine_memory", lambda: 16 * 10**9)


@pytest.fixture
def _nothing_is_drawn(monkeypatch):
    def draw(*arguments):
        raise AssertionError("weights were drawn")

    monkeypatch.setattr(initial_weights, "draw", draw)


def call(method, model, X, y):
    if method == "learning_rate_range":
        return learning_rate_range(model, X, y)
    if method == "partial_fit" and isinstance(model, BPClassifier):
        return model.partial_fit(X, y, classes=[0, 1, 2])
    return getattr(model, method)(X, y)


@pytest.mark.usefixtures("_nothing_is_drawn")
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("Estimator", [BPClassifier, BPRegressor])
@pytest.mark.parametrize("params", TOO_LARGE.values(), ids=TOO_LARGE)
def test_a_network_too_large_is_refused_at_once(params, Estimator, method):
    X, y = data.iris()
    if params.get("solver") == "lbfgs" and method != "fit":
        method = "fit"
    with pytest.raises((MemoryError, ValueError), match="hidden_layer_sizes") as caught:
        call(method, Estimator(**params), X, y)
    assert len(str(caught.value)) < 400
    if "maxout_pieces" in params:
        assert "maxout_pieces=1073741824" in str(caught.value)


@pytest.mark.usefixtures("_nothing_is_drawn")
def test_the_error_says_how_large():
    X, y = data.iris()
    with pytest.raises(
        MemoryError, match=r"1,610,612,737 parameters for 4 features and 1 .* 27\.9 GB.* 16\.0"
    ):
        BPRegressor(2**28, batch_size=1, solver="sgd", momentum=0, out_activation="identity").fit(X, y)
    with pytest.raises(ValueError, match="more than can be addressed"):
        BPRegressor((10**9, 10**9, 10**9)).fit(X, y)


@pytest.mark.usefixtures("_nothing_is_drawn")
def test_many_features_of_a_sparse_matrix():
    X = sparse.csr_matrix((np.ones(3), ([0, 1, 2], [0, 5, 2**40])), shape=(3, 2**40 + 1))
    with pytest.raises(MemoryError, match="1099511627777 features"):
        BPRegressor(100).fit(X, [0.0, 1.0, 2.0])


@pytest.mark.usefixtures("_nothing_is_drawn")
def test_many_quantiles():
    X, y = data.regression()
    params = {"loss": "pinball", "loss_params": {"quantile": np.linspace(0.001, 0.999, 999).tolist()}}
    with pytest.raises(MemoryError, match="999 outputs"):
        BPRegressor(10**7, **params).fit(X, y)


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_a_refused_fit_leaves_the_model(method):
    X, y = data.iris()
    model = BPClassifier(3, max_iter=1, **EVERY_EPOCH).fit(X, y)
    model.set_params(hidden_layer_sizes=(2**30,))
    before = snapshot(model)
    with pytest.raises(MemoryError):
        call(method, model, X, y)
    assert_equal_state(snapshot(model), before)


@pytest.mark.usefixtures("_nothing_is_drawn")
@pytest.mark.parametrize("memory", [10**30, sys.maxsize])
def test_where_the_memory_is_not_known(memory, monkeypatch):
    """Only what cannot be addressed is refused."""
    X, y = data.iris()
    monkeypatch.setattr(network_size, "machine_memory", lambda: memory)
    with pytest.raises(ValueError, match="hidden_layer_sizes"):
        BPRegressor((2**31, 2**31)).fit(X, y)
    with pytest.raises(AssertionError, match="weights were drawn"):
        BPRegressor(2).fit(X, y)


def test_the_memory_of_this_machine(monkeypatch, tmp_path):
    assert 10**7 < machine_memory() <= sys.maxsize
    limit = tmp_path / "memory.max"
    monkeypatch.setattr(network_size, "LIMITS", (str(limit), str(tmp_path / "none")))
    whole = machine_memory.__wrapped__()
    limit.write_text("max\n")
    assert machine_memory.__wrapped__() == whole
    limit.write_text("1000000\n")
    assert machine_memory.__wrapped__() == 1_000_000
    monkeypatch.delattr("os.sysconf", raising=False)  # Windows
    limit.write_text("max\n")
    assert machine_memory.__wrapped__() == sys.maxsize


def test_what_training_holds():
    """Weights and the solver's moments, twice; SciPy's vectors."""
    assert bytes_per_parameter(0, np.float32) == 8
    assert bytes_per_parameter(2, np.float64) == 48
    assert bytes_per_parameter(None, np.float32) == 40
