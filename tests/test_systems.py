"""The textbook systems that fastbp must subsume, each as its book has it."""

import data
import numpy as np
import pytest
from helpers import EVERY_EPOCH
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.linear_model import LinearRegression, LogisticRegression, PoissonRegressor, Ridge
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import LabelBinarizer, MinMaxScaler
from tolerances import CLOSED_FORM, SAME_OPTIMUM

from fastbp import BPClassifier, BPRegressor


@pytest.mark.parametrize("seed", range(5))
def test_s1_three_layer_numpy_network(seed):
    """Sigmoids without biases, sum of squared errors, full-batch gradient descent.

    The book adds up the four rows where F is their mean, so its learning rate of 1 is 4 here.
    """
    X = [[0, 0, 1], [0, 1, 1], [1, 0, 1], [1, 1, 1]]
    y = [0, 1, 1, 0]
    rng = np.random.RandomState(seed)
    model = BPRegressor(
        (4,),
        activation="logistic",
        out_activation="logistic",
        loss="sum_squared_error",
        fit_intercept=False,
        solver="sgd",
        momentum=0.0,
        learning_rate_init=4.0,
        batch_size=4,
        alpha=0.0,
        max_iter=1500,
        shuffle=False,
        **EVERY_EPOCH,
    )
    model.fit(X, y, coefs_init=[rng.uniform(size=(3, 4)), rng.uniform(size=(4, 1))])
    assert len(model.loss_curve_) == 1500
    assert np.diff(model.loss_curve_).max() <= 0
    assert_allclose(model.predict(X), y, rtol=0, atol=0.05)


@pytest.mark.parametrize("seed", range(3))
def test_s2_hours_of_study_and_sleep(seed):
    """The flexible 2-3-1 network: N(0, 1) weights, mean squared error, scores as parts of 100."""
    X = np.array([[2.0, 9.0], [1.0, 5.0], [3.0, 6.0]])
    y = np.array([92.0, 86.0, 89.0]) / 100
    largest = X.max(axis=0)
    model = BPRegressor(
        (3,),
        activation="logistic",
        out_activation="logistic",
        loss="mean_squared_error",
        fit_intercept=False,
        init="normal",
        solver="sgd",
        momentum=0.0,
        learning_rate_init=0.5,
        batch_size=3,
        alpha=0.0,
        max_iter=1200,
        random_state=seed,
        **EVERY_EPOCH,
    )
    model.fit(X / largest, y)
    assert [c.shape for c in model.coefs_] == [(2, 3), (3, 1)]
    assert len(model.loss_curve_) == 1200
    assert np.diff(model.loss_curve_).max() <= 0
    assert model.loss_curve_[-1] < 0.5 * model.loss_curve_[0]
    (score,) = model.predict(np.array([[4.0, 8.0]]) / largest)
    assert 0.5 < score < 1


def test_s3_building_blocks():
    """One layer forward, the sigmoid, both losses and the chain rule; test_inspection.py has the rest."""
    x = np.array([[1.0, 2.0, 3.0, 4.0, 5.0]])
    W = np.array([[0.1], [0.2], [0.3], [0.4], [0.5]])
    linear = BPRegressor((), loss="sum_squared_error", fit_intercept=False, alpha=0.0, max_iter=1).fit(
        x, [5.0]
    )
    linear.coefs_ = [W]
    assert_allclose(linear.predict(x), [5.5], **CLOSED_FORM)  # (1, 5) · (5, 1)
    result = linear.loss_and_gradients(x, [5.0])
    assert_allclose(result.loss, 0.25, **CLOSED_FORM)  # (5.5 - 5)²
    assert_allclose(result.coefs[0], 2 * 0.5 * x.T, **CLOSED_FORM)

    sigmoid = BPClassifier((), fit_intercept=False, alpha=0.0, max_iter=1).fit(np.r_[x, -x], [0, 1])
    sigmoid.coefs_ = [np.zeros((5, 1))]
    assert_array_equal(sigmoid.predict_proba(x), [[0.5, 0.5]])
    result = sigmoid.loss_and_gradients(x, [1])
    assert_allclose(result.loss, np.log(2), **CLOSED_FORM)
    assert_allclose(result.coefs[0], (0.5 - 1) * x.T, **CLOSED_FORM)
    with pytest.raises(ValueError, match="4 features"):
        linear.predict(x[:, :4])
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        linear.loss_and_gradients(x, [5.0, 5.0])


