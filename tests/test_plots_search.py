"""Display of the scores of searches."""

import data
import numpy as np
import pytest
from helpers import EVERY_EPOCH
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV

from fastbp import BPClassifier
from fastbp.model_selection import HalvingGridSearchCV, RandomizedSearchCV
from fastbp.plots import SearchResultsDisplay

pytest.importorskip("matplotlib")
PARAMS = {"hidden_layer_sizes": (5,), "max_iter": 6, "batch_size": 40, "random_state": 0, **EVERY_EPOCH}


@pytest.fixture(autouse=True)
def pyplot():
    from matplotlib import pyplot

    yield pyplot
    pyplot.close("all")


def texts(legend):
    return [text.get_text() for text in legend.get_texts()]


def results_for(params, scores, **more):
    """`cv_results_` as a search would have them."""
    scores = np.asarray(scores, float)
    return {"params": params, "mean_test_score": scores, "std_test_score": scores / 10, **more}


def test_a_line_for_each_setting_of_the_other_parameter():
    grid = {"alpha": [1e-4, 1e-2, 1.0], "activation": ["relu", "tanh"]}
    search = GridSearchCV(BPClassifier(**PARAMS), grid, cv=2).fit(*data.iris())
    display = SearchResultsDisplay.from_estimator(search)
    assert display.ax_.get_xlabel() == "alpha" and display.ax_.get_xscale() == "log"
    assert texts(display.legend_) == ["activation=relu", "activation=tanh", "best"]
    means = search.cv_results_["mean_test_score"]
    for line, activation in zip(display.lines_, grid["activation"], strict=True):
        rows = [i for i, one in enumerate(search.cv_results_["params"]) if one["activation"] == activation]
        assert_array_equal(line.get_xdata(), grid["alpha"])
        assert_array_equal(line.get_ydata(), means[rows])
    assert display.best_marker_.get_xdata()[0] == search.best_params_["alpha"]
    assert display.best_marker_.get_ydata()[0] == search.best_score_
    assert len(display.fill_between_) == 2


def test_the_band_is_the_standard_deviation():
    results = results_for([{"alpha": a} for a in (3.0, 1.0, 2.0)], [0.3, 0.1, 0.2])
    display = SearchResultsDisplay.from_results(results)
    assert_array_equal(display.lines_[0].get_xdata(), [1, 2, 3])
    (band,) = display.fill_between_
    corners = band.get_paths()[0].vertices
    assert corners[:, 1].min() == pytest.approx(0.09) and corners[:, 1].max() == pytest.approx(0.33)
    assert texts(display.legend_) == ["best: alpha=3"]


def test_values_that_are_no_numbers_have_names():
    sizes = [(8,), (32, 32), None]
    results = results_for([{"net__hidden": size} for size in sizes], [0.1, np.nan, 0.3])
    display = SearchResultsDisplay.from_results(results)
    assert display.ax_.get_xlabel() == "hidden"
    assert [tick.get_text() for tick in display.ax_.get_xticklabels()] == ["(8,)", "None"]  # one has failed
    assert_array_equal(display.lines_[0].get_ydata(), [0.1, 0.3])
    assert display.lines_[0].get_linestyle() == "None"  # nothing lies between them
    (bars,) = display.errorbars_
    (segments,) = [collection.get_segments() for collection in bars[2]]
    assert_allclose([low_high[:, 1] for low_high in segments], [[0.09, 0.11], [0.27, 0.33]])
    assert display.best_marker_.get_xdata()[0] == 1


def test_lines_of_one_value_stand_beside_each_other():
    params = [{"solver": s, "bias": b} for s in ("adam", "sgd", "lion") for b in ("no", "yes")]
    display = SearchResultsDisplay.from_results(results_for(params, np.arange(6)))
    assert texts(display.legend_) == ["bias=no", "bias=yes", "best"]
    first, second = (line.get_xdata() for line in display.lines_)
    assert (first < second).all() and np.abs(first - [0, 1, 2]).max() < 0.2
    assert display.best_marker_.get_xdata()[0] == second[-1]


def test_parameters_of_some_candidates_only():
    params = [{"alpha": 1.0}, {"solver": "sgd"}]
    display = SearchResultsDisplay.from_results(results_for(params, [1, 2]), param="alpha")
    assert [tick.get_text() for tick in display.ax_.get_xticklabels()] == ["1", "not set"]
    assert texts(display.legend_) == ["best: solver=sgd"]


