"""ONNX models of networks, run by ONNX Runtime, against the networks."""

import numpy as np
import pytest
from combinations import HIDDEN, covering

pytest.importorskip("skl2onnx")
pytest.importorskip("onnxruntime")
from onnx_networks import (
    FACTORS,
    KINDS_OF_OUTPUT,
    OUTPUTS,
    TOLERANCE,
    Network,
    error,
    largest_error,
    random_model,
    rows,
    run,
    scores_of,
    session_of,
)

import fastbp.onnx
from fastbp import Activation, BPClassifier, BPRegressor, Loss
from fastbp.functions.activations import ACTIVATIONS, GROUP_ACTIVATIONS, ROW_ACTIVATIONS
from fastbp.onnx.functions import GROUPS, ROWS

# A third of the activations in each network, so that few networks have all pairs.
THIRDS = [",".join(HIDDEN[i::3]) for i in range(3)]
PAIRS = [
    network if network.is_known else network._replace(parametric="no")
    for network in covering({**FACTORS, "activations": THIRDS, "output": KINDS_OF_OUTPUT}, Network)
]


@pytest.mark.parametrize("third", range(3))
def test_all_pairs(third):
    for network in PAIRS[third::3]:
        assert largest_error(network) <= TOLERANCE[network.dtype], network


@pytest.mark.parametrize("dtype", TOLERANCE)
def test_every_loss(dtype):
    for output in OUTPUTS.keys() - set(KINDS_OF_OUTPUT):
        assert largest_error(Network("relu", output, dtype=dtype)) <= TOLERANCE[dtype], output


@pytest.mark.parametrize("name", HIDDEN)
@pytest.mark.parametrize("opset", [15, 18, 20])
def test_opsets(name, opset):
    """Operators that an opset lacks are written out."""
    network = Network(name, "regressor increasing", norm="layer")
    model = random_model(network)
    exported = fastbp.onnx.to_onnx(model, rows("float32"), target_opset=opset)
    assert exported.opset_import[0].version <= opset
    assert largest_error(network, target_opset=opset) <= TOLERANCE["float32"]
    kinds = {node.op_type for node in exported.graph.node}
    assert ("Gelu" in kinds) == (name.startswith("gelu") and opset >= 20)
    assert ("Mish" in kinds) == (name == "mish" and opset >= 18)


def test_every_function_of_rows_is_written():
    written = {entry.name for entry in ROW_ACTIVATIONS if entry.onnx is not None} | ROWS.keys()
    assert written == set(ROW_ACTIVATIONS.names()) and GROUPS.keys() == set(GROUP_ACTIVATIONS.names())


# --- Numbers near the limits


@pytest.mark.parametrize("entry", [e for e in ACTIVATIONS if e.name != "exp"], ids=lambda e: e.name)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("place", ["hidden", "output"])
def test_large_and_small_numbers(entry, dtype, place):
    z = np.array([0, 1e-30, 1e-6, 0.1, 5, 18, 60, 88, 89, 100, 710, 1e4, 1e15], dtype)
    X = np.concatenate([z, -z])[:, None]
    model = BPRegressor((1,) if place == "hidden" else (), activation=entry.name)
    ones = np.ones((1, 1), dtype)
    model.coefs_, model.intercepts_ = [ones], [np.zeros(1, dtype)]
    if place == "hidden":
        model.coefs_, model.intercepts_ = [ones, ones], [np.zeros(1, dtype)] * 2
    else:
        model.set_params(out_activation=entry.name)
    (found,) = run(session_of(fastbp.onnx.to_onnx(model, X)), X)
    expected = model.predict(X)
    rtol, atol = (2e-6, 1e-6) if dtype == "float32" else (1e-13, 1e-14)
    if place == "output" and entry.name in ("logistic", "softplus"):
        atol = 1e-37  # small probabilities keep their digits
    np.testing.assert_allclose(found[:, 0], expected, rtol=rtol, atol=atol)


