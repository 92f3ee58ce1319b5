"""Models in files: a loaded model is the one that was saved, whatever it was."""

import datetime
import io
import json
import os
import pickle
import subprocess
import sys
import zipfile

import data
import numpy as np
import pytest
import scipy.sparse
from helpers import EVERY_EPOCH, assert_equal_state, assert_same_bits, snapshot
from numpy.testing import assert_array_equal
from readme import PERSISTENCE
from sklearn import config_context
from sklearn.base import clone
from sklearn.callback import ScoringMonitor
from sklearn.exceptions import NotFittedError
from sklearn.metrics import accuracy_score, make_scorer

import fastbp
from fastbp import (
    BPClassifier,
    BPEnsembleClassifier,
    BPEnsembleRegressor,
    BPRegressor,
    TabularClassifier,
    TabularRegressor,
)
from fastbp.callbacks import StopWhen
from fastbp.persistence import SKOPS_TYPES, class_table, describe
from fastbp.persistence.decoding import Decoder
from fastbp.persistence.encoding import Encoder
from fastbp.preprocessing import PeriodicEncoder, PiecewiseLinearEncoder
from fastbp.tables import TableEncoder, base

PARAMS = {"hidden_layer_sizes": (4,), "max_iter": 2, "random_state": 0, "batch_size": 50, **EVERY_EPOCH}
SMALL = {"hidden_layer_sizes": (5,), "max_iter": 3}


def again(model):
    """The model after a round trip through a file."""
    file = io.BytesIO()
    model.save(file)
    return fastbp.load(file)


def outputs(model, X):
    methods = ("predict_proba", "decision_function", "predict", "transform")
    return getattr(model, next(name for name in methods if hasattr(model, name)))(X)


def assert_round_trip(model, X):
    """All of the state and the bits of predictions are kept; return the loaded model."""
    loaded = again(model)
    assert type(loaded) is type(model)
    assert_equal_state(snapshot(loaded), snapshot(model))
    assert_array_equal(outputs(loaded, X), outputs(model, X))
    if hasattr(model, "predict"):
        assert_array_equal(dense(loaded.predict(X)), dense(model.predict(X)))
    return loaded


def dense(values):
    return values.toarray() if scipy.sparse.issparse(values) else values


@pytest.fixture
def small_networks(monkeypatch):
    """Table models of few units and epochs."""
    monkeypatch.setattr(base, "network_parameters", with_few_units(base.network_parameters))


def with_few_units(network_parameters):
    def few(*args):
        return network_parameters(*args) | SMALL

    return few


def table(n_rows=120):
    """A column of each kind."""
    pd = pytest.importorskip("pandas")
    rng = np.random.RandomState(0)
    numbers = rng.normal(size=n_rows)
    return pd.DataFrame(
        {
            "number": numbers,
            "gaps": np.where(rng.rand(n_rows) < 0.2, np.nan, numbers**2),
            "text": rng.choice(["x", "y", "z"], n_rows),
            "two": rng.choice(["p", "q"], n_rows),
            "many": rng.choice([f"k{i}" for i in range(60)], n_rows),
            "ordered": pd.Categorical(
                rng.choice(["lo", "mid", "hi"], n_rows), ["lo", "mid", "hi"], ordered=True
            ),
            "date": pd.date_range("2020-01-01", periods=n_rows, freq="7h"),
            "flag": rng.rand(n_rows) < 0.5,
            "only": np.where(rng.rand(n_rows) < 0.2, None, "a"),
            "identifier": [f"id{i}" for i in range(n_rows)],
            "constant": 1.0,
        }
    )


# --- Networks


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"solver": "lbfgs"},
        {"hidden_layer_sizes": ()},
        {"hidden_layer_sizes": [4, 3], "activation": ["maxout", "tanh"], "norm": "batch", "average": "ema"},
        {"early_stopping": True, "scoring": "loss", "n_iter_no_change": float("inf")},
        {"preset": "tabular", "hidden_layer_sizes": (4,)},
        {"norm": "layer", "parametric_activation": True, "dtype": "float32", "dropout": [0.1]},
        {"fit_intercept": False, "loss": "focal", "loss_params": {"gamma": np.float32(1.5)}},
        {"loss": "hinge", "out_activation": "identity"},
        {"class_weight": {0: 1.0, 1: 2, 2: np.float64(3)}, "max_iter": np.int64(2)},
        {"class_weight": "balanced", "schedule": "cosine", "schedule_params": {"warmup_steps": 2}},
    ],
    ids=str,
)
def test_classifiers(params):
    X, y = data.iris()
    assert_round_trip(BPClassifier(**{**PARAMS, **params}).fit(X, y), X)


