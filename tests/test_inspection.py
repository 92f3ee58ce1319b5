"""System S3, the building blocks: forward values, losses and derivatives against their closed forms."""

import data
import numpy as np
import pytest
from helpers import forward, random_weights
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from tolerances import CLOSED_FORM, SAME_ARITHMETIC

from fastbp import BPClassifier, BPRegressor


def one_row(loss="squared_error", **params):
    """The (1, 5) · (5, 1) network without an intercept."""
    X = np.array([[1.0, -2.0, 0.5, 3.0, 0.0]])
    W = np.array([[0.1], [0.4], [-2.0], [0.25], [9.0]])
    model = BPRegressor((), loss=loss, alpha=0.0, fit_intercept=False, max_iter=1, **params)
    model.fit(X, [1.0], coefs_init=[W])
    model.coefs_ = [W.copy()]
    return model, X, W


def test_forward_value_of_one_row():
    model, X, W = one_row()
    assert_allclose(model.predict(X), (X @ W).ravel(), **CLOSED_FORM)
    assert_allclose(model.predict(X), [-0.95], **CLOSED_FORM)


@pytest.mark.parametrize(
    ("loss", "factor"), [("squared_error", 0.5), ("mean_squared_error", 1), ("sum_squared_error", 1)]
)
def test_squared_error_of_one_row(loss, factor):
    model, X, _ = one_row(loss)
    target = 2.0
    error = -0.95 - target
    result = model.loss_and_gradients(X, [target])
    assert isinstance(result.loss, float)
    assert_allclose(result.loss, factor * error**2, **CLOSED_FORM)
    assert len(result.coefs) == len(result.intercepts) == 1
    assert_allclose(result.coefs[0], 2 * factor * error * X.T, **CLOSED_FORM)
    assert result["loss"] == result.loss  # a Bunch: by name either way


def test_mean_and_sum_differ_by_the_number_of_outputs():
    X, Y = data.multi_output()
    K = Y.shape[1]
    networks = [
        random_weights(
            BPRegressor((4,), loss=loss, alpha=0.0, max_iter=1).fit(X, Y), np.random.RandomState(0)
        )
        for loss in ("squared_error", "mean_squared_error", "sum_squared_error")
    ]
    half, mean, total = (network.loss_and_gradients(X, Y) for network in networks)
    assert_allclose([2 * half.loss, K * mean.loss], total.loss, **SAME_ARITHMETIC)
    for a, b, c in zip(half.coefs, mean.coefs, total.coefs, strict=True):
        assert_allclose(2 * a, c, **SAME_ARITHMETIC)
        assert_allclose(K * b, c, **SAME_ARITHMETIC)


def test_sigmoid_of_zero_is_a_half():
    X, y = data.fractions()
    model = BPRegressor((3,), activation="logistic", out_activation="logistic", init="zeros", max_iter=1)
    model.fit(X, y)
    model.coefs_ = [np.zeros_like(c) for c in model.coefs_]
    model.intercepts_ = [np.zeros_like(b) for b in model.intercepts_]
    hidden, output = model.activations(X)
    assert_array_equal(hidden, np.full((len(X), 3), 0.5))
    assert_array_equal(output, np.full((len(X), 1), 0.5))


@pytest.mark.parametrize("z", [-800.0, -30.0, -1.0, 0.0, 0.5, 20.0, 800.0])
@pytest.mark.parametrize("activation", ["identity", "logistic", "tanh", "relu"])
def test_activation_functions(activation, z):
    """Far out, too: no overflow, no warning, and the right limit."""
    model = BPRegressor((1,), activation=activation, max_iter=1).fit([[0.0], [1.0]], [0.0, 1.0])
    model.coefs_ = [np.ones((1, 1)), np.ones((1, 1))]
    model.intercepts_ = [np.zeros(1), np.zeros(1)]
    expected = {
        "identity": z,
        "logistic": np.exp(-np.logaddexp(0, -z)),
        "tanh": np.tanh(z),
        "relu": max(z, 0.0),
    }[activation]
    assert_allclose(model.activations([[z]])[0], [[expected]], rtol=1e-13, atol=1e-300)


