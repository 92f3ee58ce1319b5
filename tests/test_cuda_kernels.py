"""The CUDA engine in Numba's simulator against the reference in NumPy; see conftest.py for how it is run."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
import reference
from numpy.testing import assert_allclose, assert_array_equal
from tolerances import SAME_ARITHMETIC, SAME_ARITHMETIC_32

from fastbp.engines.cpu import engine as cpu
from fastbp.engines.cuda import device_data, device_memory, engine, predict, shape
from fastbp.engines.cuda.launch import LaunchConfig
from fastbp.engines.cuda.lowering import Selection, formulas
from fastbp.engines.cuda.step import make_kernel
from fastbp.engines.cuda.target import SIMULATOR, cuda
from fastbp.engines.cuda.typed import Typed
from fastbp.engines.cuda.uniforms import make_uniform, op_key, step_key
from fastbp.engines.dataset import Dataset
from fastbp.functions import random
from fastbp.functions.activations import ACTIVATIONS, OUTPUT_ACTIVATIONS
from fastbp.functions.loss_lookup import find_loss, loss_names
from fastbp.functions.losses import LOSSES
from fastbp.functions.schedules import RATE_SCHEDULES
from fastbp.functions.solvers import SOLVERS, STOCHASTIC
from fastbp.plan.network import Kind
from fastbp.plan.planner import network_plan
from fastbp.plan.training import training_plan

if SIMULATOR:
    import simulator

    simulator.install()

# Overflow is part of what is tested; on a GPU nobody warns, but for kernels of few blocks.
pytestmark = [
    pytest.mark.filterwarnings("ignore::RuntimeWarning"),
    pytest.mark.filterwarnings("ignore:Grid size"),
]

N = 9  # rows; batches of 4 leave one for the last
TEAMS = [
    LaunchConfig("resident", 1),
    LaunchConfig("block", 1),
    LaunchConfig("grid", 1),
    LaunchConfig("phases", 2),
]
HIDDEN = [entry.name for entry in ACTIVATIONS if entry.hidden]
OUTPUTS = list(OUTPUT_ACTIVATIONS)
QUANTILES = (0.1, 0.5, 0.9)
LOSS_PARAMS = {
    ("huber", "identity"): (("delta", 0.7),),
    ("pinball", "identity"): (("quantile", 0.3),),
    ("pinball", "increasing"): (("quantile", QUANTILES),),
    ("tweedie", "exp"): (("power", 1.3),),
    ("focal", "softmax"): (("gamma", 1.5),),
    ("log_loss", "softmax"): (("label_smoothing", 0.1),),
    ("gaussian_nll", "identity"): (("beta", 0.4), ("floor", 0.02)),
}
# Every loss with the output that it is made for, every output with a loss that takes its own backward step.
HEADS = [(entry.name.partition("+")[0], entry.merged_with or "identity") for entry in LOSSES]
HEADS += zip(
    itertools.cycle(["squared_error", "mean_squared_error", "absolute_error"]), OUTPUTS, strict=False
)


def make_network(hidden=(5,), activation="tanh", loss="squared_error", out="identity", **params):
    params = {"n_inputs": 3, "n_outputs": 2, "fit_intercept": True, "dtype": np.float64, **params}
    given = dict(params.pop("loss_params", ()))
    params["constants"] = find_loss(loss, out).constants(given)
    return network_plan(
        hidden_layer_sizes=hidden, activation=activation, loss=loss, out_activation=out, **params
    )


def make_training(**params):
    defaults = dict(
        solver="adam", learning_rate="constant", learning_rate_init=0.01, power_t=0.5, momentum=0.9,
        nesterovs_momentum=True, beta_1=0.9, beta_2=0.999, epsilon=1e-8, alpha=0.1, l2=0.05, batch_size=4,
        shuffle=True, seed=3, tol=1e-4, n_iter_no_change=10, max_epochs=100, monitor="loss",
    )  # fmt: skip
    return training_plan(**{**defaults, **params})


def make_data(network, n=N, seed=0):
    """X, targets, weights, parameters of the network's dtype."""
    rng = np.random.RandomState(seed)
    X = rng.normal(size=(n, network.n_inputs))
    if network.class_targets:
        targets = rng.randint(0, network.n_outputs, size=(n, 1))
    else:
        targets = rng.uniform(0.1, 0.9, size=(n, network.n_targets))
        if LOSSES.names()[network.ops[-1].code].startswith("focal"):
            targets = targets.round()
    weights = rng.uniform(0.5, 2, size=n)
    weights[1] = 0
    coefs = [rng.normal(scale=0.7, size=shape) for shape in network.layer_shapes]
    intercepts = [rng.normal(scale=0.7, size=op.n_out) * op.bias for op in network.dense]
    rows = [row + rng.uniform(-0.3, 0.3, row.shape) for row in network.start]
    dtype = network.dtype
    return (
        X.astype(dtype),
        targets.astype(dtype),
        weights.astype(dtype),
        network.pack(coefs, intercepts, rows),
    )