@pytest.mark.parametrize(
    "params",
    [
        {"target_scaling": "standard"},
        {"loss": "gaussian_nll"},
        {"loss": "poisson"},
        {"loss": "pinball", "loss_params": {"quantile": [0.1, 0.5, 0.9]}},
    ],
    ids=str,
)
def test_regressors(params):
    X, y = data.counts()
    model = BPRegressor(**{**PARAMS, **params}).fit(X, y)
    loaded = assert_round_trip(model, X)
    if params["loss" if "loss" in params else "target_scaling"] == "gaussian_nll":
        assert_array_equal(loaded.predict_interval(X), model.predict_interval(X))


LABELS = {
    "integers": np.array([3, 5, 7]),
    "floats": np.array([0.0, 1.0, 2.0], np.float32),
    "long floats": np.array([0, 1, 2], np.longdouble),
    "strings": np.array(["a", "bb", "ç"]),
    "objects": np.array(["a", "bb", "ç"], object),
    "large": np.array([2**70, 2, 3], object),
    "unsigned": np.array([2**64 - 1, 2, 3], np.uint64),
    "dates": np.array(["2020-01-01", "2021-01-01", "2022-01-01"], "M8[D]"),
    "two": np.array([False, True, True]),
    "two texts": np.array(["no", "yes", "yes"]),
}


@pytest.mark.parametrize("kind", LABELS)
def test_labels(kind):
    X, y = data.iris()
    loaded = assert_round_trip(BPClassifier(**PARAMS).fit(X, LABELS[kind][y]), X)
    assert loaded.classes_.dtype == np.unique(LABELS[kind]).dtype
    assert all(type(label) is type(LABELS[kind][0]) for label in loaded.classes_)


@pytest.mark.parametrize("form", [np.asarray, scipy.sparse.csr_matrix])
def test_multilabel(form):
    X, Y = data.multilabel()
    loaded = assert_round_trip(BPClassifier(**PARAMS).fit(X, form(Y)), X)
    assert scipy.sparse.issparse(loaded.predict(X)) == scipy.sparse.issparse(form(Y))


@pytest.mark.parametrize("solver", ["sgd", "adam", "rprop"])
@pytest.mark.parametrize("how", ["warm", "incremental"])
def test_training_resumes(how, solver):
    """With the same bits as if the model had not been saved: moments, order of the rows, curves and all."""
    X, y = data.iris()
    params = {"solver": solver, "warm_start": how == "warm", "batch_size": 150}

    def train(model):
        return model.fit(X, y) if how == "warm" else model.partial_fit(X, y, classes=[0, 1, 2])

    model = train(BPClassifier(**{**PARAMS, **params}))
    loaded = again(model)
    for _ in range(2):
        train(model), train(loaded)
    assert_same_bits(loaded, model)
    assert_equal_state(snapshot(loaded), snapshot(model))


@pytest.mark.parametrize("bit_generator", ["MT19937", "PCG64", "Philox", "SFC64", "PCG64DXSM"])
def test_a_random_state_goes_on(bit_generator):
    X, y = data.iris()
    random_state = np.random.RandomState(getattr(np.random, bit_generator)(1))
    random_state.normal()  # one more is kept
    model = BPClassifier(**{**PARAMS, "random_state": random_state}).fit(X, y)
    loaded = again(model)
    assert_same_bits(loaded.fit(X, y), model.fit(X, y))
    assert loaded.random_state.normal() == model.random_state.normal()


def test_unfitted():
    for name in class_table.ESTIMATORS:
        model = class_table.class_named(name)()
        assert again(model).get_params() == model.get_params()
    with pytest.raises(NotFittedError):
        again(BPClassifier()).predict([[1.0]])


def test_changed_weights_are_saved():
    X, y = data.iris()
    model = BPClassifier(**PARAMS).fit(X, y)
    model.coefs_[0][:] = 0.25
    model.intercepts_ = [intercept + 1 for intercept in model.intercepts_]
    assert_round_trip(model, X)


