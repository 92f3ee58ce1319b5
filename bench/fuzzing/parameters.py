"""Values of the constructors' parameters, as text: good ones, ones at the edge, and bad ones.

A good value is taken, or refused for what it is combined with. A bad one is refused by a message that names
the parameter. At the edge, both will do.
"""

from dataclasses import dataclass, field

from .draw import Draw

FLOATS = ("np.float16", "np.float32", "np.float64", "np.longdouble")
INTEGERS = ("np.int8", "np.int16", "np.int32", "np.int64", "np.uint8", "np.uint16", "np.uint32", "np.uint64")
HIDDEN = [
    *("identity", "logistic", "tanh", "relu", "leaky_relu", "elu", "selu", "gelu", "gelu_tanh", "silu"),
    *("mish", "softplus", "softsign", "hard_sigmoid", "hard_tanh", "relu6", "maxout"),
]
OUTPUT = [*HIDDEN[:-1], "exp", "softmax", "increasing"]
SOLVERS = ["sgd", "adam", "adamw", "amsgrad", "rmsprop", "adagrad", "adadelta", "lion", "rprop", "lbfgs"]
NO_NUMBERS = [
    'float("nan")',
    'np.float32("nan")',
    '"0.5"',
    'b"1"',
    "[0.5]",
    "np.array([0.1, 0.2])",
    "{}",
    "1j",
    "object()",
    'np.datetime64("2020-01-01")',
    "pd.NA",
    "int",
]
HUGE_NUMBERS = ["5e-324", "1e-300", "1e30", "1e300", 'float("inf")', "10**400", "2**70", "np.float16(65504)"]


@dataclass(frozen=True)
class Values:
    """The values of one parameter."""

    good: list[str]
    bad: list[str]
    edge: list[str] = field(default_factory=list)


def _real(*plain: str, bad: tuple[str, ...], optional: bool = False, below_one: bool = False) -> Values:
    """A real number. `plain` are exact in half precision."""
    good = [*plain, *(f"{kind}({value})" for kind in FLOATS for value in plain)]
    none = ["None"]
    return Values(
        good + none * optional,
        [
            *NO_NUMBERS,
            *bad,
            "-1.0",
            "-(2**70)",
            *(HUGE_NUMBERS[2:] if below_one else []),
            *none * (not optional),
        ],
        ["5e-324", "1e-300", "True", "np.int8(1)", "Fraction(1, 4)"] if below_one else HUGE_NUMBERS,
    )


def _count(*plain: str, least: int, optional: bool = False, edge: tuple[str, ...] = ()) -> Values:
    good = [*plain, *(f"{kind}({value})" for kind in INTEGERS for value in plain)]
    none = ["None"]
    bad = [*NO_NUMBERS, f"{least - 1}", "-(2**70)", "2.5", "np.float64(3)", "True" if least > 1 else "-2**31"]
    return Values(good + none * optional, bad + none * (not optional), [*edge])


def _flag() -> Values:
    return Values(
        ["True", "False", "np.True_", "np.False_"],
        ["0", "1", "1.0", '"True"', "None", "[True]", "np.array([True])", "np.int8(1)", "object()"],
    )


def _name(*names: str, optional: bool = False) -> Values:
    bad = ['"nope"', '""', "3", "1.5", 'b"relu"', "{}", "object()", 'float("nan")', "[]", '["nope"]', "len"]
    good = [*(repr(name) for name in names), f"np.str_({names[0]!r})"]
    none = ["None"]
    return Values(good + none * optional, bad + none * (not optional))


def _dictionary(*good: str, bad: tuple[str, ...]) -> Values:
    every = ('{"nope": 1}', "{1: 2}", '"x"', "3", "[]", "[1]", "set()", "object()", "{None: None}")
    return Values(["None", "{}", *good], [*every, *bad])


