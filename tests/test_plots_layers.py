"""Statistics of layers as a callback records them, and their display."""

import pickle

import data
import numpy as np
import pytest
from helpers import EVERY_EPOCH, assert_same_bits
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fastbp import BPClassifier, BPEnsembleClassifier, BPRegressor, TabularClassifier
from fastbp.callbacks import StopWhen
from fastbp.plots import LayerStatistics, LayerStatisticsDisplay, LossCurveDisplay
from fastbp.plots.layer_statistics import OF_LAYERS

pytest.importorskip("matplotlib")
PARAMS = {"hidden_layer_sizes": (6, 4), "max_iter": 4, "batch_size": 50, "random_state": 0, **EVERY_EPOCH}


@pytest.fixture(autouse=True)
def pyplot():
    from matplotlib import pyplot

    yield pyplot
    pyplot.close("all")


def recorded(estimator, X, y, recorder=None, **fit_params):
    recorder = recorder or LayerStatistics()
    estimator = clone(estimator).set_callbacks(recorder).fit(X, y, **fit_params)
    return recorder.history_, estimator


class Epochs:
    """Copies of the network after each epoch."""

    def __init__(self):
        self.networks = []

    def __call__(self, epoch):
        self.networks.append(epoch.current)
        return False


# --- What is recorded


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_the_statistics_are_those_of_the_network_after_each_epoch(solver):
    X, y = data.iris()
    epochs, recorder = Epochs(), LayerStatistics()
    network = BPClassifier(**{**PARAMS, "solver": solver}).set_callbacks(StopWhen(epochs), recorder).fit(X, y)
    history = recorder.history_
    assert history.layers == ("hidden 1", "hidden 2", "output")
    assert history.activations == ("relu", "relu", "softmax")
    n_epochs = len(epochs.networks)
    assert_array_equal(history.epoch, np.arange(1, n_epochs + 1))
    for name in OF_LAYERS:
        assert getattr(history, name).shape == (n_epochs, 3)
    for at, network in enumerate(epochs.networks):
        layers, slopes = network.activations(X), network.loss_and_gradients(X, y).coefs
        assert_allclose(history.activation_mean[at], [layer.mean() for layer in layers])
        assert_allclose(history.activation_std[at], [layer.std() for layer in layers])
        assert_allclose(history.gradient_mean[at], [slope.mean() for slope in slopes], atol=1e-15)
        assert_allclose(history.gradient_std[at], [slope.std() for slope in slopes])
        dead = [(layer == 0).all(axis=0).mean() for layer in layers[:2]]
        assert_array_equal(history.inactive[at], [*dead, np.nan])
        assert_allclose(history.weight_std[at], [np.sqrt((w**2).mean()) for w in network.coefs_])
        if at:
            before = epochs.networks[at - 1].coefs_
            ratios = [
                np.linalg.norm(new - old) / np.linalg.norm(old)
                for new, old in zip(network.coefs_, before, strict=True)
            ]
            assert_allclose(history.update_ratio[at], ratios)


def test_the_first_update_is_from_the_initial_weights():
    X, y = data.iris()
    start = [np.full((4, 6), 0.1), np.full((6, 4), 0.2), np.zeros((4, 3))]
    history, network = recorded(BPClassifier(**{**PARAMS, "max_iter": 1}), X, y, coefs_init=start)
    changes = [np.linalg.norm(new - old) for new, old in zip(network.coefs_, start, strict=True)]
    expected = [changes[0] / np.linalg.norm(start[0]), changes[1] / np.linalg.norm(start[1]), np.nan]
    assert_allclose(history.update_ratio[0], expected)


def test_the_loss_and_score_are_those_of_the_fit():
    X, y = data.regression()
    network = BPRegressor(**PARAMS, early_stopping=True)
    history, network = recorded(network, X, y)
    assert_array_equal(history.loss, network.loss_curve_)
    assert_array_equal(history.score, network.validation_scores_)
    assert history.score_name == "R²"
    plain, _ = recorded(BPRegressor(**PARAMS), X, y)
    assert np.isnan(plain.score).all()


