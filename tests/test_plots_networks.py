"""Displays of weights and of the graph of a network."""

import data
import numpy as np
import pytest
from helpers import EVERY_EPOCH
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.calibration import CalibratedClassifierCV
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fastbp import BPClassifier, BPEnsembleClassifier, BPRegressor, TabularClassifier
from fastbp.plots import NetworkDisplay, WeightsDisplay

pytest.importorskip("matplotlib")
PARAMS = {"hidden_layer_sizes": (5,), "max_iter": 3, "batch_size": 50, "random_state": 0, **EVERY_EPOCH}


@pytest.fixture(autouse=True)
def pyplot():
    from matplotlib import pyplot

    yield pyplot
    pyplot.close("all")


def of_iris(**params):
    return BPClassifier(**{**PARAMS, **params}).fit(*data.iris())


def of_digits(**params):
    X, y = data.digits()
    return BPClassifier(**{**PARAMS, **params}).fit(X[:200], y[:200])


def named(X, *names):
    pandas = pytest.importorskip("pandas")
    return pandas.DataFrame(X, columns=list(names))


def contents(texts):
    return [text.get_text() for text in texts]


# --- Weights


def test_weights_of_pixels_are_images_with_the_largest_first():
    model = of_digits(hidden_layer_sizes=(6,))
    display = WeightsDisplay.from_estimator(model)
    norms = np.linalg.norm(model.coefs_[0], axis=0)
    assert_array_equal(display.units_, np.argsort(-norms))
    assert len(display.images_) == 6
    limit = np.abs(model.coefs_[0]).max()
    places = set()
    for image, unit in zip(display.images_, display.units_, strict=True):
        assert_array_equal(image.get_array(), model.coefs_[0][:, unit].reshape(8, 8))
        assert image.get_clim() == (-limit, limit)
        left, right, bottom, top = image.get_extent()
        assert right - left == pytest.approx(bottom - top) == 1.0
        places.add((left, top))
    assert len(places) == 6
    assert contents(display.texts_) == [f"unit {unit}" for unit in display.units_]
    assert display.colorbar_.mappable is display.images_[0]
    assert display.ax_.get_title() == ""


def test_some_of_many_units():
    model = of_digits(hidden_layer_sizes=(30,))
    display = WeightsDisplay.from_estimator(model)
    assert len(display.images_) == 25
    assert display.ax_.get_title() == "25 of 30 with the largest norm of their weights"
    assert len(WeightsDisplay.from_estimator(model, max_units=4).images_) == 4
    limited = WeightsDisplay.from_estimator(model, max_units=1, limit=2.0, cmap="PiYG")
    assert limited.images_[0].get_clim() == (-2, 2) and limited.images_[0].get_cmap().name == "PiYG"


def test_other_inputs_are_a_heat_map():
    X, y = data.iris()
    names = ["sepal length", "sepal width", "petal length", "a name that is much too long for the axis"]
    model = BPClassifier(**PARAMS).fit(named(X, *names), y)
    display = WeightsDisplay.from_estimator(model)
    (image,) = display.images_
    assert_array_equal(image.get_array(), model.coefs_[0][:, display.units_])
    assert contents(display.ax_.get_yticklabels()) == [*names[:3], "a name that is much too…"]
    assert contents(display.ax_.get_xticklabels()) == [str(unit) for unit in display.units_]
    assert image.get_clim()[0] == -image.get_clim()[1] == -np.abs(model.coefs_[0]).max()
    given = WeightsDisplay.from_estimator(model, feature_names=list("abcd"))
    assert contents(given.ax_.get_yticklabels()) == list("abcd")


@pytest.mark.parametrize(
    ("steps", "are_images"),
    [([StandardScaler()], True), ([PCA(64)], False), (["passthrough"], True)],
    ids=str,
)
def test_only_columns_of_X_are_pixels(steps, are_images):
    X, y = data.digits()
    model = make_pipeline(*steps, BPClassifier(**PARAMS)).fit(X[:200], y[:200])
    display = WeightsDisplay.from_estimator(model)
    assert display.images_[0].get_array().shape == ((8, 8) if are_images else (64, 5))


@pytest.mark.parametrize(
    ("names", "are_images"),
    [([f"pixel_{i // 5}_{i % 5}" for i in range(25)], True), ([f"{chr(97 + i)}" for i in range(25)], False)],
)
def test_names_tell_pixels_from_columns(names, are_images):
    X = np.random.RandomState(0).normal(size=(60, 25))
    model = BPRegressor(**PARAMS).fit(named(X, *names), X[:, 0])
    display = WeightsDisplay.from_estimator(model)
    assert (display.image_shape == (5, 5)) == are_images


