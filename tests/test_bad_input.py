"""Bad input of every kind: scikit-learn's kind of error names the parameter, and the model is as before."""

import data
import numpy as np
import pytest
from helpers import assert_equal_state, assert_same_bits, snapshot
from numpy.testing import assert_array_equal
from scipy import sparse
from sklearn.exceptions import NotFittedError
from sklearn.utils._param_validation import InvalidParameterError

from fastbp import BPClassifier, BPRegressor


def small(Estimator, **params):
    return Estimator(
        **{"hidden_layer_sizes": (4,), "max_iter": 2, "random_state": 0, "batch_size": 25, **params}
    )


def load(Estimator):
    return data.iris() if Estimator is BPClassifier else data.regression()


def assert_refused(Estimator, call, error, message, *, method="fit", params=None):
    """
    `call(estimator, method)` raises on a fresh estimator, and on a fitted one, which then predicts as before,
    has the attributes of before, and goes on training as if nothing had been asked.
    """
    params = params or {}
    with pytest.raises(error, match=message):
        call(small(Estimator, **params), method)

    X, y = load(Estimator)
    fitted, twin = (small(Estimator).fit(X, y) for _ in range(2))
    good = fitted.get_params()
    predicted = fitted.predict(X)
    before = snapshot(fitted.set_params(**params))
    with pytest.raises(error, match=message):
        call(fitted, method)
    assert_equal_state(snapshot(fitted), before)
    fitted.set_params(**good)
    assert_array_equal(fitted.predict(X), predicted)
    assert_same_bits(fitted.partial_fit(X, y), twin.partial_fit(X, y))


def with_value(array, value, index=3):
    array = np.array(array, dtype=np.result_type(array, np.asarray(value)))
    array[index] = value
    return array


# Each entry: X, y, sample_weight -> the bad X, y, sample_weight; and what the message must say.
BAD_DATA = {
    "X of one dimension": (lambda X, y, w: (X[:, 0], y, w), "(?i)expected 2D array"),
    "X of three dimensions": (lambda X, y, w: (X[:, :, None], y, w), "(?i)dim"),
    "X a scalar": (lambda X, y, w: (1.0, y, w), "(?i)scalar array"),
    "X without rows": (lambda X, y, w: (X[:0], y[:0], w), r"0 sample\(s\)"),
    "X without columns": (lambda X, y, w: (X[:, :0], y, w), r"0 feature\(s\)"),
    "X with NaN": (lambda X, y, w: (with_value(X, np.nan), y, w), "Input X contains NaN"),
    "X with infinity": (lambda X, y, w: (with_value(X, np.inf), y, w), "Input X contains infinity"),
    "X with minus infinity": (lambda X, y, w: (with_value(X, -np.inf), y, w), "Input X contains infinity"),
    "X float32 with NaN": (
        lambda X, y, w: (with_value(X.astype("f"), np.float32("nan")), y, w),
        "X contains NaN",
    ),
    "X complex": (lambda X, y, w: (X + 1j, y, w), "(?i)complex data not supported"),
    "X of words": (lambda X, y, w: (np.full(X.shape, "a"), y, w), "(?i)could not convert|dtype"),
    "X with an object column": (
        lambda X, y, w: (with_value(X.astype(object), "a"), y, w),
        "could not convert",
    ),
    "X ragged": (lambda X, y, w: ([[1.0], [1.0, 2.0]], [0, 1], w), "(?i)inhomogeneous|sequence"),
    "X sparse with NaN": (lambda X, y, w: (sparse.csr_array(with_value(X, np.nan)), y, w), "contains NaN"),
    "X sparse of another format": (lambda X, y, w: (sparse.csr_array(X + 1j), y, w), "(?i)complex"),
    "y shorter": (lambda X, y, w: (X, y[:-1], w), "inconsistent numbers of samples"),
    "y longer": (lambda X, y, w: (X[:-1], y, w), "inconsistent numbers of samples"),
    "y missing": (lambda X, y, w: (X, None, w), "(?i)requires y"),
    "y with NaN": (lambda X, y, w: (X, with_value(y.astype(float), np.nan), w), "Input y contains NaN"),
    "y with infinity": (
        lambda X, y, w: (X, with_value(y.astype(float), np.inf), w),
        "Input y contains infinity",
    ),
    "y complex": (lambda X, y, w: (X, y + 1j, w), "(?i)complex|unknown label type"),
    "y of three dimensions": (
        lambda X, y, w: (X, np.ones((len(y), 2, 2)), w),
        "(?i)dim|unknown label type|3d",
    ),
    "sample_weight negative": (lambda X, y, w: (X, y, with_value(w, -1.0)), "sample_weight"),
    "sample_weight all zero": (lambda X, y, w: (X, y, 0 * w), "(?i)sample.?weight"),
    "sample_weight NaN": (lambda X, y, w: (X, y, with_value(w, np.nan)), "sample_weight contains NaN"),
    "sample_weight infinite": (
        lambda X, y, w: (X, y, with_value(w, np.inf)),
        "sample_weight contains infinity",
    ),
    "sample_weight shorter": (lambda X, y, w: (X, y, w[:-1]), "sample_weight"),
    "sample_weight of two dimensions": (lambda X, y, w: (X, y, np.c_[w, w]), "(?i)sample.?weight"),
    "sample_weight of words": (lambda X, y, w: (X, y, np.full(len(w), "a")), "(?i)could not convert|dtype"),
    "sample_weight complex": (lambda X, y, w: (X, y, w + 1j), "(?i)complex"),
}


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
@pytest.mark.parametrize("Estimator", [BPClassifier, BPRegressor])
@pytest.mark.parametrize("bad", BAD_DATA)
def test_data(bad, Estimator, method):
    change, message = BAD_DATA[bad]
    X, y, w = change(*load(Estimator), np.ones(len(load(Estimator)[0])))
    more = {"classes": [0, 1, 2]} if (Estimator, method) == (BPClassifier, "partial_fit") else {}
    assert_refused(
        Estimator,
        lambda est, method: getattr(est, method)(X, y, w, **more),
        (ValueError, TypeError),
        message,
        method=method,
    )


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_words_as_targets_of_a_regressor(method):
    X, y = data.regression()
    words = np.where(y > 0, "high", "low")
    assert_refused(
        BPRegressor,
        lambda est, m: getattr(est, m)(X, words),
        ValueError,
        "(?i)could not convert|dtype",
        method=method,
    )


