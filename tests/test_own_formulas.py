"""Formulas of a user's own: the bits of built-in ones of the same formula, and errors when they are wrong."""

import copy
import math
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import data
import numpy as np
import pytest
from helpers import EVERY_EPOCH, assert_same_bits
from numpy.testing import assert_allclose, assert_array_equal
from scipy import special
from sklearn.base import clone
from sklearn.model_selection import cross_val_score

from fastbp import (
    Activation,
    BPClassifier,
    BPEnsembleClassifier,
    BPRegressor,
    Loss,
    Schedule,
    Solver,
    model_selection,
    register,
)
from fastbp.engines import kernel_cache
from fastbp.engines.kernel_sources import describe
from fastbp.functions.activations import ACTIVATIONS
from fastbp.functions.losses import LOSSES

FIT = {"max_iter": 5, "random_state": 0, **EVERY_EPOCH}


def logistic(z):
    return 1 / (1 + np.exp(-z))


SINE = Activation("sine", lambda z: np.sin(z), lambda z: np.cos(z))
TANH = Activation("mine", lambda z: np.tanh(z), lambda a: 1 - a * a, of="output")


def huber(f, y, delta):
    d = np.abs(f - y)
    return np.sum(np.where(d < delta, d * d / 2, delta * (d - delta / 2)))


HUBER = Loss("mine", huber, params={"delta": (1.0, 0, 100)})


def cross_entropy(f, y):
    shifted = f - np.max(f)
    return np.log(np.sum(np.exp(shifted))) - np.sum(y * shifted)


def softmax_less_target(f, y):
    e = np.exp(f - np.max(f))
    return e / np.sum(e) - y


CROSS_ENTROPY = Loss("entropy", cross_entropy, softmax_less_target, merged_with="softmax", tasks="classifier")


def adam_step(w, g, m, v, rate, b1, c1, b2, c2, epsilon):
    m = b1 * m + c1 * g
    v = b2 * v + c2 * (g * g)
    return w - rate * (m / (np.sqrt(v) + epsilon)), m, v


def bias_corrections(rate, step, b1, b2, epsilon):
    return rate * (1 - b2**step) ** 0.5 / (1 - b1**step), b1, 1 - b1, b2, 1 - b2, epsilon


ADAM = Solver(
    "mine",
    adam_step,
    n_states=2,
    params={"beta_1": (0.9, 0, 1), "beta_2": (0.999, 0, 1), "epsilon": 1e-8},
    coefficients=bias_corrections,
)
COSINE = Schedule(
    "mine", lambda x, epoch, end: end + (1 - end) * (0.5 * (1 + np.cos(np.pi * x))), params={"end": (0, 0, 1)}
)
FORMULAS = (SINE, TANH, HUBER, CROSS_ENTROPY, ADAM, COSINE)


# --- The same as built-in functions


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("known", "own"),
    [
        ("tanh", TANH),
        ("silu", Activation("own_silu", lambda z: z * logistic(z))),
        ("relu", Activation("own_relu", lambda z: np.maximum(0, z))),
        ("softsign", Activation("own_softsign", lambda z: z / (1 + np.abs(z)))),
        ("elu", Activation("own_elu", lambda z: np.where(z < 0, np.expm1(np.minimum(z, 0)), z))),
        ("hard_tanh", Activation("own_hard", lambda z: np.clip(z, -1, 1))),
        ("softplus", Activation("own_softplus", lambda z: np.logaddexp(0, z))),
    ],
)
def test_activations(known, own, dtype):
    X, y = data.digits()
    first, second = (
        BPClassifier((20, 10), activation=one, dtype=dtype, max_iter=2, random_state=0).fit(X, y)
        for one in (known, own)
    )
    tolerance = 1e-4 if dtype == "float32" else 1e-10
    assert_allclose(second.coefs_[0], first.coefs_[0], rtol=tolerance, atol=tolerance)
    assert_allclose(
        second.predict_proba(X[:50]), first.predict_proba(X[:50]), rtol=100 * tolerance, atol=1e-6
    )


def test_losses():
    X, y = data.regression()
    for params in ({}, {"delta": 0.3}):
        first, second = (BPRegressor((8,), loss=loss, loss_params=params, **FIT) for loss in ("huber", HUBER))
        # same parameter names, so that one set of loss_params suits both
        assert_allclose(second.fit(X, y).coefs_[0], first.fit(X, y).coefs_[0], rtol=1e-10)
        assert_allclose(second.loss_, first.loss_)
    X, y = data.iris()
    first, second = (BPClassifier((8,), loss=loss, **FIT).fit(X, y) for loss in ("log_loss", CROSS_ENTROPY))
    assert_allclose(second.coefs_[0], first.coefs_[0], rtol=1e-9)
    assert_allclose(second.loss_curve_, first.loss_curve_)