@pytest.mark.parametrize("batch_size", [1, 8, 32, 256, 300])
def test_s4_online_mini_batch_and_full_batch(batch_size):
    """300 rows: batches of 8, 32 and 256 leave 4, 12 and 44 rows for the last one."""
    X, y = data.digits()
    X, y = X[:300], y[:300]
    epochs = {1: 3, 8: 6, 32: 15, 256: 60, 300: 90}[batch_size]
    model = BPClassifier(
        (16,),
        solver="sgd",
        learning_rate_init=0.05 if batch_size > 1 else 0.01,
        batch_size=batch_size,
        max_iter=epochs,
        random_state=0,
        **EVERY_EPOCH,
    )
    model.fit(X, y)
    assert model.loss_curve_[-1] < 0.5 * model.loss_curve_[0]
    assert model.score(X, y) > 0.85


# A step so short that it is lost in rounding.
NO_TRAINING = {"solver": "sgd", "learning_rate_init": 1e-300, "max_iter": 1, "alpha": 0.0, "random_state": 0}


@pytest.mark.parametrize("n_classes", [2, 3, 10])
def test_s5_loss_at_initialisation(n_classes):
    """-log(1 / n_classes) for a zero output layer, whatever comes before it."""
    X, y = data.digits()
    X, y = X[y < n_classes], y[y < n_classes]
    for dtype in (np.float32, np.float64):
        model = BPClassifier((30, 20), out_init="zeros", batch_size=len(X), **NO_TRAINING)
        model.fit(X.astype(dtype), y)
        assert_allclose(model.loss_curve_[0], -np.log(1 / n_classes), rtol=1e-6)


def test_s5_output_bias():
    """10 % positives: p = 0.1 before training; of a regression the mean of the targets."""
    X, y = data.digits()
    positive = np.arange(len(X[:1000])) % 10 == 0
    params = {"out_init": "zeros", "out_bias": "data", **NO_TRAINING}
    model = BPClassifier((30,), **params).fit(X[:1000], positive)
    assert_allclose(model.predict_proba(X)[:, 1], 0.1, **CLOSED_FORM)
    assert_allclose(model.intercepts_[-1], np.log(0.1 / 0.9), **CLOSED_FORM)
    counts = y + 100.0
    mean = BPRegressor((30,), **params).fit(X, counts)
    assert_allclose(mean.predict(X), counts.mean(), **CLOSED_FORM)


def test_s5_output_bias_saves_the_first_epochs():
    """The hockey stick: the loss no longer falls at first merely because the mean is learnt."""
    X, y = data.regression()
    params = {"hidden_layer_sizes": (20,), "batch_size": 20, "max_iter": 10, "random_state": 0}
    plain = BPRegressor(**params).fit(X, y + 10)
    biased = BPRegressor(**params, out_bias="data").fit(X, y + 10)
    assert plain.loss_curve_[0] > 20
    assert biased.loss_curve_[0] < 3
    assert biased.loss_ < plain.loss_


def test_s5_a_seed_gives_the_same_result_twice():
    X, y = data.digits()
    first, second = (BPClassifier((20,), max_iter=3, random_state=1).fit(X, y) for _ in range(2))
    assert first.loss_curve_ == second.loss_curve_
    for a, b in zip([*first.coefs_, *first.intercepts_], [*second.coefs_, *second.intercepts_], strict=True):
        assert_array_equal(a, b)


def test_s5_a_baseline_that_sees_nothing():
    """With inputs of zeros a network learns how frequent the classes are, and nothing more."""
    X, y = data.digits()
    X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
    params = {"hidden_layer_sizes": (30,), "max_iter": 60, "alpha": 0.0, "learning_rate_init": 0.01}
    params["random_state"] = 0
    blind = BPClassifier(**params).fit(0 * X_train, y_train)
    shares = np.bincount(y_train) / len(y_train)
    entropy = -(shares * np.log(shares)).sum()
    assert_allclose(blind.predict_proba(0 * X_test[:1])[0], shares, atol=0.02)
    assert_allclose(blind.loss_, entropy, rtol=0.01)
    seeing = BPClassifier(**params).fit(X_train, y_train)
    assert seeing.loss_ < 0.1 * blind.loss_
    assert seeing.score(X_test, y_test) > 0.95 > 0.2 > blind.score(0 * X_test, y_test)


@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
def test_s5_overfits_one_batch(solver):
    """32 rows, their labels drawn at random: a network of enough units learns them by heart."""
    X, _ = data.digits()
    X, y = X[:32], np.random.RandomState(0).randint(0, 10, 32)
    model = BPClassifier((100,), solver=solver, alpha=0.0, batch_size=32, max_iter=1000, random_state=0)
    model.set_params(learning_rate_init=0.1 if solver == "sgd" else 0.01)
    if solver != "lbfgs":
        model.set_params(**EVERY_EPOCH)
    model.fit(X, y)
    assert model.loss_ < 0.01
    assert model.score(X, y) == 1
    assert_array_equal(model.predict_proba(X).argmax(axis=1), y)