def test_a_loaded_model_is_independent(tmp_path):
    """Neither the file nor another model loaded from it changes with it."""
    X, y = data.iris()
    BPClassifier(**PARAMS).fit(X, y).save(tmp_path / "model.bp")
    first, second = (fastbp.load(tmp_path / "model.bp") for _ in range(2))
    before = second.predict_proba(X)
    first.coefs_[0][:] = 7
    first.partial_fit(X, y)
    assert_array_equal(second.predict_proba(X), before)
    assert_array_equal(fastbp.load(str(tmp_path / "model.bp")).predict_proba(X), before)


def test_equal_models_make_equal_files(tmp_path):
    X, y = data.iris()
    for name in "ab":
        BPClassifier(**PARAMS).fit(X, y).save(tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    fastbp.load(tmp_path / "a").save(tmp_path / "c")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "c").read_bytes()


def test_files_are_small():
    """No moments, no copies of weights."""
    X, y = data.iris()
    model = BPClassifier(**{**PARAMS, "hidden_layer_sizes": (200, 100)}).fit(X, y)
    file = io.BytesIO()
    model.save(file)
    n_weights = sum(one.size for one in [*model.coefs_, *model.intercepts_])
    assert len(file.getvalue()) < 8 * n_weights * 1.01 + 6000


def test_saved_by_a_callback(tmp_path):
    """Each epoch's model, while the fit goes on."""
    X, y = data.iris()

    def save(epoch):
        epoch.estimator.save(tmp_path / f"{epoch.number}.bp")
        return False

    params = {**PARAMS, "max_iter": 3, "early_stopping": True, "n_iter_no_change": 9}
    model = BPClassifier(**params).set_callbacks(StopWhen(save)).fit(X, y)
    loaded = [fastbp.load(tmp_path / f"{number}.bp") for number in (1, 2, 3)]
    assert [one.n_iter_ for one in loaded] == [1, 2, 3]
    assert [one.validation_scores_ for one in loaded] == [model.validation_scores_[:n] for n in (1, 2, 3)]
    assert_same_bits(loaded[-1], model)


def test_scikit_learns_settings_are_kept():
    """Names of features, metadata requests, the container of `transform`; not callbacks."""
    pd = pytest.importorskip("pandas")
    X, y = data.iris()
    frame = pd.DataFrame(X, columns=["a", "b", "c", "d"])
    with config_context(enable_metadata_routing=True):
        model = BPClassifier(**PARAMS).set_fit_request(sample_weight="w", X_val=True, y_val=False)
    model.set_output(transform="pandas").set_callbacks(ScoringMonitor(scoring="accuracy")).fit(frame, y)
    loaded = again(model)
    assert not hasattr(loaded, "_skl_callbacks")
    assert_array_equal(loaded.feature_names_in_, model.feature_names_in_)
    pd.testing.assert_frame_equal(loaded.transform(frame), model.transform(frame))
    with config_context(enable_metadata_routing=True):
        wanted = model.get_metadata_routing().fit.requests
        assert loaded.get_metadata_routing().fit.requests == wanted
        assert clone(loaded).get_metadata_routing().fit.requests == wanted
        assert wanted["X_val"] is True and wanted["sample_weight"] == "w"


# --- Ensembles, encoders, tables


def test_ensembles():
    X, y = data.iris()
    network = BPClassifier(**PARAMS)
    params = {"n_estimators": 2, "random_state": 0}
    model = BPEnsembleClassifier(network, bootstrap=True, **params).fit(X, y)
    loaded = assert_round_trip(model, X)
    assert_array_equal(loaded.predict_members(X), model.predict_members(X))
    X, y = data.multi_output()
    model = BPEnsembleRegressor(BPRegressor(**PARAMS, loss="gaussian_nll"), **params).fit(X, y)
    loaded = assert_round_trip(model, X)
    assert_array_equal(loaded.predict(X, return_std=True), model.predict(X, return_std=True))


def test_an_ensemble_grows_on():
    X, y = data.iris()
    model = BPEnsembleClassifier(BPClassifier(**PARAMS), n_estimators=1, warm_start=True, random_state=0)
    loaded = again(model.fit(X, y).partial_fit(X, y))
    for one in (model, loaded):
        one.partial_fit(X, y).set_params(n_estimators=2).fit(X, y)
    for own, other in zip(model.estimators_, loaded.estimators_, strict=True):
        assert_same_bits(own, other)