def tolerance(network):
    return SAME_ARITHMETIC if network.dtype == np.float64 else SAME_ARITHMETIC_32


@pytest.fixture(params=TEAMS, ids=lambda team: f"{team.kind}{team.n_blocks}")
def team(request, monkeypatch):
    force(monkeypatch, request.param)
    return request.param


def force(monkeypatch, team):
    """Make every session use this team."""
    for module in (engine, predict):
        monkeypatch.setattr(module, "choose_team", lambda program, dtype: team)
    monkeypatch.setattr(shape, "is_resident", lambda program, dtype: team.kind == "resident")


# --- Formulas


@pytest.mark.parametrize("real", [np.float32, np.float64])
@pytest.mark.parametrize("name", ACTIVATIONS.names())
def test_activations_far_out(name, real):
    """By the bits of the numbers on the device, so infinities and NaN need a look of their own."""
    names = ("identity",) if name == "identity" else ("identity", name)
    activate, code = formulas(real, Selection(names, ())).activate, len(names) - 1
    far = [np.inf, 800.0, 89.0, 88.0, 20.0, 1.0, 0.3, 1e-3, 1e-30, 0.0]
    x = np.array([*far, *np.negative(far), np.nan], real)
    n = len(x)

    @cuda.jit
    def kernel(values, out):
        for i in range(n):
            out[i] = activate(code, values[i])

    out = cuda.to_device(np.zeros(n, real))
    kernel[1, 1](cuda.to_device(x), out)
    with np.errstate(all="ignore"):
        wanted = reference.ACTIVATE[name](x.astype(np.float64)).astype(real)
    info = np.finfo(real)
    ulps = 8 if name != "gelu" else 400  # its tail is that of the normal distribution: z² at 20
    assert_allclose(out.copy_to_host(), wanted, rtol=ulps * info.eps, atol=8 * info.tiny)


@pytest.mark.parametrize("real", [np.float32, np.float64])
def test_uniform_numbers_are_the_cpu_s(real):
    uniform = make_uniform(real)

    @cuda.jit
    def kernel(seed, step, op, out):
        key = op_key(step_key(seed, step), op)
        for i in range(out.shape[0]):
            out[i] = uniform(key, (1 << 32) - 5 + i)

    for seed, step, op in [(0, 0, 0), (2**31 - 1, 10**6, 7), (5, 2**40, 3)]:
        out = cuda.to_device(np.zeros(12, real))
        kernel[1, 1](seed, step, op, out)
        key = random.noise_key(seed, step, op)
        assert out.copy_to_host().tolist() == [random.uniform(key, (1 << 32) - 5 + i) for i in range(12)]


def f_of_all(x, n):
    total = x * 0.0
    for j in range(n):
        total = total + single_half(x) * float(j) * 2.0
    return total


def single_half(x):
    return x * 0.5


@pytest.mark.parametrize("real", [np.float32, np.float64])
def test_a_copied_formula_has_one_dtype(real):
    """Its constants, and those of the functions that it calls."""
    copy = Typed(real)(f_of_all).py_func
    assert {type(value) for value in copy.__code__.co_consts if value is not None} <= {real, int, str}
    inner = copy.__globals__["single_half"].py_func
    assert [type(c) for c in inner.__code__.co_consts if c is not None] == [real]
    assert copy.__globals__["float"] is real


