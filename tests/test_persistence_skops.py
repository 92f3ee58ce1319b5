"""Pipelines with our estimators in files of skops: one type to trust for each estimator."""

import data
import numpy as np
import pytest
from helpers import EVERY_EPOCH, assert_same_bits
from numpy.testing import assert_array_equal
from sklearn import config_context
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from test_persistence import outputs, table, with_few_units

from fastbp import (
    BPClassifier,
    BPEnsembleClassifier,
    BPEnsembleRegressor,
    BPRegressor,
    TabularClassifier,
    TabularRegressor,
)
from fastbp.persistence import SKOPS_TYPES
from fastbp.preprocessing import PeriodicEncoder, PiecewiseLinearEncoder
from fastbp.tables import base

io = pytest.importorskip("skops.io")

PARAMS = {"hidden_layer_sizes": (4,), "max_iter": 2, **EVERY_EPOCH}


def again(model, *trusted):
    """The model after a round trip, which needs exactly these types of ours."""
    content = io.dumps(model)
    assert io.get_untrusted_types(data=content) == sorted(trusted)
    assert set(trusted) <= set(SKOPS_TYPES)
    return io.loads(content, trusted=list(trusted))


def type_of(model):
    return f"{type(model).__module__}.{type(model).__qualname__}"


def assert_round_trip(model, X):
    loaded = again(model, type_of(model))
    assert_array_equal(outputs(loaded, X), outputs(model, X))
    return loaded


@pytest.mark.parametrize(
    "params",
    [
        {"random_state": np.random.RandomState(0), "class_weight": {0: 1.0, 1: 2.0, 2: 1.0}},
        {"solver": "lbfgs"},
        {"preset": "tabular"},
        {"early_stopping": True, "average": "swa", "norm": "batch", "hidden_layer_sizes": [3, 3]},
    ],
    ids=str,
)
def test_classifiers(params):
    X, y = data.iris()
    assert_round_trip(BPClassifier(**{**PARAMS, **params}).fit(X, y), X)


@pytest.mark.parametrize("loss", ["squared_error", "gaussian_nll"])
def test_regressors(loss):
    X, y = data.multi_output()
    assert_round_trip(BPRegressor(**PARAMS, loss=loss).fit(X, y), X)


def test_training_resumes():
    X, y = data.iris()
    model = BPClassifier(**PARAMS, random_state=0).partial_fit(X, y, classes=[0, 1, 2])
    loaded = assert_round_trip(model, X)
    assert_same_bits(loaded.partial_fit(X, y), model.partial_fit(X, y))


def test_ensembles():
    X, y = data.iris()
    names = np.array(["a", "b", "c"], object)[y]
    model = BPEnsembleClassifier(BPClassifier(**PARAMS), n_estimators=2, bootstrap=True)
    loaded = assert_round_trip(model.fit(X, names), X)
    assert_array_equal(loaded.predict_members(X), model.predict_members(X))
    assert_round_trip(BPEnsembleRegressor(BPRegressor(**PARAMS), n_estimators=2).fit(X, y), X)


@pytest.mark.parametrize("Model", [TabularClassifier, TabularRegressor])
def test_table_models(Model, monkeypatch):
    monkeypatch.setattr(base, "network_parameters", with_few_units(base.network_parameters))
    X = table()
    y = X["number"] + (X["text"] == "x")
    y = np.where(y < 0, "low", np.where(y > 1, "high", "middle")) if Model is TabularClassifier else y
    model = Model(random_state=0).fit(X, y)
    loaded = assert_round_trip(model, X)
    assert loaded.summary() == model.summary()


def test_encoders():
    X, _ = data.iris()
    for encoder in (PiecewiseLinearEncoder(3), PeriodicEncoder(2)):
        assert_round_trip(encoder.fit(X), X)


def test_pipelines():
    X, y = data.iris()
    network = BPClassifier(**PARAMS)
    for last in (network, BPEnsembleClassifier(network, n_estimators=2)):
        model = make_pipeline(StandardScaler(), PiecewiseLinearEncoder(3), last).fit(X, y)
        loaded = again(model, type_of(last), type_of(model[1]))
        assert_array_equal(outputs(loaded, X), outputs(model, X))


def test_unfitted():
    for Model in (BPClassifier, BPEnsembleRegressor, TabularClassifier):
        model = Model(random_state=3)
        assert again(model, type_of(model)).get_params() == model.get_params()


def test_metadata_requests():
    with config_context(enable_metadata_routing=True):
        network = BPClassifier().set_fit_request(sample_weight="w")
        loaded = again(network, type_of(network))
        assert loaded.get_metadata_routing().fit.requests == network.get_metadata_routing().fit.requests