def test_under_early_stopping_and_averages_the_weights_are_the_epochs_own():
    X, y = data.iris()
    network = BPClassifier(**PARAMS, early_stopping=True, learning_rate_init=0.5)
    epochs = Epochs()
    network.set_callbacks(StopWhen(epochs), recorder := LayerStatistics()).fit(X, y)
    assert best_is_earlier(network)
    last = epochs.networks[-1]
    assert any((a != b).any() for a, b in zip(last.coefs_, network.coefs_, strict=True))
    expected = [np.sqrt((w**2).mean()) for w in last.coefs_]
    assert_allclose(recorder.history_.weight_std[-1], expected)
    averaged = BPClassifier(**PARAMS, average="ema", learning_rate_init=0.1).set_callbacks(StopWhen(epochs))
    plain = BPClassifier(**PARAMS, learning_rate_init=0.1).fit(X, y)
    averaged.fit(X, y)
    assert_same_bits(epochs.networks[-1], plain)


def best_is_earlier(network):
    scores = np.array(network.validation_scores_)
    return scores[-1] < scores.max()


def test_recording_does_not_change_the_fit():
    X, y = data.iris()
    for params in ({}, {"dropout": 0.3, "early_stopping": True}):
        network = BPClassifier(**PARAMS, **params)
        assert_same_bits(recorded(network, X, y)[1], clone(network).fit(X, y))


def test_dead_and_saturated():
    X, y = data.iris()
    start = {
        "coefs_init": [np.zeros((4, 4)), np.eye(4)[:, :3] * 50, np.zeros((3, 3))],
        "intercepts_init": [np.array([-1.0, -1.0, 1.0, 1.0]), np.zeros(3), np.zeros(3)],
    }
    options = {**PARAMS, "hidden_layer_sizes": (4, 3), "max_iter": 1, "learning_rate_init": 1e-12}
    history, _ = recorded(BPClassifier(**options, activation=["relu", "tanh"]), X, y, **start)
    assert_allclose(history.inactive, [[0.5, 1 / 3, np.nan]])
    history, _ = recorded(BPClassifier(**options, activation=["silu", "logistic"]), X, y, **start)
    assert np.isnan(history.inactive[0, [0, 2]]).all() and 0 <= history.inactive[0, 1] <= 1


def test_dead_units_of_residual_layers_are_seen():
    X, y = data.iris()
    start = {
        "coefs_init": [np.eye(4), np.zeros((4, 4)), np.zeros((4, 3))],
        "intercepts_init": [np.zeros(4), np.array([-1.0, 1.0, 1.0, -1.0]), np.zeros(3)],
    }
    options = {**PARAMS, "hidden_layer_sizes": (4, 4), "max_iter": 1, "learning_rate_init": 1e-12}
    history, _ = recorded(BPClassifier(**options, residual=True), X, y, **start)
    assert history.inactive[0, 1] == 0.5


@pytest.mark.parametrize(
    "params", [{"norm": "layer"}, {"activation": "maxout"}, {"parametric_activation": True}]
)
def test_networks_with_more_than_dense_layers(params):
    history, _ = recorded(BPClassifier(**PARAMS, **params), *data.iris())
    assert np.isfinite(history.update_ratio).all() and np.isfinite(history.gradient_std).all()
    assert np.isnan(history.inactive).all() == ("norm" not in params)


def test_some_rows_of_many_with_their_weights():
    X, y = data.iris()
    weight = np.linspace(0, 1, len(X))
    network = BPClassifier(**{**PARAMS, "max_iter": 1})
    history, fitted = recorded(network, X, y, LayerStatistics(n_rows=3), sample_weight=weight)
    rows = [0, 74, 149]
    layers = fitted.activations(X[rows])
    assert_allclose(history.activation_mean[0], [layer.mean() for layer in layers])
    slopes = fitted.loss_and_gradients(X[rows], y[rows], weight[rows]).coefs
    assert_allclose(history.gradient_std[0], [slope.std() for slope in slopes])
    history, _ = recorded(network, X, y, LayerStatistics(n_rows=1), sample_weight=weight)  # its weight is 0
    assert np.isfinite(history.gradient_std).all()