def test_continuous_targets_of_a_classifier():
    X, y = data.regression()
    assert_refused(
        BPClassifier, lambda est, m: est.fit(X, y), ValueError, "(?i)unknown label type|continuous"
    )


# Parameters: each message begins "The 'name' parameter of …", as everywhere in scikit-learn.
BAD_PARAMETERS = {
    "hidden_layer_sizes": [0, -1, 2.5, "abc", (0,), (5, -1), (2.5,), ("a",), ((3, 4),), None],
    "activation": ["sigmoid", "softmax", None, 1, ["step"]],
    "maxout_pieces": [0, 1, -2, 2.0, "2", None],
    "out_activation": ["sigmoid", None, 1],
    "loss": ["mse", None, 1],
    "loss_params": [1, "delta", [("delta", 1)]],
    "class_weight": ["weighted", 1],
    "solver": ["newton", None],
    "solver_params": [1, "rho", [("rho", 0.9)]],
    "alpha": [-1e-9, np.nan, np.inf, "0.1", None],
    "l2": [-1e-9, np.nan, np.inf, "0.1", None],
    "l1": [-1e-9, np.nan, np.inf, "0.1", None],
    "weight_decay": [-1e-9, np.nan, np.inf, "0.1"],
    "clip_value": [0, -1, np.nan, np.inf, "1"],
    "clip_norm": [0, -1, np.nan, np.inf, "1"],
    "max_norm": [0, -1, np.nan, np.inf, "1"],
    "dropout": [-0.1, 1.0, np.nan, "0.5", None],
    "input_dropout": [-0.1, 1.0, np.nan, "0.5", None, [0.5]],
    "input_noise": [-0.1, np.nan, np.inf, "0.5", None],
    "residual": ["yes", None, 2],
    "norm": ["group", True, 1],
    "input_scaling": ["standard", True, 1],
    "learn_input_scales": ["yes", None, 2],
    "parametric_activation": ["yes", None, 2],
    "rate_factors": [1.0, "fan_in", [("biases", 0.1)]],
    "target_scaling": ["robust", True, 1],
    "average": ["mean", True, 1],
    "average_params": [1, "decay"],
    "batch_size": [0, -1, 2.5, "all", None],
    "learning_rate": ["cosine", None],
    "learning_rate_init": [0, -0.1, np.nan, np.inf, "fast"],
    "power_t": [-0.5, np.nan, "half"],
    "schedule": ["triangle", True, 1],
    "schedule_params": [1, "end"],
    "max_iter": [0, -1, 2.5, "many"],
    "shuffle": ["yes", None, 2],
    "fit_intercept": ["yes", None, 2],
    "init": ["xavier", None, 1],
    "out_init": ["xavier", None, 1],
    "out_bias": ["mean", 0.5, True],
    "random_state": ["seed", -1, 1.5],
    "tol": [-1e-9, np.nan, "small"],
    "verbose": ["loud", -1],
    "warm_start": ["yes", None],
    "momentum": [-0.1, 1.1, np.nan, "a"],
    "nesterovs_momentum": ["yes", None],
    "early_stopping": ["yes", None],
    "validation_fraction": [-0.1, 1.0, 2.0, np.nan],
    "scoring": [1, ["accuracy"]],
    "beta_1": [-0.1, 1.0, np.nan],
    "beta_2": [-0.1, 1.0, np.nan],
    "epsilon": [0, -1e-8, np.nan],
    "n_iter_no_change": [0, -1, 2.5, np.nan, -np.inf],
    "max_fun": [0, -1, 2.5],
    "n_jobs": [0.5, "all", 0],
    "device": ["gpu", "cuda:0", 0, None],
    "dtype": ["float16", "Float32", np.float32, float, 32, None],
    "preset": ["images", True, 1],
}
BAD_PAIRS = [(name, value) for name, values in BAD_PARAMETERS.items() for value in values]


