"""Every parameter and dozens of values that it is not meant to get; and NumPy's numbers of every width."""

import re

import data
import hostile
import numpy as np
import pytest
from helpers import assert_equal_state, assert_same_bits, fitted_attributes

from fastbp import BPClassifier, BPRegressor, learning_rate_range
from fastbp.callbacks import Checkpoint, StopWhen, TimeLimit
from fastbp.estimators.inspection import OF_ENGINES
from fastbp.estimators.options import with_role
from fastbp.presets import parameters

PARAMS = {"hidden_layer_sizes": (4,), "max_iter": 1, "random_state": 0, "batch_size": 25}

# What is not bad for a parameter after all, by the names of tests/hostile.py.
SWITCH = {"True", "np.bool_"}
COUNT = {"2", *SWITCH}
POSITIVE = {"0.5", "2.0", "2**70", *COUNT}
NOT_NEGATIVE = {"0", *POSITIVE}
SHARE = {"0", "0.5"}
NOTHING = {"None"}
DICTIONARY = {"None", "empty dict"}
ACCEPTED = {
    "hidden_layer_sizes": {"2", "list", "empty list", "empty tuple"},
    "activation": set(),
    "maxout_pieces": {"2"},
    "out_activation": set(),
    "loss": set(),
    "loss_params": DICTIONARY,
    "class_weight": {"dict", *DICTIONARY},
    "solver": set(),
    "solver_params": DICTIONARY,
    **dict.fromkeys(("alpha", "l2", "l1", "input_noise", "power_t", "tol"), NOT_NEGATIVE),
    "weight_decay": NOT_NEGATIVE | NOTHING,
    **dict.fromkeys(("clip_value", "clip_norm", "max_norm"), POSITIVE | NOTHING),
    "dropout": {"floats", *SHARE},
    "input_dropout": SHARE,
    **dict.fromkeys(("norm", "input_scaling", "target_scaling", "average", "schedule"), NOTHING),
    **dict.fromkeys(("residual", "learn_input_scales", "parametric_activation"), SWITCH),
    **dict.fromkeys(("rate_factors", "average_params", "schedule_params"), DICTIONARY),
    "batch_size": COUNT,
    "learning_rate": set(),
    "learning_rate_init": POSITIVE,
    **dict.fromkeys(("max_iter", "max_fun"), COUNT),
    **dict.fromkeys(("shuffle", "fit_intercept", "warm_start", "nesterovs_momentum"), SWITCH),
    "init": set(),
    "out_init": set(),
    "device": set(),
    "dtype": set(),
    **dict.fromkeys(("out_bias", "preset"), NOTHING),
    "random_state": {"0", *COUNT, *NOTHING},
    "verbose": {"0", *COUNT},
    "momentum": SHARE | SWITCH,
    "early_stopping": SWITCH,
    "validation_fraction": SHARE,
    "scoring": {"function", *NOTHING},
    **dict.fromkeys(("beta_1", "beta_2"), SHARE),
    "epsilon": POSITIVE,
    "n_iter_no_change": {"inf", *COUNT},
    "n_jobs": {"-1", *COUNT, *NOTHING},
}


def load(Estimator):
    X, y = data.iris() if Estimator is BPClassifier else data.regression()
    return X[:50], y[:50]


def assert_refused(name, call):
    with pytest.raises((ValueError, TypeError)) as caught:
        call()
    assert re.search(rf"\b{name}\b", str(caught.value)), str(caught.value)


def test_every_parameter_is_here():
    assert ACCEPTED.keys() == BPClassifier().get_params().keys() | BPRegressor().get_params().keys()