def test_what_a_formula_encloses_has_that_dtype():
    factor, inner, exponent = 2.0, single_half, 3

    def enclosing(x):
        return factor * inner(x) ** exponent

    copy = Typed(np.float32)(enclosing).py_func
    found = dict(
        zip(copy.__code__.co_freevars, (cell.cell_contents for cell in copy.__closure__), strict=True)
    )
    assert (type(found["factor"]), found["exponent"]) == (np.float32, 3)
    (half,) = (c for c in found["inner"].py_func.__code__.co_consts if c is not None)
    assert type(half) is np.float32


def test_a_formula_that_cannot_be_copied_is_refused():
    with pytest.raises(TypeError, match="no plain function"):
        Typed(np.float32)(np.sin)


# --- Forward


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("first", range(0, len(HIDDEN), 6))
def test_forward_of_hidden_layers(first, dtype):
    names = HIDDEN[first : first + 6]
    network = make_network((4,) * len(names), names, dtype=dtype)
    X, _, _, parameters = make_data(network)
    for layer in (*range(1, len(names) + 2), "logits", None):
        found = engine.forward(network, parameters, X, layer)
        assert found.dtype == dtype
        assert_allclose(found, reference.forward(network, parameters, X, layer), **tolerance(network))


def assert_same_outputs(out):
    network = make_network(out=out, n_outputs=3)
    X, _, _, parameters = make_data(network)
    wanted = reference.forward(network, parameters, X)
    assert_allclose(engine.forward(network, parameters, X), wanted, **SAME_ARITHMETIC)
    largest = engine.forward(network, parameters, X, largest=True)
    assert_array_equal(largest, wanted.argmax(axis=1))
    assert largest.dtype == np.intp


@pytest.mark.parametrize("out", OUTPUTS)
def test_forward_of_outputs(out):
    assert_same_outputs(out)


@pytest.mark.parametrize("out", ["gelu", "softmax"])
def test_forward_by_every_team(out, team):
    assert_same_outputs(out)


def test_forward_takes_rows_in_blocks_without_changing_bits(monkeypatch):
    network = make_network(loss="log_loss", out="softmax", n_outputs=3)
    X, _, _, parameters = make_data(network)
    whole = engine.forward(network, parameters, X)
    monkeypatch.setattr(predict, "BLOCK_BYTES", 1000)
    assert_array_equal(engine.forward(network, parameters, X), whole)
    assert_array_equal(engine.forward(network, parameters, X[4:5]), whole[4:5])
    assert engine.forward(network, parameters, X[:0]).shape == (0, 3)


@pytest.mark.parametrize("free", [0, 1e9])
def test_held_rows_give_the_same_bits_and_are_sent_once(free, monkeypatch):
    network = make_network(loss="log_loss", out="softmax", n_outputs=3)
    X, _, _, parameters = make_data(network)
    calls = [
        (parameters, {}),
        (2 * parameters, {}),
        (parameters, {"largest": True}),
        (parameters, {"layer": 1}),
    ]
    wanted = [engine.forward(network, flat, X, **options) for flat, options in calls]
    monkeypatch.setattr(device_memory, "free_memory", lambda: free)
    held = engine.hold(network, X)
    assert isinstance(held.values, np.ndarray) == (free == 0)
    monkeypatch.setattr(device_memory, "free_memory", lambda: 1e9)
    made = []
    original = predict.Predictor.__init__
    monkeypatch.setattr(predict.Predictor, "__init__", lambda *a: made.append(1) or original(*a))
    for _ in range(2):
        for (flat, options), result in zip(calls, wanted, strict=True):
            assert_array_equal(engine.forward(network, flat, held, **options), result)
    assert len(made) == 3
    assert engine.forward(network, parameters, engine.hold(network, X[:0])).shape == (0, 3)


# --- Gradients


def assert_same_gradient(network, weighted=True):
    X, targets, weights, parameters = make_data(network)
    arguments = (network, parameters, Dataset(X, targets, weights if weighted else None), 0.3, 0.2)
    (loss, gradient), wanted = engine.loss_and_gradient(*arguments), reference.loss_and_gradient(*arguments)
    assert gradient.dtype == network.dtype
    assert_allclose(loss, wanted[0], **tolerance(network))
    assert_allclose(gradient, wanted[1], **tolerance(network))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("loss", "out"), HEADS)