def test_every_parameter_is_tried():
    of_classifier, of_regressor = (
        Estimator().get_params().keys() for Estimator in (BPClassifier, BPRegressor)
    )
    assert BAD_PARAMETERS.keys() == of_classifier | of_regressor
    assert of_classifier - of_regressor == {"class_weight"}
    assert of_regressor - of_classifier == {"target_scaling"}


@pytest.mark.parametrize("Estimator", [BPClassifier, BPRegressor])
@pytest.mark.parametrize(("name", "value"), BAD_PAIRS, ids=[f"{name}={value!r}" for name, value in BAD_PAIRS])
def test_parameters(name, value, Estimator):
    X, y = load(Estimator)
    if name not in Estimator().get_params():
        return
    if name == "random_state" and value == -1:
        message = "(?i)random_state|seed"  # NumPy's own words are good enough here
    else:
        message = name
    assert_refused(
        Estimator, lambda est, m: est.fit(X, y), (ValueError, TypeError), message, params={name: value}
    )


@pytest.mark.parametrize("name", ["alpha", "l2", "init", "n_jobs", "out_activation"])
def test_parameter_errors_are_scikit_learns(name):
    X, y = data.iris()
    with pytest.raises(InvalidParameterError, match=f"The '{name}' parameter of BPClassifier must be"):
        BPClassifier(**{name: "nonsense"}).fit(X, y)
    with pytest.raises(InvalidParameterError, match=f"The '{name}' parameter of BPClassifier must be"):
        BPClassifier(**{name: "nonsense"}).partial_fit(X, y, classes=[0, 1, 2])


def test_constructing_never_complains():
    """scikit-learn's convention: parameters are looked at when they are used."""
    assert BPClassifier(alpha="nonsense").alpha == "nonsense"


# Targets that do not go with the loss


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_negative_counts(method):
    X, y = data.counts()
    model = small(BPRegressor, loss="poisson")
    with pytest.raises(ValueError, match=r"(?i)y.*(negative|>= 0)|poisson"):
        getattr(model, method)(X, with_value(y, -1.0))
    assert not hasattr(model, "coefs_")


@pytest.mark.parametrize("value", [-0.1, 1.5])
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_fractions_outside_the_unit_interval(method, value):
    X, y = data.fractions()
    model = small(BPRegressor, loss="log_loss")
    with pytest.raises(ValueError, match=r"y|log_loss"):
        getattr(model, method)(X, with_value(y, value))
    assert not hasattr(model, "coefs_")


# Initial weights


def bad_initial_weights():
    W, V = np.ones((4, 6)), np.ones((6, 3))
    b, c = np.ones(6), np.ones(3)
    yield "a layer too few", {"coefs_init": [W]}, "coefs_init"
    yield "a layer too many", {"coefs_init": [W, V, V]}, "coefs_init"
    yield "transposed", {"coefs_init": [W.T, V]}, "coefs_init"
    yield "flat", {"coefs_init": [W.ravel(), V]}, "coefs_init"
    yield "NaN", {"coefs_init": [W * np.nan, V]}, "coefs_init"
    yield "infinite", {"coefs_init": [W, V * np.inf]}, "coefs_init"
    yield "words", {"coefs_init": ["a", "b"]}, "coefs_init"
    yield "complex", {"coefs_init": [W + 1j, V]}, "coefs_init|(?i:complex)"
    yield "no list", {"coefs_init": 3}, "coefs_init"
    yield "intercepts too few", {"intercepts_init": [b]}, "intercepts_init"
    yield "intercepts too long", {"intercepts_init": [c, c]}, "intercepts_init"
    yield "intercepts NaN", {"intercepts_init": [b, c * np.nan]}, "intercepts_init"


