"""Displays of loss curves and of the range test: what their artists say."""

import pickle
import subprocess
import sys
from dataclasses import replace

import data
import numpy as np
import pytest
from helpers import EVERY_EPOCH, best_epoch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.compose import TransformedTargetRegressor
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fastbp import BPClassifier, BPEnsembleClassifier, BPRegressor, TabularClassifier, learning_rate_range
from fastbp.callbacks import StopWhen
from fastbp.plots import LearningRateRangeDisplay, LossCurveDisplay
from fastbp.plots.learning_rates import learning_rates

pytest.importorskip("matplotlib")
PARAMS = {"hidden_layer_sizes": (5,), "max_iter": 6, "batch_size": 40, "random_state": 0, **EVERY_EPOCH}


@pytest.fixture(autouse=True)
def pyplot():
    from matplotlib import pyplot

    yield pyplot
    pyplot.close("all")


def fitted(**params):
    return BPClassifier(**{**PARAMS, **params}).fit(*data.iris())


def texts(legend):
    return [text.get_text() for text in legend.get_texts()]


# --- matplotlib is optional


def test_matplotlib_is_imported_only_when_a_picture_is_drawn():
    code = "import sys, fastbp.plots; assert 'matplotlib' not in sys.modules and 'numba' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_without_matplotlib_the_error_says_what_to_install(monkeypatch):
    model = fitted()
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r'LossCurveDisplay.plot draws .* `pip install "fastbp\[plot\]"`'):
        LossCurveDisplay.from_estimator(model)
    with pytest.raises(ImportError, match=r"LearningRateRangeDisplay.from_estimator"):
        LearningRateRangeDisplay.from_estimator(BPClassifier(), *data.iris())


# --- Loss curves


def test_the_line_is_the_loss_curve():
    model = fitted()
    display = LossCurveDisplay.from_estimator(model)
    (line,) = display.lines_
    assert_array_equal(line.get_xdata(), np.arange(1, 7))
    assert_array_equal(line.get_ydata(), model.loss_curve_)
    assert display.validation_lines_ == display.best_markers_ == display.rate_lines_ == [None]
    assert display.score_ax_ is None and display.rate_ax_ is None
    assert texts(display.legend_) == ["training loss"]
    assert display.ax_.get_xlabel() == "epoch" and display.ax_.get_ylabel() == "loss"
    assert display.figure_ is display.ax_.figure


def test_scores_have_a_panel_with_the_epoch_that_is_kept():
    model = fitted(early_stopping=True)
    display = LossCurveDisplay.from_estimator(model)
    assert display.score_ax_.get_ylabel() == "validation accuracy"
    assert display.score_ax_ is not display.ax_
    assert_array_equal(display.validation_lines_[0].get_ydata(), model.validation_scores_)
    assert display.validation_lines_[0].axes is display.score_ax_
    (marker,) = display.best_markers_
    assert marker.get_xdata()[0] == best_epoch(model)
    assert marker.get_ydata()[0] == model.best_validation_score_
    assert f"best epoch: {best_epoch(model)}" in texts(display.legend_)


def test_validation_losses_are_beside_the_training_losses():
    X, y = data.regression()
    model = BPRegressor(**PARAMS, early_stopping=True, scoring="loss", learning_rate_init=0.05).fit(X, y)
    display = LossCurveDisplay.from_estimator(model)
    (line,) = display.validation_lines_
    assert line.axes is display.ax_ and display.score_ax_ is None
    assert_array_equal(line.get_ydata(), model.validation_loss_curve_)
    assert display.best_markers_[0].get_ydata()[0] == min(model.validation_loss_curve_)
    assert line.get_linestyle() == "--"
    assert "validation loss" in texts(display.legend_)


@pytest.mark.parametrize(
    ("scoring", "label"), [(None, "R²"), ("neg_mean_squared_error", "−mean squared error")]
)
def test_the_axis_names_the_score(scoring, label):
    model = BPRegressor(**PARAMS, early_stopping=True, scoring=scoring).fit(*data.regression())
    assert LossCurveDisplay.from_estimator(model).score_ax_.get_ylabel() == f"validation {label}"