@pytest.mark.parametrize("output", ["binary log_loss+logistic", "multiclass logistic", "binary softmax"])
def test_small_probabilities_keep_their_digits(output):
    model, X = random_model(Network("tanh", output)), rows("float32")
    model.coefs_[-1] = model.coefs_[-1] * np.float32(60)
    expected = model.predict_proba(X)
    assert expected.min() < 1e-12
    label, found = run(session_of(fastbp.onnx.to_onnx(model, X)), X)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-36)  # from logits to 1e-6
    np.testing.assert_array_equal(label, model.predict(X))


def test_standard_deviations_are_positive():
    model, X = random_model(Network("relu", "regressor gaussian_nll+identity")), rows("float32")
    model.intercepts_[-1][2:] = -40
    _, found = run(session_of(fastbp.onnx.to_onnx(model, X, return_std=True)), X)
    assert (found > 0).all() and error(found, model.predict(X, return_std=True)[1]) < 1e-5


# --- Formulas of users


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_own_activations(dtype):
    own = [
        Activation("wave", lambda z: np.sin(z) + np.cos(2 * z) ** 2),
        Activation("bump", lambda z: np.where(np.abs(z) < 2, z**3 / 4, np.sign(z) * np.log1p(z * z))),
        Activation("soft", lambda z: np.logaddexp(0, z) - np.expm1(np.minimum(z, 0)) * np.tanh(z)),
    ]
    X, y = rows(dtype), rows("float64", seed=3)[:, 0]
    model = BPRegressor((6, 6, 6), activation=own, parametric_activation=True, max_iter=2, random_state=0)
    model.fit(X, y)
    (found,) = run(session_of(fastbp.onnx.to_onnx(model, X)), X)
    assert error(found, model.predict(X)) <= TOLERANCE[dtype]


def test_own_losses_and_outputs():
    X, y = rows("float32"), rows("float64", seed=3)[:, 0]
    bell = Activation("bell", lambda z: np.exp(-z * z))
    quartic = Loss("quartic", lambda f, y: np.sum((f - y) ** 4))
    params = {"loss": quartic, "out_activation": bell, "max_iter": 2, "random_state": 0}
    model = BPRegressor((6,), **params).fit(X, y)
    assert error(run(session_of(fastbp.onnx.to_onnx(model, X)), X)[0], model.predict(X)) < 1e-5
    for labels in (y > 0, np.digitize(y, [-0.5, 0.5])):
        classifier = BPClassifier((6,), **params).fit(X, labels)
        label, found = run(session_of(fastbp.onnx.to_onnx(classifier, X)), X)
        np.testing.assert_array_equal(label, classifier.predict(X))
        assert error(found, scores_of(classifier, X)) < 1e-5


# --- Options, labels, inputs


def test_dictionaries_and_columns():
    X = rows("float64")
    model = random_model(Network("tanh", "multiclass log_loss+softmax", dtype="float64"))
    expected = model.predict_proba(X)
    _, found = run(session_of(fastbp.onnx.to_onnx(model, X, zipmap=True)), X)
    assert set(found[0]) == {"a", "b", "c"}
    np.testing.assert_allclose([[row[name] for name in "bac"] for row in found], expected, rtol=1e-5)
    label, *columns = run(session_of(fastbp.onnx.to_onnx(model, X, zipmap="columns")), X)
    np.testing.assert_allclose(np.stack(columns, axis=1), expected)
    np.testing.assert_array_equal(label, model.predict(X))


@pytest.mark.parametrize("zipmap", [True, "columns", False])
def test_dictionaries_of_several_labels_are_a_matrix(zipmap):
    model, X = random_model(Network("tanh", "multilabel log_loss+logistic")), rows("float32")
    label, found = run(session_of(fastbp.onnx.to_onnx(model, X, zipmap=zipmap)), X)
    np.testing.assert_array_equal(label, model.predict(X))
    assert error(found, model.predict_proba(X)) < 1e-5