@pytest.mark.parametrize("Estimator", [BPClassifier, BPRegressor])
@pytest.mark.parametrize("name", ACCEPTED)
def test_a_bad_value_is_refused_by_name_and_changes_nothing(name, Estimator):
    if name not in Estimator().get_params():
        return
    X, y = load(Estimator)
    classes = {"classes": [0, 1, 2]} if Estimator is BPClassifier else {}
    fitted = Estimator(**PARAMS).fit(X, y)
    before = fitted_attributes(fitted)
    for label, value in hostile.values().items():
        if label in ACCEPTED[name]:
            continue
        params = {**PARAMS, name: value}
        assert_refused(name, lambda params=params: Estimator(**params).fit(X, y))
        assert_refused(name, lambda params=params: Estimator(**params).partial_fit(X, y, **classes))
        fitted.set_params(**{name: value})
        assert_refused(name, lambda: fitted.fit(X, y))
        assert_refused(name, lambda: fitted.partial_fit(X, y))
        assert_refused(name, lambda: fitted.loss_and_gradients(X, y))
        assert_refused(name, lambda: learning_rate_range(fitted, X, y))
        if name in with_role("predicts") + OF_ENGINES:
            assert_refused(name, lambda: fitted.predict(np.vstack([X, X])))
            assert_refused(name, lambda: fitted.predict(X[:1]))
            assert_refused(name, lambda: fitted.transform(X))
        assert_equal_state(fitted_attributes(fitted), before)
        assert fitted.get_params()[name] is value
    fitted.set_params(**{name: getattr(Estimator(), name)}).predict(X)


@pytest.mark.parametrize("Estimator", [BPClassifier, BPRegressor])
@pytest.mark.parametrize("name", ACCEPTED)
def test_what_is_not_bad_is_taken(name, Estimator, capsys):
    X, y = load(Estimator)
    for label in ACCEPTED[name]:
        if name not in Estimator().get_params():
            continue
        value = hostile.values()[label]
        try:
            Estimator(**{**PARAMS, name: value}).fit(X, y)
        except ValueError as error:
            assert label == "2**70" and str(error).startswith("Solver produced non-finite")


# Elements of lists and dictionaries: how a value is put into one, and which are good

ELEMENTS = {
    "hidden_layer_sizes": (lambda v: {"hidden_layer_sizes": [v]}, {"2"}),
    "activation": (lambda v: {"activation": [v]}, set()),
    "dropout": (lambda v: {"dropout": [v]}, SHARE),
    "solver_params": (lambda v: {"solver": "rmsprop", "solver_params": {"rho": v}}, SHARE),
    "schedule_params": (
        lambda v: {"schedule": "step", "schedule_params": {"epochs": v}},
        {"2", "2.0", "2**70"},
    ),
    "average_params": (lambda v: {"average": "ema", "average_params": {"decay": v}}, SHARE),
    "rate_factors": (lambda v: {"rate_factors": {"biases": v}}, NOT_NEGATIVE - SWITCH),
}
OF_CLASSIFIER = {
    "loss_params": (lambda v: {"loss_params": {"label_smoothing": v}}, SHARE),
    "class_weight": (lambda v: {"class_weight": {0: v}}, NOT_NEGATIVE - {"np.bool_"}),
}
OF_REGRESSOR = {
    "loss_params": (
        lambda v: {"loss": "pinball", "loss_params": {"quantile": v}},
        {"0.5", "floats", "array of 1 element"},
    ),
}


@pytest.mark.parametrize(
    ("Estimator", "name", "put", "accepted"),
    [
        *((BPClassifier, name, *entry) for name, entry in {**ELEMENTS, **OF_CLASSIFIER}.items()),
        *((BPRegressor, name, *entry) for name, entry in OF_REGRESSOR.items()),
    ],
)
def test_a_bad_element_is_refused_by_the_name_of_the_parameter(Estimator, name, put, accepted):
    X, y = load(Estimator)
    for label, value in hostile.values().items():
        model = Estimator(**{**PARAMS, **put(value)})
        if label in accepted:
            model.fit(X, y)
        else:
            assert_refused(name, lambda model=model: model.fit(X, y))