class RateRecorder:
    """The learning rate after each epoch, as the solver's state has it."""

    def __init__(self):
        self.rates = []

    def __call__(self, epoch):
        self.rates.append(epoch.estimator._memory.state.learning_rate)
        return False


@pytest.mark.parametrize(
    "params",
    [
        {"solver": "sgd", "learning_rate": "invscaling"},
        {"solver": "sgd", "learning_rate": "adaptive", "tol": 0.5, "n_iter_no_change": 2},
        {"schedule": "plateau", "tol": 0.5, "n_iter_no_change": 1, "early_stopping": True},
    ],
    ids=str,
)
def test_learning_rates_of_epochs_are_the_solvers(params):
    recorder = RateRecorder()
    model = BPClassifier(**{**PARAMS, "max_iter": 8, **params}).set_callbacks(StopWhen(recorder))
    model.fit(*data.iris())
    epochs, rates = learning_rates(model)
    assert_array_equal(epochs, np.arange(1, len(model.loss_curve_) + 1))
    assert rates[0] == model.learning_rate_init
    assert_allclose(rates[1:], recorder.rates[:-1], rtol=1e-12)


def test_learning_rates_of_a_schedule_are_its_formula():
    model = fitted(schedule="cosine", learning_rate_init=0.01, max_iter=4)
    display = LossCurveDisplay.from_estimator(model)
    (line,) = display.rate_lines_
    steps = np.arange(16)  # four batches an epoch
    assert_allclose(line.get_xdata(), (steps + 1) / 4)
    assert line.get_drawstyle() == "steps-pre"
    assert_allclose(line.get_ydata(), 0.01 * (1 + np.cos(np.pi * steps / 16)) / 2, atol=1e-12)
    assert line.axes is display.rate_ax_
    assert display.rate_ax_.get_ylabel() == "learning rate"
    assert "learning rate" in texts(display.legend_)


def test_unknown_learning_rates_are_not_drawn():
    X, y = data.iris()
    model = BPClassifier(**PARAMS, schedule="cosine")
    for _ in range(3):
        model.partial_fit(X, y, classes=[0, 1, 2])
    display = LossCurveDisplay.from_estimator(model)
    assert len(display.lines_[0].get_ydata()) == 3
    assert display.rate_lines_ == [None]


def test_several_models():
    models = {"a": fitted(), "b": make_pipeline(StandardScaler(), BPClassifier(**PARAMS)).fit(*data.iris())}
    display = LossCurveDisplay.from_estimator(models)
    assert texts(display.legend_) == ["a", "b"]
    assert_array_equal(display.lines_[1].get_ydata(), models["b"][-1].loss_curve_)
    colours = [line.get_color() for line in display.lines_]
    assert len(set(colours)) == 2
    assert [handle.get_color() for handle in display.legend_.get_lines()] == colours


def test_models_in_a_list_are_named_by_what_differs():
    models = [fitted(learning_rate_init=rate) for rate in (0.001, 0.1)]
    names = ["learning_rate_init=0.001", "learning_rate_init=0.1"]
    assert texts(LossCurveDisplay.from_estimator(models).legend_) == names
    pipelines = [make_pipeline(StandardScaler(), model) for model in models]
    assert texts(LossCurveDisplay.from_estimator(pipelines).legend_) == names
    equal = texts(LossCurveDisplay.from_estimator([models[0], models[0]]).legend_)
    assert equal == ["BPClassifier 1", "BPClassifier 2"]


def test_models_of_scikit_learn_beside_ours():
    other = MLPClassifier((5,), max_iter=4, batch_size=40, early_stopping=True, random_state=0)
    other.fit(*data.iris())
    display = LossCurveDisplay.from_estimator([fitted(), other])
    assert texts(display.legend_)[:2] == ["BPClassifier", "MLPClassifier"]
    assert_array_equal(display.lines_[1].get_ydata(), other.loss_curve_)
    assert display.best_markers_[1].get_xdata()[0] == np.argmax(other.validation_scores_) + 1


