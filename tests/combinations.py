"""Networks, trainings and data for every combination of registered functions.

What test_reference.py (all pairs) and bench/product.py (the full product) share. Functions come from the
registries, so that a new one is among the combinations by itself; a regularisation is a name and keywords of
`network_plan` or `training_plan`.
"""

import inspect
import itertools
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import reference
from scipy import sparse
from tolerances import ONE_STEP, TEN_STEPS

from fastbp.engines.cpu import engine
from fastbp.engines.dataset import Dataset
from fastbp.functions.activations import ACTIVATIONS, GROUP_ACTIVATIONS
from fastbp.functions.loss_entry import POSITIVE
from fastbp.functions.losses import LOSSES
from fastbp.functions.solvers import STOCHASTIC
from fastbp.plan.planner import network_plan
from fastbp.plan.training import training_plan

HIDDEN = [entry.name for entry in ACTIVATIONS if entry.hidden] + GROUP_ACTIVATIONS.names()
SOLVERS = {
    "sgd": {"momentum": 0.0},
    "momentum": {"momentum": 0.9, "nesterovs_momentum": False},
    "nesterov": {"momentum": 0.9},
    **{name: {"solver": name} for name in STOCHASTIC if name != "sgd"},
}
SOLVERS["adadelta"]["learning_rate_init"] = 1.0  # its own first steps are tiny
REGULARISATIONS = {
    "none": {},
    "l2": {"l2": 0.05},
    "alpha": {"alpha": 0.1},
    "l1": {"l1": 0.05},
    "weight_decay": {"weight_decay": 0.3},
    "clip_value": {"clip_value": 0.02},
    "clip_norm": {"clip_norm": 0.3},
    "max_norm": {"max_norm": 0.8},
    "dropout": {"dropout": 0.3},
    "input_dropout": {"input_dropout": 0.2},
    "input_noise": {"input_noise": 0.3},
    "ema": {"average": "ema", "average_params": {"decay": 0.8}},
    "swa": {"average": "swa", "average_params": {"start": 0.25}},
    "residual": {"residual": True},
    "batch_norm": {"norm": "batch"},
    "layer_norm": {"norm": "layer"},
    "rate_factors": {"rate_factors": (2.0, 0.5, 3.0, 0.5)},
    "input_scales": {"robust_inputs": True, "input_scales": True},
}
REGULARISATIONS["everything"] = {
    name: value
    for regularisation, keywords in REGULARISATIONS.items()
    if regularisation not in ("swa", "layer_norm")  # there is one average, and one norm
    for name, value in keywords.items()
}
# Those that solver='lbfgs' knows, too.
FULL_BATCH = [
    name
    for name, keywords in REGULARISATIONS.items()
    if keywords.keys() <= {"alpha", "l2", "residual", "norm"}
]
FACTORS = {
    "activation": HIDDEN,
    "loss": LOSSES.names(),
    "solver": list(SOLVERS),
    "regularisation": list(REGULARISATIONS),
}
DTYPES = ("float32", "float64")
CONTAINERS = {"dense": np.asarray, "csr": sparse.csr_array}

QUANTILES = (0.12, 0.47, 0.93)
LOSS_PARAMS = {
    "huber": (("delta", 0.7),),
    "pinball": (("quantile", 0.3),),
    "pinball+increasing": (("quantile", QUANTILES),),
    "tweedie+exp": (("power", 1.3),),
    "focal+softmax": (("gamma", 1.5),),
    "log_loss+softmax": (("label_smoothing", 0.1),),
    "gaussian_nll+identity": (("beta", 0.4), ("floor", 0.02)),
}


def make_network(
    dtype, *, widths=(6, 9, 5), n_outputs=3, activation="tanh", loss=None, fit_intercept=True, **more
):
    name = loss or "log_loss+softmax"
    user, _, merged = name.partition("+")
    n_outputs = len(QUANTILES) if merged == "increasing" else n_outputs * LOSSES[name].outputs_per_target
    return network_plan(
        n_inputs=widths[0],
        hidden_layer_sizes=widths[1:],
        n_outputs=n_outputs,
        activation=activation,
        out_activation=merged or "identity",
        loss=user,
        constants=LOSSES[name].constants(dict(LOSS_PARAMS.get(name, ()))),
        fit_intercept=fit_intercept,
        dtype=dtype,
        **more,
    )


