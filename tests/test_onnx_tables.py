"""ONNX models of the table models, for data frames with columns of every kind."""

import numpy as np
import pytest

pytest.importorskip("skl2onnx")
pytest.importorskip("onnxruntime")
pytest.importorskip("pandas")
import pandas
import skl2onnx
from onnx_networks import error, run, session_of
from skl2onnx.common.data_types import DoubleTensorType
from sklearn.model_selection import GridSearchCV
from test_table_models import mixed_frame, strange_rows

import fastbp.onnx
from fastbp.tables import TabularClassifier, TabularRegressor

FAST = {"effort": "fast", "random_state": 0}


def assert_same(model, frame, session):
    """For the rows themselves, and for levels, gaps and values that training has not seen."""
    for data in (frame, strange_rows(frame) if "colour" in frame else frame.iloc[:6]):
        found = session.run(None, fastbp.onnx.inputs_of(session, data))
        if isinstance(model, TabularClassifier):
            np.testing.assert_array_equal(found[0], model.predict(data))
            assert error(found[1], model.predict_proba(data)) < 1e-5
        else:
            for one, expected in zip(found, model.predict(data, return_std=True), strict=True):
                assert error(one, expected) < 1e-5


@pytest.mark.parametrize("n_rows", [40, 260])
def test_regressors(n_rows):
    frame, value = mixed_frame(n_rows)
    frame["hour"] = frame["day"] + pandas.to_timedelta(np.arange(n_rows) * 1111.0, unit="min")
    frame["pair"] = np.where(np.arange(n_rows) % 5 == 0, np.nan, np.arange(n_rows) % 2)
    frame["only"] = np.where(np.arange(n_rows) % 3 == 0, None, "only")
    frame["spelled"] = np.where(np.arange(n_rows) % 4 == 0, "?", (np.arange(n_rows) / 8).astype(str))
    model = TabularRegressor(n_members=4, random_state=0).fit(frame, value)
    assert n_rows > 40 or model.members_[0].network.coefs_[0].dtype == np.float64
    assert_same(model, frame, session_of(fastbp.onnx.to_onnx(model, frame[:1], return_std=True)))


@pytest.mark.parametrize("kind", ["two", "three", "several"])
def test_classifiers(kind):
    frame, value = mixed_frame(120)
    y = {
        "two": np.where(value > np.median(value), "high", "low"),
        "three": np.digitize(value, np.quantile(value, [0.3, 0.6])),
        "several": np.stack([value > 0, value > 1], axis=1).astype(int),
    }[kind]
    model = TabularClassifier(**FAST).fit(frame, y)
    assert_same(model, frame, session_of(fastbp.onnx.to_onnx(model, frame[:1])))


def test_several_targets_and_a_linear_model():
    rng = np.random.RandomState(0)
    X = rng.normal(size=(80, 3))
    model = TabularRegressor(**FAST).fit(X, X[:, :2] + rng.normal(size=(80, 2)))
    assert model.members_[0].linear_weight > 0
    found = run(session_of(fastbp.onnx.to_onnx(model, X, return_std=True)), X)
    for one, expected in zip(found, model.predict(X, return_std=True), strict=True):
        assert one.shape == (80, 2) and error(one, expected) < 1e-5


def test_declared_categories_of_numbers():
    rng = np.random.RandomState(0)
    frame = pandas.DataFrame({"code": rng.randint(0, 4, 80), "flag": rng.rand(80) < 0.5, "x": rng.rand(80)})
    model = TabularRegressor(categorical_features=["code", "flag"], **FAST)
    model.fit(frame, frame["code"] % 3 + 2 * frame["flag"] + frame["x"])
    session = session_of(fastbp.onnx.to_onnx(model, frame[:1], return_std=True))
    assert_same(model, frame, session)
    for x in (-1, 2.5, np.nan, np.inf):
        new = frame[:3].assign(code=np.float64(x))
        mean, _ = session.run(None, fastbp.onnx.inputs_of(session, new))
        assert error(mean, model.predict(new)) < 1e-5
    direct = session_of(skl2onnx.to_onnx(model, frame[:1]))  # int64 and bool inputs
    inputs = {name: frame[[name]].to_numpy() for name in frame}
    assert error(direct.run(None, inputs)[0], model.predict(frame)) < 1e-5