@pytest.mark.parametrize("output", ["binary log_loss+logistic", "multiclass log_loss+softmax"])
def test_raw_scores(output):
    model, X = random_model(Network("tanh", output, dtype="float64")), rows("float64")
    _, found = run(session_of(fastbp.onnx.to_onnx(model, X, raw_scores=True)), X)
    logs = model.predict_log_proba(X)
    if output.startswith("binary"):
        np.testing.assert_allclose(found[:, 1], logs[:, 1] - logs[:, 0])
        np.testing.assert_array_equal(found[:, 0], -found[:, 1])
    else:
        np.testing.assert_allclose(found - found[:, :1], logs - logs[:, :1])


@pytest.mark.parametrize(
    "classes",
    [[0, 1], [False, True], [2.0, 5.0], ["no", "yes"], [np.str_("é"), "ß"], [7], [2**40, -(2**50)]],
    ids=str,
)
def test_labels(classes):
    X = rows("float32")
    model = random_model(Network("tanh", "binary log_loss+logistic"))
    model.classes_ = np.array(classes, dtype=object if isinstance(classes[0], str) else None)
    label, found = run(session_of(fastbp.onnx.to_onnx(model, X)), X)
    np.testing.assert_array_equal(label, model.predict(X))
    assert error(found, model.predict_proba(X)) < 1e-5


def test_labels_that_onnx_has_not():
    X, model = rows("float32"), random_model(Network("tanh", "binary log_loss+logistic"))
    model.classes_ = np.array([0.5, 1.5])
    with pytest.raises(ValueError, match=r"int64.*strings.*nocl=True"):
        fastbp.onnx.to_onnx(model, X)
    label, _ = run(session_of(fastbp.onnx.to_onnx(model, X, options={id(model): {"nocl": True}})), X)
    np.testing.assert_array_equal(label, model.predict(X) == 1.5)


@pytest.mark.parametrize("dtype", ["int64", "float64", "float32"])
@pytest.mark.parametrize("network_dtype", TOLERANCE)
def test_inputs_of_another_dtype(dtype, network_dtype):
    X = (10 * rows("float64")).round().astype(dtype)
    model = random_model(Network("tanh", "regressor scaled", dtype=network_dtype))
    (found,) = run(session_of(fastbp.onnx.to_onnx(model, X)), X)
    assert found.dtype == (np.float64 if dtype == "float64" else np.float32)
    assert error(found, model.predict(X)) < 1e-5


def test_standard_deviations_of_a_loss_without():
    with pytest.raises(ValueError, match=r"return_std.*gaussian_nll.*squared_error"):
        fastbp.onnx.to_onnx(random_model(Network("tanh", "regressor tanh")), rows("float32"), return_std=True)


def test_decision_functions():
    for output in ("binary hinge", "multiclass hinge", "multilabel hinge", "binary tanh"):
        model, X = random_model(Network("tanh", output)), rows("float32")
        label, found = run(session_of(fastbp.onnx.to_onnx(model, X)), X)
        assert error(found, scores_of(model, X)) < 1e-5
        np.testing.assert_array_equal(label, model.predict(X))


@pytest.mark.parametrize("activation", ["maxout", "tanh"])
@pytest.mark.parametrize("output", ["binary hinge", "multiclass increasing", "regressor softmax"])
def test_no_rows_and_one_row(activation, output):
    model, X = random_model(Network(activation, output)), rows("float32")
    session = session_of(fastbp.onnx.to_onnx(model, X))
    for n_rows in (0, 1):
        assert [len(one) for one in run(session, X[:n_rows])] == [n_rows] * len(session.get_outputs())


def test_a_fitted_classifier():
    X, y = rows("float32"), np.arange(40) % 3
    model = BPClassifier((6,), norm="batch", input_scaling="robust", max_iter=3, random_state=0).fit(X, y)
    _, found = run(session_of(fastbp.onnx.to_onnx(model, X)), X)
    assert error(found, model.predict_proba(X)) < 1e-5
