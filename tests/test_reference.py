"""Invariant: the compiled engine equals the naive one, after one batch and after ten steps."""

import itertools

import numpy as np
import pytest
import reference
from combinations import (
    FACTORS,
    FULL_BATCH,
    REGULARISATIONS,
    Combination,
    agree,
    covering,
    make_data,
    make_network,
    make_training,
)
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from tolerances import ONE_STEP, TEN_STEPS

from fastbp.engines.cpu import engine
from fastbp.engines.dataset import Dataset
from fastbp.functions.activations import ACTIVATIONS
from fastbp.functions.noise import NOISES
from fastbp.functions.schedules import RATE_SCHEDULES
from fastbp.plan.network import Kind
from fastbp.plan.training import AVERAGES

DTYPES = [np.float32, np.float64]
ids = ["float32", "float64"]
PAIRS = covering(FACTORS)
SCHEDULES = {
    "constant": {},
    "cosine": {"end": 0.1},
    "one_cycle": {"peak": 0.4},
    "linear": {},
    "step": {"epochs": 2, "decay": 0.5},
    "exponential": {"decay": 0.7},
    "inverse": {"decay": 2.0, "power": 0.8},
    "restarts": {"epochs": 1, "growth": 1.5},
    "coslog": {"waves": 2},
}


def weights_of(network, trainer):
    return *network.unpack(trainer.parameters), network.rows(trainer.parameters)


def assert_same_training(network, training, n, weight=None, n_jobs=1, container=np.asarray):
    X, targets, start = make_data(network, n)
    with (
        engine.Trainer(
            network, training, Dataset(container(X), targets, weight), start, n_jobs=n_jobs
        ) as fast,
        reference.Trainer(network, training, Dataset(X, targets, weight), start) as slow,
    ):
        for steps, tolerance in ((1, ONE_STEP), (9, TEN_STEPS)):
            assert fast.train(steps) == slow.train(steps) == steps
            for a, b in zip(weights_of(network, fast), weights_of(network, slow), strict=True):
                for x, y in zip(a, b, strict=True):
                    assert_allclose(x, y, **tolerance[network.dtype.name])
        assert_allclose(fast.loss_curve, slow.loss_curve, **TEN_STEPS[network.dtype.name])
        assert fast.loss_curve or fast.n_steps_per_epoch > 10
        moved = max(
            np.abs(c - d).max()
            for c, d in zip(*(network.unpack(p)[0] for p in (slow.parameters, start)), strict=True)
        )
        assert moved > 1e-4


@pytest.mark.parametrize("combination", PAIRS, ids="-".join)
def test_all_pairs_of_functions(combination):
    """Of activation, loss, solver, regularisation, dtype and container; bench/product.py has the product."""
    for case, outcome in agree(combination).items():
        assert outcome.error <= 1, (case, outcome)


def test_the_pairs_are_all_there():
    for first, second in itertools.combinations(FACTORS, 2):
        met = {(getattr(row, first), getattr(row, second)) for row in PAIRS}
        assert met == set(itertools.product(FACTORS[first], FACTORS[second]))


def test_every_regularisation_is_one():
    """Each changes what is learnt, and the registered noises and averages are all among them."""
    rows = {name: Combination("tanh", "squared_error", "momentum", name) for name in REGULARISATIONS}
    ends = {}
    for name, row in rows.items():
        network, training = row.network(np.float64), row.training()
        *data, start = row.data(np.float64, seed=0)
        with reference.Trainer(network, training, Dataset(*data), start) as trainer:
            trainer.train(10)
            ends[name] = network.unpack(trainer.result if training.averages else trainer.parameters)[0][1]
    for name, other in itertools.combinations(ends, 2):
        assert np.abs(ends[name] - ends[other]).max() > 1e-4, (name, other)
    noises = {op.code for row in rows.values() for op in row.network(np.float64).ops if op.kind == Kind.NOISE}
    assert noises == set(range(len(NOISES)))
    assert {more.get("average") for more in REGULARISATIONS.values()} == {None, *AVERAGES}