def test_encoders():
    X, _ = data.iris()
    for encoder in (PiecewiseLinearEncoder(3), PeriodicEncoder(2, random_state=0)):
        assert_round_trip(encoder.fit(X), X)
    encoder = TableEncoder(random_state=0).fit(table(), np.arange(120) % 3)
    for own, other in zip(encoder.transform(table()), again(encoder).transform(table()), strict=True):
        assert_array_equal(own, other)


@pytest.mark.parametrize("Model", [TabularClassifier, TabularRegressor])
def test_table_models(Model, small_networks):
    X = table()
    y = X["number"] + (X["text"] == "x")
    if Model is TabularClassifier:
        y = np.where(y < 0, "low", np.where(y > 1, "high", "middle"))
    model = Model(random_state=0, categorical_features=["two", "text"]).fit(X, y)
    loaded = assert_round_trip(model, X)
    other = X[::-1].copy()
    other.loc[:20, ["text", "many", "two"]] = "unknown"
    other.loc[10:30, ["number", "date"]] = None
    assert_array_equal(outputs(loaded, other), outputs(model, other))
    assert loaded.summary() == model.summary()
    assert_array_equal(loaded.feature_importances_, model.feature_importances_)
    if Model is TabularRegressor:
        assert_array_equal(loaded.predict_interval(X), model.predict_interval(X))


def test_table_models_of_other_data(small_networks):
    pd = pytest.importorskip("pandas")
    X = table()
    model = TabularRegressor(n_members=1, categorical_features=pd.Index(["two"]), random_state=0)
    assert again(model.fit(X, X["number"])).categorical_features.tolist() == ["two"]
    X, Y = data.multilabel()
    assert_round_trip(TabularClassifier(n_members=1, random_state=0).fit(X, Y), X)
    X, y = data.regression()
    rows = scipy.sparse.csr_matrix(np.where(X > 0, X, 0))
    model = TabularRegressor(n_members=1, random_state=0).fit(rows, y)
    assert_array_equal(assert_round_trip(model, rows).feature_importances_, model.feature_importances_)


# --- What cannot be saved


def a_scorer(estimator, X, y):
    return 0.5


@pytest.mark.parametrize("scoring", [a_scorer, make_scorer(accuracy_score), lambda *_: 0.5])
def test_functions_are_refused(scoring, tmp_path):
    X, y = data.iris()
    model = BPClassifier(**PARAMS, early_stopping=True, scoring=scoring).fit(X, y)
    path = tmp_path / "model.bp"
    with pytest.raises(TypeError, match=r"scoring is a function .*give it by name or set it to None"):
        model.save(path)
    assert os.listdir(tmp_path) == []
    model.set_params(scoring=None).save(path)
    ensemble = BPEnsembleClassifier(
        BPClassifier(**PARAMS, early_stopping=True, scoring=scoring), n_estimators=1
    )
    ensemble.fit(X, y)
    with pytest.raises(TypeError, match=r"estimator\.scoring is a function"):
        ensemble.save(path)
    ensemble.set_params(estimator__scoring=None)  # members keep theirs, which they need no more
    assert_array_equal(outputs(again(ensemble), X), outputs(ensemble, X))


class Mine(BPClassifier):
    pass


@pytest.mark.parametrize(
    ("model", "named"),
    [
        (BPClassifier(loss_params={"gamma": object()}), r"loss_params\['gamma'\] is of type builtins.object"),
        (BPClassifier(alpha=np.ma.array([1.0])), "alpha is of type numpy.ma.*MaskedArray"),
        (BPClassifier(class_weight=np.zeros(2, "i4,f8")), "class_weight is an array of dtype"),
        (BPEnsembleClassifier(Mine()), "estimator is of type .*Mine"),
        (Mine(), "Mine cannot be saved. fastbp saves its own estimators; skops"),
    ],
    ids=str,
)
def test_values_of_other_types_are_named(model, named, tmp_path):
    with pytest.raises(TypeError, match=named):
        model.save(tmp_path / "model.bp")
    assert os.listdir(tmp_path) == []


def test_a_value_that_holds_itself(tmp_path):
    params = {}
    params["params"] = params
    with pytest.raises(TypeError, match=r"solver_params\['params'\] holds itself"):
        BPClassifier(solver_params=params).save(tmp_path / "model.bp")