@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("average_params", {"average_params": {"nope": 1}}),
        ("average_params", {"average_params": {"decay": 0.9}}),
        ("average_params", {"average": "swa", "average_params": {"decay": 0.9}}),
        ("schedule_params", {"schedule_params": {"nope": 1}}),
        ("schedule_params", {"schedule_params": {"end": 0.5}}),
        ("schedule_params", {"schedule": "plateau", "schedule_params": {"end": 0.5}}),
        ("solver_params", {"solver_params": {"rho": 0.5}}),
        ("loss_params", {"loss_params": {"delta": 1}}),
        ("loss_params", {"loss_params": {0: 1}}),
        ("loss_params", {"loss_params": {None: 1}}),
        ("rate_factors", {"rate_factors": {"bias": 1}}),
        ("scoring", {"scoring": "x"}),
        ("scoring", {"scoring": "accuracies"}),
        ("hidden_layer_sizes", {"hidden_layer_sizes": {1: 2}}),
        ("activation", {"activation": ["step"]}),
    ],
    ids=str,
)
def test_what_would_not_be_used_is_looked_at(name, params, solver):
    X, y = load(BPClassifier)
    assert_refused(name, lambda: BPClassifier(**{**PARAMS, "solver": solver, **params}).fit(X, y))


def test_a_metric_is_no_scorer():
    from sklearn.metrics import accuracy_score

    X, y = load(BPClassifier)
    assert_refused("scoring", lambda: BPClassifier(**PARAMS, scoring=accuracy_score).fit(X, y))


def test_the_name_of_a_loss_in_the_first_place():
    """scikit-learn's MLPRegressor takes it there."""
    with pytest.raises(ValueError, match=r'BPRegressor\(loss="squared_error"\)'):
        BPRegressor("squared_error")
    with pytest.raises(TypeError, match=r'BPClassifier\(loss="log_loss"\)'):
        BPClassifier("log_loss")
    assert BPRegressor("helloworld").hidden_layer_sizes == "helloworld"  # looked at when it is used


# Arguments of methods and of callbacks

WEIGHTS = {"None", "True", "0.5", "2", "2.0", "2**70", "Decimal"}


def classifier(**params):
    return BPClassifier(**{**PARAMS, **params})


def fit(**arguments):
    return classifier().fit(*load(BPClassifier), **arguments)


def fit_with_rows(**arguments):
    X, y = load(BPClassifier)
    return classifier(early_stopping=True).fit(X, y, **{"X_val": X, "y_val": y, **arguments})


def partial_fit(model=None, **arguments):
    return (model or classifier()).partial_fit(*load(BPClassifier), **arguments)


def rate_range(**arguments):
    X, y = load(BPClassifier)
    return learning_rate_range(**{"estimator": classifier(), "X": X, "y": y, "n_steps": 10, **arguments})


ARGUMENTS = [
    ("coefs_init", lambda v: fit(coefs_init=v), NOTHING),
    ("coefs_init", lambda v: fit(coefs_init=[v, np.ones((4, 3))]), set()),
    ("intercepts_init", lambda v: fit(intercepts_init=v), NOTHING),
    ("sample_weight", lambda v: fit(sample_weight=v), WEIGHTS),
    ("sample_weight", lambda v: partial_fit(sample_weight=v, classes=[0, 1, 2]), WEIGHTS),
    ("sample_weight", lambda v: fit().loss_and_gradients(*load(BPClassifier), v), WEIGHTS),
    ("sample_weight", lambda v: rate_range(sample_weight=v), WEIGHTS),
    ("X_val", lambda v: fit_with_rows(X_val=v), set()),
    ("y_val", lambda v: fit_with_rows(y_val=v), set()),
    ("sample_weight_val", lambda v: fit_with_rows(sample_weight_val=v), WEIGHTS),
    ("classes", lambda v: partial_fit(classes=v), set()),
    ("classes", lambda v: partial_fit(partial_fit(classes=[0, 1, 2]), classes=v), NOTHING),
    ("estimator", lambda v: rate_range(estimator=v), set()),
    ("smallest", lambda v: rate_range(smallest=v), POSITIVE - {"2**70"}),
    ("largest", lambda v: rate_range(largest=v), POSITIVE),
    ("n_steps", lambda v: rate_range(n_steps=v), set()),
    ("seconds", TimeLimit, NOT_NEGATIVE),
    ("condition", StopWhen, {"function", "class", "a class that raises"}),
    ("path", Checkpoint, {"text", "digits"}),
    ("every", lambda v: Checkpoint("file", every=v), COUNT),
    ("seconds", lambda v: Checkpoint("file", seconds=v), NOT_NEGATIVE),
    ("resume", lambda v: Checkpoint("file", resume=v), SWITCH),
    ("preset", lambda v: parameters(v, "regressor"), set()),
    ("task", lambda v: parameters("tabular", v), set()),
]