def test_cross_entropy_by_the_chain_rule():
    """Softmax: dL/dz = p - onehot(y), dL/dW = xᵀ dL/dz / n."""
    X, y = data.iris()
    model = random_weights(BPClassifier((), alpha=0.0, max_iter=1).fit(X, y), np.random.RandomState(1))
    p = model.predict_proba(X)
    onehot = np.eye(3)[y]
    result = model.loss_and_gradients(X, y)
    assert_allclose(result.loss, -np.log(p[np.arange(len(y)), y]).mean(), **SAME_ARITHMETIC)
    assert_allclose(result.coefs[0], X.T @ (p - onehot) / len(X), **SAME_ARITHMETIC)
    assert_allclose(result.intercepts[0], (p - onehot).mean(axis=0), **SAME_ARITHMETIC)


def test_binary_cross_entropy_by_the_chain_rule():
    X, y = data.binary()
    model = random_weights(BPClassifier((), alpha=0.0, max_iter=1).fit(X, y), np.random.RandomState(1))
    p = model.predict_proba(X)[:, 1]
    result = model.loss_and_gradients(X, y)
    assert_allclose(result.loss, -(y * np.log(p) + (1 - y) * np.log(1 - p)).mean(), **SAME_ARITHMETIC)
    assert_allclose(result.coefs[0], X.T @ (p - y)[:, None] / len(X), **SAME_ARITHMETIC)


def test_one_hidden_layer_by_the_chain_rule():
    """dL/dW₂ = hᵀδ₂, δ₁ = δ₂W₂ᵀ · h(1 - h), dL/dW₁ = xᵀδ₁ — written out."""
    X, y = data.regression()
    model = BPRegressor((4,), activation="logistic", alpha=0.0, max_iter=1).fit(X, y)
    random_weights(model, np.random.RandomState(2))
    h, f = forward(model, X)
    delta2 = (f - y[:, None]) / len(X)
    delta1 = delta2 @ model.coefs_[1].T * h * (1 - h)
    result = model.loss_and_gradients(X, y)
    assert_allclose(result.coefs[1], h.T @ delta2, **SAME_ARITHMETIC)
    assert_allclose(result.coefs[0], X.T @ delta1, **SAME_ARITHMETIC)
    assert_allclose(result.intercepts[1], delta2.sum(axis=0), **SAME_ARITHMETIC)
    assert_allclose(result.intercepts[0], delta1.sum(axis=0), **SAME_ARITHMETIC)


def test_a_step_of_gradient_descent_follows_the_gradient():
    """partial_fit by plain full-batch sgd is W - lr · dF/dW."""
    X, y = data.iris()
    lr = 0.3
    model = BPClassifier(
        (5,), solver="sgd", momentum=0.0, learning_rate_init=lr, alpha=0.4, l2=0.1, max_iter=1
    )
    model.set_params(batch_size=len(X), random_state=0).fit(X, y)
    gradients = model.loss_and_gradients(X, y)
    expected = [c - lr * g for c, g in zip(model.coefs_, gradients.coefs, strict=True)]
    expected += [b - lr * g for b, g in zip(model.intercepts_, gradients.intercepts, strict=True)]
    model.partial_fit(X, y)
    assert_allclose(model.loss_, gradients.loss, **SAME_ARITHMETIC)
    for new, right in zip([*model.coefs_, *model.intercepts_], expected, strict=True):
        assert_allclose(new, right, **SAME_ARITHMETIC)


def test_the_gradient_vanishes_at_the_optimum():
    X, y = data.iris()
    model = BPClassifier((), solver="lbfgs", alpha=1.0, tol=1e-8, max_iter=1000).fit(X, y)
    result = model.loss_and_gradients(X, y)
    assert max(np.abs(g).max() for g in [*result.coefs, *result.intercepts]) < 1e-4


