"""Clones, which are scikit-learn's."""

import numpy as np
import pytest
from sklearn import config_context
from sklearn.base import _clone_parametrized, clone
from sklearn.datasets import load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.feature_selection import SelectFromModel
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils.metadata_routing import get_routing_for_object

from fastbp import BPClassifier, BPRegressor
from fastbp.callbacks import StopWhen
from fastbp.estimators import cloning
from fastbp.model_selection import searches

GENERATOR = np.random.RandomState(0)
ESTIMATORS = [
    BPClassifier(),
    BPRegressor((4, 3), activation=["relu", "tanh"], loss_params={"delta": 2.0}, loss="huber"),
    BPClassifier(np.array([3, 4]), alpha=np.float32(0.5), random_state=GENERATOR, class_weight={0: 1, 1: 2}),
    BPRegressor(hidden_layer_sizes=[5], l2=np.float64(1), max_iter=np.int64(3), n_iter_no_change=np.inf),
]


def text(value):
    return repr(value.__getstate__() if isinstance(value, np.random.RandomState) else value)


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=["default", "lists", "generator", "numbers"])
def test_the_same_as_scikit_learns(estimator):
    ours, plain = clone(estimator), _clone_parametrized(estimator)
    assert type(ours) is type(plain) is type(estimator)
    assert vars(ours).keys() == vars(plain).keys()
    for name, value in vars(plain).items():
        given, found = getattr(estimator, name), getattr(ours, name)
        assert type(found) is type(value) and text(found) == text(value)
        if isinstance(given, list | dict | np.ndarray | np.random.RandomState):
            assert found is not given  # changes of one do not reach the other


def test_immutable_values():
    for value in (None, True, 3, 0.5, "relu", (), (3, (4, "a")), np.float32(1), np.int8(2)):
        assert cloning.is_immutable(value) and cloning.copied(value) is value
    for value in ([], {}, (1, []), np.zeros(1), GENERATOR):
        assert not cloning.is_immutable(value) and cloning.copied(value) is not value


def test_fitted_attributes_are_not_copied():
    rows = np.arange(20.0).reshape(10, 2)
    model = BPRegressor((2,), max_iter=1, tol=0, warm_start=True, random_state=0).fit(rows, rows[:, 0])
    assert not hasattr(clone(model), "coefs_") and vars(clone(model)).keys() == vars(BPRegressor()).keys()


def test_what_is_set_by_methods():
    stop = StopWhen(lambda epoch: True)
    model = BPClassifier().set_callbacks(stop).set_output(transform="pandas")
    with config_context(enable_metadata_routing=True):
        model.set_fit_request(sample_weight="weight")
        copy = clone(model)
        assert str(get_routing_for_object(copy)) == str(get_routing_for_object(model))
        copy.set_fit_request(sample_weight=True)
        assert model._metadata_request.fit.requests["sample_weight"] == "weight"
    assert copy._skl_callbacks == [stop]
    assert copy._sklearn_output_config == {"transform": "pandas"}
    assert copy._sklearn_output_config is not model._sklearn_output_config


def test_subclasses():
    class Named(BPClassifier):
        def __init__(self, name="a", alpha=0.1):
            super().__init__(alpha=alpha)
            self.name = name

    class Changes(Named):
        def __init__(self, name="a", alpha=0.1):
            super().__init__(name, alpha * 2)

    class Computed(BPRegressor):
        alpha = property(lambda self: 1.0, lambda self, value: None)

    model = clone(Named("b", alpha=0.5))
    assert (type(model), model.name, model.alpha, model.max_iter) == (Named, "b", 0.5, 200)
    for one in (Changes(), Computed()):
        for copier in (clone, _clone_parametrized):
            try:
                copier(one)
                outcome = "copied"
            except RuntimeError as error:
                outcome = str(error)
            if copier is clone:
                ours = outcome
        assert ours == outcome


def test_parameters_are_set_as_set_params_does():
    layers = [4, 3]
    model = BPClassifier()
    cloning.set_parameters(model, {"alpha": 0.5, "hidden_layer_sizes": layers})
    assert model.alpha == 0.5 and model.hidden_layer_sizes == layers
    assert model.hidden_layer_sizes is not layers
    with pytest.raises(ValueError, match="Invalid parameter 'alfa' for estimator BPClassifier"):
        cloning.set_parameters(model, {"alfa": 1})

    class Counts(BPClassifier):
        def set_params(self, **parameters):
            self.n_calls_ = 1
            return super().set_params(**parameters)

    model = Counts()
    cloning.set_parameters(model, {"alpha": 1})
    assert model.n_calls_ == 1 and model.alpha == 1


def test_pipelines_are_cloned_as_by_scikit_learn():
    tree = DecisionTreeClassifier(max_depth=3)
    steps = [
        ("scale", StandardScaler(with_mean=False)),
        ("nothing", "passthrough"),
        ("none", None),
        ("both", FeatureUnion([("a", MinMaxScaler()), ("b", SelectFromModel(tree, max_features=2))])),
        ("net", BPClassifier((3,))),
    ]
    pipeline = Pipeline(steps, memory="somewhere").set_output(transform="pandas")
    ours, plain = cloning.cloned(pipeline), _clone_parametrized(pipeline)
    assert repr(ours) == repr(plain) and vars(ours).keys() == vars(plain).keys()
    given, one, other = (each.get_params() for each in (pipeline, ours, plain))
    assert one.keys() == other.keys()
    for name, value in other.items():
        assert type(one[name]) is type(value), name
        if hasattr(value, "get_params") or isinstance(value, list):
            assert one[name] is not given[name], name
            assert getattr(one[name], "__dict__", {}).keys() == getattr(value, "__dict__", {}).keys(), name
        else:
            assert one[name] == value, name


def test_clones_of_a_class_with_a_clone_of_its_own():
    class Own(StandardScaler):
        def __sklearn_clone__(self):
            return "own"

    assert cloning.copied([Own()]) == ["own"]
    scaler = StandardScaler()
    scaler.__sklearn_clone__ = lambda: "another"
    assert cloning.copied((scaler,)) == ("another",)


def test_a_search_clones_its_pipelines_fast(monkeypatch):
    calls = []
    monkeypatch.setattr(searches, "cloned", lambda one: (calls.append(1), cloning.cloned(one))[1])
    X, y = load_iris(return_X_y=True)
    pipeline = make_pipeline(StandardScaler(), BPClassifier((3,), max_iter=2, tol=0, random_state=0))
    search = searches.GridSearchCV(pipeline, {"bpclassifier__alpha": [0.1, 1.0]}, cv=3)
    with pytest.warns(ConvergenceWarning):
        search.fit(X, y)
    assert len(calls) == 7  # six fits, and the best one's
    assert "__sklearn_clone__" not in vars(pipeline) | vars(search.best_estimator_)