def test_members_of_an_ensemble_have_one_name():
    ensemble = BPEnsembleClassifier(BPClassifier(**PARAMS, schedule="cosine"), n_estimators=3, random_state=0)
    ensemble.fit(*data.iris())
    display = LossCurveDisplay.from_estimator(ensemble)
    assert len(display.lines_) == 3
    assert texts(display.legend_) == ["3 members", "learning rate"]
    assert [line is None for line in display.rate_lines_] == [False, True, True]  # the same
    named = LossCurveDisplay.from_estimator({"three": ensemble, "one": fitted()})
    assert texts(named.legend_)[:2] == ["three (3 members)", "one"]
    assert len({line.get_color() for line in named.lines_}) == 2


def test_members_of_a_table_model():
    X, y = data.iris()
    model = TabularClassifier(n_members=2, effort="fast", random_state=0).fit(X[:60], y[:60])
    display = LossCurveDisplay.from_estimator(model)
    for line, member in zip(display.lines_, model.members_, strict=True):
        assert_array_equal(line.get_ydata(), member.network.loss_curve_)


def test_the_best_model_of_a_search_and_of_a_target_transformer():
    X, y = data.regression()
    search = GridSearchCV(BPRegressor(**PARAMS), {"alpha": [0.1, 1.0]}, cv=2).fit(X, y)
    display = LossCurveDisplay.from_estimator(search)
    assert_array_equal(display.lines_[0].get_ydata(), search.best_estimator_.loss_curve_)
    scaled = TransformedTargetRegressor(BPRegressor(**PARAMS), transformer=StandardScaler()).fit(X, y)
    display = LossCurveDisplay.from_estimator(scaled)
    assert_array_equal(display.lines_[0].get_ydata(), scaled.regressor_.loss_curve_)


def test_folds_of_a_cross_validation():
    results = cross_validate(BPClassifier(**PARAMS), *data.iris(), cv=3, return_estimator=True)
    display = LossCurveDisplay.from_results(results)
    assert texts(display.legend_) == ["fold 1", "fold 2", "fold 3"]
    assert_array_equal(display.lines_[2].get_ydata(), results["estimator"][2].loss_curve_)
    del results["estimator"]
    with pytest.raises(ValueError, match="return_estimator=True"):
        LossCurveDisplay.from_results(results)
    with pytest.raises(TypeError, match="SearchResultsDisplay"):
        LossCurveDisplay.from_results({"params": []})


@pytest.mark.parametrize(("scale", "expected"), [("log", "log"), ("linear", "linear"), ("auto", "linear")])
def test_scale_of_the_losses(scale, expected):
    assert LossCurveDisplay.from_estimator(fitted(), loss_scale=scale).ax_.get_yscale() == expected


def test_losses_of_several_decades_are_on_a_logarithmic_axis():
    model = fitted()
    model.loss_curve_ = [1.0, 0.1, 0.001]
    assert LossCurveDisplay.from_estimator(model).ax_.get_yscale() == "log"


def test_given_axes_and_styles(pyplot):
    _, ax = pyplot.subplots()
    model = fitted(early_stopping=True, schedule="linear")
    style = {"line_kw": {"c": "red", "lw": 5}, "validation_kw": {"ls": ":"}, "rate_kw": {"alpha": 0.5}}
    display = LossCurveDisplay.from_estimator(model, ax=ax, **style)
    assert display.ax_ is ax and display.figure_ is ax.figure
    assert (display.lines_[0].get_color(), display.lines_[0].get_linewidth()) == ("red", 5)
    assert display.validation_lines_[0].get_linestyle() == ":"
    assert display.rate_lines_[0].get_alpha() == 0.5
    display.figure_.canvas.draw()
    above, below = ax.get_window_extent(), display.score_ax_.get_window_extent()
    assert below.y1 < above.y0 and below.x0 == pytest.approx(above.x0)
    assert display.rate_ax_.get_window_extent().bounds == pytest.approx(above.bounds)
    again = display.plot()  # of the same numbers, in a figure of its own
    assert again is display and display.ax_ is not ax


def test_many_models_have_the_legend_beside_the_axes():
    display = LossCurveDisplay.from_estimator([fitted(alpha=alpha) for alpha in np.linspace(0.1, 1, 9)])
    display.figure_.canvas.draw()
    assert display.legend_.get_window_extent().x0 >= display.ax_.get_window_extent().x1
    assert len({tuple(line.get_color()) for line in display.lines_}) == 9