@pytest.mark.parametrize("n_jobs", [1, 2])
@pytest.mark.parametrize("dtype", DTYPES, ids=ids)
@pytest.mark.parametrize("batch", [1, 2, 3, 7, 10, 11, 16, 17, 33, 70])
def test_every_size_of_batch(batch, dtype, n_jobs):
    """Few rows are computed along the outputs, many along the rows."""
    network = make_network(np.dtype(dtype), widths=(41, 70, 33, 7))
    assert_same_training(network, make_training(batch_size=batch), n=8 * batch + batch // 2, n_jobs=n_jobs)


@pytest.mark.parametrize("dtype", DTYPES, ids=ids)
@pytest.mark.parametrize("batch", [3, 40])
def test_weights_in_several_blocks(batch, dtype):
    network = make_network(np.dtype(dtype), widths=(700, 350, 21))
    assert_same_training(network, make_training(batch_size=batch), n=5 * batch, n_jobs=2)


@pytest.mark.parametrize("dtype", DTYPES, ids=ids)
@pytest.mark.parametrize("batch", [3, 40])
@pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_sample_weights_and_containers(fit_intercept, container, batch, dtype):
    network = make_network(np.dtype(dtype), fit_intercept=fit_intercept)
    weight = np.random.RandomState(1).randint(0, 3, size=5 * batch).astype(dtype)
    assert_same_training(network, make_training(batch_size=batch), 5 * batch, weight, container=container)


@pytest.mark.parametrize("dtype", DTYPES, ids=ids)
@pytest.mark.parametrize("batch", [3, 40])
@pytest.mark.parametrize("learning_rate", ["constant", "invscaling", "adaptive"])
def test_schedules(learning_rate, batch, dtype):
    network = make_network(np.dtype(dtype))
    training = make_training(batch_size=batch, learning_rate=learning_rate, tol=10.0, n_iter_no_change=2)
    assert_same_training(network, make_training(batch_size=batch, learning_rate=learning_rate), n=2 * batch)
    X, targets, start = make_data(network, 2 * batch)
    with (
        engine.Trainer(network, training, Dataset(X, targets), start) as fast,
        reference.Trainer(network, training, Dataset(X, targets), start) as slow,
    ):
        # A tolerance that no epoch meets: the rule stops, or lowers the rate until it stops.
        assert fast.train(10_000) == slow.train(10_000) < 10_000
        assert fast.status == slow.status == "converged"
        assert_allclose(fast.learning_rate, slow.learning_rate, rtol=1e-12)


@pytest.mark.parametrize("dtype", DTYPES, ids=ids)
@pytest.mark.parametrize("batch", [3, 16, 33, 70])
@pytest.mark.parametrize("n_jobs", [1, 2])
@pytest.mark.parametrize(
    "more",
    [
        {"dropout": 0.3},
        {"dropout": [0.5, 0.0, 0.2]},
        {"input_dropout": 0.2},
        {"input_noise": 0.3},
        {"residual": True},
        {"residual": True, "dropout": 0.3, "input_dropout": 0.1, "input_noise": 0.2, "activation": "gelu"},
    ],
    ids=str,
)
def test_noise_and_residual_connections(more, n_jobs, batch, dtype):
    network = make_network(np.dtype(dtype), **{"widths": (6, 20, 20, 20), **more})
    assert_same_training(network, make_training(batch_size=batch), n=5 * batch, n_jobs=n_jobs)


@pytest.mark.parametrize("dtype", DTYPES, ids=ids)
@pytest.mark.parametrize("batch", [3, 16, 33, 70])
@pytest.mark.parametrize("n_jobs", [1, 2])
@pytest.mark.parametrize(
    "more",
    [
        {"robust_inputs": True},
        {"input_scales": True},
        {"blend": True, "activation": ["relu", "gelu", "tanh"]},
        {"rate_factors": (2.0, 0.5, 1.0, 0.0)},
        {"blend": True, "rate_factors": (1.0, 0.1, 6.0, 0.5), "residual": True, "dropout": 0.2}
        | {"robust_inputs": True, "input_scales": True, "activation": "mish"},
    ],
    ids=str,
)
def test_parameters_of_features(more, n_jobs, batch, dtype):
    network = make_network(np.dtype(dtype), **{"widths": (6, 20, 20, 20), **more})
    training = make_training(batch_size=batch, weight_decay=0.1, clip_norm=1.0, max_norm=2.0)
    assert_same_training(network, training, n=5 * batch, n_jobs=n_jobs)


# Of few rows the variance may nearly vanish, and rounding then decides.
@pytest.mark.parametrize(("batch", "dtype"), [(7, np.float64), *itertools.product((17, 33, 70), DTYPES)])
@pytest.mark.parametrize("n_jobs", [1, 3])
@pytest.mark.parametrize(
    "more",
    [
        {},
        {"activation": "gelu", "fit_intercept": False},
        {"activation": "mish", "residual": True, "dropout": 0.2, "input_scales": True, "blend": True},
    ],
    ids=str,
)
@pytest.mark.parametrize("norm", ["batch", "layer"])
def test_normalisation(norm, more, n_jobs, batch, dtype):
    network = make_network(np.dtype(dtype), **{"widths": (6, 20, 37, 20), "norm": norm, **more})
    assert_same_training(
        network, make_training(batch_size=batch), n=4 * batch + batch // 2 + 1, n_jobs=n_jobs
    )


@pytest.mark.parametrize("dtype", DTYPES, ids=ids)
@pytest.mark.parametrize("batch", [20, 40])
@pytest.mark.parametrize("norm", ["batch", "layer"])
def test_normalisation_with_weights(norm, batch, dtype):
    """Some rows, and one whole batch, without weight."""
    network = make_network(np.dtype(dtype), norm=norm)
    weight = np.random.RandomState(1).randint(0, 3, size=5 * batch).astype(dtype)
    weight[2 * batch : 3 * batch] = 0
    training = make_training(batch_size=batch, shuffle=False, solver="adam", clip_norm=1.0, average="ema")
    assert_same_training(network, training, n=5 * batch, weight=weight)


@pytest.mark.parametrize("dtype", DTYPES, ids=ids)
@pytest.mark.parametrize("activation", [entry.name for entry in ACTIVATIONS if entry.hidden])
def test_every_blend(activation, dtype):
    network = make_network(np.dtype(dtype), activation=activation, blend=True)
    assert_same_training(network, make_training(solver="adam"), n=75)


@pytest.mark.parametrize("dtype", DTYPES, ids=ids)
@pytest.mark.parametrize("batch", [1, 3, 16, 33, 70])
@pytest.mark.parametrize("n_jobs", [1, 2])
@pytest.mark.parametrize(
    "more",
    [
        {"maxout_pieces": 2, "widths": (6, 9, 5)},
        {"maxout_pieces": 3, "widths": (41, 70, 33, 7)},
        {"maxout_pieces": 17, "widths": (5, 1, 4)},
        {"maxout_pieces": 2, "fit_intercept": False},
        {"maxout_pieces": 3, "residual": True, "dropout": 0.3, "input_noise": 0.2},
        {"maxout_pieces": 4, "residual": True, "dropout": 0.3, "activation": ["maxout", "gelu", "maxout"]},
        {"maxout_pieces": 3, "norm": "layer", "input_scales": True},
    ],
    ids=str,
)
def test_maxout(more, n_jobs, batch, dtype):
    network = make_network(np.dtype(dtype), **{"widths": (6, 20, 20, 20), "activation": "maxout", **more})
    assert max(network.pieces) == more["maxout_pieces"]
    assert_same_training(network, make_training(batch_size=batch), n=5 * batch, n_jobs=n_jobs)


@pytest.mark.parametrize("dtype", DTYPES, ids=ids)
@pytest.mark.parametrize("n", [1, 5, 40])
def test_tied_pieces(n, dtype):
    """Of equal pieces the first is the one that learns; of three, two of which are always the largest."""
    network = make_network(np.dtype(dtype), activation="maxout", maxout_pieces=3)
    X, targets, start = make_data(network, n)
    coefs, intercepts = network.unpack(start)
    for coef, intercept, k in zip(coefs, intercepts, network.pieces, strict=True):
        if k == 3:
            coef[:, 1::3], intercept[1::3] = coef[:, 2::3], intercept[2::3]
            coef[:, 0::3], intercept[0::3] = coef[:, 2::3], intercept[2::3] - 1
    start = network.pack(coefs, intercepts)
    fast = engine.loss_and_gradient(network, start, Dataset(X, targets), 0.0, 0.0)
    slow = reference.loss_and_gradient(network, start, Dataset(X, targets), 0.0, 0.0)
    for a, b in zip(fast, slow, strict=True):
        assert_allclose(a, b, **ONE_STEP[network.dtype.name])
    for gradient, k in zip(network.unpack(fast[1])[0], network.pieces, strict=True):
        if k == 3:
            assert gradient[:, 1::3].any()
            assert not gradient[:, 0::3].any()
            assert not gradient[:, 2::3].any()


@pytest.mark.parametrize("dtype", DTYPES, ids=ids)
@pytest.mark.parametrize("n", [1, 5, 40])
def test_maxout_of_few_rows_and_many(n, dtype):
    """Predictions of few rows read the weights as plain matrices, others as column panels: the same bits."""
    network = make_network(np.dtype(dtype), activation="maxout", maxout_pieces=3, widths=(6, 19, 7))
    X, _, start = make_data(network, n)
    many = np.resize(X, (engine.FEW_ROWS + n, X.shape[1]))
    for layer in (1, 2, "logits", None):
        plain = engine.forward(network, start, X, layer)
        assert_array_equal(engine.forward(network, start, many, layer)[:n], plain)
        expected = reference.forward(network, start, X, layer)
        assert plain.shape == expected.shape
        assert_allclose(plain, expected, **ONE_STEP[network.dtype.name])


@pytest.mark.parametrize("dtype", DTYPES, ids=ids)
def test_no_noise_in_predictions_and_full_gradients(dtype):
    quiet = make_network(np.dtype(dtype))
    noisy = make_network(np.dtype(dtype), dropout=0.5, input_noise=1.0, input_dropout=0.5)
    X, targets, start = make_data(quiet, 40)
    for layer in (1, 2, "logits", None):
        a, b = (engine.forward(network, start, X, layer) for network in (quiet, noisy))
        assert_array_equal(a, b)
    a, b = (
        engine.loss_and_gradient(network, start, Dataset(X, targets), 0.1, 0.0) for network in (quiet, noisy)
    )
    assert a[0] == b[0]
    assert_array_equal(a[1], b[1])


@pytest.mark.parametrize("warmup_steps", [0, 4])
@pytest.mark.parametrize("schedule", SCHEDULES)
def test_schedules_of_the_step(schedule, warmup_steps):
    assert list(SCHEDULES) == RATE_SCHEDULES.names()
    network = make_network(np.dtype(np.float64))
    params = {**SCHEDULES[schedule], "warmup_steps": warmup_steps}
    training = make_training(schedule=schedule, schedule_params=params, max_epochs=4, weight_decay=0.1)
    assert_same_training(network, training, n=3 * 16)


@pytest.mark.parametrize("dtype", DTYPES, ids=ids)
@pytest.mark.parametrize("average", [("ema", {"decay": 0.8}), ("swa", {"start": 0.25})], ids=["ema", "swa"])
@pytest.mark.parametrize("n_jobs", [1, 2])
def test_averages_of_the_weights(n_jobs, average, dtype):
    network = make_network(np.dtype(dtype))
    name, params = average
    training = make_training(solver="adam", average=name, average_params=params, max_epochs=6)
    X, targets, start = make_data(network, 3 * 16)
    with (
        engine.Trainer(network, training, Dataset(X, targets), start, n_jobs=n_jobs) as fast,
        reference.Trainer(network, training, Dataset(X, targets), start) as slow,
    ):
        for _ in range(6):
            assert fast.train(3) == slow.train(3) == 3
            assert_allclose(fast.parameters, slow.parameters, **TEN_STEPS[network.dtype.name])
            assert_allclose(fast.result, slow.result, **TEN_STEPS[network.dtype.name])
        assert np.abs(fast.result - fast.parameters).max() > 1e-3


@pytest.mark.parametrize(
    "combination", covering({**FACTORS, "solver": ["lbfgs"], "regularisation": FULL_BATCH}), ids="-".join
)
def test_full_gradient(combination):
    for case, outcome in agree(combination).items():
        assert outcome.error <= 1, (case, outcome)


@pytest.mark.parametrize("dtype", DTYPES, ids=ids)
@pytest.mark.parametrize("n", [1, 3, 10, 11, 40])
def test_forward(n, dtype):
    network = make_network(np.dtype(dtype), widths=(40, 70, 33))
    X, _, start = make_data(network, n)
    for layer in (1, 2, 3, "logits", None):
        fast, slow = (e.forward(network, start, X, layer) for e in (engine, reference))
        assert_allclose(fast, slow, **ONE_STEP[network.dtype.name])
