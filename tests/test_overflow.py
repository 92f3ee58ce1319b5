"""A fit never ends with a model that cannot predict the rows that it was trained on."""

import os
import signal
import warnings

import data
import numpy as np
import pytest
from helpers import EVERY_EPOCH, assert_equal_state, snapshot
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning

from fastbp import BPClassifier, BPRegressor
from fastbp.engines.dataset import Dataset, largest_of
from fastbp.engines.select import get_engine
from fastbp.functions.activations import ACTIVATIONS, OUTPUT_ACTIVATIONS
from fastbp.plan.planner import network_plan
from fastbp.training import overflow

SENTENCE = r"^Solver produced non-finite parameter weights\..*"
OUTPUTS = SENTENCE + r"The outputs for the training rows are not finite after {}.*learning_rate_init"
BOTH = pytest.mark.parametrize("Estimator", [BPClassifier, BPRegressor])


def load(Estimator):
    return data.iris() if Estimator is BPClassifier else data.regression()


def exploding(Estimator, **params):
    """The step makes weights near the largest number: finite, but not the outputs."""
    params = {"hidden_layer_sizes": (8,), "learning_rate_init": 1e300, "batch_size": 150, **params}
    return Estimator(**{**params, "random_state": 0})


@pytest.fixture(autouse=True)
def _quiet():
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Got `batch_size` less than 1|X_val lies on another scale")
        warnings.simplefilter("ignore", ConvergenceWarning)
        yield


@BOTH
@pytest.mark.parametrize("solver", ["adam", "rmsprop", "lion", "adagrad"])
@pytest.mark.parametrize("max_iter", [1, 2])
def test_a_last_step_that_explodes(solver, max_iter, Estimator):
    X, y = load(Estimator)
    model = exploding(Estimator, solver=solver, max_iter=max_iter)
    with pytest.raises(ValueError, match=SENTENCE):
        model.fit(X, y)
    assert not hasattr(model, "coefs_")


@BOTH
def test_the_epoch_is_named(Estimator):
    X, y = load(Estimator)
    with pytest.raises(ValueError, match=OUTPUTS.format("epoch 1, at learning rate 1e\\+300")):
        exploding(Estimator, max_iter=1).fit(X, y)


@BOTH
def test_partial_fit_leaves_the_model_as_it_was(Estimator):
    X, y = load(Estimator)
    model = exploding(Estimator, learning_rate_init=0.001, max_iter=3).fit(X, y)
    model.set_params(learning_rate_init=1e300)
    before, predicted = snapshot(model), model.predict(X)
    for fit in (model.partial_fit, model.set_params(max_iter=1).fit):
        before = snapshot(model)
        model._memory = None  # whose rate is that of the first fit
        with pytest.raises(ValueError, match=OUTPUTS.format("epoch 1")):
            fit(X, y)
        assert_equal_state(snapshot(model), before)
        assert (model.predict(X) == predicted).all()


@pytest.mark.parametrize("average", ["ema", "swa"])
def test_averages(average):
    X, y = data.regression()
    with pytest.raises(ValueError, match=SENTENCE):
        exploding(BPRegressor, average=average, max_iter=1).fit(X, y)


@pytest.mark.parametrize("scoring", [None, "loss", "neg_median_absolute_error"])
def test_early_stopping_has_its_best_weights(scoring):
    """Epochs of a growing rate: those that can predict are kept, and the fit says that it diverged."""
    X, y = data.regression()
    params = {"early_stopping": True, "scoring": scoring, "max_iter": 40, "solver": "sgd", "momentum": 0.0}
    model = exploding(BPRegressor, **params, learning_rate_init=3.0, hidden_layer_sizes=(), **EVERY_EPOCH)
    with pytest.warns(ConvergenceWarning):
        model.set_params(max_iter=10_000).fit(X, y)
    assert np.isfinite(model.predict(X)).all()


def test_best_weights_that_predict_the_validation_rows_alone():
    X, y = data.regression()
    model = exploding(BPRegressor, early_stopping=True, scoring="loss", max_iter=1, hidden_layer_sizes=())
    with pytest.raises(ValueError, match=SENTENCE):
        model.set_params(learning_rate_init=1e307).fit(100 * X, y, X_val=1e-300 * X[:5], y_val=y[:5])


class Interrupting:
    """Stands for Ctrl-C in the first epoch: a scorer that sends the signal."""

    def __call__(self, estimator, X, y):
        os.kill(os.getpid(), signal.SIGINT)
        return 0.0


def test_an_interrupted_fit():
    X, y = data.regression()
    model = exploding(BPRegressor, early_stopping=True, scoring=Interrupting(), max_iter=5)
    with pytest.raises(ValueError, match=SENTENCE):
        model.fit(100 * X, y, X_val=1e-300 * X[:50], y_val=y[:50])
    assert not hasattr(model, "coefs_")


def test_lbfgs_that_begins_where_outputs_overflow():
    X, y = data.counts()
    model = BPRegressor((), loss="poisson", solver="lbfgs", max_iter=1, max_fun=1)
    with pytest.raises(ValueError, match=SENTENCE):
        model.fit(X, y, coefs_init=[np.full((3, 1), 1e4)])