def test_frames_lists_and_sparse_rows():
    pandas = pytest.importorskip("pandas")
    from scipy import sparse

    X, y = data.iris()
    network = BPClassifier(**{**PARAMS, "max_iter": 2})
    frame = pandas.DataFrame(X, columns=list("abcd"))
    for n_rows in (20, 500):
        expected, _ = recorded(network, X, y, LayerStatistics(n_rows))
        for rows in (frame, X.tolist(), sparse.csr_array(X)):
            history, _ = recorded(network, rows, pandas.Series(y), LayerStatistics(n_rows))
            assert_allclose(history.gradient_std, expected.gradient_std, rtol=1e-9)


def test_calls_of_partial_fit_are_one_history_and_fits_have_their_own():
    X, y = data.iris()
    recorder = LayerStatistics()
    network = BPClassifier(**PARAMS).set_callbacks(recorder)
    for _ in range(3):
        network.partial_fit(X, y, classes=[0, 1, 2])
    assert len(recorder.histories_) == 1
    assert_array_equal(recorder.history_.epoch, [1, 2, 3])
    assert_array_equal(recorder.history_.loss, network.loss_curve_)
    network.fit(X, y)
    other = clone(network).fit(X, y)
    assert [len(one.epoch) for one in recorder.histories_] == [3, 4, 4]
    assert_array_equal(recorder.histories_[1].loss, recorder.histories_[2].loss)
    other.partial_fit(X, y)
    assert [len(one.epoch) for one in recorder.histories_] == [3, 4, 5]
    network.set_params(random_state=1).fit(X, y)
    other.partial_fit(X, y)  # of which the latest history is not
    assert [len(one.epoch) for one in recorder.histories_] == [3, 4, 5, 4, 1]


def test_recorders_can_be_pickled():
    recorder = LayerStatistics(n_rows=7)
    recorded(BPClassifier(**PARAMS), *data.iris(), recorder)
    copied = pickle.loads(pickle.dumps(recorder))
    assert copied.n_rows == 7
    assert_array_equal(copied.history_.update_ratio, recorder.history_.update_ratio)


def test_a_recorder_refuses_what_it_cannot_record():
    with pytest.raises(AttributeError, match="set it on a network"):
        _ = LayerStatistics().history_
    for wrong in (0, 1.5, "all"):
        with pytest.raises(ValueError, match="'n_rows' parameter of LayerStatistics"):
            LayerStatistics(n_rows=wrong)
    with pytest.raises(TypeError, match="needs the LayerStatistics callback"):
        LayerStatisticsDisplay.from_history({})


# --- The display


def test_the_lines_are_the_statistics():
    X, y = data.iris()
    network = BPClassifier(**PARAMS)
    display = LayerStatisticsDisplay.from_estimator(network, X, y)
    assert not hasattr(network, "coefs_") and not hasattr(network, "_skl_callbacks")
    assert_same_bits(display.estimator_, clone(network).fit(X, y))
    history = display.history
    drawn = {
        "activations": history.activation_mean,
        "inactive": history.inactive,
        "gradients": history.gradient_std,
        "updates": history.update_ratio,
    }
    assert list(display.axes_) == list(drawn)
    for name, values in drawn.items():
        lines = display.lines_[name]
        for layer, line in enumerate(lines):
            if name == "inactive" and layer == 2:
                assert line is None
                continue
            assert line.axes is display.axes_[name]
            assert_array_equal(line.get_xdata(), history.epoch)
            assert_array_equal(line.get_ydata(), values[:, layer])
    assert len(display.fill_between_) == 3
    names = [text.get_text() for text in display.legend_.get_texts()]
    assert names == ["hidden 1: relu", "hidden 2: relu", "output: softmax"]
    assert display.axes_["inactive"].get_title() == "share of dead units"


def test_the_band_is_a_standard_deviation_wide():
    history, _ = recorded(BPClassifier(**PARAMS), *data.iris())
    display = LayerStatisticsDisplay.from_history(history)
    corners = display.fill_between_[1].get_paths()[0].vertices[:, 1]
    mean, std = history.activation_mean[:, 1], history.activation_std[:, 1]
    assert corners.max() == pytest.approx((mean + std).max())
    assert corners.min() == pytest.approx((mean - std).min())


