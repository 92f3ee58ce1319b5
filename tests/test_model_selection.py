"""The fused searches: scikit-learn's scores to the last bit, and its behaviour."""

import io
import logging
import pickle
import re
import warnings
from contextlib import redirect_stdout

import joblib
import numpy as np
import pytest
import scipy.sparse
import sklearn.experimental.enable_halving_search_cv  # noqa: F401
from sklearn import config_context, model_selection
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin, clone
from sklearn.callback import ProgressBar, ScoringMonitor
from sklearn.datasets import load_iris, make_multilabel_classification, make_regression
from sklearn.exceptions import ConvergenceWarning, FitFailedWarning
from sklearn.feature_selection import SelectKBest
from sklearn.kernel_approximation import RBFSampler
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import get_scorer, make_scorer
from sklearn.model_selection import GroupKFold, PredefinedSplit
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, MinMaxScaler, StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

import fastbp.model_selection as fused
from fastbp import BPClassifier, BPRegressor
from fastbp.callbacks import StopWhen
from fastbp.model_selection import fused as evaluation
from fastbp.model_selection import joblib_backend

X, y = load_iris(return_X_y=True)
X, y = X[::2], y[::2]
X_REG, y_reg = make_regression(60, 4, random_state=0)
X_MULTI, y_multi = make_multilabel_classification(60, 5, n_classes=3, random_state=0)
SMALL = {"hidden_layer_sizes": (5,), "max_iter": 4, "random_state": 0, "learning_rate_init": 0.02}
WEIGHTS = np.random.RandomState(0).uniform(0.5, 2, len(y))


def classifier(**parameters):
    return BPClassifier(**{**SMALL, **parameters})


def regressor(**parameters):
    return BPRegressor(**{**SMALL, **parameters})


class ShiftedInTraining(TransformerMixin, BaseEstimator):
    """Like TargetEncoder: its `fit_transform` is not `fit` and `transform`."""

    def fit(self, X, y=None):
        self.mean_ = X.mean()
        return self

    def transform(self, X):
        return X - self.mean_

    def fit_transform(self, X, y=None):
        return self.fit(X).transform(X) + 0.1 * y[:, None]


def pipeline(network=None, *steps):
    network = classifier() if network is None else network
    return Pipeline([("scale", StandardScaler()), *steps, ("net", network)])


GRID = {"net__alpha": [1e-4, 0.1], "net__hidden_layer_sizes": [(3,), (4, 3)]}
OWN_GRID = {"alpha": [1e-4, 0.1], "activation": ["relu", "tanh"]}


@pytest.fixture
def count_fits(monkeypatch):
    """The numbers of networks that were trained together."""
    counts = []
    real = evaluation.fit_many

    def counted(jobs, n_jobs=None, progress=None):
        counts.append(len(jobs))
        return real(jobs, n_jobs, progress)

    monkeypatch.setattr(evaluation, "fit_many", counted)
    return counts


def assert_same_results(one, other):
    """Everything but the times is equal, to the bit."""
    assert list(one) == list(other)
    for name, values in one.items():
        assert len(values) == len(other[name])
        if not name.endswith("_time"):
            if name == "params" or isinstance(values, np.ma.MaskedArray):
                assert repr(values) == repr(other[name])
            else:
                np.testing.assert_array_equal(values, other[name], err_msg=name)
        else:
            assert np.isfinite(other[name]).all()


def both(name, estimator, candidates, data=None, fit=None, kind=None, **options):
    """Return scikit-learn's search and the fused one, fitted, after their results were compared."""
    given = (X, y) if data is None else data
    searches = []
    for module in (model_selection, fused):
        np.random.seed(0)
        search = getattr(module, name)(clone(estimator), candidates, **{"cv": 3, **options})
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            warnings.filterwarnings("ignore", "One or more of the")
            searches.append(search.fit(*given, **(fit or {})))
    plain, ours = searches
    assert_same_results(plain.cv_results_, ours.cv_results_)
    for attribute in ("best_index_", "best_score_", "best_params_", "n_splits_", "multimetric_"):
        assert hasattr(plain, attribute) == hasattr(ours, attribute)
        if hasattr(plain, attribute):
            assert repr(getattr(plain, attribute)) == repr(getattr(ours, attribute))
    return plain, ours


# --- The same scores