def make_training(**changes):
    defaults = {
        "solver": "sgd",
        "learning_rate": "constant",
        "learning_rate_init": 0.01,
        "power_t": 0.5,
        "momentum": 0.9,
        "nesterovs_momentum": True,
        "beta_1": 0.9,
        "beta_2": 0.999,
        "epsilon": 1e-8,
        "alpha": 0.1,
        "l2": 0.05,
        "batch_size": 16,
        "shuffle": True,
        "seed": 3,
        "tol": 0.0,
        "n_iter_no_change": np.inf,
        "max_epochs": 1000,
        "monitor": "loss",
    }
    return training_plan(**{**defaults, **changes})


def make_data(network, n, seed=0):
    """Inputs, targets that every loss allows, and weights: the same numbers for both dtypes."""
    rng = np.random.RandomState(seed)
    X = rng.normal(size=(n, network.n_inputs))
    if network.class_targets:
        targets = rng.randint(network.n_outputs, size=(n, 1))
    else:
        targets = rng.randint(0, 2, size=(n, network.n_targets))
        if list(LOSSES)[network.ops[-1].code].domain is POSITIVE:
            targets = targets + 0.5
    coefs = [rng.normal(size=s) / np.sqrt(s[0]) for s in network.layer_shapes]
    has_bias = network.dense[0].bias
    intercepts = [has_bias * rng.normal(size=s[1]) * 0.3 for s in network.layer_shapes]
    rows = [row + 0.3 * rng.uniform(size=row.shape) for row in network.start]
    weights = ([a.astype(np.float32) for a in arrays] for arrays in (coefs, intercepts, rows))
    X, targets = (a.astype(np.float32).astype(network.dtype) for a in (X, targets))
    return X, targets, network.pack(*weights)


class Combination(NamedTuple):
    """One name of each of `FACTORS`, or the solver "lbfgs" with a regularisation of `FULL_BATCH`."""

    activation: str
    loss: str
    solver: str
    regularisation: str

    def is_determined(self):
        """Whether all of the gradient is more than rounding, for solvers that follow its sign.

        Behind activations that are linear (hard_sigmoid is between -3 and 3, where normalised values lie),
        the next batch normalisation takes any shift of the one before away.
        """
        linear = self.activation in ("identity", "hard_sigmoid")
        shift_is_lost = linear and self.regularisation == "batch_norm"
        return not (shift_is_lost and self.solver in ("rprop", "lion"))

    def network(self, dtype):
        """Two hidden layers, as wide as each other for residual connections; blocks of either layout."""
        return _network(self.activation, self.loss, self.regularisation, np.dtype(dtype))

    def training(self):
        """Four epochs of five batches each, the last of which is short.

        With an epsilon of 1e-8 a first step is the gradient divided by its own size, be it nothing but
        rounding.
        """
        more = {"alpha": 0.0, "l2": 0.0, "epsilon": 1e-3}
        if self.loss.endswith("+exp"):
            more["learning_rate_init"] = 0.002  # with larger steps some of these diverge
        more |= SOLVERS.get(self.solver, {})
        more |= _keywords(self.regularisation, training_plan)
        return make_training(batch_size=16, max_epochs=4, **more)

    def data(self, dtype, seed):
        """Inputs, targets, sample weights, parameters."""
        return _data(self.network(dtype), seed)


def _keywords(regularisation, plan):
    """Those of a regularisation that a plan takes."""
    known = inspect.signature(plan).parameters
    return {name: value for name, value in REGULARISATIONS[regularisation].items() if name in known}


@lru_cache(100)
def _network(activation, loss, regularisation, dtype):
    more = _keywords(regularisation, network_plan)
    return make_network(dtype, widths=(8, 18, 18), activation=activation, loss=loss, **more)


@lru_cache(100)
def _data(network, seed):
    X, targets, start = make_data(network, 75, seed)
    rng = np.random.RandomState(seed + 1)
    # Half of the inputs are zeros, which a sparse matrix leaves out.
    X[rng.uniform(size=X.shape) < 0.5] = 0
    # Without weights, gradients of hinge or pinball may cancel out but for the roundings.
    weight = rng.uniform(0.5, 1.5, size=len(X)).astype(np.float32).astype(network.dtype)
    return X, targets, weight, start