SCHEDULE_PARAMS = {
    "constant": ["{}", '{"warmup_steps": 3}', '{"warmup_steps": np.int16(2)}'],
    "cosine": ['{"end": 0.5}', '{"end": np.float32(0.25), "warmup_steps": 2}'],
    "one_cycle": ['{"start": 0.5}', '{"peak": np.float64(0.5)}', '{"peak": 0.01}'],
    "linear": ['{"end": 0.5}'],
    "step": ['{"decay": 0.5, "epochs": 1}', '{"decay": 2}'],
    "exponential": ['{"decay": np.float16(0.5)}', '{"decay": 0}'],
    "inverse": ['{"decay": 2, "power": 1}'],
    "restarts": ['{"epochs": 1}', '{"epochs": 1.5, "growth": 1}', '{"growth": np.uint8(3)}'],
    "coslog": ['{"waves": 2}', '{"waves": 15.5}'],
    "plateau": ["None"],
}
LOSS_PARAMS = {
    "log_loss": ["None", '{"label_smoothing": 0.125}', '{"label_smoothing": np.float16(0.125)}'],
    "focal": ['{"gamma": 0}', '{"gamma": np.float32(1.5)}', '{"gamma": 5}'],
    "huber": ['{"delta": 0.5}', '{"delta": np.float32(2)}', '{"delta": np.int64(1)}'],
    "pinball": [
        '{"quantile": 0.25}',
        '{"quantile": [0.1, 0.5, 0.9]}',
        '{"quantile": np.array([0.25, 0.75])}',
        '{"quantile": (0.5,)}',
    ],
    "tweedie": ['{"power": 1.25}', '{"power": np.float16(1.75)}'],
    "gaussian_nll": ['{"beta": 0}', '{"beta": 1}', '{"beta": np.float16(0.25), "floor": 0.125}'],
}
SOLVER_PARAMS = {
    "rmsprop": ['{"rho": 0.5}', '{"rho": np.float32(0)}'],
    "adadelta": ['{"rho": 0.5, "damping": 1e-3}'],
    "lion": ['{"memory": 0.5}'],
    "rprop": ['{"shrink": 0.25, "grow": 2}', '{"smallest": 1e-3, "largest": np.float32(1)}'],
}

