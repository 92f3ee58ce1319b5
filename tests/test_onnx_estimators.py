"""ONNX models of ensembles, of encoders, and of pipelines with scikit-learn's transformers."""

import subprocess
import sys

import numpy as np
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import make_column_transformer
from sklearn.ensemble import BaggingClassifier, StackingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import OneHotEncoder, StandardScaler

pytest.importorskip("skl2onnx")
pytest.importorskip("onnxruntime")
import skl2onnx
from onnx_networks import error, rows, run, session_of

import fastbp.onnx
from fastbp import BPClassifier, BPEnsembleClassifier, BPEnsembleRegressor, BPRegressor
from fastbp.preprocessing import PeriodicEncoder, PiecewiseLinearEncoder

SHORT = {"max_iter": 3, "random_state": 0}
X = rows("float64", 60)
Y = (np.arange(60) % 3) * 10


def exported(model, data=X, **options):
    return session_of(fastbp.onnx.to_onnx(model, data[:1], **options))


def assert_classifies(model, data, found):
    label, probabilities = found
    np.testing.assert_array_equal(label, model.predict(data))
    tolerance = 1e-5 if probabilities.dtype == np.float32 else 1e-7
    assert error(probabilities, model.predict_proba(data)) < tolerance


# --- Ensembles


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("y", [Y, Y > 0, np.stack([Y > 0, Y > 10, Y < 10], axis=1).astype(int)])
def test_ensembles_of_classifiers(dtype, y):
    data = X.astype(dtype)
    model = BPEnsembleClassifier(BPClassifier((5,), **SHORT), n_estimators=3, random_state=0).fit(data, y)
    assert_classifies(model, data, run(exported(model, data), data))


@pytest.mark.parametrize("y", [Y, Y > 0])
def test_ensembles_without_probabilities(y):
    network = BPClassifier((5,), loss="squared_hinge", **SHORT)
    model = BPEnsembleClassifier(network, n_estimators=2, random_state=0).fit(X, y)
    label, scores = run(exported(model), X)
    np.testing.assert_array_equal(label, model.predict(X))
    expected = model.decision_function(X)
    assert error(scores if expected.ndim > 1 else scores[:, 1], expected) < 1e-12


@pytest.mark.parametrize("loss", ["gaussian_nll", "huber"])
@pytest.mark.parametrize("n_targets", [1, 2])
def test_ensembles_of_regressors(loss, n_targets):
    y = np.squeeze(X[:, :n_targets] * 100 + 1e5)
    scaling = None if loss == "gaussian_nll" else "standard"
    network = BPRegressor((5,), loss=loss, target_scaling=scaling, **SHORT)
    model = BPEnsembleRegressor(network, n_estimators=3, random_state=0).fit(X, y)
    (mean,) = run(exported(model), X)
    assert mean.shape == (60, n_targets) and error(mean, model.predict(X)) < 1e-12
    found = run(exported(model, return_std=True), X)
    for one, expected in zip(found, model.predict(X, return_std=True), strict=True):
        assert error(one, expected) < 1e-9


# --- Encoders and pipelines


@pytest.mark.parametrize("encoder", [PiecewiseLinearEncoder(7), PeriodicEncoder(3, random_state=0)])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_encoders(encoder, dtype):
    data = np.where(np.arange(5) == 2, np.arange(60)[:, None] % 4, X).astype(dtype)
    encoder.fit(data)
    data = np.concatenate([data, 3 * data])  # beyond the range seen
    (found,) = run(exported(encoder, data), data)
    assert found.dtype == data.dtype
    np.testing.assert_allclose(found, encoder.transform(data), rtol=1e-5, atol=2e-6)


@pytest.mark.parametrize(
    "steps",
    [
        [StandardScaler()],
        [PiecewiseLinearEncoder(4)],
        [StandardScaler(), PeriodicEncoder(2, random_state=0)],
    ],
    ids=lambda steps: type(steps[-1]).__name__,
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_pipelines(steps, dtype):
    data = X.astype(dtype)
    for last in (BPClassifier((5,), **SHORT), LogisticRegression()):
        model = make_pipeline(*steps, last).fit(data, Y)
        assert_classifies(model, data, run(exported(model, data), data))


def test_frames_with_columns_of_several_kinds():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"a b": X[:, 0], "n": Y, "name": np.array(["x", "y", "z"])[np.arange(60) % 3]})
    encoder = make_column_transformer(
        (StandardScaler(), ["a b", "n"]), (OneHotEncoder(handle_unknown="ignore"), ["name"])
    )
    model = make_pipeline(encoder, BPClassifier((5,), **SHORT)).fit(frame, Y)
    proto = fastbp.onnx.to_onnx(model, frame[:1])
    session = session_of(proto)
    frame.loc[3, "name"] = "new"
    inputs = fastbp.onnx.inputs_of(session, frame)
    assert {name: str(array.dtype) for name, array in inputs.items()} == {
        "a b": "float64",
        "n": "int64",
        "name": "object",
    }
    assert_classifies(model, frame, session.run(None, inputs))
    for name, array in fastbp.onnx.inputs_of(proto, frame[["name", "n", "a b"]]).items():
        np.testing.assert_array_equal(array, inputs[name])
    with pytest.raises(ValueError, match=r"lacks columns.*'n'"):
        fastbp.onnx.inputs_of(proto, frame[["name", "a b"]])