def test_weights_that_do_not_fit_together(tmp_path):
    X, y = data.iris()
    model = BPClassifier(**PARAMS).fit(X, y)
    model.coefs_ = [model.coefs_[0], model.coefs_[1][:-1]]
    with pytest.raises(ValueError, match="coefs_"):
        model.save(tmp_path / "model.bp")
    assert os.listdir(tmp_path) == []


# --- Writing


def test_a_full_disk_loses_nothing(tmp_path, monkeypatch):
    X, y = data.iris()
    path = tmp_path / "model.bp"
    model = BPClassifier(**PARAMS).fit(X, y)
    model.save(path)
    before = path.read_bytes()

    def full(handle):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space left"):
            BPClassifier(**PARAMS).save(path)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["model.bp"]
    BPClassifier(**PARAMS).save(path)
    assert not describe(path)["fitted"]


def test_paths(tmp_path):
    model = BPClassifier()
    with pytest.raises(FileNotFoundError):
        model.save(tmp_path / "none" / "model.bp")
    with pytest.raises(FileNotFoundError):
        fastbp.load(tmp_path / "model.bp")
    with pytest.raises(OSError):
        fastbp.load(tmp_path)
    with pytest.raises(TypeError):
        model.save(3.5)
    model.save(os.fsencode(tmp_path / "bytes.bp"))
    assert fastbp.load(tmp_path / "bytes.bp").get_params() == model.get_params()


def test_a_link_stays_a_link(tmp_path):
    target, link = tmp_path / "target.bp", tmp_path / "link.bp"
    BPClassifier().save(target)
    try:
        link.symlink_to(target)
    except OSError:
        pytest.skip("no links on this system")
    BPRegressor().save(link)
    assert link.is_symlink()
    assert isinstance(fastbp.load(target), BPRegressor)


# --- The format


def test_numpy_and_json_read_the_file(tmp_path):
    X, y = data.iris()
    model = BPClassifier(**PARAMS).fit(X, y)
    model.save(tmp_path / "model.bp")
    with np.load(tmp_path / "model.bp") as archive:
        content = json.loads(archive["model.json"])
        for i, coef in enumerate(model.coefs_):
            assert_array_equal(archive[f"coefs_.{i}"], coef)
        names = set(archive.files)
    assert names == {"model.json", *content["arrays"]}
    assert (content["format"], content["version"]) == ("fastbp model", 1)
    assert content["versions"]["fastbp"] == fastbp.__version__
    assert content["model"]["$object"] == "BPClassifier"
    assert content["model"]["parameters"]["hidden_layer_sizes"] == {"$tuple": [4]}
    assert content["model"]["attributes"]["coefs_"] == [{"$array": "coefs_.0"}, {"$array": "coefs_.1"}]
    assert zipfile.ZipFile(tmp_path / "model.bp").testzip() is None


VALUES = [
    None, True, 3, -(2**80), 0.1, -0.0, 1e-320, "ç\ud800\0", [], [1, [2.5]], (), (1, ("a",)), {},
    {"a": {"b": 1}}, {1: 2, "a": 3, None: 4, (1, 2): [5]}, {"$tuple": [1]}, {"$array": "x"},
    {np.int64(1): np.float32(0.1)}, float("inf"), -float("inf"), b"\0\xff", bytearray(b"a"), 1 - 2j,
    range(1, 9, 2), slice(None, 3), {3, 1}, frozenset("ab"), datetime.date(2020, 1, 2),
    datetime.datetime(2020, 1, 2, 3, 4, 5, 6), np.dtype("<f4"), np.dtype("M8[us]"), np.float32, np.bool_,
    np.float64(0.1), np.float32(0.1), np.int8(-3), np.uint64(2**64 - 1), np.bool_(True), np.str_("x"),
    np.datetime64("2020-01-02", "ns"), np.timedelta64(3, "h"), np.complex64(1j), np.longdouble(0.1),
    np.arange(6.0).reshape(2, 3).T, np.array(3.0), np.zeros((0, 3), np.float32), np.array(["a", "ç"]),
    np.array(["a", None, 2**70, 0.5, float("inf")], object), np.array([[True], [False]]),
    np.array(["2020", "NaT"], "M8[ms]"), np.array([1, 2], ">i4"), np.zeros((2, 0), object),
    np.array([b"a", b"bc"]), np.arange(12)[::-2], np.float16(0.1),
]  # fmt: skip


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_each_kind_of_value(value):
    encoder = Encoder()
    text = json.dumps(encoder.value(value, "a[0].b"), allow_nan=False)
    found = Decoder(encoder.arrays).value(json.loads(text))
    assert_identical(found, value)