COMMON = {
    "hidden_layer_sizes": Values(
        ["()", "3", "(4,)", "[3, 2]", "(2, 3, 2)", "np.array([3, 2])", "np.int8(3)", "(np.uint16(3), 2)"],
        [
            "None",
            '"3"',
            "(0,)",
            "-3",
            "(2.5,)",
            "2.0",
            "[[3]]",
            '("3",)',
            "(True,)",
            "{1: 2}",
            "{3}",
            "1j",
            "np.array(3)",
            "np.array([[2, 3]])",
            "np.array([2.5])",
            "(None,)",
            'float("nan")',
            "object()",
            "(3, -1)",
            "np.array([0])",
            'b"3"',
            "[()]",
        ],
        ["range(2, 4)", "(2**40,)", "2**62", "2**70", "(3,) * 40", "pd.Series([3, 2])", "(10**30, 2)"],
    ),
    "activation": Values(
        [*(repr(name) for name in HIDDEN), 'np.str_("tanh")'],
        [
            "None",
            '"nope"',
            '"softmax"',
            '"exp"',
            "3",
            "{}",
            "[[1, 2], [3]]",
            '["relu", 3]',
            '["nope"]',
            "len",
            'b"relu"',
            "object()",
            "[None]",
        ],
        ["[]", '["relu"]', '("tanh", "elu")', '["maxout", "relu", "mish"]'],
    ),
    "maxout_pieces": _count("2", "3", least=2, edge=("2**30", "2**62", "2**70")),
    "out_activation": Values(['"auto"', *(repr(name) for name in OUTPUT)], [*_name("auto").bad, '"maxout"']),
    "loss_params": _dictionary(
        bad=('{"gamma": "x"}', '{"quantile": -1}', '{"label_smoothing": float("nan")}')
    ),
    "solver": _name(*SOLVERS),
    "solver_params": _dictionary(bad=('{"rho": 2}', '{"rho": "x"}', '{"memory": None}')),
    "alpha": _real("0", "0.125", "2", bad=("-0.5",)),
    "l2": _real("0", "0.125", bad=("-0.5",)),
    "l1": _real("0", "0.0625", bad=("-0.5",)),
    "weight_decay": _real("0", "0.125", bad=("-0.5",), optional=True),
    "clip_value": _real("0.5", "4", bad=("0", "-0.5"), optional=True),
    "clip_norm": _real("0.5", "4", bad=("0", "-0.5"), optional=True),
    "max_norm": _real("0.5", "4", bad=("0", "-0.5"), optional=True),
    "dropout": Values(
        [
            "0",
            "0.25",
            "[0.5]",
            "(0.25, 0.5)",
            "[0.0, np.float16(0.5), 0.25]",
            *(f"{f}(0.25)" for f in FLOATS),
        ],
        [
            "None",
            "1",
            "1.5",
            "-0.25",
            '"0.5"',
            "[1.0]",
            "[None]",
            "{}",
            "1j",
            'float("nan")',
            "{0.5}",
            "[[0.5]]",
            '["a"]',
            "object()",
            "[float('nan')]",
        ],
        ["[]", "0.9999999", "5e-324", "False", "np.array([0.5])", "(0.5,) * 40"],
    ),
    "input_dropout": _real("0", "0.25", bad=("1.5", "1"), below_one=True),
    "input_noise": _real("0", "0.125", bad=("-0.5",)),
    "residual": _flag(),
    "norm": _name("batch", "layer", optional=True),
    "input_scaling": _name("robust", optional=True),
    "learn_input_scales": _flag(),
    "parametric_activation": _flag(),
    "rate_factors": _dictionary(
        '{"weights": 0.5, "biases": 0, "features": 2, "fan_in_power": 0.5}',
        '{"biases": np.float16(0.5)}',
        bad=('{"weights": -1}', '{"weights": "x"}', '{"fan_in_power": float("nan")}', '{"weights": None}'),
    ),
    "average": _name("ema", "swa", optional=True),
    "average_params": _dictionary(bad=('{"decay": 2}', '{"start": "x"}', '{"decay": float("nan")}')),
    "batch_size": Values(
        ['"auto"', "1", "7", "64", "10000", *(f"{kind}(7)" for kind in INTEGERS)],
        [*NO_NUMBERS, "None", "0", "-3", "2.5", "np.float64(3)", '"all"'],
        ["2**62", "2**70", "True"],
    ),
    "learning_rate": _name("constant", "invscaling", "adaptive"),
    "learning_rate_init": _real("0.0078125", "0.125", "1", bad=("0", "-0.5")),
    "power_t": _real("0", "0.25", "1", bad=("-0.5",)),
    "schedule": _name(*SCHEDULE_PARAMS, optional=True),
    "schedule_params": _dictionary(bad=('{"warmup_steps": -1}', '{"end": "x"}', '{"decay": float("nan")}')),
    "max_iter": _count("1", "2", "3", least=1, edge=("True",)),
    "shuffle": _flag(),
    "fit_intercept": _flag(),
    "init": _name("glorot", "he", "lecun", "orthogonal", "uniform", "normal", "zeros"),
    "out_init": _name("auto", "glorot", "he", "lecun", "orthogonal", "uniform", "normal", "zeros"),
    "out_bias": _name("data", optional=True),
    "random_state": Values(
        ["0", "1", "2**32 - 1", "np.int8(3)", "np.uint64(7)", "None", "np.random.RandomState(3)"],
        [
            "-1",
            "2**32",
            "1.5",
            '"x"',
            "np.random.default_rng(0)",
            "[1]",
            'float("nan")',
            "object()",
            "2**70",
            "{}",
            "np.float64(3)",
        ],
        ["True", "np.random", "np.array(3)"],
    ),
    "tol": _real("0", "0.0078125", bad=("-0.5",)),
    "verbose": Values(
        ["False", "True", "0", "1", "2", "np.int64(1)", "np.uint8(2)"],
        ["-1", "1.5", '"yes"', "None", "[1]", "object()", 'float("nan")'],
        ["2**70"],
    ),
    "warm_start": _flag(),
    "momentum": _real("0", "0.5", "1", bad=("1.5", "-0.5"), below_one=True),
    "nesterovs_momentum": _flag(),
    "early_stopping": _flag(),
    "validation_fraction": _real("0.25", "0.5", bad=("1", "1.5"), below_one=True),
    "scoring": Values(
        ["None", '"loss"', "make_scorer(median_absolute_error, greater_is_better=False)"],
        ['"nope"', '""', "3", "1.5", "{}", "object()", 'b"r2"', "[]", 'float("nan")', '["r2"]', "True"],
    ),
    "beta_1": _real("0", "0.5", bad=("1", "1.5"), below_one=True),
    "beta_2": _real("0", "0.5", bad=("1", "1.5"), below_one=True),
    "epsilon": _real("0.0078125", "1", bad=("0", "-0.5")),
    "n_iter_no_change": _count(
        "1", "2", least=1, edge=('float("inf")', "np.inf", "np.float32('inf')", "2**70")
    ),
    "max_fun": _count("1", "5", "15", least=1, edge=("2**62", "2**70", "True")),
    "n_jobs": Values(
        ["None", "1", "2", "-1", "np.int8(2)", "np.uint64(1)"],
        ["0", "1.5", '"2"', 'float("nan")', "[1]", "np.float64(2)", "object()", "{}"],
        ["-5", "64", "2**40", "2**70", "-(2**70)", "True", "np.int64(-1)"],
    ),
    "device": _name("cpu"),
    "dtype": _name("auto", "float32", "float64"),
    "preset": _name("tabular", optional=True),
}
# "cuda" without a GPU is refused by RuntimeError, which has tests of its own.