def test_solvers_and_schedules():
    X, y = data.iris()
    first, second = (BPClassifier((8,), solver=solver, **FIT).fit(X, y) for solver in ("adam", ADAM))
    assert_allclose(second.coefs_[0], first.coefs_[0], rtol=1e-9)
    first = BPClassifier((8,), solver="adam", beta_1=0.5, **FIT).fit(X, y)
    second = BPClassifier((8,), solver=ADAM, solver_params={"beta_1": 0.5}, **FIT).fit(X, y)
    assert_allclose(second.coefs_[0], first.coefs_[0], rtol=1e-9)
    params = {"schedule_params": {"end": 0.1, "warmup_steps": 3}}
    first, second = (
        BPClassifier((8,), schedule=schedule, **params, **FIT).fit(X, y) for schedule in ("cosine", COSINE)
    )
    assert_allclose(second.coefs_[0], first.coefs_[0], rtol=1e-9)


def test_gradients_are_those_of_the_objective():
    """Through the compiled network: central differences of its loss by a weight."""
    X, y = data.regression()
    wave = Loss("wave", lambda f, y: np.mean((f - y) ** 2) + np.sum(np.sin(f)) + np.max(np.abs(f - y)))
    model = BPRegressor((6, 5), activation=[SINE, TANH], loss=wave, alpha=0, out_activation=SINE, **FIT)
    model.fit(X, y)
    slope = model.loss_and_gradients(X, y).coefs[0][1, 2]
    losses = []
    for step in (1e-5, -1e-5):
        model.coefs_[0][1, 2] += step
        losses.append(model.loss_and_gradients(X, y).loss)
        model.coefs_[0][1, 2] -= step
    assert_allclose(slope, (losses[0] - losses[1]) / 2e-5, rtol=1e-6)


@pytest.mark.parametrize(
    ("own", "truth"),
    [
        (lambda z: np.log1p(z * z), lambda z: np.log1p(z * z)),
        (lambda z: np.abs(z) ** 1.5, lambda z: np.abs(z) ** 1.5),
        (lambda z: np.sinh(z / 4) - np.cosh(z / 8), lambda z: np.sinh(z / 4) - np.cosh(z / 8)),
        (lambda z: np.sign(z) * np.sqrt(np.abs(z) + 1), lambda z: np.sign(z) * np.sqrt(np.abs(z) + 1)),
        (lambda z: 0 * z + 2, lambda z: np.full_like(z, 2)),
        (lambda z: np.where((z > 1) | (z < -1), 1.0, 0.0), lambda z: np.where(np.abs(z) > 1, 1.0, 0.0)),
        (lambda z: np.rint(z) + np.cos(9 * z), lambda z: np.rint(z) + np.cos(9 * z)),
    ],
)
@pytest.mark.filterwarnings("ignore:divide by zero")
def test_compiled_values(own, truth):
    X = np.linspace(-4.9, 4.9, 100)[:, None]
    model = BPRegressor((1,), activation=Activation("any", own), max_iter=1)
    model.coefs_, model.intercepts_ = [np.eye(1), np.eye(1)], [np.zeros(1), np.zeros(1)]
    model.n_features_in_ = 1
    assert_allclose(model.predict(X), truth(X[:, 0]), rtol=1e-9, atol=1e-12)


def test_with_everything_around():
    """Blended, normalised, clipped, decayed, averaged, in an ensemble, in a search: as names are."""
    X, y = data.iris()
    model = BPClassifier(
        (6, 6),
        activation=[SINE, "tanh"],
        parametric_activation=True,
        norm="batch",
        residual=True,
        solver=ADAM,
        weight_decay=0.01,
        clip_norm=1.0,
        average="ema",
        schedule=COSINE,
        loss=CROSS_ENTROPY,
        **FIT,
    )
    assert model.fit(X, y).score(X, y) > 0.3
    assert BPEnsembleClassifier(model, n_estimators=2, random_state=0).fit(X, y).score(X, y) > 0.3
    grid = {"activation": [SINE, "relu"], "loss": [CROSS_ENTROPY, "log_loss"]}
    plain = BPClassifier((6,), **FIT)
    search = model_selection.GridSearchCV(plain, grid, cv=2).fit(X, y)
    for params, score in zip(
        search.cv_results_["params"], search.cv_results_["mean_test_score"], strict=True
    ):
        assert score == cross_val_score(clone(plain).set_params(**params), X, y, cv=2).mean()


# --- Objects