def test_shapes_of_images_can_be_given_and_refused():
    model = of_digits()
    wide = WeightsDisplay.from_estimator(model, image_shape=(4, 16))
    assert wide.images_[0].get_array().shape == (4, 16)
    assert WeightsDisplay.from_estimator(model, image_shape=None).images_[0].get_array().shape == (64, 5)
    with pytest.raises(ValueError, match="has 63 pixels, but the layer has 64 inputs"):
        WeightsDisplay.from_estimator(model, image_shape=(7, 9))
    for wrong in ("square", 8, (2, 2, 16)):
        with pytest.raises(ValueError, match="image_shape must be"):
            WeightsDisplay.from_estimator(model, image_shape=wrong)


def test_weights_of_later_layers():
    model = of_iris(hidden_layer_sizes=(6, 4))
    display = WeightsDisplay.from_estimator(model, layer=1)
    assert_array_equal(display.images_[0].get_array(), model.coefs_[1][:, display.units_])
    assert contents(display.ax_.get_yticklabels()) == [f"unit {number}" for number in range(6)]
    assert display.ax_.get_xlabel() == "unit of hidden layer 2, by norm"
    X, y = data.iris()
    words = np.array(["setosa", "versicolor", "virginica"])[y]
    model = BPClassifier(**PARAMS).fit(X, words)
    display = WeightsDisplay.from_estimator(model, layer=-1)
    assert sorted(contents(display.ax_.get_xticklabels())) == ["setosa", "versicolor", "virginica"]
    assert display.ax_.get_xlabel() == "output, by norm"
    with pytest.raises(ValueError, match="coefs_ has 2 layers, from 0 to 1"):
        WeightsDisplay.from_estimator(model, layer=2)


def test_pieces_of_maxout_units_have_their_own_column():
    model = of_iris(activation="maxout", hidden_layer_sizes=(2,))
    display = WeightsDisplay.from_estimator(model)
    assert sorted(contents(display.ax_.get_xticklabels())) == ["0/0", "0/1", "1/0", "1/1"]


def test_weights_without_a_model(pyplot):
    weights = np.array([[0.0, 1.0, -3.0], [0.0, 1.0, 0.0]])
    _, ax = pyplot.subplots()
    display = WeightsDisplay(weights, feature_names=["a", "b"], unit_names=["x", "y", "z"]).plot(ax)
    assert display.ax_ is ax and display.figure_ is ax.figure
    assert_array_equal(display.units_, [2, 1, 0])
    assert contents(ax.get_xticklabels()) == ["z", "y", "x"]
    assert WeightsDisplay(np.zeros((2, 2))).plot().images_[0].get_clim() == (-1, 1)
    with pytest.raises(ValueError, match="feature_names has 1 names, but there are 2"):
        WeightsDisplay(weights, feature_names=["a"]).plot()
    with pytest.raises(ValueError, match=r"weights must have the shape"):
        WeightsDisplay(weights[0]).plot()
    with pytest.raises(ValueError, match="max_units must be at least 1"):
        WeightsDisplay(weights).plot(max_units=0)


def test_weights_of_searches_and_of_scikit_learn():
    X, y = data.regression()
    search = GridSearchCV(BPRegressor(**PARAMS), {"alpha": [1.0]}, cv=2).fit(X, y)
    display = WeightsDisplay.from_estimator(search)
    assert_array_equal(display.weights, search.best_estimator_.coefs_[0])
    other = MLPRegressor(hidden_layer_sizes=(3,), max_iter=2, batch_size=50, random_state=0).fit(X, y)
    assert_array_equal(WeightsDisplay.from_estimator(other).weights, other.coefs_[0])


# --- Graphs


def test_nodes_edges_and_names():
    X, y = data.iris()
    words = np.array(["setosa", "versicolor", "virginica"])[y]
    model = BPClassifier(**{**PARAMS, "hidden_layer_sizes": (5, 4)}).fit(named(X, *"abcd"), words)
    display = NetworkDisplay.from_estimator(model)
    assert [len(nodes.get_offsets()) for nodes in display.nodes_] == [4, 5, 4, 3]
    assert contents(display.name_texts_) == [*"abcd", "setosa", "versicolor", "virginica"]
    titles = ["inputs\n4", "hidden 1\n5 relu", "hidden 2\n4 relu", "output\n3 softmax"]
    assert contents(display.title_texts_) == titles
    assert display.ellipses_ == [] and display.value_texts_ == [[]] * 4
    limit = max(np.abs(coef).max() for coef in model.coefs_)
    for layer, (edges, coef) in enumerate(zip(display.edges_, model.coefs_, strict=True)):
        before, after = (display.nodes_[at].get_offsets() for at in (layer, layer + 1))
        segments = {(tuple(a), tuple(b)): at for at, (a, b) in enumerate(edges.get_segments())}
        assert len(segments) == coef.size
        for i, start in enumerate(before):
            for j, end in enumerate(after):
                at = segments[tuple(start), tuple(end)]
                weight = coef[i, j]
                assert display.edge_weights_[layer][at] == weight
                assert edges.get_linewidths()[at] == pytest.approx(0.2 + 2.8 * abs(weight) / limit)
                red, _, blue, _ = edges.get_colors()[at]
                assert (red - blue) * weight >= 0
        assert (np.diff(np.abs(display.edge_weights_[layer])) >= 0).all()  # strong ones on top
    assert display.colorbar_.mappable.get_clim() == pytest.approx((-limit, limit))