def test_a_random_search_is_a_cloud_over_the_parameter_that_tells_most():
    rng = np.random.RandomState(0)
    rates, alphas = rng.uniform(size=20), rng.uniform(size=20)
    params = [{"alpha": a, "rate": r} for a, r in zip(alphas, rates, strict=True)]
    display = SearchResultsDisplay.from_results(results_for(params, -((rates - 0.5) ** 2)))
    assert display.ax_.get_xlabel() == "rate"
    (points,) = display.lines_
    assert points.get_linestyle() == "None" and len(points.get_xdata()) == 20
    assert display.fill_between_ == []
    other = SearchResultsDisplay(display.cv_results).plot(param="alpha", score_name="skill")
    assert_array_equal(other.lines_[0].get_xdata(), np.sort(alphas))
    assert other.ax_.get_ylabel() == "skill"


def test_random_search_of_ours():
    grid = {"alpha": [0.01, 0.1, 1.0]}
    search = RandomizedSearchCV(BPClassifier(**PARAMS), grid, n_iter=3, cv=2, random_state=0)
    search.fit(*data.iris())
    display = SearchResultsDisplay.from_estimator(search)
    assert_array_equal(display.lines_[0].get_xdata(), grid["alpha"])


@pytest.mark.parametrize("resource", ["max_iter", "n_samples"])
def test_halving_is_a_line_for_each_candidate(resource):
    least, most = (2, 6) if resource == "max_iter" else (30, 90)
    options = {"resource": resource, "min_resources": least, "max_resources": most, "factor": 3}
    network, grid = BPClassifier(**{**PARAMS, "batch_size": 10}), {"learning_rate_init": [1e-4, 1e-3, 1e-1]}
    search = HalvingGridSearchCV(network, grid, **options, cv=2, random_state=0).fit(*data.iris())
    display = SearchResultsDisplay.from_estimator(search)
    assert display.ax_.get_xlabel() == ("max_iter" if resource == "max_iter" else "number of training rows")
    assert display.ax_.get_xscale() == "log"  # resources grow by a factor
    assert [tick.get_text() for tick in display.ax_.get_xticklabels()] == [str(least), str(most)]
    assert [len(line.get_xdata()) for line in display.lines_] == [2, 1, 1]
    assert_array_equal(display.lines_[0].get_xdata(), [least, most])
    assert display.lines_[0].get_ydata()[-1] == search.best_score_ == display.best_marker_.get_ydata()[0]
    best = f"learning_rate_init={search.best_params_['learning_rate_init']:.4g}"
    assert texts(display.legend_) == [best, "2 other candidates", "best"]
    by_parameter = SearchResultsDisplay.from_estimator(search, param="learning_rate_init")
    assert_array_equal(by_parameter.lines_[0].get_xdata(), grid["learning_rate_init"])


def test_several_metrics():
    results = results_for([{"alpha": 1.0}, {"alpha": 2.0}], [0.1, 0.2])
    results = {name.replace("score", "f1"): value for name, value in results.items()}
    assert SearchResultsDisplay.from_results(results).ax_.get_ylabel() == "mean test score"
    results |= {"mean_test_auc": np.array([0.5, 0.4]), "std_test_auc": np.zeros(2)}
    display = SearchResultsDisplay.from_results(results, metric="auc")
    assert display.ax_.get_ylabel() == "mean test auc"
    assert display.best_marker_.get_xdata()[0] == 1.0
    with pytest.raises(ValueError, match=r"set metric to one of \['f1', 'auc'\]"):
        SearchResultsDisplay.from_results(results)
    with pytest.raises(ValueError, match="metric='r2' was not scored"):
        SearchResultsDisplay.from_results(results, metric="r2")


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        (GridSearchCV(BPClassifier(), {}), NotFittedError, "GridSearchCV instance is not fitted"),
        (BPClassifier(), TypeError, "got BPClassifier"),
        ({"estimator": []}, TypeError, "key 'params'"),
        (results_for([{"a": 1}], [np.nan]), ValueError, "All candidates failed"),
        (results_for([{}], [1.0]), ValueError, "no parameters"),
    ],
    ids=str,
)
def test_what_is_no_search(given, error, message):
    with pytest.raises(error, match=message):
        SearchResultsDisplay.from_results(given)
    with pytest.raises(ValueError, match="param='b' was not searched"):
        SearchResultsDisplay.from_results(results_for([{"a": 1}], [1.0]), param="b")