def results(e, combination, dtype, X, targets, weight, start):
    """What an engine `e` computes: (what, values, their tolerances by dtype), again and again."""
    network, training = combination.network(dtype), combination.training()
    rows = Dataset(X, targets, weight)

    def layers(what, flat, tolerance):
        for number, (coef, intercept) in enumerate(zip(*network.unpack(flat), strict=True), start=1):
            yield f"weights {number} {what}", coef, tolerance
            yield f"biases {number} {what}", intercept, tolerance
        for number, row in enumerate(network.rows(flat), start=1):
            yield f"features {number} {what}", row, tolerance

    if combination.solver == "lbfgs":  # SciPy's, given the loss of all rows and its gradient
        loss, gradient = e.loss_and_gradient(network, start, rows, training.alpha, training.l2, n_jobs=1)
        yield "loss", np.array(loss), ONE_STEP
        yield from layers("of the gradient", gradient, ONE_STEP)
        return
    with e.Trainer(network, training, rows, start, n_jobs=1) as trainer:
        for steps, tolerance, what in ((1, ONE_STEP, "after 1 step"), (9, TEN_STEPS, "after 10 steps")):
            if trainer.train(steps) != steps:
                raise ArithmeticError(f"{e.__name__} stopped before 10 steps: {trainer.status}")
            yield from layers(what, trainer.parameters, tolerance)
        if training.averages:
            yield from layers("of the mean", trainer.result, TEN_STEPS)
        yield "losses of the epochs", np.array(trainer.loss_curve), TEN_STEPS


def relative_error(found, expected, rtol, atol):
    """The largest difference in units of what is allowed: at most 1 where `assert_allclose` is content."""
    if found.shape != expected.shape or not np.isfinite(found).all():
        return np.inf
    return float(np.max(np.abs(found - expected) / (atol + rtol * np.abs(expected)), initial=0.0))


class Outcome(NamedTuple):
    """The largest `relative_error`, what has it, and how many draws of data it took."""

    error: float
    what: str
    draws: int = 1


def compare(combination, seed=0, dtypes=DTYPES, containers=tuple(CONTAINERS)):
    """The compiled engine against the naive one, which computes once for all of them.

    Returns
    -------
    dict of (dtype, container) -> Outcome
    """
    data = combination.data(np.float64, seed)
    # Data and weights are numbers of float32, so that only rounding separates it from the naive float64.
    expected = {what: v for what, v, _ in results(reference, combination, np.float64, *data)}
    if combination.solver != "lbfgs":
        start = combination.network(np.float64).unpack(data[-1])[0]
        ends = [expected[f"weights {layer} after 10 steps"] for layer in range(1, len(start) + 1)]
        way = max(np.abs(b - a).max() for a, b in zip(start, ends, strict=True))
        if not way > 1e-4:
            raise ArithmeticError(f"training moves the weights by no more than {way:.2g}")
    outcomes = {}
    for dtype, container in itertools.product(dtypes, containers):
        X, *others = combination.data(dtype, seed)
        X = CONTAINERS[container](X)
        found = [
            (relative_error(np.asarray(values), expected[what], **tolerance[dtype]), what)
            for what, values, tolerance in results(engine, combination, dtype, X, *others)
        ]
        assert len(found) == len(expected)
        outcomes[dtype, container] = Outcome(*max(found))
    return outcomes


MAX_DRAWS = 3


def agree(combination, seed=0, **which):
    """`compare`, where float32 that is off gets other data, MAX_DRAWS in all.

    In float32 a rounding may put a number on the other side of a kink, or of the zero at which a solver takes
    a sign. What is wrong is off with all data. float64 has one draw.
    """
    outcomes = compare(combination, seed, **which)
    for draw in range(2, MAX_DRAWS + 1):
        off = [key for key, outcome in outcomes.items() if key[0] == "float32" and outcome.error > 1]
        for key in off:
            again = compare(combination, seed + 1000 * draw, [key[0]], [key[1]])
            outcomes[key] = again[key]._replace(draws=draw)
    return outcomes


def covering(factors, kind=Combination):
    """Combinations, of the given kind, in which every two values of two factors meet, few of them.

    Greedily: each begins with a pair that is missing, and every other factor takes the value that makes up
    most missing pairs with those chosen.
    """
    pairs = itertools.combinations(factors, 2)
    missing = {frozenset([(f, a), (g, b)]): None for f, g in pairs for a in factors[f] for b in factors[g]}

    def gain(chosen, item):
        return sum(frozenset([item, other]) in missing for other in chosen.items())

    rows = []
    while missing:
        chosen = dict(next(iter(missing)))
        for factor, values in factors.items():
            if factor not in chosen:
                chosen[factor] = max(values, key=lambda value: gain(chosen, (factor, value)))
        for pair in itertools.combinations(chosen.items(), 2):
            missing.pop(frozenset(pair), None)
        rows.append(kind(**chosen))
    return rows