def test_gradient_of_every_head(loss, out, dtype):
    params = LOSS_PARAMS.get((loss, out), ())
    n_outputs = 3 * find_loss(loss, out).outputs_per_target
    network = make_network((4,), loss=loss, out=out, n_outputs=n_outputs, loss_params=params, dtype=dtype)
    assert_same_gradient(network)


def test_every_loss_and_output_has_been_looked_at():
    assert {loss for loss, _ in HEADS} == set(loss_names())
    assert {out for _, out in HEADS} == set(OUTPUTS)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("first", range(0, len(HIDDEN), 2))
def test_gradient_of_every_activation(first, dtype):
    """Derivatives that are functions of outputs and of inputs meet."""
    names = [HIDDEN[first], HIDDEN[first - 7]]
    network = make_network((5, 4), names, dtype=dtype, loss="log_loss", out="softmax", n_outputs=3)
    assert_same_gradient(network, weighted=False)


def test_gradient_of_an_output_that_is_kept_before_its_activation(team):
    assert_same_gradient(make_network((4,), "silu", out="mish"))


@pytest.mark.parametrize("hidden", [(), (1,), (17,), (4, 9, 3)])
@pytest.mark.parametrize("bias", [True, False])
def test_gradient_of_many_shapes_by_every_team(hidden, bias, team):
    """Widths around the simulated tiles of 2 and 4."""
    assert_same_gradient(make_network(hidden, fit_intercept=bias, n_inputs=7))


def test_an_objective_is_asked_again_and_in_several_passes(monkeypatch, team):
    network = make_network()
    *arrays, parameters = make_data(network)
    rows = Dataset(*arrays)
    monkeypatch.setattr(shape, "PASS_BYTES", 2 * device_memory.elements_per_row(network) * 8)
    with engine.Objective(network, rows, 0.3, 0.2) as objective:
        assert (objective.shape.pass_rows, objective.shape.n_passes) == (2, 5)
        for factor in (1.0, 0.5, 1.0):
            flat = factor * parameters
            wanted = reference.loss_and_gradient(network, flat, rows, 0.3, 0.2)
            loss, gradient = objective(flat)
            assert_allclose(loss, wanted[0], **SAME_ARITHMETIC)
            assert_allclose(gradient, wanted[1], **SAME_ARITHMETIC)


# --- Training