@pytest.mark.parametrize("n_jobs", [None, 1, 2])
def test_grid_of_a_pipeline(count_fits, n_jobs):
    grid = {**GRID, "scale__with_mean": [True, False]}
    plain, ours = both("GridSearchCV", pipeline(), grid, return_train_score=True, n_jobs=n_jobs)
    assert count_fits == [24]
    np.testing.assert_array_equal(plain.predict_proba(X), ours.predict_proba(X))
    assert plain.score(X, y) == ours.score(X, y)


CASES = {
    "alone": (classifier(), OWN_GRID, None, {}),
    "regressor": (pipeline(regressor()), GRID, (X_REG, y_reg), {"return_train_score": True}),
    "regressor alone": (regressor(), OWN_GRID, (X_REG, y_reg), {}),
    "two targets": (regressor(), OWN_GRID, (X_REG, np.column_stack([y_reg, -y_reg])), {}),
    "multilabel": (pipeline(), GRID, (X_MULTI, y_multi), {"cv": 2}),
    "text labels": (pipeline(), GRID, (X, np.array(["a", "b", "c"])[y]), {}),
    "object labels": (classifier(), OWN_GRID, (X, np.array(["a", "b", "c"], object)[y]), {}),
    "float labels": (classifier(), OWN_GRID, (X, y + 0.0), {}),
    "booleans": (pipeline(), GRID, (X, y > 0), {"return_train_score": True}),
    "two classes": (pipeline(), GRID, (X, y > 0), {"scoring": ["roc_auc", "f1"], "refit": "f1"}),
    "a list of labels": (pipeline(), GRID, (X.tolist(), y.tolist()), {}),
    "float32": (pipeline(), GRID, (X.astype(np.float32), y), {}),
    "lbfgs": (pipeline(classifier(solver="lbfgs")), GRID, None, {}),
    "solvers": (classifier(), {"solver": ["sgd", "lbfgs", "adam", "lion"]}, None, {}),
    "early stopping": (pipeline(classifier(early_stopping=True)), GRID, None, {}),
    "no seed": (pipeline(classifier(random_state=None)), GRID, None, {"refit": False}),
    "generator": (pipeline(classifier(random_state=np.random.RandomState(3))), GRID, None, {}),
    "preset": (classifier(preset="tabular", hidden_layer_sizes=(100,)), {"l2": [0, 0.1]}, None, {"cv": 2}),
    "parameters that are mutable": (
        classifier(loss="log_loss"),
        {"loss_params": [None, {"label_smoothing": 0.1}], "activation": [["tanh"], "relu"]},
        None,
        {},
    ),
    "several grids": (pipeline(), [GRID, {"scale__with_std": [False]}, {}], None, {}),
    "accuracy": (pipeline(), GRID, None, {"scoring": "accuracy", "return_train_score": True}),
    "several scorers": (
        pipeline(),
        GRID,
        None,
        {
            "scoring": ["accuracy", "neg_log_loss", "f1_macro"],
            "refit": "f1_macro",
            "return_train_score": True,
        },
    ),
    "own metric": (pipeline(), GRID, None, {"scoring": make_scorer(lambda a, b: np.mean(a == b) ** 2)}),
    "no refit": (pipeline(), GRID, None, {"refit": False}),
    "refit by a function": (pipeline(), GRID, None, {"refit": lambda results: 2}),
    "three steps": (
        pipeline(None, ("select", SelectKBest(k=2))),
        {**GRID, "select__k": [1, 2]},
        None,
        {"return_train_score": True},
    ),
    "fit_transform differs": (
        pipeline(None, ("shift", ShiftedInTraining())),
        GRID,
        None,
        {"return_train_score": True},
    ),
    "random step with a seed": (
        pipeline(None, ("features", RBFSampler(n_components=5, random_state=1))),
        GRID,
        None,
        {},
    ),
    "one step": (Pipeline([("net", classifier())]), GRID, None, {}),
    "passthrough": (Pipeline([("scale", "passthrough"), ("net", classifier())]), GRID, None, {}),
    "steps replaced": (
        pipeline(),
        {**GRID, "scale": [StandardScaler(), MinMaxScaler(), "passthrough"]},
        None,
        {"return_train_score": True},
    ),
    "a step replaced and set": (
        pipeline(),
        {"scale": [MinMaxScaler()], "scale__feature_range": [(0, 1), (-1, 1)]},
        None,
        {},
    ),
    "network replaced": (
        pipeline(),
        {"net": [classifier(), BPClassifier((3, 3), max_iter=3, random_state=1)], "net__alpha": [1e-4, 0.1]},
        None,
        {},
    ),
    "given folds": (pipeline(), GRID, None, {"cv": PredefinedSplit(np.arange(len(y)) % 4 - 1)}),
    "nested joblib": (
        Pipeline(
            [
                ("both", FeatureUnion([("a", StandardScaler()), ("b", MinMaxScaler())], n_jobs=2)),
                ("net", classifier()),
            ]
        ),
        GRID,
        None,
        {"n_jobs": 2},
    ),
    "the pipeline is a step": (
        Pipeline([("first", make_pipeline(StandardScaler(), MinMaxScaler())), ("net", classifier())]),
        {**GRID, "first__minmaxscaler__feature_range": [(0, 1), (-1, 1)]},
        None,
        {},
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_the_same_scores(case, count_fits):
    estimator, grid, data, options = case
    _, ours = both("GridSearchCV", estimator, grid, data, **options)
    assert sum(count_fits) == ours.n_splits_ * len(ours.cv_results_["params"]), "not all of them were fused"


def test_sparse_rows(count_fits):
    sparse = scipy.sparse.csr_array(np.where(X > 2, X, 0))
    scaler = StandardScaler(with_mean=False)
    both("GridSearchCV", Pipeline([("scale", scaler), ("net", classifier())]), GRID, (sparse, y))
    both("GridSearchCV", classifier(), OWN_GRID, (sparse, y))
    assert sum(count_fits) == 24


@pytest.mark.parametrize("package", ["pandas", "polars"])
def test_frames(package, count_fits):
    frames = pytest.importorskip(package)
    names = ["a", "b", "c", "d"]
    data = frames.DataFrame(dict(zip(names, X.T, strict=True))), frames.Series(y)
    both("GridSearchCV", pipeline().set_output(transform=package), GRID, data)
    both("GridSearchCV", pipeline(), GRID, data, return_train_score=True)
    _, ours = both("GridSearchCV", classifier(), OWN_GRID, data)
    assert list(ours.feature_names_in_) == names
    assert sum(count_fits) == 36


def test_randomized(count_fits):
    distributions = {
        **GRID,
        "net__learning_rate_init": np.logspace(-3, -1, 20),
        "scale__with_std": [True, False],
    }
    both("RandomizedSearchCV", pipeline(), distributions, n_iter=6, random_state=0)
    assert count_fits == [18]


@pytest.mark.parametrize("name", ["HalvingGridSearchCV", "HalvingRandomSearchCV"])
@pytest.mark.parametrize("resource", ["n_samples", "net__max_iter"])
def test_halving(name, resource, count_fits):
    grid = {**GRID, "scale__with_mean": [True, False]}
    options = (
        {} if resource == "n_samples" else {"resource": resource, "max_resources": 9, "min_resources": 2}
    )
    _, ours = both(name, pipeline(), grid, cv=2, factor=2, random_state=0, **options)
    assert ours.n_iterations_ == len(count_fits) > 1
    assert count_fits == [2 * n for n in ours.n_candidates_]


# --- Arguments of fit, routing


def test_sample_weight(count_fits):
    both("GridSearchCV", classifier(), OWN_GRID, fit={"sample_weight": WEIGHTS}, scoring="accuracy")
    both("GridSearchCV", classifier(), OWN_GRID, fit={"sample_weight": WEIGHTS}, return_train_score=True)
    both("GridSearchCV", pipeline(), GRID, fit={"net__sample_weight": WEIGHTS})
    both(
        "GridSearchCV",
        pipeline(),
        GRID,
        fit={"net__sample_weight": WEIGHTS, "scale__sample_weight": WEIGHTS[::-1]},
        scoring=["accuracy", "neg_log_loss"],
        refit=False,
    )
    assert sum(count_fits) == 48


def test_groups(count_fits):
    both("GridSearchCV", pipeline(), GRID, cv=GroupKFold(3), fit={"groups": np.arange(len(y)) % 6})
    assert count_fits == [12]


@config_context(enable_metadata_routing=True)
def test_routing(count_fits):
    network = classifier().set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
    scaler = StandardScaler().set_fit_request(sample_weight=False)
    chain = Pipeline([("scale", scaler), ("net", network)])
    both("GridSearchCV", chain, GRID, fit={"sample_weight": WEIGHTS}, return_train_score=True)
    scaler.set_fit_request(sample_weight=True)
    network.set_fit_request(sample_weight="weight")
    scorer = get_scorer("accuracy").set_score_request(sample_weight="weight")
    fit = {"weight": WEIGHTS, "sample_weight": WEIGHTS[::-1]}
    both("GridSearchCV", chain, GRID, fit=fit, scoring=scorer, n_jobs=2)
    network.set_score_request(sample_weight="weight")
    fit = {"weight": WEIGHTS, "groups": np.arange(len(y)) % 6}
    both("GridSearchCV", network, OWN_GRID, fit=fit, cv=GroupKFold(3), scoring=scorer)
    assert sum(count_fits) == 36


@config_context(enable_metadata_routing=True)
def test_validation_rows_go_through_the_steps(count_fits):
    network = classifier(early_stopping=True).set_fit_request(X_val=True, y_val=True)
    chain = Pipeline([("scale", StandardScaler()), ("net", network)], transform_input=["X_val"])
    both("GridSearchCV", chain, GRID, fit={"X_val": X[::7], "y_val": y[::7]})
    assert count_fits == [12]


def test_cached_steps(tmp_path, count_fits):
    chain = pipeline().set_params(memory=str(tmp_path))
    both("GridSearchCV", chain, {**GRID, "scale__with_std": [True, False]})
    assert any(tmp_path.rglob("output.pkl")) and count_fits == [24]


def test_the_steps_are_fitted_once_for_a_fold():
    fits = []

    class Counted(TransformerMixin, BaseEstimator):
        def __init__(self, factor=1):
            self.factor = factor

        def fit(self, X, y=None):
            fits.append(self.factor)
            return self

        def transform(self, X):
            return X * self.factor

    search = fused.GridSearchCV(
        Pipeline([("step", Counted()), ("net", classifier())]),
        {"net__alpha": [1e-4, 1e-3, 1e-2], "step__factor": [1, 2]},
        cv=3,
        refit=False,
    )
    search.fit(X, y)
    assert sorted(fits) == [1, 1, 1, 2, 2, 2]


def test_blocks_bound_the_memory(monkeypatch, count_fits):
    grid = {**GRID, "scale__with_std": [True, False]}
    for bound in (10_000, 3_000, 1):
        monkeypatch.setattr(evaluation, "MAX_BYTES", bound)
        count_fits.clear()
        both("GridSearchCV", pipeline(), grid, return_train_score=True)
        assert sum(count_fits) == 24 and len(count_fits) > 2


@pytest.mark.parametrize("max_calls", [1, 2, 5, 12])
def test_the_number_of_collected_calls_is_bounded(monkeypatch, count_fits, max_calls):
    monkeypatch.setattr(joblib_backend, "MAX_CALLS", max_calls)
    grid = {"scale__with_std": [True, False], "net": [classifier(), LogisticRegression()]}
    both("GridSearchCV", pipeline(), grid, cv=5)
    assert sum(count_fits) == 10 and len(count_fits) >= 10 // max_calls
    for kind in (fused.GridSearchCV, model_selection.GridSearchCV):
        with pytest.raises(ValueError, match="hidden_layer_sizes"):
            kind(pipeline(), {"net__hidden_layer_sizes": [3, 2, -1]}, error_score="raise").fit(X, y)


def test_large_rows_do_not_part_the_candidates_of_a_fold(monkeypatch, count_fits):
    wide = np.tile(X, 100)
    monkeypatch.setattr(evaluation, "MAX_BYTES", 100_000)  # less than a fold's rows
    grid = {"net__alpha": [1e-4, 1e-3, 1e-2, 1e-1]}
    both("GridSearchCV", pipeline(classifier(hidden_layer_sizes=1)), grid, (wide, y))
    assert count_fits == [4, 4, 4]


# --- Failures


@pytest.mark.parametrize("network", [classifier(), regressor()], ids=["classifier", "regressor"])
@pytest.mark.parametrize("error_score", [np.nan, -1])
def test_a_candidate_that_diverges(network, error_score):
    data = (X, y) if isinstance(network, ClassifierMixin) else (X_REG, y_reg)
    network.set_params(solver="sgd", activation="identity")
    grid = {"net__learning_rate_init": [1e-3, 1e300]}
    for options in ({}, {"scoring": ["r2" if data[0] is X_REG else "accuracy"], "refit": False}):
        with pytest.warns(FitFailedWarning, match=r"3 fits failed(.|\n)*1e\+300"):
            both(
                "GridSearchCV",
                pipeline(network),
                grid,
                data,
                error_score=error_score,
                return_train_score=True,
                **options,
            )


def test_an_error_is_raised_if_asked_for():
    grid = {"net__hidden_layer_sizes": [(3,), (-1,)]}
    for module in (model_selection, fused):
        with pytest.raises(ValueError, match="hidden_layer_sizes"):
            module.GridSearchCV(pipeline(), grid, error_score="raise").fit(X, y)
    for module in (model_selection, fused):
        with pytest.raises(ValueError, match="All the 5 fits failed"):
            module.GridSearchCV(pipeline(), {"net__alpha": [-1]}).fit(X, y)


def test_a_step_that_fails():
    grid = {"select__k": [2, "none"], "net__alpha": [1e-4, 0.1]}
    with pytest.warns(FitFailedWarning, match=r"6 fits failed with(.|\n)*InvalidParameterError"):
        both("GridSearchCV", pipeline(None, ("select", SelectKBest(k=2))), grid)


def test_a_step_that_fails_on_the_test_rows():
    def refuse(rows):
        if len(rows) < 40:
            raise RuntimeError("too few rows")
        return rows

    chain = pipeline(None, ("refuse", FunctionTransformer(refuse)))
    with pytest.warns(UserWarning, match=r"Scoring failed(.|\n)*too few rows"):
        both("GridSearchCV", chain, GRID)


@pytest.mark.parametrize("grid", [{"net__alfa": [1]}, {"scale__mean": [1]}, {"nett": [1]}])
def test_unknown_parameters(grid):
    messages = []
    for module in (model_selection, fused):
        with pytest.raises(ValueError, match="Invalid parameter") as caught:
            module.GridSearchCV(pipeline(), grid).fit(X, y)
        messages.append(str(caught.value))
    assert messages[0] == messages[1]


def test_scorers_that_fail():
    def wrong(truth, predicted):
        raise RuntimeError("no score")

    with pytest.warns(UserWarning, match=r"Scoring failed(.|\n)*no score"):
        both("GridSearchCV", pipeline(), GRID, scoring=make_scorer(wrong))
    with pytest.raises(ValueError, match="scoring must return a number"):
        fused.GridSearchCV(pipeline(), GRID, scoring=lambda *_: "good").fit(X, y)


def test_ctrl_c_ends_the_search(monkeypatch):
    def interrupted(jobs, n_jobs=None, progress=None):
        raise KeyboardInterrupt

    monkeypatch.setattr(evaluation, "fit_many", interrupted)
    with pytest.raises(KeyboardInterrupt):
        fused.GridSearchCV(pipeline(), GRID).fit(X, y)


# --- Scorers of the user


def test_a_scorer_sees_the_pipeline_and_the_rows():
    seen = []

    def scorer(estimator, rows, truth):
        seen.append((estimator[0].n_samples_seen_, rows.mean()))
        assert isinstance(estimator, Pipeline)
        return {"right": estimator.score(rows, truth), "size": estimator[-1].coefs_[0].size}

    both("GridSearchCV", pipeline(), GRID, scoring=scorer, refit="right", return_train_score=True)
    half = len(seen) // 2
    assert seen[:half] == seen[half:]


# --- Plain ways


@pytest.mark.parametrize(
    ("estimator", "grid", "reason"),
    [
        (LogisticRegression(), {"C": [0.1, 1]}, "LogisticRegression is not an estimator of fastbp"),
        (make_pipeline(StandardScaler(), Ridge()), {"ridge__alpha": [1, 2]}, "Ridge is not"),
        (make_pipeline(classifier(), StandardScaler()), {}, "StandardScaler is not"),
    ],
)
def test_other_estimators_are_searched_by_scikit_learn(estimator, grid, reason, caplog, count_fits):
    with caplog.at_level(logging.DEBUG, "fastbp.model_selection"):
        fused.GridSearchCV(estimator, grid, scoring=lambda *_: 0.0).fit(X, y)
    assert reason in caplog.text and count_fits == []


def test_other_last_steps_in_a_search(caplog, count_fits):
    grid = {"net": [LogisticRegression(), classifier(), Ridge()]}
    for start in (pipeline(), pipeline(LogisticRegression())):
        count_fits.clear()
        with caplog.at_level(logging.DEBUG, "fastbp.model_selection"):
            both("GridSearchCV", start, grid, n_jobs=2, scoring="neg_mean_squared_error")
        assert count_fits == [3]
    assert "3 of 9 evaluations are not fused: Ridge is not" in caplog.text


def test_a_last_step_that_is_left_out(count_fits):
    for module in (model_selection, fused):
        for nothing in (None, "passthrough"):
            search = module.GridSearchCV(pipeline(), {"net": [nothing]}, refit=False, scoring=lambda *_: 1.0)
            assert search.fit(X, y).cv_results_["mean_test_score"] == 1
    assert sum(count_fits) == 0


def test_parameters_of_the_pipeline_itself(count_fits):
    both("GridSearchCV", pipeline(), {"verbose": [False], "net__alpha": [1e-4, 0.1]})
    assert sum(count_fits) == 0


def test_a_subclass_with_its_own_fit(caplog, count_fits):
    class Own(BPClassifier):
        def fit(self, X, y):
            return super().fit(X, y)

    with caplog.at_level(logging.DEBUG, "fastbp.model_selection"):
        both("GridSearchCV", Own((3,), max_iter=2, random_state=0), {"alpha": [0, 1]})
    assert "Own has a fit of its own" in caplog.text and count_fits == []


def test_a_backend_of_other_machines(caplog, count_fits):
    class Cluster(joblib.parallel.ParallelBackendBase):
        def effective_n_jobs(self, n_jobs):
            return 1

        def submit(self, func, callback=None):
            raise AssertionError("with one worker joblib calls the functions itself")

        apply_async = submit

    with joblib.parallel_config(Cluster()), caplog.at_level(logging.DEBUG, "fastbp.model_selection"):
        both("GridSearchCV", pipeline(), GRID)
    assert "12 evaluations are distributed in 6 blocks" in caplog.text
    assert count_fits == [2] * 6


@pytest.mark.parametrize(
    "options", [{"n_jobs": "two"}, {"error_score": "no"}, {"param_grid": 3}, {"cv": "x"}]
)
def test_invalid_parameters_of_a_search(options):
    messages = []
    for module in (model_selection, fused):
        with pytest.raises(ValueError, match=f"The '{next(iter(options))}' parameter") as caught:
            module.GridSearchCV(pipeline(), **{"param_grid": GRID, **options}).fit(X, y)
        messages.append(str(caught.value))
    assert messages[0] == messages[1]


def test_a_subclass_with_its_own_predictions(count_fits):
    class Own(BPClassifier):
        def predict(self, X):
            return np.asarray(X)[:, 0].round().astype(int) % 3

    class Scored(BPClassifier):
        def score(self, X, y, sample_weight=None):
            return float(X.mean()) + self.loss_

    for kind in (Own, Scored):
        both("GridSearchCV", pipeline(kind(**SMALL)), GRID, return_train_score=True)
        both("GridSearchCV", pipeline(kind(**SMALL)), GRID, scoring=["accuracy", "neg_log_loss"], refit=False)
    assert count_fits == [12] * 4


def test_without_targets():
    for module in (model_selection, fused):
        with pytest.raises(ValueError, match="requires y"):
            module.GridSearchCV(pipeline(), GRID, error_score="raise", scoring=lambda *_: 0.0).fit(X)


def test_joblib_configurations(count_fits):
    for backend in ("threading", "loky", "sequential"):
        with joblib.parallel_config(backend, n_jobs=2):
            both("GridSearchCV", pipeline(), GRID)
            assert joblib.parallel.get_active_backend()[1] == 2
    assert count_fits == [12, 12, 12]


def test_a_search_in_a_cross_validation(count_fits):
    scores = []
    for module in (model_selection, fused):
        search = module.GridSearchCV(pipeline(), GRID, cv=2)
        scores.append(model_selection.cross_val_score(search, X, y, cv=2, n_jobs=2))
        with joblib.parallel_config("threading"):
            scores.append(model_selection.cross_val_score(search, X, y, cv=2, n_jobs=2))
    for other in scores[1:]:
        np.testing.assert_array_equal(scores[0], other)
    assert sum(count_fits) == 16  # those in threads


@pytest.mark.parametrize("n_jobs", [None, 2, -1])
def test_number_of_threads(monkeypatch, n_jobs):
    given = []
    real = evaluation.fit_many
    monkeypatch.setattr(
        evaluation, "fit_many", lambda jobs, n_jobs=None: given.append(n_jobs) or real(jobs, n_jobs)
    )
    fused.GridSearchCV(classifier(), {}, n_jobs=n_jobs, cv=2).fit(X, y)
    assert given == [None if n_jobs is None else joblib.effective_n_jobs(n_jobs)]


# --- Callbacks, output


class Recorder:
    """A callback that notes which tasks begin and end."""

    def __init__(self):
        self.events = []

    def setup(self, estimator, context):
        self.events.append(("setup", type(estimator).__name__))

    def teardown(self, estimator, context):
        self.events.append(("teardown", type(estimator).__name__))

    def on_fit_task_begin(self, estimator, context, *, X=None, y=None, metadata=None):
        self._note("begin", estimator, context, X)

    def on_fit_task_end(self, estimator, context, *, X=None, y=None, metadata=None):
        self._note("end", estimator, context, X)

    def _note(self, kind, estimator, context, X):
        path, parent = [], context
        while parent is not None:
            path.append((parent.task_name, parent.task_id, parent.source_task_name))
            parent = parent.parent
        self.events.append((kind, type(estimator).__name__, tuple(path), None if X is None else X.shape))


def events(module, estimator, grid, on_search, **options):
    recorder = Recorder() if on_search is None else on_search()
    search = module.GridSearchCV(estimator, grid, cv=2, **options)
    if on_search is None:
        search.estimator = clone(estimator).set_callbacks(recorder)
    else:
        search.set_callbacks(recorder)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        search.fit(X, y)
    return sorted(recorder.events, key=repr)


class Propagated(Recorder):
    """A callback that the search passes on to its estimators."""

    max_propagation_depth = None


@pytest.mark.parametrize("estimator", [classifier(), pipeline()], ids=["alone", "pipeline"])
@pytest.mark.parametrize("on_search", [Recorder, Propagated, None], ids=["search", "propagated", "network"])
@pytest.mark.parametrize("value", [0.1, -1.0], ids=["fits", "fails"])
def test_callbacks_see_the_same_tasks(estimator, on_search, value, count_fits):
    grid = {"net__alpha" if isinstance(estimator, Pipeline) else "alpha": [1e-4, value]}
    plain, ours = (events(module, estimator, grid, on_search) for module in (model_selection, fused))
    assert plain == ours and len(ours) > 4
    assert count_fits == [4]


def test_callbacks_of_scikit_learn(count_fits):
    for callback in (ProgressBar(), ScoringMonitor(scoring="accuracy")):
        results = []
        for module in (model_selection, fused):
            search = module.GridSearchCV(pipeline(), GRID, cv=2).set_callbacks(callback)
            results.append(search.fit(X, y).cv_results_)
        assert_same_results(*results)
    assert count_fits == [8, 8]


def test_a_callback_of_a_searched_step(count_fits):
    logs = []
    for module in (model_selection, fused):
        monitor = ScoringMonitor(scoring="accuracy")
        inner = Pipeline([("scale", StandardScaler())]).set_callbacks(Recorder())
        network = classifier(max_iter=2).set_callbacks(monitor)
        for grid in (
            {"net": [classifier(), network]},
            {"scale": [inner, MinMaxScaler()], "net__alpha": [0, 1]},
        ):
            module.GridSearchCV(pipeline(), grid, cv=2, refit=False).fit(X, y)
        logs.append([*inner._skl_callbacks[0].events, len(monitor.get_logs(select="all"))])
    assert sorted(logs[0], key=repr) == sorted(logs[1], key=repr)
    assert count_fits == [4, 8]


def test_a_callback_of_the_network(count_fits):
    network = classifier(max_iter=30).set_callbacks(StopWhen(lambda epoch: epoch.number >= 2))
    _, ours = both("GridSearchCV", pipeline(network), GRID)
    assert ours.best_estimator_[-1].n_iter_ < 30 and count_fits == [12]


@pytest.mark.parametrize("verbose", [1, 2, 3, 10])
def test_lines_that_are_printed(verbose):
    lines = []
    for module in (model_selection, fused):
        for scoring in (None, ["accuracy", "neg_log_loss"]):
            with redirect_stdout(io.StringIO()) as output, warnings.catch_warnings():
                warnings.simplefilter("ignore", ConvergenceWarning)
                module.GridSearchCV(
                    pipeline(),
                    GRID,
                    cv=2,
                    verbose=verbose,
                    scoring=scoring,
                    refit=False,
                    return_train_score=scoring is None,
                ).fit(X, y)
            text = re.sub(r"\.+ ?(?=net__)|total time=.*", "", output.getvalue())
            lines.append(sorted(text.splitlines()))
    assert lines[:2] == lines[2:]


# --- The searches as estimators


def test_clone_parameters_and_pickle():
    search = fused.GridSearchCV(pipeline(), GRID, cv=3)
    plain = model_selection.GridSearchCV(pipeline(), GRID, cv=3)
    assert repr(search) == repr(plain)
    assert search.get_params(deep=False).keys() == plain.get_params(deep=False).keys()
    copy = pickle.loads(pickle.dumps(clone(search).fit(X, y)))
    np.testing.assert_array_equal(copy.predict(X), search.fit(X, y).predict(X))
    assert "GridSearchCV" in search._repr_html_()


def test_a_subclass():
    class Own(fused.GridSearchCV):
        def _run_search(self, evaluate_candidates):
            evaluate_candidates([{"net__alpha": 1e-4}, {"net__alpha": 1.0}])
            evaluate_candidates([{"net__alpha": 0.1}])

    search = Own(pipeline(), {}, cv=2).fit(X, y)
    plain = model_selection.GridSearchCV(pipeline(), {"net__alpha": [1e-4, 1.0, 0.1]}, cv=2).fit(X, y)
    np.testing.assert_array_equal(search.cv_results_["mean_test_score"], plain.cv_results_["mean_test_score"])


def test_times_are_shares():
    import time

    start = time.perf_counter()
    search = fused.GridSearchCV(pipeline(), GRID, cv=3, refit=False).fit(X, y)
    duration = time.perf_counter() - start
    results = search.cv_results_
    assert (results["mean_fit_time"] > 0).all() and (results["mean_score_time"] > 0).all()
    assert 3 * (results["mean_fit_time"] + results["mean_score_time"]).sum() < duration


class NoTransform:
    """Without `transform`: scikit-learn's checks refuse any search over what is a transformer, too."""

    @property
    def transform(self):
        raise AttributeError("transform")


class CheckedClassifier(NoTransform, BPClassifier):
    pass


class CheckedRegressor(NoTransform, BPRegressor):
    pass


LEARNS = {"hidden_layer_sizes": (8,), "max_iter": 20, "random_state": 0, "learning_rate_init": 0.05}
OF_SEARCH = {"cv": 2, "error_score": "raise"}
CHECKED = [
    fused.GridSearchCV(CheckedClassifier(**LEARNS), {"alpha": [1e-4, 1e-2]}, **OF_SEARCH),
    fused.GridSearchCV(pipeline(CheckedRegressor(**LEARNS)), {"net__alpha": [1e-4, 1e-2]}, **OF_SEARCH),
    fused.RandomizedSearchCV(
        pipeline(CheckedClassifier(**LEARNS)), {"net__alpha": [0.1]}, n_iter=1, random_state=0, **OF_SEARCH
    ),
    fused.HalvingGridSearchCV(
        CheckedRegressor(**LEARNS),
        {"alpha": [1e-4, 1e-2]},
        min_resources="smallest",
        random_state=0,
        **OF_SEARCH,
    ),
]


@parametrize_with_checks(CHECKED)
def test_estimator_checks(estimator, check):
    """What scikit-learn's search over the same estimator passes is passed; that is not every check."""
    plain = type(estimator).__bases__[1](**estimator.get_params(deep=False))
    try:
        check(plain)
    except Exception:
        pytest.skip("scikit-learn's search does not pass it")
    check(estimator)