@pytest.mark.parametrize(
    ("estimator", "error", "message"),
    [
        (BPClassifier(), NotFittedError, "BPClassifier instance is not fitted"),
        (make_pipeline(StandardScaler(), BPClassifier()), NotFittedError, "BPClassifier instance"),
        (BPEnsembleClassifier(), NotFittedError, "BPEnsembleClassifier instance"),
        (TabularClassifier(), NotFittedError, "TabularClassifier instance"),
        (GridSearchCV(BPClassifier(), {}), NotFittedError, "GridSearchCV instance"),
        (LogisticRegression(), TypeError, "needs a network: BPClassifier, .* got LogisticRegression"),
        (BPClassifier, TypeError, "got the class BPClassifier"),
        ([], ValueError, "no estimator"),
        ("model", TypeError, "got str"),
    ],
    ids=str,
)
def test_what_has_no_curve(estimator, error, message):
    with pytest.raises(error, match=message):
        LossCurveDisplay.from_estimator(estimator)


def test_lbfgs_keeps_no_curve():
    with pytest.raises(ValueError, match="LayerStatistics"):
        LossCurveDisplay.from_estimator(fitted(solver="lbfgs"))
    with pytest.raises(ValueError, match="loss_scale must be one of"):
        LossCurveDisplay.from_estimator(fitted(), loss_scale="symlog")


# --- The range test


def test_the_range_test_is_drawn():
    X, y = data.iris()
    network = BPClassifier((10,), batch_size=30, random_state=0)
    result = learning_rate_range(network, X, y, n_steps=40)
    display = LearningRateRangeDisplay.from_estimator(network, X, y, n_steps=40)
    assert_array_equal(display.loss_line_.get_xdata(), result.rates)
    assert_array_equal(display.loss_line_.get_ydata(), result.losses)
    assert_array_equal(display.line_.get_ydata(), result.smoothed)
    assert display.ax_.get_xscale() == "log"
    assert list(display.suggestion_line_.get_xdata()) == [result.suggestion] * 2
    assert f"suggestion: {result.suggestion:.2g}" in texts(display.legend_)
    without = LearningRateRangeDisplay.from_results(replace(result, suggestion=None))
    assert without.suggestion_line_ is None
    assert "no suggestion: the loss hardly falls" in texts(without.legend_)


def test_losses_of_divergence_do_not_flatten_the_rest():
    result = learning_rate_range(BPClassifier((10,), batch_size=30, random_state=0), *data.iris())
    wild = pickle.loads(pickle.dumps(result))
    wild.losses[-1] = 1e9
    display = LearningRateRangeDisplay.from_results(wild)
    low, high = display.ax_.get_ylim()
    assert low < wild.smoothed.min() and wild.smoothed.max() < high < 10


def test_the_range_test_of_pipelines_and_ensembles(pyplot):
    X, y = data.digits()
    X, y = X[:200] * 16, y[:200]
    network = BPClassifier((10,), random_state=0, batch_size=40)
    _, ax = pyplot.subplots()
    display = LearningRateRangeDisplay.from_estimator(
        make_pipeline(StandardScaler(), network), X, y, n_steps=20, ax=ax, line_kw={"c": "k"}
    )
    scaled = learning_rate_range(network, StandardScaler().fit_transform(X), y, n_steps=20)
    assert_array_equal(display.result.losses, scaled.losses)
    assert display.ax_ is ax and display.line_.get_color() == "k"
    of_member = LearningRateRangeDisplay.from_estimator(BPEnsembleClassifier(network), X, y, n_steps=20)
    assert_array_equal(of_member.result.losses, learning_rate_range(network, X, y, n_steps=20).losses)
    for wrong in (TabularClassifier(), LogisticRegression()):
        with pytest.raises(TypeError, match=f"got {type(wrong).__name__}"):
            LearningRateRangeDisplay.from_estimator(wrong, X, y)
    with pytest.raises(TypeError, match=r"needs the result of fastbp\.learning_rate_range"):
        LearningRateRangeDisplay.from_results([1, 2])