@pytest.mark.parametrize(
    ("given", "message"),
    [pytest.param(given, message, id=name) for name, given, message in bad_initial_weights()],
)
def test_initial_weights(given, message):
    X, y = data.iris()
    model = small(BPClassifier, hidden_layer_sizes=(6,)).fit(X, y)
    before = snapshot(model)
    with pytest.raises((ValueError, TypeError), match=message):
        model.fit(X, y, **given)
    assert_equal_state(snapshot(model), before)


# partial_fit


def test_partial_fit_needs_classes_at_first():
    X, y = data.iris()
    model = small(BPClassifier)
    with pytest.raises(ValueError, match="classes must be passed on the first call to partial_fit"):
        model.partial_fit(X, y)
    assert not hasattr(model, "classes_")


def bad_classes():
    X, y = data.iris()
    X, y = X[:10], y[:10]
    yield "an unknown label", lambda model: model.partial_fit(X, np.full(10, 7)), r"classes|label"
    yield "an unknown word", lambda model: model.partial_fit(X, np.full(10, "a")), r"(?i)classes|label|type"
    yield "other classes", lambda model: model.partial_fit(X, y, classes=[0, 1, 5]), "classes"
    yield "more classes", lambda model: model.partial_fit(X, y, classes=[0, 1, 2, 3]), "classes"
    yield "fewer columns", lambda model: model.partial_fit(X[:, :3], y), "3 features"
    yield "multilabel now", lambda model: model.partial_fit(X, np.eye(3, dtype=int)[y]), "(?i)y|label|classes"


@pytest.mark.parametrize(("call", "message"), [pytest.param(c, m, id=name) for name, c, m in bad_classes()])
def test_partial_fit_classes(call, message):
    X, y = data.iris()
    model, twin = (small(BPClassifier).partial_fit(X, y, classes=[0, 1, 2]) for _ in range(2))
    before = snapshot(model)
    with pytest.raises(ValueError, match=message):
        call(model)
    assert_equal_state(snapshot(model), before)
    assert_same_bits(model.partial_fit(X, y), twin.partial_fit(X, y))


def test_partial_fit_with_another_number_of_outputs():
    X, Y = data.multi_output()
    model = small(BPRegressor).partial_fit(X, Y)
    before = snapshot(model)
    with pytest.raises(ValueError, match=r"y|output"):
        model.partial_fit(X, Y[:, :2])
    with pytest.raises(ValueError, match=r"y|output"):
        model.partial_fit(X, Y[:, 0])
    assert_equal_state(snapshot(model), before)


def test_first_partial_fit_with_labels_outside_of_classes():
    X, y = data.iris()
    model = small(BPClassifier)
    with pytest.raises(ValueError, match=r"classes"):
        model.partial_fit(X, y, classes=[0, 1])
    assert not hasattr(model, "coefs_")


# warm_start


def test_warm_start_with_other_classes():
    X, y = data.iris()
    model = small(BPClassifier, warm_start=True).fit(X, y)
    before = snapshot(model)
    with pytest.raises(ValueError, match="warm_start can only be used where `y` has the same classes"):
        model.fit(X, np.minimum(y, 1))
    assert_equal_state(snapshot(model), before)


def test_warm_start_with_other_columns():
    X, y = data.iris()
    model = small(BPClassifier, warm_start=True).fit(X, y)
    before = snapshot(model)
    with pytest.raises(ValueError, match="3 features"):
        model.fit(X[:, :3], y)
    assert_equal_state(snapshot(model), before)


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_continuing_with_other_layers(method):
    """scikit-learn fails somewhere in the middle of a product of matrices."""
    X, y = data.iris()
    model = small(BPClassifier, warm_start=True).fit(X, y)
    model.set_params(hidden_layer_sizes=(9,))
    before = snapshot(model)
    with pytest.raises(ValueError, match=r"coefs_|hidden_layer_sizes"):
        getattr(model, method)(X, y)
    assert_equal_state(snapshot(model), before)


# Use of a model

USES = [
    "predict",
    "predict_proba",
    "predict_log_proba",
    "transform",
    "activations",
    "score",
    "loss_and_gradients",
]


def use(model, method, X, y):
    arguments = (X, y) if method in ("score", "loss_and_gradients") else (X,)
    return getattr(model, method)(*arguments)


