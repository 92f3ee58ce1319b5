"""A callback that cannot be pickled is named; copies, and pickles of functions by value, go on working."""

import copy
import io
import pickle
import threading
from contextlib import ExitStack

import data
import joblib
import numpy as np
import pytest
from helpers import EVERY_EPOCH, assert_same_bits
from joblib.externals.loky import cloudpickle_wrapper as cloudpickle
from sklearn.base import clone
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fastbp import BPClassifier, BPRegressor
from fastbp.callbacks import StopWhen

PARAMS = {"hidden_layer_sizes": (6,), "max_iter": 3, "random_state": 0, **EVERY_EPOCH}


class Holds:
    """A callback of the user's that holds something."""

    def __init__(self, thing):
        self.thing = thing

    def setup(self, estimator, context):
        pass

    def on_fit_task_begin(self, estimator, context):
        pass

    def on_fit_task_end(self, estimator, context):
        return False

    def teardown(self, estimator, context):
        pass


class Refuses(Holds):
    def __reduce__(self):
        raise RuntimeError("no")


def second(epoch):
    return epoch.number == 2


PICKLES = {
    "pickle.dumps": pickle.dumps,
    "protocol 2": lambda model: pickle.dumps(model, 2),
    "in Python": lambda model: pickle._Pickler(io.BytesIO()).dump(model),
    "joblib.dump": lambda model: joblib.dump(model, io.BytesIO()),
}


@pytest.mark.parametrize("dump", PICKLES.values(), ids=PICKLES)
@pytest.mark.parametrize("wrap", [lambda model: model, lambda model: make_pipeline(StandardScaler(), model)])
@pytest.mark.parametrize("Estimator", [BPClassifier, BPRegressor])
def test_the_callback_is_named(Estimator, wrap, dump, tmp_path):
    with ExitStack() as files:
        file = files.enter_context(open(tmp_path / "log", "w"))
        callbacks = {
            "StopWhen": StopWhen(lambda epoch: False),
            "Holds": Holds(threading.Lock()),
            "Refuses": Refuses(1),
        }
        for name, callback in [*callbacks.items(), ("Holds", Holds(file)), ("Holds", Holds(iter(file)))]:
            model = Estimator(**PARAMS).set_callbacks(StopWhen(second), callback)
            with pytest.raises(pickle.PicklingError, match=rf"callback {name} of .*set_callbacks\(\)"):
                dump(wrap(model))
            dump(wrap(model.set_callbacks(StopWhen(second))))


@pytest.mark.parametrize("dump", PICKLES.values(), ids=PICKLES)
def test_the_parameter_is_named(dump):
    model = BPClassifier(**PARAMS, early_stopping=True, scoring=lambda model, X, y: 0.5)
    with pytest.raises(pickle.PicklingError, match=r"parameter 'scoring' of BPClassifier .*in a module"):
        dump(model)


def unpicklable():
    return BPClassifier(**PARAMS).set_callbacks(StopWhen(lambda epoch: epoch.number == 2))


def test_copies_and_clones():
    X, y = data.iris()
    model = unpicklable().fit(X, y)
    scored = BPClassifier(**PARAMS, early_stopping=True, scoring=lambda model, X, y: 0.5)
    for one in (copy.copy(model), copy.deepcopy(model), copy.deepcopy([make_pipeline(model)])[0][0]):
        assert_same_bits(one, model)
    assert clone(model).fit(X, y).n_iter_ == 2
    for duplicate in (copy.copy, copy.deepcopy, clone):
        assert duplicate(scored).scoring is scored.scoring


def test_pickles_of_functions_by_value():
    X, y = data.iris()
    model = unpicklable()
    again = pickle.loads(cloudpickle.dumps(make_pipeline(model)))[0]
    assert again.fit(X, y).n_iter_ == 2
    shorter = clone(model).set_callbacks().set_params(max_iter=2)
    expected = cross_val_score(shorter, X, y, cv=2)
    np.testing.assert_array_equal(cross_val_score(model, X, y, cv=2, n_jobs=2), expected)


def test_a_callback_that_holds_its_estimator():
    model = BPClassifier(**PARAMS)
    model.set_callbacks(Holds(model))
    again = pickle.loads(pickle.dumps(model))
    assert again._skl_callbacks[0].thing is again
    model.set_callbacks(Holds(model), Holds(threading.Lock()))
    with pytest.raises(pickle.PicklingError, match="callback Holds"):
        pickle.dumps(model)