@pytest.mark.parametrize(("name", "call", "accepted"), ARGUMENTS)
def test_a_bad_argument_is_refused_by_name(name, call, accepted):
    for label, value in hostile.values().items():
        if label in accepted:
            call(value)
        else:
            assert_refused(name, lambda value=value: call(value))


@pytest.mark.parametrize("path", ["", "a\0b", b"file"])
def test_a_checkpoint_without_a_name(path):
    assert_refused("path", lambda: Checkpoint(path))


def test_numbers_too_large_for_floats_in_the_data():
    X, y = load(BPRegressor)
    with pytest.raises(ValueError, match="X or y contains a number too large"):
        BPRegressor(**PARAMS).fit(X, [10**400] * len(y))
    with pytest.raises(ValueError, match="X or y contains a number too large"):
        BPRegressor(**PARAMS).fit(X, y).predict([[10**400] * X.shape[1]])


@pytest.mark.parametrize("weight", [np.nan, np.inf, [1e308] * 50])
def test_weights_without_a_finite_sum(weight):
    assert_refused("sample_weight", lambda: fit(sample_weight=weight))


# NumPy's numbers

INTEGERS = [np.int8, np.uint8, np.int16, np.uint16, np.int32, np.uint32, np.int64, np.uint64]
FLOATS = [np.float16, np.float32, np.float64, np.longdouble]

# A good value, one that 8 bits or half a float can hold, and what makes it count.
COUNTS = [
    ("hidden_layer_sizes", 100, {}),
    ("maxout_pieces", 3, {"activation": "maxout"}),
    ("batch_size", 100, {}),
    ("max_iter", 9, {}),
    ("max_iter", 9, {"solver": "lbfgs"}),
    ("max_fun", 9, {"solver": "lbfgs"}),
    ("random_state", 100, {}),
    ("n_iter_no_change", 2, {"tol": 10.0, "max_iter": 9}),
    ("n_jobs", 1, {}),
    ("verbose", 2, {}),
]
NUMBERS = [
    ("alpha", 1.0, {}),
    ("l2", 1.0, {"solver": "lbfgs"}),
    ("l1", 1.0, {}),
    ("weight_decay", 1.0, {}),
    ("clip_value", 1.0, {"solver": "sgd", "learning_rate_init": 0.5}),
    ("clip_norm", 1.0, {"solver": "sgd", "learning_rate_init": 0.5}),
    ("max_norm", 1.0, {}),
    ("input_noise", 1.0, {}),
    ("learning_rate_init", 1.0, {}),
    ("power_t", 1.0, {"solver": "sgd", "learning_rate": "invscaling"}),
    ("tol", 1.0, {"max_iter": 20, "n_iter_no_change": 2}),
    ("tol", 1.0, {"solver": "lbfgs"}),
    ("momentum", 1.0, {"solver": "sgd"}),
    ("epsilon", 1.0, {}),
    ("dropout", 0.25, {}),
    ("input_dropout", 0.25, {}),
    ("beta_1", 0.25, {}),
    ("beta_2", 0.25, {}),
    ("validation_fraction", 0.375, {"early_stopping": True}),
    ("n_iter_no_change", float("inf"), {"tol": 10.0, "max_iter": 20}),
]
SWITCHES = [
    ("residual", True, {"hidden_layer_sizes": (4, 4)}),
    ("learn_input_scales", True, {}),
    ("parametric_activation", True, {}),
    ("shuffle", False, {}),
    ("fit_intercept", False, {}),
    ("warm_start", True, {}),
    ("nesterovs_momentum", False, {"solver": "sgd"}),
    ("early_stopping", True, {}),
    ("verbose", True, {}),
]