@pytest.mark.parametrize("hidden_layer_sizes", [(), (4,), (7, 3, 5)], ids=str)
@pytest.mark.parametrize("activation", ["identity", "logistic", "tanh", "relu"])
def test_activations_of_every_layer(activation, hidden_layer_sizes):
    X, y = data.iris()
    model = BPClassifier(hidden_layer_sizes, activation=activation, max_iter=1, random_state=0).fit(X, y)
    random_weights(model, np.random.RandomState(0))
    layers = model.activations(X)
    assert isinstance(layers, list)
    assert [layer.shape for layer in layers] == [(len(X), width) for width in (*hidden_layer_sizes, 3)]
    for mine, textbook in zip(layers, forward(model, X), strict=True):
        assert_allclose(mine, textbook, **SAME_ARITHMETIC)
    assert_array_equal(layers[-1], model.predict_proba(X))
    assert_array_equal(model.transform(X), layers[-2] if hidden_layer_sizes else X)


def test_activations_of_the_regressor_end_with_the_prediction():
    X, Y = data.multi_output()
    model = BPRegressor((4,), max_iter=1).fit(X, Y)
    assert_array_equal(model.activations(X)[-1], model.predict(X))


def test_transform_in_a_pipeline_has_names():
    pd = pytest.importorskip("pandas")
    X, y = data.iris()
    pipeline = make_pipeline(StandardScaler(), BPClassifier((6,), max_iter=1, random_state=0))
    hidden = pipeline.fit(X, y).transform(X)
    assert hidden.shape == (len(X), 6)
    names = pipeline.get_feature_names_out()
    assert len(set(names)) == 6
    assert all(isinstance(name, str) for name in names)
    framed = pipeline.set_output(transform="pandas").fit(X, y).transform(X)
    assert isinstance(framed, pd.DataFrame)
    assert list(framed.columns) == list(names)
    assert_array_equal(framed.to_numpy(), hidden)


def test_transform_without_a_hidden_layer_passes_the_input_on():
    X, y = data.iris()
    model = BPClassifier((), max_iter=1).fit(X, y)
    assert_array_equal(model.transform(X), X)
    assert len(model.get_feature_names_out()) == X.shape[1]


def test_fit_transform():
    X, y = data.iris()
    model = BPClassifier((6,), max_iter=2, random_state=0)
    assert_array_equal(model.fit_transform(X, y), model.transform(X))


def test_decision_function_where_there_are_no_probabilities():
    X, y = data.iris()
    model = BPClassifier((4,), loss="squared_error", out_activation="identity", max_iter=1).fit(X, y)
    assert not hasattr(model, "predict_proba")
    assert not hasattr(model, "predict_log_proba")
    scores = model.decision_function(X)
    assert scores.shape == (len(X), 3)
    assert_array_equal(model.predict(X), model.classes_[scores.argmax(axis=1)])
    assert not hasattr(BPClassifier((4,), max_iter=1).fit(X, y), "decision_function")


def test_binary_decision_function_is_one_column_with_its_threshold_at_zero():
    X, y = data.binary()
    y = np.where(y == 1, "yes", "no")
    model = BPClassifier((), loss="squared_error", out_activation="identity", solver="lbfgs").fit(X, y)
    scores = model.decision_function(X)
    assert scores.shape == (len(X),)
    assert_array_equal(model.predict(X), np.where(scores > 0, "yes", "no"))
    assert model.score(X, y) > 0.7


def wrong_shapes():
    X = np.ones((1, 5))
    yield "features", lambda model: model.predict(np.ones((1, 4))), "features"
    yield "one dimension", lambda model: model.predict(np.ones(5)), "(?i)expected 2D array"
    yield (
        "length of y",
        lambda model: model.loss_and_gradients(X, [1.0, 2.0]),
        "inconsistent numbers of samples",
    )
    yield "width of y", lambda model: model.loss_and_gradients(X, [[1.0, 2.0]]), "y|output"
    yield "length of weights", lambda model: model.loss_and_gradients(X, [1.0], [1.0, 1.0]), "sample_weight"
    yield "gradient's features", lambda model: model.loss_and_gradients(np.ones((1, 6)), [1.0]), "features"
    yield "activations' features", lambda model: model.activations(np.ones((1, 6))), "features"
    yield "transform's features", lambda model: model.transform(np.ones((1, 6))), "features"


@pytest.mark.parametrize(("call", "message"), [pytest.param(c, m, id=name) for name, c, m in wrong_shapes()])
def test_mismatches_raise_clear_errors(call, message):
    model, _, _ = one_row()
    with pytest.raises(ValueError, match=message):
        call(model)