def test_exponential_outputs():
    X, y = data.counts()
    params = {"loss": "poisson", "hidden_layer_sizes": (), "max_iter": 1}
    with pytest.raises(ValueError, match=OUTPUTS.format("epoch 1")):
        exploding(BPRegressor, **params, learning_rate_init=2000.0).fit(X, y)
    exploding(BPRegressor, **params, learning_rate_init=100.0).fit(X, y)


@pytest.mark.parametrize("layout", [np.asarray, sparse.csr_array], ids=["dense", "CSR"])
@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("exponent", range(0, 40, 3))
def test_whatever_the_rate_a_fitted_model_predicts(exponent, dtype, layout):
    for Estimator in (BPClassifier, BPRegressor):
        X, y = load(Estimator)
        X = layout(X.astype(dtype))
        rate = float(10.0 ** (exponent if dtype == "f4" else 7.8 * exponent))
        for params in ({"solver": "adam"}, {"solver": "sgd"}, {"norm": "layer"}, {"activation": "tanh"}):
            model = exploding(Estimator, learning_rate_init=rate, max_iter=2, **params)
            try:
                model.fit(X, y)
            except ValueError as error:
                assert str(error).startswith("Solver produced non-finite")
                continue
            if Estimator is BPClassifier:
                assert np.isfinite(model.predict_proba(X)).all()
                assert np.isfinite(model.predict_log_proba(X)).all()
            else:
                assert np.isfinite(model.predict(X)).all()


def networks():
    rng = np.random.RandomState(0)
    hidden = [entry.name for entry in ACTIVATIONS if entry.hidden] + ["maxout"]
    for number, out in enumerate([*OUTPUT_ACTIVATIONS] * 3):
        for dtype in ("f4", "f8"):
            loss = {"softmax": "log_loss", "logistic": "log_loss", "exp": "poisson", "increasing": "pinball"}
            yield network_plan(
                n_inputs=3,
                hidden_layer_sizes=(4, 4),
                n_outputs=2,
                activation=[hidden[(number + i) % len(hidden)] for i in range(2)],
                out_activation=out,
                loss=loss.get(out, "squared_error"),
                constants=(0.1, 0.9) if out == "increasing" else None,
                norm=[None, "batch", "layer"][rng.randint(3)],
                residual=bool(rng.randint(2)),
                robust_inputs=bool(rng.randint(2)),
                input_scales=bool(rng.randint(2)),
                blend=number % 2 == 1
                and "maxout" not in (hidden[number % len(hidden)], hidden[(number + 1) % len(hidden)]),
                fit_intercept=True,
                dtype=dtype,
            )


def test_bounds_hold():
    """Where a bound says that a network predicts, it does; where it does not, the outputs are looked at."""
    rng = np.random.RandomState(1)
    cpu, found = get_engine("cpu"), []
    for network in networks():
        largest = np.log10(np.finfo(network.dtype).max)
        for power in np.linspace(-0.2, 1.0, 13):
            parameters = network.pack(*_random(network, rng, 10 ** (power * largest / 3)))
            X = (rng.normal(size=(20, 3)) * 10 ** (rng.uniform(0, 0.9) * largest)).astype(network.dtype)
            with np.errstate(all="ignore"):
                finite = all(
                    np.isfinite(cpu.forward(network, parameters, X, layer)).all()
                    for layer in ("logits", None)
                )
                top = largest_of(X)
                rough = overflow._is_safe(network, top, *overflow._by_largest(network, parameters))
                fine = overflow._is_safe(network, np.full(3, top), *overflow._by_unit(network, parameters))
            assert finite or not (rough or fine)
            assert fine or not rough
            assert overflow.predicts(cpu, network, parameters, Dataset(X, X), 1) == finite
            found.append((finite, rough, fine))
    assert all(0.1 < share < 0.95 for share in np.mean(found, axis=0))


def _random(network, rng, scale):
    coefs = [rng.normal(size=shape) * scale for shape in network.layer_shapes]
    intercepts = [rng.normal(size=n_out) * scale for _, n_out in network.layer_shapes]
    rows = [np.abs(rng.normal(size=start.shape)) * scale for start in network.start]
    return coefs, intercepts, rows


def test_usual_fits_make_no_pass_over_the_rows(monkeypatch):
    passes = []
    cpu = get_engine("cpu")
    monkeypatch.setattr(cpu, "forward", lambda *arguments, **options: passes.append(1))
    for Estimator, params in (
        (BPClassifier, {}),
        (BPClassifier, {"preset": "tabular", "early_stopping": True, "scoring": "loss"}),
        (BPRegressor, {"norm": "batch", "hidden_layer_sizes": (30, 30), "residual": True}),
        (BPRegressor, {"solver": "lbfgs"}),
    ):
        X, y = load(Estimator)
        Estimator(**{"max_iter": 5, "random_state": 0, **params}).fit(X, y)
    X, y = data.counts()
    BPRegressor(loss="poisson", max_iter=20, random_state=0).fit(X, y)
    assert not passes