def test_biases_are_rings_and_numbers():
    model = of_iris()
    model.intercepts_[0] = np.array([-0.5, 0.5, 0.0, 0.25, -0.25])
    display = NetworkDisplay.from_estimator(model)
    assert contents(display.bias_texts_[1]) == ["-0.50", "+0.50", "+0.00", "+0.25", "-0.25"]
    assert display.bias_texts_[0] == []
    rings = display.nodes_[1].get_edgecolors()
    assert rings[0][2] > rings[0][0] and rings[1][0] > rings[1][2]  # blue, red
    assert_allclose(rings, display.colorbar_.mappable.to_rgba(model.intercepts_[0]))
    without = NetworkDisplay.from_estimator(of_iris(fit_intercept=False))
    assert without.bias_texts_ == [[]] * 3


@pytest.mark.parametrize("as_frame", [True, False])
def test_activations_of_a_row_are_in_the_nodes(as_frame):
    X, y = data.iris()
    X = named(X, *"abcd") if as_frame else X
    pipeline = make_pipeline(StandardScaler(), BPClassifier(**PARAMS)).fit(X, y)
    row = X.iloc[[7]] if as_frame else X[7:8]
    display = NetworkDisplay.from_estimator(pipeline, row)
    inputs = pipeline[0].transform(row)
    layers = [inputs, *pipeline[-1].activations(inputs)]
    for texts, layer in zip(display.value_texts_, layers, strict=True):
        assert contents(texts) == [f"{value:.2f}" for value in layer[0]]
    if not as_frame:
        alone = NetworkDisplay.from_estimator(pipeline, row[0])  # one row without its axis
        assert contents(alone.value_texts_[2]) == contents(display.value_texts_[2])
        with pytest.raises(ValueError, match=r"X must be one row.*got 2"):
            NetworkDisplay.from_estimator(pipeline, X[:2])


def test_large_layers_are_abbreviated():
    model = of_digits(hidden_layer_sizes=(20,))
    display = NetworkDisplay.from_estimator(model, max_units=6)
    assert_array_equal(display.units_[0], [0, 1, 2, 62, 63])
    assert_array_equal(display.units_[1], [0, 1, 2, 18, 19])
    assert contents(display.ellipses_) == ["⋮"] * 3
    assert contents(display.name_texts_) == ["x0", "x1", "x2", "x62", "x63", *"01289"]
    shown = model.coefs_[0][np.ix_(display.units_[0], display.units_[1])]
    assert_array_equal(np.sort(display.edge_weights_[0]), np.sort(shown.ravel()))
    heights = display.nodes_[0].get_offsets()[:, 1]
    (_, gap) = display.ellipses_[0].get_position()
    assert heights[2] > gap > heights[3]
    with pytest.raises(ValueError, match="max_units must be at least 3"):
        NetworkDisplay.from_estimator(model, max_units=2)


@pytest.mark.parametrize(
    ("params", "names"),
    [
        ({}, ["y"]),
        ({"loss": "gaussian_nll"}, ["mean", "spread"]),
        ({"loss": "pinball", "loss_params": {"quantile": [0.1, 0.9]}}, ["quantile 0.1", "quantile 0.9"]),
    ],
    ids=str,
)
def test_names_of_a_regressors_outputs(params, names):
    model = BPRegressor(**PARAMS, **params).fit(*data.regression())
    assert contents(NetworkDisplay.from_estimator(model).name_texts_)[10:] == names


def test_names_of_other_outputs():
    display = NetworkDisplay.from_estimator(BPRegressor(**PARAMS).fit(*data.multi_output()))
    assert contents(display.name_texts_)[4:] == ["y0", "y1", "y2"]
    X, y = data.binary()
    binary = BPClassifier(**PARAMS).fit(X, np.array(["no", "yes"])[y])
    assert contents(NetworkDisplay.from_estimator(binary).name_texts_)[5:] == ["yes"]
    given = NetworkDisplay.from_estimator(binary, feature_names=list("abcde"), output_names=["p(yes)"])
    assert contents(given.name_texts_) == [*"abcde", "p(yes)"]
    with pytest.raises(ValueError, match="output_names has 2 names, but there are 1 outputs"):
        NetworkDisplay.from_estimator(binary, output_names=["no", "yes"])