def train(module, network, training, n_steps, weighted=True, state=None, chunks=1):
    """Parameters, loss curve, state and the parameters that training is for, after `n_steps` steps."""
    X, targets, weights, parameters = make_data(network)
    weights = weights if weighted else None
    with module.Trainer(network, training, Dataset(X, targets, weights), parameters, state) as trainer:
        assert sum(trainer.train(n_steps // chunks) for _ in range(chunks)) == n_steps
        result = np.array(trainer.result if training.averages else trainer.parameters)
        return np.array(trainer.parameters), list(trainer.loss_curve), trainer.state(), result


def assert_same_training(network, found, wanted):
    assert_allclose(found[0], wanted[0], **tolerance(network))
    assert_allclose(found[1], wanted[1], **tolerance(network))
    assert_allclose(found[3], wanted[3], **tolerance(network))
    # The reference gives what is not learned a state, too, and does not keep the mean of the weights there.
    n_states = SOLVERS[found[2].solver].n_states
    moments, others = (result[2].moments[:n_states, network.mask()] for result in (found, wanted))
    assert_allclose(moments, others, **tolerance(network))
    for name in ("n_steps", "n_samples_seen", "n_epochs"):
        assert getattr(found[2], name) == getattr(wanted[2], name)
    assert_allclose(found[2].learning_rate, wanted[2].learning_rate, **SAME_ARITHMETIC)


RULES = [
    {"solver": "sgd", "momentum": 0.0},
    {"solver": "sgd", "nesterovs_momentum": False},
    {"solver": "sgd", "learning_rate": "invscaling"},
    {"solver": "sgd", "learning_rate": "adaptive", "tol": 10.0, "n_iter_no_change": 1},
    *(
        {"schedule": name, "schedule_params": {"warmup_steps": 2}, "max_epochs": 4, "weight_decay": 0.1}
        for name in RATE_SCHEDULES.names()
    ),
    *({"solver": solver} for solver in STOCHASTIC if solver != "sgd"),
    {"solver": "adam", "alpha": 0.0, "l2": 0.0, "shuffle": False},
]
RATE_FACTORS = (0.5, 0.1, 2.0, 0.5)
REGULAR = [
    {},
    {"l1": 0.05},
    {"weight_decay": 0.3},
    {"clip_value": 0.02},
    {"l1": 0.05, "weight_decay": 0.3, "clip_value": 0.02},
]


def test_every_solver_is_among_the_rules():
    assert {make_training(**rule).solver for rule in RULES} == set(SOLVERS.names())


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("rule", RULES, ids=str)
def test_steps(rule, dtype):
    network = make_network(dtype=dtype)
    arguments = (network, make_training(**rule), 7)
    assert_same_training(network, train(engine, *arguments), train(reference, *arguments))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("solver", "regular"), [*zip(STOCHASTIC, itertools.cycle(REGULAR[1:]), strict=False)], ids=str
)
def test_regularisation(solver, regular, dtype):
    network = make_network(dtype=dtype)
    arguments = (network, make_training(solver=solver, **regular), 4)
    assert_same_training(network, train(engine, *arguments), train(reference, *arguments))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("regular", REGULAR, ids=str)
@pytest.mark.parametrize("solver", ["sgd", "adam", "rprop"])
def test_rates_of_layers(solver, regular, dtype):
    network = make_network((5, 4), rate_factors=RATE_FACTORS, dtype=dtype)
    arguments = (network, make_training(solver=solver, **regular), 4)
    assert_same_training(network, train(engine, *arguments), train(reference, *arguments))


@pytest.mark.parametrize("regular", REGULAR, ids=str)
def test_steps_without_intercepts(regular):
    network = make_network((4,), fit_intercept=False)
    arguments = (network, make_training(**regular), 5)
    assert_same_training(network, train(engine, *arguments), train(reference, *arguments))


AVERAGES = [
    {"average": "ema", "average_params": {"decay": 0.6}},
    {"average": "swa", "average_params": {"start": 0.5}, "max_epochs": 3, "solver": "sgd"},
]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("params", AVERAGES, ids=str)
def test_averages(params, dtype):
    network = make_network((4,), dtype=dtype)
    arguments = (network, make_training(**params), 7)
    found = train(engine, *arguments)
    assert_same_training(network, found, train(reference, *arguments))
    assert np.abs(found[3] - found[0]).max() > 1e-3
    assert_array_equal(found[2].moments[-1], found[3])


NORMS = [
    {"max_norm": 0.5},
    {"clip_norm": 0.05, "solver": "sgd", "momentum": 0.0},
    {"clip_norm": 0.2, "clip_value": 0.05, "l1": 0.05, "solver": "sgd"},
    {"clip_norm": 0.05, "max_norm": 0.8, "weight_decay": 0.3, **AVERAGES[0]},
]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("params", NORMS, ids=str)
def test_limits_of_norms(params, bias, dtype):
    network = make_network((5,), fit_intercept=bias, dtype=dtype)
    arguments = (network, make_training(**params), 4)
    found, free = train(engine, *arguments), make_training(**{**params, "max_norm": None, "clip_norm": None})
    assert_same_training(network, found, train(reference, *arguments))
    # The limits are met, or there was nothing to see.
    assert np.abs(found[0] - train(reference, network, free, 4)[0]).max() > 1e-3


def test_biases_are_neither_penalised_nor_decayed(team):
    """In a batch without weight only penalties move parameters; they move no bias."""
    network = make_network((4,))
    training = make_training(solver="sgd", momentum=0.0, l1=0.05, weight_decay=0.3, shuffle=False)
    X, targets, weights, parameters = make_data(network)
    weights[: training.batch_size] = 0
    with engine.Trainer(network, training, Dataset(X, targets, weights), parameters) as trainer:
        trainer.train(1)
        after = trainer.parameters
    assert_array_equal(after != parameters, network.mask(biases=False))


def test_parameters_of_a_loss_reach_every_team(team):
    head = ("pinball", "increasing")
    network = make_network((4,), loss=head[0], out=head[1], n_outputs=3, loss_params=LOSS_PARAMS[head])
    arguments = (network, make_training(), 4)
    assert_same_training(network, train(engine, *arguments), train(reference, *arguments))


NOISES = [
    {"dropout": 0.4},
    {"dropout": [0.0, 0.5], "activation": "silu"},
    {"dropout": [0.5, 0.0], "activation": "identity"},
    {"input_noise": 0.5},
    {"input_dropout": 0.3},
    {"dropout": 0.3, "input_dropout": 0.3, "input_noise": 0.5, "activation": ("gelu", "tanh")},
]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("noise", NOISES, ids=str)
def test_noise(noise, dtype):
    """The same numbers as the reference's; none where a gradient or an output is asked for."""
    assert_same_network(make_network((4, 3), dtype=dtype, **noise), make_training(), 4)


def assert_same_network(network, training, n_steps):
    """In training, for its gradient, and layer by layer."""
    arguments = (network, training, n_steps)
    assert_same_training(network, train(engine, *arguments), train(reference, *arguments))
    assert_same_gradient(network)
    X, _, _, parameters = make_data(network)
    for layer in (*range(1, len(network.dense)), "logits", None):
        outputs = engine.forward(network, parameters, X, layer)
        assert_allclose(outputs, reference.forward(network, parameters, X, layer), **tolerance(network))


RESIDUALS = [
    {"hidden": (4, 4)},
    {"hidden": (3, 3, 4, 4), "activation": "silu"},
    {"hidden": (5, 5, 5), "activation": "identity", "dropout": [0.4, 0.0, 0.3]},
    {"hidden": (4, 4, 4, 3), "activation": ("gelu", "tanh", "mish", "elu"), "dropout": 0.3},
]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("params", RESIDUALS, ids=str)
def test_residual_connections(params, dtype):
    network = make_network(residual=True, dtype=dtype, **params)
    assert any(op.kind == Kind.ADD for op in network.ops)
    assert_same_network(network, make_training(), 4)


ALL_OF_INPUTS = {"robust_inputs": True, "input_scales": True, "input_noise": 0.5, "input_dropout": 0.3}
UNFUSED = [
    {"activation": "maxout", "maxout_pieces": 3},
    {"activation": "maxout", "residual": True, "dropout": 0.3, "hidden": (4, 4)},
    {"activation": ["maxout", "gelu", "maxout"], "residual": True, "hidden": (4, 4, 4)},
    {"norm": "layer"},
    {"norm": "layer", "activation": "silu", "residual": True, "dropout": 0.3, "hidden": (4, 4, 4)},
    {"norm": "layer", "activation": "maxout", "hidden": (5, 3)},
    {"input_scales": True},
    {"robust_inputs": True, "activation": "silu"},
    {**ALL_OF_INPUTS, "rate_factors": RATE_FACTORS},
    {"blend": True, "activation": ["gelu", "tanh"], "hidden": (4, 4), "residual": True, "dropout": 0.3},
    {"norm": "batch", "hidden": (5, 3)},
    {"norm": "batch", "activation": "mish", "residual": True, "dropout": 0.3, "hidden": (4, 4)},
    {"norm": "batch", "blend": True, **ALL_OF_INPUTS, "hidden": (4, 4), "rate_factors": RATE_FACTORS},
]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("params", UNFUSED, ids=str)
def test_ops_that_no_product_takes_along(params, dtype):
    network = make_network(**{"hidden": (4,), "dtype": dtype, **params})
    assert_same_network(network, make_training(batch_size=3), 4)


@pytest.mark.parametrize("params", [UNFUSED[4], UNFUSED[8], UNFUSED[-1]], ids=str)
def test_ops_that_no_product_takes_along_by_every_team(params, team, monkeypatch):
    network = make_network(**{"hidden": (4,), **params})
    training = make_training(batch_size=5, **NORMS[-1])
    wanted = train(reference, network, training, 4)
    if not any(op.sync for op in network.ops):
        monkeypatch.setattr(shape, "PASS_BYTES", 3 * device_memory.elements_per_row(network) * 8)
    assert_same_training(network, train(engine, network, training, 4, chunks=2), wanted)


def test_a_batch_without_weight_leaves_the_running_moments_alone():
    network = make_network(norm="batch")
    X, targets, weights, parameters = make_data(network)
    weights[:3] = 0
    training = make_training(batch_size=3, shuffle=False, alpha=0.0, l2=0.0)
    with engine.Trainer(network, training, Dataset(X, targets, weights), parameters) as trainer:
        trainer.train(1)
        assert_array_equal(network.rows(trainer.parameters)[0], network.rows(parameters)[0])
        trainer.train(1)
        assert np.abs(network.rows(trainer.parameters)[0] - network.rows(parameters)[0]).min() > 0


def test_noise_residuals_and_norms_of_every_team_in_passes_and_chunks(monkeypatch, team):
    noise = NOISES[-1] | {"hidden": (5, 5), "activation": "silu"}
    network = make_network(residual=True, rate_factors=RATE_FACTORS, **noise)
    arguments = (network, make_training(batch_size=7, **NORMS[-1]), 4)
    wanted = train(reference, *arguments)
    monkeypatch.setattr(shape, "PASS_BYTES", 3 * device_memory.elements_per_row(network) * 8)
    assert_same_training(network, train(engine, *arguments, chunks=2), wanted)


def test_kernels_are_made_once_for_each_selection():
    network = make_network((4, 3), ("tanh", "relu"))
    train(engine, network, make_training(), 1)
    before = make_kernel.cache_info()
    # Another order of the layers, other numbers, the same functions.
    train(engine, make_network((3, 5), ("relu", "tanh")), make_training(l2=0.5, learning_rate_init=0.1), 1)
    assert make_kernel.cache_info().misses == before.misses
    train(engine, network, make_training(l1=0.1), 1)
    assert make_kernel.cache_info().misses == before.misses + 1


@pytest.mark.parametrize("batch_size", [1, 4, N])
@pytest.mark.parametrize("weighted", [True, False])
def test_batches(batch_size, weighted):
    network = make_network(loss="log_loss", out="softmax", n_outputs=3)
    arguments = (network, make_training(batch_size=batch_size), 10, weighted)
    assert_same_training(network, train(engine, *arguments), train(reference, *arguments))


@pytest.mark.parametrize("other", TEAMS[1:], ids=lambda team: f"{team.kind}{team.n_blocks}")
def test_every_team_gives_the_same_bits_each_time(other, monkeypatch):
    network = make_network((9,), loss="log_loss", out="softmax", n_outputs=3, dtype=np.float32)
    arguments = (network, make_training(), 4)
    results = []
    for team in (TEAMS[0], other, other):
        force(monkeypatch, team)
        results.append(train(engine, *arguments))
    for parameters, curve, state, _ in results[1:]:
        assert_array_equal(parameters, results[0][0])
        assert_array_equal(curve, results[0][1])
        assert_array_equal(state.moments, results[0][2].moments)


def test_a_batch_of_several_passes(monkeypatch, team):
    network = make_network()
    arguments = (network, make_training(batch_size=7), 6)
    wanted = train(reference, *arguments)
    monkeypatch.setattr(shape, "PASS_BYTES", 3 * device_memory.elements_per_row(network) * 8)
    assert_same_training(network, train(engine, *arguments), wanted)


def test_chunks_change_nothing():
    network = make_network()
    arguments = (network, make_training(), 12)
    whole, parts = train(engine, *arguments), train(engine, *arguments, chunks=6)
    assert_array_equal(whole[0], parts[0])
    assert_array_equal(whole[1], parts[1])


def test_streamed_rows_give_the_same_bits(monkeypatch):
    network = make_network()
    arguments = (network, make_training(), 12)
    wanted = train(engine, *arguments)
    monkeypatch.setattr(device_data.Resident, "nbytes", staticmethod(lambda rows: float("inf")))
    monkeypatch.setattr(device_memory, "free_memory", lambda: 1e9)
    used = []
    original = device_data.Streamed.prepare
    monkeypatch.setattr(
        device_data.Streamed, "prepare", lambda self, *a: used.append(1) or original(self, *a)
    )
    for stream_bytes in (1, 1 << 20):  # one batch a launch; all steps in one
        monkeypatch.setattr(device_data, "STREAM_BYTES", stream_bytes)
        used.clear()
        found = train(engine, *arguments)
        assert len(used) == (12 if stream_bytes == 1 else 1)
        assert_array_equal(found[0], wanted[0])
        assert_array_equal(found[1], wanted[1])
        assert_array_equal(train(engine, *arguments, chunks=4)[0], wanted[0])


def test_too_little_memory_is_told_with_sizes(monkeypatch):
    network = make_network()
    monkeypatch.setattr(device_memory, "free_memory", lambda: 0.0)
    allocated = []
    monkeypatch.setattr(device_data.cuda, "device_array", lambda *a, **k: allocated.append(a))
    with pytest.raises(MemoryError, match=r"MiB free.*smaller batch_size"):
        train(engine, network, make_training(), 1)
    with pytest.raises(MemoryError, match=r"MiB free"):
        engine.forward(network, make_data(network)[3], make_data(network)[0])
    assert not allocated


def test_a_state_goes_on_with_the_same_bits():
    network, training = make_network(), make_training(max_epochs=1)
    X, targets, weights, parameters = make_data(network)
    with engine.Trainer(network, training, Dataset(X, targets, weights), parameters) as trainer:
        trainer.train(100)
        assert trainer.status == "max_epochs"
        middle, state = trainer.parameters, trainer.state()
    with engine.Trainer(network, training, Dataset(X, targets, weights), middle, state) as trainer:
        trainer.train(100)
        found = trainer.parameters
    whole, *_ = train(engine, network, replace(training, max_epochs=100), 6)
    assert_array_equal(found, whole)


def test_a_state_of_the_cpu_goes_on_here():
    network, training = make_network(dropout=0.3), make_training(max_epochs=1, **AVERAGES[0])
    X, targets, weights, parameters = make_data(network)
    results = []
    for second in (cpu, engine):
        with cpu.Trainer(network, training, Dataset(X, targets, weights), parameters) as trainer:
            trainer.train(100)
            middle, state = trainer.parameters, trainer.state()
        with second.Trainer(network, training, Dataset(X, targets, weights), middle, state) as trainer:
            trainer.train(100)
            results.append(np.array([trainer.parameters, trainer.result]))
    assert_allclose(*results, **SAME_ARITHMETIC)


ENDINGS = {
    "converged": dict(tol=10.0, n_iter_no_change=2),
    "max_epochs": dict(max_epochs=2),
    "non_finite": dict(solver="sgd", learning_rate_init=1e200),
}


@pytest.mark.parametrize("status", ENDINGS)
def test_training_ends_as_on_the_cpu(status, team):
    ends_as_on_the_cpu(status, chunk=50)


@pytest.mark.parametrize("status", ENDINGS)
def test_training_step_by_step_ends_as_on_the_cpu(status):
    ends_as_on_the_cpu(status, chunk=1)


def ends_as_on_the_cpu(status, chunk):
    network, training = make_network(), make_training(**ENDINGS[status])
    X, targets, weights, parameters = make_data(network)
    ends = []
    for module in (cpu, engine):
        with module.Trainer(network, training, Dataset(X, targets, weights), parameters) as trainer:
            done = 0
            while trainer.status == "running":
                done += trainer.train(chunk)
            assert trainer.status == status
            assert trainer.train(5) == 0
            names = ("n_epochs", "n_samples_seen", "n_stale", "failure", "learning_rate", "n_steps_per_epoch")
            ends.append([done, len(trainer.loss_curve), *(getattr(trainer, name) for name in names)])
    assert ends[0] == ends[1]


def test_epochs_one_by_one_with_a_reported_value():
    network, training = make_network(), make_training(monitor="external", n_iter_no_change=2)
    X, targets, weights, parameters = make_data(network)
    ends = []
    for module in (cpu, engine):
        with module.Trainer(network, training, Dataset(X, targets, weights), parameters) as trainer:
            steps = []
            for monitored in (3.0, 2.0, 2.5, 2.1):
                steps += [trainer.train(2, True), trainer.train(50, True)]
                assert trainer.status == "running"
                trainer.report(monitored)
            ends.append([steps, trainer.status, trainer.best_monitored, trainer.n_stale, trainer.n_epochs])
    assert ends[0] == ends[1]
    assert ends[0][:2] == [[2, 1] * 4, "converged"]


def test_parameters_that_overflow_behind_a_finite_loss_are_found():
    """The last step of a launch: no later loss would tell."""
    network = make_network(activation="identity")
    training = make_training(solver="sgd", momentum=0.0, learning_rate_init=1e308)
    X, targets, weights, parameters = make_data(network)
    with engine.Trainer(network, training, Dataset(1e3 * X, targets, weights), parameters) as trainer:
        assert trainer.train(1) == 1
        assert trainer.status == "non_finite"
        assert trainer.failure == (1, 1)
