"""scikit-learn's metadata routing: weights and validation rows go through pipelines and searches."""

import data
import numpy as np
import pytest
from helpers import assert_same_bits
from sklearn import config_context
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from fastbp import BPClassifier, BPRegressor


@pytest.fixture(autouse=True)
def routing():
    with config_context(enable_metadata_routing=True):
        yield


def classifier(**params):
    return BPClassifier(**{"hidden_layer_sizes": (5,), "max_iter": 5, "random_state": 0, **params})


def rows():
    X, y = data.iris()
    return X[:100], y[:100], X[100:], y[100:], np.random.RandomState(0).uniform(0.1, 3, 150)


@pytest.mark.parametrize("Estimator", [BPClassifier, BPRegressor])
def test_what_can_be_requested(Estimator):
    requests = Estimator().get_metadata_routing()
    of_fit = set(requests.fit.requests)
    assert {"sample_weight", "X_val", "y_val", "sample_weight_val", "coefs_init", "intercepts_init"} == of_fit
    of_partial_fit = {"sample_weight", "classes"} if Estimator is BPClassifier else {"sample_weight"}
    assert set(requests.partial_fit.requests) == of_partial_fit
    assert set(requests.score.requests) == {"sample_weight"}
    assert set(requests.predict.requests) == ({"return_std"} if Estimator is BPRegressor else set())
    asked = Estimator().set_fit_request(X_val=True, sample_weight="w").set_score_request(sample_weight=True)
    asked = asked.set_partial_fit_request(sample_weight=False).get_metadata_routing()
    assert asked.fit.requests["X_val"] is True
    assert asked.fit.requests["sample_weight"] == "w"
    assert asked.score.requests["sample_weight"] is True
    assert asked.partial_fit.requests["sample_weight"] is False


def test_weights_in_a_pipeline():
    X, y, X_val, y_val, w = rows()
    model = classifier().set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
    scaler = StandardScaler().set_fit_request(sample_weight=False)
    pipeline = make_pipeline(scaler, model).fit(X, y, sample_weight=w[:100])
    alone = classifier().fit(StandardScaler().fit_transform(X), y, w[:100])
    assert_same_bits(pipeline[-1], alone)
    score = pipeline.score(X_val, y_val, sample_weight=w[100:])
    assert score == alone.score(pipeline[0].transform(X_val), y_val, w[100:])


def test_validation_rows_in_a_pipeline_go_through_its_transformers():
    X, y, X_val, y_val, w = rows()
    model = classifier(early_stopping=True, scoring="loss")
    model.set_fit_request(X_val=True, y_val=True, sample_weight_val=True)
    pipeline = Pipeline([("scale", StandardScaler()), ("model", model)], transform_input=["X_val"])
    pipeline.fit(10 * X + 3, y, X_val=10 * X_val + 3, y_val=y_val, sample_weight_val=w[100:])
    scaler = StandardScaler().fit(10 * X + 3)
    alone = classifier(early_stopping=True, scoring="loss").fit(
        scaler.transform(10 * X + 3),
        y,
        X_val=scaler.transform(10 * X_val + 3),
        y_val=y_val,
        sample_weight_val=w[100:],
    )
    assert_same_bits(pipeline[-1], alone)
    assert pipeline[-1].validation_loss_curve_ == alone.validation_loss_curve_


def test_weights_in_a_search():
    """Split with the rows, in fits and in scores."""
    X, y, _, _, w = rows()
    w = w[:100]
    model = classifier().set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
    pipeline = make_pipeline(StandardScaler().set_fit_request(sample_weight=False), model)
    grid = {"bpclassifier__learning_rate_init": [1e-3, 0.05]}
    folds = [(np.arange(50, 100), np.arange(50)), (np.arange(50), np.arange(50, 100))]
    search = GridSearchCV(pipeline, grid, cv=folds).fit(X, y, sample_weight=w)
    for number, (train, test) in enumerate(folds):
        for candidate, rate in enumerate([1e-3, 0.05]):
            scaler = StandardScaler().fit(X[train])
            alone = classifier(learning_rate_init=rate).fit(scaler.transform(X[train]), y[train], w[train])
            expected = alone.score(scaler.transform(X[test]), y[test], w[test])
            assert search.cv_results_[f"split{number}_test_score"][candidate] == pytest.approx(expected)
    assert_same_bits(
        search.best_estimator_[-1], pipeline.set_params(**search.best_params_).fit(X, y, sample_weight=w)[-1]
    )


def test_weights_in_cross_validation_of_a_regressor():
    X, y = data.regression()
    w = np.random.RandomState(0).uniform(0.1, 3, len(X))
    model = BPRegressor((4,), max_iter=5, random_state=0).set_fit_request(sample_weight=True)
    model.set_score_request(sample_weight=True)
    folds = [(np.arange(50), np.arange(50, 100))]
    got = cross_validate(model, X, y, cv=folds, params={"sample_weight": w}, return_estimator=True)
    alone = BPRegressor((4,), max_iter=5, random_state=0).fit(X[:50], y[:50], w[:50])
    assert_same_bits(got["estimator"][0], alone)
    assert got["test_score"][0] == alone.score(X[50:], y[50:], w[50:])


@pytest.mark.parametrize("scoring", ["accuracy", "neg_log_loss"])
def test_scorers_of_early_stopping_get_the_weights(scoring):
    """They are the fit's own: nobody has to request them."""
    X, y, X_val, y_val, w = rows()
    model = classifier(early_stopping=True, scoring=scoring)
    given = {"X_val": X_val, "y_val": y_val, "sample_weight_val": w[100:]}
    routed = model.fit(X, y, **given).validation_scores_
    with config_context(enable_metadata_routing=False):
        assert model.fit(X, y, **given).validation_scores_ == routed


def test_partial_fit_takes_its_weights():
    X, y, _, _, w = rows()
    model = classifier().set_partial_fit_request(sample_weight=True, classes=True)
    model.partial_fit(X, y, w[:100], classes=[0, 1, 2])
    assert_same_bits(model, classifier().partial_fit(X, y, sample_weight=w[:100], classes=[0, 1, 2]))