def test_maxout_and_residual_layers():
    model = of_iris(activation=["maxout", "relu"], hidden_layer_sizes=(3, 3), residual=True, maxout_pieces=2)
    display = NetworkDisplay.from_estimator(model, data.iris()[0][:1])
    grouped = model.coefs_[0].reshape(4, 3, 2)
    strongest = np.where(np.abs(grouped[..., 0]) >= np.abs(grouped[..., 1]), grouped[..., 0], grouped[..., 1])
    assert_array_equal(np.sort(display.edge_weights_[0]), np.sort(strongest.ravel()))
    assert contents(display.title_texts_)[1:3] == ["hidden 1\n3 maxout", "hidden 2\n3 relu + residual"]


def test_styles_and_given_axes(pyplot):
    _, ax = pyplot.subplots()
    model = of_iris(hidden_layer_sizes=())
    display = NetworkDisplay.from_estimator(
        model, ax=ax, limit=9.0, node_kw={"s": 10}, edge_kw={"alpha": 0.5}, text_kw={"color": "green"}
    )
    assert display.ax_ is ax and display.figure_ is ax.figure
    assert display.nodes_[0].get_sizes()[0] == 10
    assert display.edges_[0].get_alpha() == 0.5
    assert {text.get_color() for text in display.name_texts_} == {"green"}
    assert display.colorbar_.mappable.get_clim() == (-9, 9)
    display.figure_.canvas.draw()
    right = display.colorbar_.ax.get_window_extent().x0
    assert all(text.get_window_extent().x1 < right for text in display.name_texts_)


def test_texts_do_not_overlap():
    display = NetworkDisplay.from_estimator(of_iris(hidden_layer_sizes=(9, 6)), data.iris()[0][:1])
    display.figure_.canvas.draw()
    texts = [*display.name_texts_, *display.title_texts_]
    texts += [text for layer in (*display.value_texts_, *display.bias_texts_) for text in layer]
    boxes = [text.get_window_extent() for text in texts]
    for number, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in boxes[:number]), texts[number]


# --- What has no one network


@pytest.mark.parametrize("Display", [WeightsDisplay, NetworkDisplay])
def test_what_is_refused(Display):
    X, y = data.iris()
    for unfitted in (BPClassifier(), make_pipeline(StandardScaler(), BPClassifier()), BPEnsembleClassifier()):
        with pytest.raises(NotFittedError, match="is not fitted yet"):
            Display.from_estimator(unfitted)
    with pytest.raises(TypeError, match="got LogisticRegression"):
        Display.from_estimator(LogisticRegression().fit(X, y))
    ensemble = BPEnsembleClassifier(BPClassifier(**PARAMS), n_estimators=2, random_state=0).fit(X, y)
    with pytest.raises(TypeError, match=r"has 2: give it a member, such as ensemble\.estimators_\[0\]"):
        Display.from_estimator(ensemble)
    assert Display.from_estimator(ensemble.estimators_[0]).ax_ is not None
    table = TabularClassifier(n_members=1, effort="fast", random_state=0).fit(X[:60], y[:60])
    with pytest.raises(TypeError, match=r"model\.members_\[0\]\.network"):
        Display.from_estimator(table)
    assert Display.from_estimator(table.members_[0].network).ax_ is not None


def test_searches_that_keep_no_network_and_other_meta_estimators():
    X, y = data.iris()
    search = GridSearchCV(BPClassifier(**PARAMS), {"alpha": [1.0]}, cv=2, refit=False).fit(X, y)
    with pytest.raises(TypeError, match="with refit=False keeps no network; SearchResultsDisplay"):
        NetworkDisplay.from_estimator(search)
    calibrated = CalibratedClassifierCV(BPClassifier(**PARAMS), cv=2)
    with pytest.raises(NotFittedError, match="CalibratedClassifierCV"):
        NetworkDisplay.from_estimator(calibrated)
    with pytest.raises(TypeError, match="got CalibratedClassifierCV"):
        NetworkDisplay.from_estimator(calibrated.fit(X, y))


def test_weights_that_were_assigned():
    model = BPRegressor((2,))
    model.coefs_ = [np.ones((3, 2)), np.ones((2, 1))]
    model.intercepts_ = [np.zeros(2), np.zeros(1)]
    assert contents(NetworkDisplay.from_estimator(model).title_texts_)[-1] == "output\n1 identity"
    assert_array_equal(WeightsDisplay.from_estimator(model, layer=1).weights, np.ones((2, 1)))


def test_networks_of_scikit_learn_have_no_graph():
    X, y = data.regression()
    other = MLPRegressor(hidden_layer_sizes=(3,), max_iter=2, batch_size=50, random_state=0).fit(X, y)
    with pytest.raises(TypeError, match="got MLPRegressor"):
        NetworkDisplay.from_estimator(other)