def test_s5_overfits_one_batch_of_a_regression():
    X, y = data.regression()
    model = BPRegressor((100,), alpha=0.0, learning_rate_init=0.01, max_iter=2000, batch_size=20)
    model.set_params(random_state=0, **EVERY_EPOCH).fit(X[:20], y[:20])
    assert model.loss_ < 1e-4
    assert_allclose(model.predict(X[:20]), y[:20], atol=0.05)


LBFGS = {"solver": "lbfgs", "tol": 1e-9, "max_iter": 5000, "max_fun": 50_000}


@pytest.mark.parametrize("C", [0.1, 1.0, 10.0])
def test_s7_no_hidden_layer_is_binary_logistic_regression(C):
    X, y = data.binary()
    theirs = LogisticRegression(C=C, tol=1e-9, max_iter=5000).fit(X, y)
    ours = BPClassifier((), alpha=1 / C, **LBFGS).fit(X, y)
    assert ours.out_activation_ == "logistic"
    assert_allclose(ours.coefs_[0].ravel(), theirs.coef_.ravel(), **SAME_OPTIMUM)
    assert_allclose(ours.intercepts_[0], theirs.intercept_, **SAME_OPTIMUM)
    assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), **SAME_OPTIMUM)


def test_s7_no_hidden_layer_is_multinomial_logistic_regression():
    X, y = data.iris()
    theirs = LogisticRegression(C=1.0, tol=1e-9, max_iter=5000).fit(X, y)
    for strength in ({"alpha": 1.0}, {"alpha": 0.0, "l2": 1.0 / len(X)}):
        ours = BPClassifier((), **strength, **LBFGS).fit(X, y)
        assert ours.out_activation_ == "softmax"
        assert_allclose(ours.coefs_[0], theirs.coef_.T, **SAME_OPTIMUM)
        # The same number added to every intercept changes nothing, and nothing penalises it.
        assert_allclose(
            ours.intercepts_[0] - ours.intercepts_[0].mean(),
            theirs.intercept_ - theirs.intercept_.mean(),
            **SAME_OPTIMUM,
        )


def test_s7_logistic_regression_by_mini_batches():
    """The stochastic solver comes to the same place."""
    X, y = data.binary()
    theirs = LogisticRegression(C=1.0, tol=1e-9, max_iter=5000).fit(X, y)
    ours = BPClassifier(
        (), alpha=0.0, l2=1.0 / len(X), solver="sgd", learning_rate="invscaling", batch_size=10
    )
    ours.set_params(learning_rate_init=2.0, power_t=0.5, max_iter=1000, random_state=0, **EVERY_EPOCH).fit(
        X, y
    )
    assert_allclose(ours.coefs_[0].ravel(), theirs.coef_.ravel(), rtol=0.05, atol=0.02)


def test_s7_a_linear_output_layer_is_ridge_regression():
    X, y = data.regression()
    theirs = Ridge(alpha=3.0).fit(X, y)
    ours = BPRegressor((), alpha=3.0, **LBFGS).fit(X, y)
    assert_allclose(ours.coefs_[0].ravel(), theirs.coef_, **SAME_OPTIMUM)
    assert_allclose(ours.intercepts_[0], theirs.intercept_, **SAME_OPTIMUM)


def test_s7_an_exponential_output_layer_is_poisson_regression():
    X, y = data.counts()
    theirs = PoissonRegressor(alpha=0.1, tol=1e-9, max_iter=5000).fit(X, y)
    ours = BPRegressor((), loss="poisson", alpha=0.0, l2=0.1, **LBFGS).fit(X, y)
    assert_allclose(ours.coefs_[0].ravel(), theirs.coef_, **SAME_OPTIMUM)
    assert_allclose(ours.intercepts_[0], theirs.intercept_, **SAME_OPTIMUM)
    assert_allclose(ours.predict(X), theirs.predict(X), **SAME_OPTIMUM)