@pytest.mark.parametrize("formula", FORMULAS, ids=repr)
def test_copies_and_pickles_are_equal(formula):
    assert copy.deepcopy(formula) is formula and copy.copy(formula) is formula
    again = pickle.loads(pickle.dumps(formula))
    assert again == formula and type(again) is type(formula) and repr(again) == repr(formula)
    assert type(formula).from_plain(formula.to_plain()) == formula
    with pytest.raises(AttributeError, match="cannot be changed"):
        formula.name = "other"


def test_clones_and_fitted_models():
    X, y = data.iris()
    model = BPClassifier((6,), activation=SINE, solver=ADAM, **FIT).fit(X, y)
    assert clone(model).activation is SINE and "activation=Activation('sine')" in repr(model)
    assert_same_bits(model, clone(model).fit(X, y))
    assert_array_equal(pickle.loads(pickle.dumps(model)).predict_proba(X), model.predict_proba(X))


def test_a_pickle_works_in_a_process_that_has_not_seen_the_formula(tmp_path):
    """The operations are in the pickle: neither the function nor its module is needed."""
    X, y = data.iris()
    model = BPClassifier((6,), activation=SINE, loss=CROSS_ENTROPY, solver=ADAM, **FIT).fit(X, y)
    path = tmp_path / "model.pickle"
    path.write_bytes(pickle.dumps((model, X, y)))
    code = (
        "import pickle, sys; model, X, y = pickle.load(open(sys.argv[1], 'rb'));"
        "print(model.predict_proba(X).sum(0).tolist(), model.fit(X, y).loss_)"
    )
    run = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == f"{model.predict_proba(X).sum(0).tolist()} {model.loss_}"


def test_threads_may_make_the_same_formula_at_once():
    def make(number):
        plain = {**SINE.to_plain(), "name": f"thread_{number // 8}"}
        return Activation.from_plain(plain)

    with ThreadPoolExecutor(8) as threads:
        made = list(threads.map(make, range(400)))
    assert len(set(made)) == 50 and all(name in ACTIVATIONS for name in made)


def test_equal_formulas_share_kernels_and_others_do_not():
    """A kernel on disk is found again by what the formula computes, whatever it is called."""
    same, other = Activation("again", np.sin, np.cos), Activation("sine", lambda z: np.sin(z) + 1e-9 * z)
    texts = [describe(ACTIVATIONS[formula].value, kernel_cache.sources()) for formula in (SINE, same, other)]
    assert texts[0] == texts[1] != texts[2]
    assert other != SINE


def test_names_can_be_registered(monkeypatch):
    monkeypatch.setattr(ACTIVATIONS, "_names", ACTIVATIONS.names())  # the list is as before afterwards
    formula = Activation("test_snake", lambda z: z + np.sin(z) ** 2)
    assert "test_snake" not in ACTIVATIONS.names()
    assert register(formula) is formula and "test_snake" in ACTIVATIONS.names()
    assert register(Activation("test_snake", lambda z: z + np.sin(z) ** 2)) == formula
    X, y = data.iris()
    first, second = (BPClassifier((6,), activation=one, **FIT).fit(X, y) for one in ("test_snake", formula))
    assert_same_bits(first, second)
    with pytest.raises(ValueError, match="named 'test_snake' already"):
        register(Activation("test_snake", lambda z: z + np.sin(z)))
    with pytest.raises(TypeError, match="takes an Activation, Loss, Solver or Schedule"):
        register("test_snake")


@pytest.mark.parametrize(
    "taken",
    [
        Activation("relu", lambda z: z),
        Loss("log_loss", lambda f, y: np.sum(f * f)),
        Solver("lbfgs", lambda w, g, rate: w - rate * g),
        Schedule("cosine", lambda x, epoch: 1 - x),
    ],
    ids=repr,
)
def test_a_name_of_fastbp_is_not_replaced(taken):
    with pytest.raises(ValueError, match="already"):
        register(taken)


def test_values_can_be_looked_at():
    z = np.array([0.0, 0.5, -2.0])
    assert_allclose(SINE.value(z), np.sin(z))
    assert_allclose(SINE.derivative(z), np.cos(z))
    assert_allclose(TANH.derivative(z), 1 - np.tanh(z) ** 2)
    assert SINE.value(0.5).shape == ()


# --- Errors