def types_of(value):
    if isinstance(value, bool):
        return [np.bool_]
    if isinstance(value, int):
        return INTEGERS
    return [*FLOATS, *(INTEGERS if value == 1 else [])]


@pytest.mark.parametrize(("name", "value", "more"), [*COUNTS, *NUMBERS, *SWITCHES])
def test_numbers_of_numpy_are_numbers(name, value, more, capsys):
    X, y = data.iris()
    params = {**PARAMS, "max_iter": 2, **more}
    expected = classifier(**{**params, name: value}).fit(X, y)
    for kind in types_of(value):
        model = classifier(**{**params, name: kind(value)})
        assert_same_bits(model.fit(X, y), expected)
        assert model.n_iter_ == expected.n_iter_
        assert model.get_params()[name] == value and type(model.get_params()[name]) is kind
        np.testing.assert_array_equal(model.predict_proba(X), expected.predict_proba(X))


@pytest.mark.parametrize(
    ("put", "value"),
    [
        (lambda v: {"hidden_layer_sizes": (v, v)}, 100),
        (lambda v: {"hidden_layer_sizes": np.array([v])}, 100),
        (lambda v: {"dropout": [v]}, 0.25),
        (lambda v: {"loss_params": {"label_smoothing": v}}, 0.25),
        (lambda v: {"class_weight": {0: v}}, 100),
        (lambda v: {"rate_factors": {"biases": v}}, 1.0),
        (lambda v: {"solver": "rprop", "solver_params": {"largest": v}}, 1.0),
        (lambda v: {"schedule": "step", "schedule_params": {"epochs": v}}, 1.0),
        (lambda v: {"average": "swa", "average_params": {"start": v}}, 0.25),
    ],
)
def test_numbers_of_numpy_in_lists_and_dictionaries(put, value):
    X, y = data.iris()
    expected = classifier(**{"max_iter": 2, **put(value)}).fit(X, y)
    for kind in types_of(value):
        assert_same_bits(classifier(**{"max_iter": 2, **put(kind(value))}).fit(X, y), expected)


@pytest.mark.parametrize("kind", INTEGERS)
def test_counters_do_not_wrap_around(kind, tmp_path):
    """127 is all that 8 bits with a sign can hold: progress, callbacks and checkpoints count on from it."""
    X, y = (np.concatenate([part, part]) for part in data.iris())
    largest = kind(127)
    params = {"max_iter": largest, "batch_size": largest, "n_iter_no_change": largest, "tol": 0.0}
    model = classifier(**params, early_stopping=True, validation_fraction=np.float16(0.25))
    model.set_callbacks(Checkpoint(tmp_path / "run", every=largest), TimeLimit(largest))
    numbers = {name: int(value) for name, value in params.items()}
    plain = classifier(**numbers, early_stopping=True, validation_fraction=0.25)
    assert_same_bits(model.fit(X, y), plain.fit(X, y))
    assert model.n_iter_ == 127


def test_a_range_of_rates_by_numbers_of_numpy():
    expected = rate_range(smallest=0.5, largest=2.0, n_steps=100)
    found = rate_range(smallest=np.float16(0.5), largest=np.int8(2), n_steps=np.int8(100))
    np.testing.assert_array_equal(found.losses, expected.losses)
    np.testing.assert_array_equal(found.rates, expected.rates)