def assert_identical(found, value):
    assert type(found) is type(value)
    if isinstance(value, np.ndarray | np.generic):
        assert (found.dtype, found.shape) == (value.dtype, value.shape)
        if value.dtype != object:
            assert_array_equal(found, value)
            return
        value, found = value.ravel().tolist(), found.ravel().tolist()
    if isinstance(value, dict):
        assert_identical(list(found.items()), list(value.items()))
    elif isinstance(value, list | tuple):
        assert len(found) == len(value)
        for one, other in zip(found, value, strict=True):
            assert_identical(one, other)
    else:
        assert found == value
        assert repr(found) == repr(value)


def test_nan():
    encoder = Encoder()
    assert np.isnan(Decoder({}).value(encoder.value(float("nan"), "")))
    assert np.isnan(Decoder({}).value(encoder.value(np.float32("nan"), "")))


@pytest.mark.parametrize("form", ["csr_matrix", "csr_array", "csc_matrix", "csc_array"])
def test_sparse_matrices(form):
    matrix = getattr(scipy.sparse, form)(np.eye(3)[:2])
    encoder = Encoder()
    found = Decoder(encoder.arrays).value(json.loads(json.dumps(encoder.value(matrix, "X"))))
    assert type(found) is type(matrix)
    assert_array_equal(found.toarray(), matrix.toarray())


def test_the_table_names_every_estimator():
    public = [getattr(fastbp, name) for name in fastbp.__all__]
    estimators = {kind for kind in public if isinstance(kind, type) and hasattr(kind, "fit")}
    estimators |= {PiecewiseLinearEncoder, PeriodicEncoder, TableEncoder}
    named = {class_table.class_named(name) for name in class_table.ESTIMATORS}
    assert named == estimators
    for name in class_table.MODULES:
        kind = class_table.class_named(name)
        assert class_table.name_of(kind) == name
    assert {f"{kind.__module__}.{kind.__qualname__}" for kind in named} == set(SKOPS_TYPES)


def test_the_document_names_every_kind_of_value():
    text = PERSISTENCE.text
    for kind in Decoder({}).kinds:
        assert f'{{"{kind}": ' in text, kind


def test_all_classes_are_loaded_with_the_package():
    code = "from fastbp.persistence.class_table import *; [class_named(name) for name in MODULES]"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_description(tmp_path):
    X, y = data.iris()
    model = BPClassifier(**PARAMS, class_weight={"a": 1.0, "b": 2, "c": 1}).fit(
        X, np.array(["a", "b", "c"])[y]
    )
    model.save(tmp_path / "model.bp")
    found = describe(tmp_path / "model.bp")
    assert found["class"] == "BPClassifier"
    assert found["parameters"] == model.get_params()
    assert found["fitted"]
    assert found["attributes"]["classes_"] == ["a", "b", "c"]
    assert found["attributes"]["n_iter_"] == 2
    assert found["shapes"]["coefs_.0"] == (4, 4)
    assert found["dtypes"]["coefs_.0"] == "<f8"
    assert found["n_values"] == sum(one.size for one in [*model.coefs_, *model.intercepts_]) + 3
    assert found["versions"]["fastbp"] == fastbp.__version__
    assert found["size"] == os.path.getsize(tmp_path / "model.bp")
    ensemble = BPEnsembleClassifier(BPClassifier((3,), random_state=np.random.RandomState(0)))
    ensemble.save(tmp_path / "ensemble.bp")
    found = describe(tmp_path / "ensemble.bp")
    assert not found["fitted"]
    assert found["parameters"]["estimator"]["class"] == "BPClassifier"
    assert found["parameters"]["estimator"]["parameters"]["hidden_layer_sizes"] == (3,)


def test_pickles_are_as_before():
    """The mixin of ensembles makes another state for skops only."""
    X, y = data.iris()
    model = BPEnsembleClassifier(BPClassifier(**PARAMS), n_estimators=1, random_state=0).fit(X, y)
    assert isinstance(model.__getstate__()["estimators_"][0], BPClassifier)
    assert_array_equal(outputs(pickle.loads(pickle.dumps(model)), X), outputs(model, X))