def wrong_slope(z):
    return 2 * z * z


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (
            lambda: Activation("a", lambda z: z**3, lambda z: 2 * z * z),
            r"derivative .* wrong at z = -?[\d.]+",
        ),
        (lambda: Activation("a", lambda z: z**3, lambda a: 3 * a, of="output"), "derivative .* is wrong"),
        (lambda: Activation("a", lambda z: np.log(z)), r"value of Activation 'a' is nan at z = -5"),
        (lambda: Activation("a", lambda z: np.log(z), between=(1, 0)), "between"),
        (lambda: Activation("a", lambda z: math.exp(z)), r"line \d+ of .*np\.exp"),
        (lambda: Activation("a", lambda z: (z, z)), "returns 2 values"),
        (lambda: Activation("a", lambda z: np.floor(z)), "floor has no derivative"),
        (lambda: Activation("a", lambda z: special.erf(z)), "erf cannot be compiled"),
        (lambda: Activation("a", lambda z: z, of="z"), "of must be"),
        (lambda: Activation("no name", lambda z: z), "the name of a Activation"),
        (lambda: Activation("a", lambda: 1), "TypeError"),
        (lambda: Loss("l", lambda f, y: (f - y) ** 2), "sum them by np.sum"),
        (lambda: Loss("l", lambda f, y: np.sum(f * y), lambda f, y: f), r"gradient .* is wrong at f\[0\]"),
        (lambda: Loss("l", lambda f, y: np.sum(f[0])), "np.sum, np.max and operators"),
        (lambda: Loss("l", lambda f, y: np.sum(np.log(f))), "the value of Loss 'l' is nan"),
        (lambda: Loss("l", lambda f, y: np.sum(f), tasks="cluster"), "tasks"),
        (lambda: Loss("l", lambda f, y: np.sum(f), targets="odd"), "targets"),
        (lambda: Loss("l", lambda f, y: np.sum(f), merged_with="relu6+"), "merged_with"),
        (lambda: Loss("l", lambda f, y, p: np.sum(f), params={"p": "x"}), "p must have a number"),
        (lambda: Loss("l", lambda f, y, p: np.sum(f), params={"p": (2, 0, 1)}), "default of p"),
        (lambda: Loss("l", lambda f, y, p: np.sum(f), params=[1]), "params must be a dict"),
        (lambda: Loss("l", lambda f, y: np.sum(f), params={"p": 1.0}), "TypeError"),
        (lambda: Solver("s", lambda w, g, m, rate: w - rate * g, n_states=1), "they must be 2"),
        (lambda: Solver("s", lambda w, g, rate: w + 0 * g), "does not change a weight"),
        (lambda: Solver("s", lambda w, g, rate: w / (g - g)), "not finite in step 1"),
        (lambda: Solver("s", lambda w, g, rate: w - g, n_states=4), "n_states"),
        (lambda: Solver("s", lambda w, g, *c: w, coefficients=lambda r, s: (r,) * 7), "at most 6"),
        (lambda: Schedule("s", lambda x, epoch: 0.5 - x), "below 0"),
        (lambda: Schedule("s", lambda x, epoch: 1 / x), "is inf at x = 0"),
        (lambda: Schedule("s", lambda x, epoch, p: p, params=dict.fromkeys("abcd", 0)), "3 at most"),
    ],
)
def test_errors_say_where(make, words):
    with pytest.raises(ValueError, match=rf"(?s){words}"):
        make()


def test_an_estimator_of_the_other_task_refuses_a_loss():
    X, y = data.regression()
    with pytest.raises(ValueError, match=r"'loss' parameter of BPRegressor .* Got Loss\('entropy'\)"):
        BPRegressor(loss=CROSS_ENTROPY).fit(X, y)
    with pytest.raises(ValueError, match=r"out_activation in \['softmax'\]"):
        BPClassifier(loss=CROSS_ENTROPY, out_activation="logistic").fit(X, y > 0)
    with pytest.raises(ValueError, match="'activation'"):
        BPRegressor(activation=HUBER).fit(X, y)


@pytest.mark.parametrize(
    ("name", "kind"),
    [("activation", "Activation"), ("loss", "Loss"), ("solver", "Solver"), ("schedule", "Schedule")],
)
def test_a_plain_function_is_refused_with_what_to_write(name, kind):
    with pytest.raises(ValueError, match=rf"{name}' parameter .* is a function.*fastbp\.{kind}\("):
        BPRegressor(**{name: lambda z: z}).fit([[0.0], [1.0]], [0.0, 1.0])


def test_targets_out_of_the_domain_are_refused():
    loss = Loss("positive", lambda f, y: np.sum(np.exp(f) - y * f), targets="non-negative")
    with pytest.raises(ValueError, match="y >= 0"):
        BPRegressor(loss=loss).fit([[0.0], [1.0]], [-1.0, 2.0])


def test_plain_descriptions_are_checked():
    plain = SINE.to_plain()
    for broken in ({}, {**plain, "formulas": [["system", 0], [0, 0]]}, {**plain, "formulas": "import os"}):
        with pytest.raises(ValueError, match=r"description|operation"):
            Activation.from_plain(broken)


def test_making_a_formula_changes_no_list_of_names():
    assert not [name for name in (*ACTIVATIONS.names(), *LOSSES.names()) if "@" in name]