CLASSIFIER = {
    **COMMON,
    "loss": _name(
        "log_loss",
        "focal",
        "hinge",
        "squared_hinge",
        "squared_error",
        "mean_squared_error",
        "sum_squared_error",
    ),
    "class_weight": Values(
        ["None", '"balanced"', "{}"],
        ['"nope"', "3", "1.5", "object()", 'float("nan")', '""', "{0: -1, 1: -1}", "{0: float('nan')}"],
        [
            "{0: 2.0}",
            "{1: np.float32(3)}",
            "[{0: 1, 1: 2}, {0: 1, 1: 5}]",
            "{0: 0}",
            "{'a': 2}",
            "{2**70: 1}",
            "{0: 1e300}",
            "{0: 10**400}",
            "{0: 'x'}",
            "[]",
            "[{}]",
            "{None: 1}",
            "{0: None}",
        ],
    ),
}
REGRESSOR = {
    **COMMON,
    "loss": _name(
        "squared_error",
        "mean_squared_error",
        "sum_squared_error",
        "log_loss",
        "absolute_error",
        "huber",
        "log_cosh",
        "pinball",
        "poisson",
        "gamma",
        "tweedie",
        "gaussian_nll",
    ),
    "target_scaling": _name("standard", optional=True),
}
TABLES = {"BPClassifier": CLASSIFIER, "BPRegressor": REGRESSOR}
OUTPUTS = {
    "log_loss": ["logistic", "softmax"],
    "focal": ["logistic", "softmax"],
    "hinge": ["identity"],
    "squared_hinge": ["identity"],
    "pinball": ["identity", "increasing", "softplus"],
    "poisson": ["exp"],
    "gamma": ["exp"],
    "tweedie": ["exp"],
    "gaussian_nll": ["identity"],
}
LAYERS = {
    "()": 0,
    "3": 1,
    "(4,)": 1,
    "np.int8(3)": 1,
    "[3, 2]": 2,
    "np.array([3, 2])": 2,
    "(np.uint16(3), 2)": 2,
    "(2, 3, 2)": 3,
}
NEEDS = {  # what makes a parameter count
    "average_params": {"average": "'ema'"},
    "maxout_pieces": {"activation": "'maxout'"},
    "max_fun": {"solver": "'lbfgs'"},
    "momentum": {"solver": "'sgd'"},
    "power_t": {"solver": "'sgd'", "learning_rate": "'invscaling'"},
    "schedule_params": {"schedule": "'cosine'"},
    "scoring": {"early_stopping": "True"},
    "validation_fraction": {"early_stopping": "True"},
}
MOST = 7  # parameters that are drawn beside those that keep a fit small