def test_choice_of_statistics_and_axes(pyplot):
    history, _ = recorded(BPClassifier(**PARAMS, activation="silu"), *data.iris())
    assert list(LayerStatisticsDisplay.from_history(history).axes_) == ["activations", "gradients", "updates"]
    _, axes = pyplot.subplots(1, 2)
    options = {"statistics": ["updates", "inactive"], "line_kw": {"lw": 4}}
    display = LayerStatisticsDisplay.from_history(history, ax=axes, **options)
    assert list(display.axes_.values()) == list(axes)
    assert display.lines_["updates"][0].get_linewidth() == 4
    assert display.lines_["inactive"] == [None] * 3
    assert [text.get_text() for text in axes[1].texts] == ["no layer can have any"]
    one = LayerStatisticsDisplay.from_history(history, ax=axes[0], statistics="gradients")
    assert one.axes_ == {"gradients": axes[0]}
    with pytest.raises(ValueError, match="ax must be 2 axes"):
        LayerStatisticsDisplay.from_history(history, ax=axes[0], **options)
    for wrong in ("weights", ["updates", "updates"], []):
        with pytest.raises(ValueError, match="statistics must"):
            LayerStatisticsDisplay.from_history(history, statistics=wrong)


def test_gradients_of_several_decades_are_on_a_logarithmic_axis():
    history, _ = recorded(BPClassifier(**PARAMS), *data.iris())
    history.gradient_std[0] = 1e-9
    assert LayerStatisticsDisplay.from_history(history).axes_["gradients"].get_yscale() == "log"


def test_deep_networks_name_some_of_their_layers():
    network = BPClassifier(**{**PARAMS, "hidden_layer_sizes": (3,) * 12, "max_iter": 1})
    display = LayerStatisticsDisplay.from_estimator(network, *data.iris())
    names = [text.get_text() for text in display.legend_.get_texts()]
    assert len(names) == 8 and names[0] == "hidden 1: relu" and names[-1] == "output: softmax"
    assert len(display.lines_["updates"]) == 13


def test_pipelines_are_trained_with_their_other_callbacks():
    X, y = data.digits()
    epochs = Epochs()
    network = BPClassifier(**PARAMS).set_callbacks(StopWhen(epochs))
    pipeline = make_pipeline(StandardScaler(), network)
    weight = np.ones(len(X[:100]))
    display = LayerStatisticsDisplay.from_estimator(
        pipeline, X[:100], y[:100], fit_params={"bpclassifier__sample_weight": weight}, n_rows=50
    )
    assert len(epochs.networks) == 4
    assert display.estimator_[-1].n_iter_ == 4
    assert len(network._skl_callbacks) == 1
    layers = display.estimator_[-1].activations(display.estimator_[0].transform(X[:100]))
    assert display.history.activation_mean[-1, 0] == pytest.approx(layers[0].mean(), rel=0.2)


@pytest.mark.parametrize(
    ("estimator", "advice"),
    [
        (BPEnsembleClassifier(), True),
        (TabularClassifier(), False),
        (LogisticRegression(), False),
    ],
    ids=str,
)
def test_one_network_is_wanted(estimator, advice):
    with pytest.raises(TypeError, match=f"trains one network.*got {type(estimator).__name__}") as caught:
        LayerStatisticsDisplay.from_estimator(estimator, *data.iris())
    assert ("Give it the estimator" in str(caught.value)) == advice


def test_the_loss_curve_of_a_history():
    X, y = data.iris()
    with pytest.warns(ConvergenceWarning):
        history, network = recorded(BPClassifier((5,), solver="lbfgs", max_iter=6, random_state=0), X, y)
    display = LossCurveDisplay.from_history(history)
    assert_array_equal(display.lines_[0].get_ydata(), history.loss)
    assert display.lines_[0].get_ydata()[-1] == pytest.approx(network.loss_)
    scored, network = recorded(BPClassifier(**PARAMS, early_stopping=True), X, y)
    display = LossCurveDisplay.from_history(scored)
    assert display.best_markers_[0].get_ydata()[0] == network.best_validation_score_