def test_arrays_of_strings():
    rng = np.random.RandomState(0)
    X = np.array([[rng.choice(["a", "b", None]), str(rng.randint(9))] for _ in range(60)], dtype=object)
    model = TabularClassifier(**FAST).fit(X, np.arange(60) % 2)
    session = session_of(skl2onnx.to_onnx(model, X[:1].astype(str), options={"zipmap": False}))
    X[:3] = [[None, None], [np.nan, "7"], ["c", "True"]]
    _, found = run(session, X)  # the session makes "None" and "nan" of missing values
    assert error(found, model.predict_proba(X)) < 1e-5


def test_sparse_training_rows():
    import scipy.sparse

    X = scipy.sparse.random(100, 8, 0.3, format="csr", random_state=0)
    model = TabularClassifier(**FAST).fit(X, X.toarray().sum(axis=1) > 1)
    dense = X.toarray()
    label, found = run(session_of(fastbp.onnx.to_onnx(model, dense)), dense)
    np.testing.assert_array_equal(label, model.predict(X))
    assert error(found, model.predict_proba(X)) < 1e-5


def test_importances_are_not_computed():
    frame, value = mixed_frame(60)
    model = TabularRegressor(**FAST).fit(frame, value)
    fastbp.onnx.to_onnx(model, frame[:1], return_std=True)
    assert model._importances is None
    assert model.feature_importances_.shape == (13,)


def test_options_of_skl2onnx():
    frame, value = mixed_frame(60)
    model = TabularClassifier(**FAST).fit(frame, np.where(value > 1, "high", "low"))
    session = session_of(fastbp.onnx.to_onnx(model, frame, options={id(model): {"nocl": True}}))
    label, _ = session.run(None, fastbp.onnx.inputs_of(session, frame))
    np.testing.assert_array_equal(label, model.predict(frame) == "low")


def test_dates_must_be_integers():
    frame, value = mixed_frame(60)
    model = TabularRegressor(**FAST).fit(frame[["day", "number"]], value)
    initial_types = [
        ("day", DoubleTensorType([None, 1])),
        ("number", DoubleTensorType([None, 1])),
    ]
    with pytest.raises(ValueError, match=r"'day' holds dates.*int64, microseconds"):
        skl2onnx.to_onnx(model, initial_types=initial_types)


def test_a_wrong_number_of_columns():
    frame, value = mixed_frame(60)
    model = TabularRegressor(**FAST).fit(frame[["number", "whole"]], value)
    with pytest.raises(ValueError, match=r"1 columns.*2"):
        fastbp.onnx.to_onnx(model, frame[["number"]])


def test_a_search_of_table_models():
    frame, value = mixed_frame(60)
    frame["flag"] = frame["flag"].astype("category")
    search = GridSearchCV(TabularRegressor(n_members=1, random_state=0), {"effort": ["fast"]}, cv=2)
    search.fit(frame, value)
    session = session_of(fastbp.onnx.to_onnx(search, frame[:1]))
    (found,) = session.run(None, fastbp.onnx.inputs_of(session, frame))
    assert error(found, search.predict(frame)) < 1e-5
    (none,) = session.run(None, fastbp.onnx.inputs_of(session, frame[:0]))
    assert len(none) == 0


def test_wide_tables_are_few_nodes():
    X = np.random.RandomState(0).normal(size=(60, 50))
    model = TabularRegressor(**FAST).fit(X, X[:, 0])
    of_array = fastbp.onnx.to_onnx(model, X)
    assert len(of_array.graph.node) < 150
    frame = pandas.DataFrame(X, columns=[f"c {i}" for i in range(50)]).assign(**{"c 7": X[:, 7].round(3)})
    model.fit(frame, X[:, 0])
    of_frame = fastbp.onnx.to_onnx(model, frame)
    assert len(of_frame.graph.node) == len(of_array.graph.node)
    session = session_of(of_frame)
    (found,) = session.run(None, fastbp.onnx.inputs_of(session, frame[frame.columns[::-1]]))
    assert error(found, model.predict(frame)) < 1e-5