def good_parameters(draw: Draw, estimator: str) -> dict[str, str]:
    """Most of them go together; some do not, which the estimator says."""
    table = TABLES[estimator]
    chosen = {
        "hidden_layer_sizes": draw.pick(table["hidden_layer_sizes"].good),
        "max_iter": draw.pick(table["max_iter"].good),
        "random_state": draw.weighted({str(draw.randrange(9)): 8, draw.pick(COMMON["random_state"].good): 2}),
        "n_jobs": draw.pick(["None", "1", "2", "1", "1"]),
    }
    if draw.chance(0.6):
        chosen["loss"] = draw.pick(table["loss"].good[:-1])
    for name in draw.sample(sorted(table), draw.randrange(MOST)):
        if name not in chosen and name != "preset":
            chosen[name] = draw.pick(table[name].good)
    if draw.chance(0.05):
        chosen["preset"] = '"tabular"'
    _match(draw, chosen)
    return chosen


def _match(draw: Draw, chosen: dict[str, str]) -> None:
    """Let those that belong to each other go together, mostly."""
    if chosen["hidden_layer_sizes"] in LAYERS:
        layers = range(LAYERS[chosen["hidden_layer_sizes"]])
        if "activation" in chosen and draw.chance(0.3):
            chosen["activation"] = repr([draw.pick(HIDDEN) for _ in layers])
        if chosen.get("dropout", "0")[0] in "[(":
            chosen["dropout"] = repr([draw.pick([0, 0.25, 0.5]) for _ in layers])
    for name, partner, table in (
        ("loss", "loss_params", LOSS_PARAMS),
        ("solver", "solver_params", SOLVER_PARAMS),
        ("schedule", "schedule_params", SCHEDULE_PARAMS),
    ):
        known = table.get(chosen.get(name, "").strip("\"'"), ["None"])
        if partner in chosen or draw.chance(0.4):
            chosen[partner] = draw.pick(known)
    if "average_params" in chosen:
        known = {"'ema'": '{"decay": 0.5}', "'swa'": '{"start": 0.5}'}
        chosen["average_params"] = known.get(chosen.get("average", ""), "None")
    loss = chosen.get("loss", "").strip("'")
    if "out_activation" in chosen and loss in OUTPUTS and draw.chance(0.9):
        chosen["out_activation"] = repr(draw.pick(OUTPUTS[loss]))
    if chosen.get("solver") == "'lbfgs'" and draw.chance(0.9):
        for name in ("dropout", "input_dropout", "input_noise", "norm", "l1", "early_stopping"):
            chosen.pop(name, None)


def other_value(draw: Draw, estimator: str, kind: str, name: str | None = None) -> tuple[str, str]:
    """A parameter, and a value of it that is "bad" or at its "edge"."""
    table = TABLES[estimator]
    names = [name] if name else [name for name in sorted(table) if getattr(table[name], kind)]
    name = draw.pick(names)
    return name, draw.pick(getattr(table[name], kind))