def test_frames_of_numbers():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(X.astype("float32"), columns=list("abcde")).assign(n=Y)
    model = BPClassifier((5,), **SHORT).fit(frame, Y)
    session = exported(model, frame)
    assert_classifies(model, frame, session.run(None, fastbp.onnx.inputs_of(session, frame)))


def test_strings_are_no_inputs_of_a_network():
    pandas = pytest.importorskip("pandas")
    model = BPClassifier((5,), **SHORT).fit(X, Y)
    with pytest.raises(ValueError, match=r"BPClassifier takes numbers.*name"):
        fastbp.onnx.to_onnx(model, pandas.DataFrame({"name": ["x"]}))


def test_the_best_of_a_search():
    search = GridSearchCV(BPClassifier((5,), **SHORT), {"alpha": [0.1, 1.0]}, cv=2).fit(X, Y)
    assert_classifies(search, X, run(exported(search), X))
    pipeline = make_pipeline(StandardScaler(), BPClassifier((5,), **SHORT))
    search = GridSearchCV(pipeline, {"bpclassifier__alpha": [0.1, 1.0]}, cv=2).fit(X, Y)
    assert_classifies(search, X, run(exported(search), X))


# --- Networks inside of other estimators


@pytest.mark.parametrize("network", [BPClassifier((5,), **SHORT), BPRegressor((5, 4), **SHORT)])
def test_networks_before_the_last_step(network):
    """They are transformers there: the next step sees their hidden layer."""
    model = make_pipeline(StandardScaler(), network, StandardScaler(), LogisticRegression()).fit(X, Y)
    assert_classifies(model, X, run(exported(model), X))
    model = make_pipeline(network, BPRegressor((), solver="lbfgs")).fit(X, Y)
    assert error(run(exported(model), X)[0], model.predict(X)) < 1e-7
    linear = make_pipeline(network.set_params(hidden_layer_sizes=()), LogisticRegression()).fit(X, Y)
    assert_classifies(linear, X, run(exported(linear), X))


def test_networks_beside_other_transformers():
    network = BPClassifier((5,), **SHORT)
    for several in (make_union(network, StandardScaler()), make_column_transformer((network, [0, 1]))):
        model = make_pipeline(several, LogisticRegression()).fit(X, Y)
        with pytest.raises(
            NotImplementedError, match=r"BPClassifier inside a \w+ cannot.*step of the pipeline"
        ):
            exported(model)


@pytest.mark.parametrize(
    "combine",
    [
        lambda network: CalibratedClassifierCV(network, cv=2),
        lambda network: CalibratedClassifierCV(network.set_params(loss="hinge"), cv=2),
        lambda network: OneVsRestClassifier(network),
        lambda network: StackingClassifier([("a", network), ("b", LogisticRegression())], cv=2),
        lambda network: BaggingClassifier(network, n_estimators=2, random_state=0),
    ],
)
def test_estimators_of_estimators(combine):
    model = combine(BPClassifier((5,), **SHORT)).fit(X, Y)
    label, found = run(exported(model), X)
    np.testing.assert_array_equal(label, model.predict(X))
    assert error(found, model.predict_proba(X)) < 1e-5


# --- skl2onnx's own function


def test_skl2onnx_knows_the_estimators():
    model = make_pipeline(StandardScaler(), BPClassifier((5,), **SHORT)).fit(X, Y)
    _, found = run(session_of(skl2onnx.to_onnx(model, X[:1])), X)
    expected = model.predict_proba(X)
    np.testing.assert_allclose([[row[label] for label in (0, 10, 20)] for row in found], expected, 1e-5)
    network = model.steps[-1][1]
    options = {id(network): {"zipmap": False, "raw_scores": True}}
    _, found = run(session_of(skl2onnx.to_onnx(model, X[:1], options=options)), X)
    logs = model.predict_log_proba(X)
    np.testing.assert_allclose(found - found[:, :1], logs - logs[:, :1], rtol=1e-6, atol=1e-7)


def test_without_skl2onnx():
    """The module can be imported, and says what to install when something is exported."""
    code = (
        "import sys; sys.modules['skl2onnx'] = None\n"
        "import fastbp.onnx\n"
        "try: fastbp.onnx.to_onnx(None)\n"
        "except ImportError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "pip install 'fastbp[onnx]'" in done.stdout


def test_without_a_row_the_error_says_what_to_pass():
    model = BPClassifier((3,), max_iter=2).fit([[0.0], [1.0]], [0, 1])
    with pytest.raises(ValueError, match=r"X is missing: pass a row, X\[:1\]"):
        fastbp.onnx.to_onnx(model)
