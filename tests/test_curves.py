"""Lists that grow with the epochs: in place, and belonging to one estimator alone."""

import copy
import pickle

import data
import pytest
from helpers import EVERY_EPOCH, assert_equal_state, snapshot
from sklearn.base import clone

from fastbp import BPClassifier, BPRegressor
from fastbp.callbacks import Checkpoint, StopWhen
from fastbp.estimators.curves import NAMES

PARAMS = {"hidden_layer_sizes": (3,), "max_iter": 2, "random_state": 0, **EVERY_EPOCH}
WATCHING = {"warm_start": True, "early_stopping": True, "scoring": "loss"}
COPIES = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "pickle": lambda model: pickle.loads(pickle.dumps(model)),
}


class Failing:
    """A callback that fails at the end of a task."""

    def __init__(self, of_fit):
        self.of_fit = of_fit

    def setup(self, estimator, context):
        pass

    def on_fit_task_begin(self, estimator, context):
        pass

    def on_fit_task_end(self, estimator, context):
        if self.of_fit == (context.parent is None):
            raise RuntimeError("no")

    def teardown(self, estimator, context):
        pass


class Keeping(Failing):
    """Keeps the model of each epoch."""

    def __init__(self):
        self.models = []

    def on_fit_task_end(self, estimator, context, *, fitted_estimator=None):
        if context.parent is not None:
            self.models.append(fitted_estimator)


def lists(model):
    return [getattr(model, name) for name in NAMES if getattr(model, name) is not None]


@pytest.mark.parametrize("Estimator", [BPClassifier, BPRegressor])
@pytest.mark.parametrize("stops", [False, True], ids=["", "callback"])
def test_a_stream_of_partial_fits_never_copies_the_curve(Estimator, stops):
    X, y = data.iris()
    model = Estimator(**PARAMS)
    if stops:
        model.set_callbacks(StopWhen(lambda epoch: False))
    model.fit(X, y)
    curve = model.loss_curve_
    for n_calls in range(1, 6):
        model.partial_fit(X, y)
        assert model.loss_curve_ is curve
        assert len(curve) == PARAMS["max_iter"] + n_calls
        assert curve[-1] == model.loss_


def test_warm_starts_extend_all_lists_in_place():
    X, y = data.iris()
    model = BPClassifier(**PARAMS, **WATCHING).fit(X, y)
    before = lists(model)
    assert len(before) == len(NAMES)
    for n_calls in range(2, 5):
        model.fit(X, y)
        assert all(now is then for now, then in zip(lists(model), before, strict=True))
        assert [len(values) for values in before] == [n_calls * PARAMS["max_iter"]] * len(NAMES)


def test_a_fit_from_scratch_makes_new_lists():
    X, y = data.iris()
    model = BPClassifier(**PARAMS).partial_fit(X, y, classes=[0, 1, 2])
    kept, values = model.loss_curve_, list(model.loss_curve_)
    model.fit(X, y)
    assert model.loss_curve_ is not kept
    assert kept == values
    assert len(model.loss_curve_) == PARAMS["max_iter"]


@pytest.mark.parametrize("duplicate", COPIES.values(), ids=COPIES)
@pytest.mark.parametrize("goes_on", ["original", "copy"])
def test_copies_do_not_share_their_lists(duplicate, goes_on):
    X, y = data.iris()
    model = BPClassifier(**PARAMS, **WATCHING).fit(X, y)
    other = duplicate(model)
    assert lists(other) == lists(model)
    grows, stays = (model, other) if goes_on == "original" else (other, model)
    before = copy.deepcopy(lists(stays))
    grows.fit(X, y)
    assert lists(stays) == before
    assert not any(hasattr(clone(grows), name) for name in NAMES)


@pytest.mark.parametrize("of_fit", [False, True], ids=["epoch", "fit"])
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_a_failed_call_leaves_the_lists(method, of_fit):
    """Even one that a callback fails when the network is trained and taken over."""
    X, y = data.iris()
    model = BPClassifier(**PARAMS, warm_start=True).fit(X, y)
    curve, before = model.loss_curve_, snapshot(model)
    with pytest.raises(ValueError, match="samples"):
        getattr(model, method)(X, y[:-1])
    model.set_callbacks(Failing(of_fit))
    with pytest.raises(RuntimeError, match="no"):
        getattr(model, method)(X, y)
    assert model.loss_curve_ is curve
    assert_equal_state(snapshot(model), before)


def test_models_of_epochs_keep_their_lists():
    X, y = data.iris()
    keeping = Keeping()
    model = BPRegressor(**PARAMS, warm_start=True).set_callbacks(keeping)
    for _ in range(3):
        model.fit(X, y)
    model.partial_fit(X, y)
    assert [len(kept.loss_curve_) for kept in keeping.models] == [1, 2, 3, 4, 5, 6, 7]
    assert len(model.loss_curve_) == 7


def test_models_of_a_scorer_keep_their_lists():
    X, y = data.iris()
    seen = []

    def scoring(model, X, y):
        seen.append(model)
        return 0.0

    model = BPClassifier(**PARAMS, **{**WATCHING, "scoring": scoring}).fit(X, y)
    model.fit(X, y)
    model.fit(X, y)
    assert [len(scored.loss_curve_) for scored in seen[2:]] == [2, 2, 2, 4, 4, 4]


def test_a_fit_taken_up_twice_has_the_same_lists(tmp_path):
    """What a checkpoint knows of the fits before does not grow with the model."""
    X, y = data.iris()
    first = BPClassifier(**PARAMS, warm_start=True).fit(X, y)
    second = copy.deepcopy(first)
    path = tmp_path / "checkpoint"
    first.set_callbacks(Checkpoint(path)).fit(X, y)
    curve = list(first.loss_curve_)
    assert len(curve) == 4
    second.set_callbacks(Checkpoint(path, resume=True)).set_params(max_iter=3).fit(X, y)
    assert second.loss_curve_[:4] == curve
    assert len(second.loss_curve_) == 5
    assert first.loss_curve_ == curve


def test_a_sequence_that_the_user_assigned_is_taken_on():
    X, y = data.iris()
    model = BPClassifier(**PARAMS).fit(X, y)
    model.loss_curve_ = tuple(model.loss_curve_)
    kept = model.loss_curve_
    assert model.partial_fit(X, y).loss_curve_[:2] == list(kept)
    assert len(kept) == 2
    del model.loss_curve_
    assert len(model.partial_fit(X, y).loss_curve_) == 1