@pytest.mark.parametrize("method", USES)
def test_unfitted(method):
    X, y = data.iris()
    model = BPClassifier()
    # "auto" always gives probabilities, so that they need not be hidden before the fit.
    with pytest.raises(NotFittedError, match="not fitted yet"):
        use(model, method, X, y)


BAD_X = {
    "too few columns": (lambda X: X[:, :3], "3 features"),
    "NaN": (lambda X: with_value(X, np.nan), "contains NaN"),
    "infinity": (lambda X: with_value(X, np.inf), "contains infinity"),
    "one dimension": (lambda X: X[0], "(?i)expected 2D array"),
    "no rows": (lambda X: X[:0], r"0 sample\(s\)"),
    "complex": (lambda X: X + 1j, "(?i)complex data not supported"),
    "sparse with too few columns": (lambda X: sparse.csr_array(X[:, :3]), "3 features"),
}


@pytest.mark.parametrize("bad", BAD_X)
@pytest.mark.parametrize("method", USES)
def test_use_on_bad_input(method, bad):
    X, y = data.iris()
    change, message = BAD_X[bad]
    model = small(BPClassifier).fit(X, y)
    X_bad = change(X)
    with pytest.raises((ValueError, TypeError), match=message):
        use(model, method, X_bad, y[: X_bad.shape[0]] if X_bad.ndim == 2 else y)


def test_gradients_of_unknown_labels():
    X, y = data.iris()
    model = small(BPClassifier).fit(X, y)
    with pytest.raises(ValueError, match=r"(?i)classes|label"):
        model.loss_and_gradients(X, y + 1)


def test_gradients_of_bad_weights():
    X, y = data.iris()
    model = small(BPClassifier).fit(X, y)
    for weight in (np.zeros(len(y)), np.full(len(y), -1.0), np.ones(3)):
        with pytest.raises(ValueError, match=r"(?i)sample.?weight"):
            model.loss_and_gradients(X, y, weight)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda model: setattr(model, "coefs_", model.coefs_[:1]),
        lambda model: setattr(model, "coefs_", [model.coefs_[0].T, model.coefs_[1]]),
        lambda model: setattr(model, "coefs_", [model.coefs_[0][:, :2], model.coefs_[1]]),
        lambda model: setattr(model, "intercepts_", [model.intercepts_[0], model.intercepts_[1][:1]]),
    ],
    ids=["a layer missing", "transposed", "narrower", "intercept too short"],
)
@pytest.mark.parametrize("method", ["predict", "partial_fit", "loss_and_gradients"])
def test_assigned_weights_of_wrong_shapes(method, spoil):
    """Compiled code must never see them."""
    X, y = data.iris()
    model = small(BPClassifier, hidden_layer_sizes=(5,)).fit(X, y)
    spoil(model)
    with pytest.raises(ValueError, match=r"coefs_|intercepts_"):
        getattr(model, method)(*([X] if method == "predict" else [X, y]))


# What only looks bad


@pytest.mark.parametrize("early_stopping", [False, True])
def test_one_class_is_learnt_and_predicted(early_stopping):
    """As in scikit-learn: a fold of a search may hold one class only."""
    X, _ = data.iris()
    y = np.full(len(X), "only")
    model = small(BPClassifier, early_stopping=early_stopping).fit(X, y)
    assert_array_equal(model.classes_, ["only"])
    assert_array_equal(model.predict(X), y)


@pytest.mark.parametrize("Estimator", [BPClassifier, BPRegressor])
def test_a_single_row(Estimator):
    model = small(Estimator, batch_size="auto").fit([[1.0, 2.0]], [1])
    assert model.predict([[1.0, 2.0]]).shape == (1,)


@pytest.mark.parametrize("Estimator", [BPClassifier, BPRegressor])
def test_column_vector_warns(Estimator):
    """At the user's line."""
    from sklearn.exceptions import DataConversionWarning

    X, y = data.iris()
    with pytest.warns(DataConversionWarning, match="column-vector") as caught:
        model = small(Estimator).fit(X, y[:, None])
    assert {warning.filename for warning in caught} == {__file__}
    assert_same_bits(model, small(Estimator).fit(X, y))


@pytest.mark.parametrize("value", [1, 1.0, np.float32(1), np.int64(1)])
def test_any_kind_of_number_is_a_number(value):
    X, y = data.iris()
    expected = small(BPClassifier, alpha=1.0, learning_rate_init=1.0, tol=1.0, l2=1.0).fit(X, y)
    given = small(BPClassifier, alpha=value, learning_rate_init=value, tol=value, l2=value).fit(X, y)
    assert_same_bits(given, expected)