def test_s7_one_hot_targets():
    """A linear output layer with squared error is least squares on one-hot targets."""
    X, y = data.iris()
    onehot = LabelBinarizer().fit_transform(y)
    theirs = LinearRegression().fit(X, onehot)
    ours = BPClassifier((), loss="squared_error", out_activation="identity", alpha=0.0, **LBFGS).fit(X, y)
    assert_allclose(ours.coefs_[0], theirs.coef_.T, **SAME_OPTIMUM)
    assert_allclose(ours.activations(X)[-1], theirs.predict(X), **SAME_OPTIMUM)
    assert_array_equal(ours.predict(X), theirs.predict(X).argmax(axis=1))


@pytest.mark.parametrize("activation", ["logistic", "tanh", "relu", "maxout"])
def test_s7_each_kind_of_neuron_solves_xor(activation):
    """Which no network without a hidden layer can."""
    X, y = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]), np.array([0, 1, 1, 0])
    model = BPClassifier(
        (8,), activation=activation, learning_rate_init=0.05, max_iter=1000, alpha=0.0, random_state=0
    )
    model.set_params(**EVERY_EPOCH).fit(X, y)
    assert_array_equal(model.predict(X), y)
    assert model.loss_ < 0.05
    assert BPClassifier((), max_iter=200, alpha=0.0, random_state=0).fit(X, y).score(X, y) < 1


def test_s7_a_maxout_unit_is_the_largest_of_two_straight_lines():
    """|x| = max(x, -x), which training does not leave."""
    X = np.linspace(-1, 1, 201)[:, None]
    model = BPRegressor((1,), activation="maxout", alpha=0.0, **LBFGS)
    start = {"coefs_init": [[[1.0, -1.0]], [[1.0]]], "intercepts_init": [[0.0, 0.0], [0.0]]}
    model.fit(X, np.abs(X[:, 0]), **start)
    assert_array_equal(model.coefs_[0], [[1, -1]])
    assert_array_equal(model.predict(X), np.abs(X[:, 0]))


@pytest.mark.parametrize("pieces", [2, 4, 8])
def test_s7_a_maxout_unit_comes_close_to_a_convex_function(pieces):
    """Goodfellow et al. 2013, figure 1: k tangents of x² are within 1/k² of it, and training betters them."""
    X = np.linspace(-1, 1, 801)[:, None]
    y = X[:, 0] ** 2
    centres = -1 + (2 * np.arange(pieces) + 1) / pieces
    coefs, intercepts = [2 * centres[None, :], np.ones((1, 1))], [-(centres**2), np.zeros(1)]
    model = BPRegressor((1,), activation="maxout", maxout_pieces=pieces, alpha=0.0, **LBFGS)
    model.fit(X, y, coefs_init=coefs, intercepts_init=intercepts)
    # On a tangent the mean of (y - f)² / 2 is 1 / (10 k⁴), and 4 / (90 k⁴) where it is shifted to the middle.
    assert model.loss_ < 1.1 * 4 / 90 / pieces**4
    model.coefs_, model.intercepts_ = coefs, intercepts
    below = y - model.predict(X)
    assert_allclose([below.min(), below.max()], [0, pieces**-2], atol=1e-12)


def test_s9_handwritten_digits_from_their_pixels():
    X, y = data.digits()
    X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0, stratify=y)
    model = make_pipeline(MinMaxScaler(), BPClassifier((64,), batch_size=32, max_iter=40, random_state=0))
    assert model.fit(X_train, y_train).score(X_test, y_test) >= 0.97


def test_s9_in_a_search():
    """Pipelines and searches, the way in which most digits are read."""
    X, y = data.digits()
    X, y = X[:400], y[:400]
    pipeline = make_pipeline(MinMaxScaler(), BPClassifier(batch_size=32, max_iter=15, random_state=0))
    grid = {"bpclassifier__hidden_layer_sizes": [(), (30,)], "bpclassifier__learning_rate_init": [1e-5, 1e-2]}
    search = GridSearchCV(pipeline, grid, cv=3).fit(X, y)
    assert search.best_params_["bpclassifier__learning_rate_init"] == 1e-2
    assert search.best_score_ > 0.85


@pytest.mark.parametrize("seed", range(2))
def test_s6_residual_connections_make_deep_networks_train(seed):
    """152 layers of weights: the plain network stays at chance, the same with residual connections learns."""
    X, y = data.digits()
    params = {"hidden_layer_sizes": (32,) * 151, "activation": "tanh", "max_iter": 20, "clip_norm": 1.0}
    params |= {"batch_size": 64, "learning_rate_init": 3e-3, "random_state": seed, **EVERY_EPOCH}
    plain = BPClassifier(**params).fit(X, y)
    residual = BPClassifier(**params, residual=True).fit(X, y)
    assert plain.score(X, y) < 0.2
    assert residual.score(X, y) > 0.9
