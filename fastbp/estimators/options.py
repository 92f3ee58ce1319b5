"""Parameters of the estimators, each declared once, and their values for a fit.

A field of `Options` holds a parameter's default and constraints; constructors, checks, presets and the README
are written or tested against it.
"""

from collections.abc import Callable, Iterable
from dataclasses import Field, dataclass, field, fields
from functools import cache, cached_property, partial
from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils._param_validation import Options as OneOf

from fastbp import presets
from fastbp.estimators.parameter_checks import dropout_rates, hidden_sizes
from fastbp.functions.activations import ACTIVATIONS, GROUP_ACTIVATIONS, OUTPUT_ACTIVATIONS
from fastbp.functions.initialisers import INITIALISERS
from fastbp.functions.loss_entry import Loss
from fastbp.functions.loss_lookup import find_loss, is_loss, loss_names
from fastbp.functions.parameters import Parameter, resolve
from fastbp.functions.schedules import RATE_SCHEDULES, SCHEDULES
from fastbp.functions.solvers import STOCHASTIC, is_stochastic
from fastbp.functions.values import plain_key, python_number
from fastbp.plan.planner import is_hidden_activation
from fastbp.plan.training import AVERAGES, TrainingPlan, training_plan

CLASSIFIER, REGRESSOR = TASKS = ("classifier", "regressor")
DTYPES = ("auto", "float32", "float64")
AUTO_BATCH_SIZE = 200
MAX_REMEMBERED = 256

RATE_FACTORS = (
    Parameter("weights", 1.0, 0.0, float("inf")),
    Parameter("biases", 1.0, 0.0, float("inf")),
    Parameter("features", 1.0, 0.0, float("inf")),
    Parameter("fan_in_power", 0.0, 0.0, float("inf")),
)


# --- Constraints of a parameter


class NamesOrFormulas(StrOptions):
    """Names, and those that are registered later: of a user's own formulas."""

    def __init__(self, names: set[str], knows: Callable[[str], bool]) -> None:
        super().__init__(names)
        self._knows = knows

    def is_satisfied_by(self, val: Any) -> bool:
        return super().is_satisfied_by(val) or (isinstance(val, str) and self._knows(val))


def one_of(*names: Iterable[str], knows: Callable[[str], bool] | None = None) -> StrOptions:
    """Accept names; `knows` tells of a name that is not among them whether a registry has it."""
    found = {name for several in names for name in several}
    return StrOptions(found) if knows is None else NamesOrFormulas(found, knows)


def at_least(low: float, kind: type = Real) -> Interval:
    return Interval(kind, low, None, closed="left")


POSITIVE = Interval(Real, 0, None, closed="neither")
SHARE = Interval(Real, 0, 1, closed="left")
FLAG = "boolean"


def declare(default: Any, *constraints: Any, tasks: Iterable[str] = TASKS, **roles: bool) -> Any:
    """Declare a parameter of the estimators for these tasks.

    Roles
    -----
    predicts : bool
        Predictions depend on it.
    trains : bool
        It is an argument of `training_plan` with the same name.
    free : bool
        The course of a fit does not depend on it, so that a checkpoint is valid for other values.
    """
    about = {task: (default, list(constraints)) for task in tasks}
    return field(default=default, metadata={"about": about, **roles})


def declare_each(classifier: tuple[Any, Any], regressor: tuple[Any, Any], **roles: bool) -> Any:
    """Declare a parameter with a default and a constraint for each task."""
    pairs = zip(TASKS, (classifier, regressor), strict=True)
    about = {task: (default, [constraint]) for task, (default, constraint) in pairs}
    return field(default=None, metadata={"about": about, **roles})


@dataclass(frozen=True, kw_only=True)
class Options:
    """Parameters of a fit: an estimator's, with its preset applied and numbers converted to Python's.

    Attributes
    ----------
    task : {"classifier", "regressor"}
    of_preset : frozenset of str
        Names of the parameters set by the preset.
    """

    hidden_layer_sizes: Any = declare((100,), "array-like", at_least(1, Integral))
    activation: Any = declare(
        "relu",
        one_of(
            (entry.name for entry in ACTIVATIONS if entry.hidden),
            GROUP_ACTIVATIONS.names(),
            knows=is_hidden_activation,
        ),
        list,
        tuple,
        predicts=True,
    )
    maxout_pieces: int = declare(2, at_least(2, Integral), predicts=True)
    out_activation: str = declare(
        "auto", one_of(["auto"], OUTPUT_ACTIVATIONS, knows=ACTIVATIONS.__contains__)
    )
    loss: str = declare_each(
        ("log_loss", one_of(loss_names(CLASSIFIER), knows=partial(is_loss, task=CLASSIFIER))),
        ("squared_error", one_of(loss_names(REGRESSOR), knows=partial(is_loss, task=REGRESSOR))),
        predicts=True,
    )
    loss_params: dict[str, Any] | None = declare(None, dict, None, predicts=True)
    class_weight: Any = declare(None, one_of(["balanced"]), dict, list, None, tasks=[CLASSIFIER])
    solver: str = declare("adam", one_of(["lbfgs"], STOCHASTIC, knows=is_stochastic), trains=True)
    solver_params: dict[str, Any] | None = declare(None, dict, None, trains=True)
    alpha: float = declare(1e-4, at_least(0), trains=True)
    l2: float = declare(0.0, at_least(0), trains=True)
    l1: float = declare(0.0, at_least(0), trains=True)
    weight_decay: float | None = declare(None, at_least(0), None, trains=True)
    clip_value: float | None = declare(None, POSITIVE, None, trains=True)
    clip_norm: float | None = declare(None, POSITIVE, None, trains=True)
    max_norm: float | None = declare(None, POSITIVE, None, trains=True)
    dropout: Any = declare(0.0, SHARE, list, tuple, predicts=True)
    input_dropout: float = declare(0.0, SHARE, predicts=True)
    input_noise: float = declare(0.0, at_least(0), predicts=True)
    residual: bool = declare(False, FLAG, predicts=True)
    norm: str | None = declare(None, one_of(["batch", "layer"]), None, predicts=True)
    input_scaling: str | None = declare(None, one_of(["robust"]), None, predicts=True)
    learn_input_scales: bool = declare(False, FLAG, predicts=True)
    parametric_activation: bool = declare(False, FLAG, predicts=True)
    rate_factors: dict[str, Any] | None = declare(None, dict, None, predicts=True)
    target_scaling: str | None = declare(None, one_of(["standard"]), None, tasks=[REGRESSOR])
    average: str | None = declare(None, one_of(AVERAGES), None, trains=True)
    average_params: dict[str, Any] | None = declare(None, dict, None, trains=True)
    batch_size: Any = declare("auto", one_of(["auto"]), at_least(1, Integral))
    learning_rate: str = declare("constant", one_of(SCHEDULES), trains=True)
    learning_rate_init: float = declare(0.001, POSITIVE, trains=True)
    power_t: float = declare(0.5, at_least(0), trains=True)
    schedule: str | None = declare(
        None,
        one_of(RATE_SCHEDULES.names(), ["plateau"], knows=RATE_SCHEDULES.__contains__),
        None,
        trains=True,
    )
    schedule_params: dict[str, Any] | None = declare(None, dict, None, trains=True)
    max_iter: int = declare(200, at_least(1, Integral), free=True)
    shuffle: bool = declare(True, FLAG, trains=True)
    fit_intercept: bool = declare(True, FLAG, predicts=True)
    init: str = declare("glorot", one_of(INITIALISERS.names()))
    out_init: str = declare("auto", one_of(["auto"], INITIALISERS.names()))
    out_bias: str | None = declare(None, one_of(["data"]), None)
    random_state: Any = declare(None, "random_state")
    tol: float = declare(1e-4, at_least(0), trains=True)
    verbose: Any = declare(False, "verbose", free=True)
    warm_start: bool = declare(False, FLAG)
    momentum: float = declare(0.9, Interval(Real, 0, 1, closed="both"), trains=True)
    nesterovs_momentum: bool = declare(True, FLAG, trains=True)
    early_stopping: bool = declare(False, FLAG)
    validation_fraction: float = declare(0.1, SHARE)
    scoring: Any = declare(None, str, callable, None)
    beta_1: float = declare(0.9, SHARE, trains=True)
    beta_2: float = declare(0.999, SHARE, trains=True)
    epsilon: float = declare(1e-8, POSITIVE, trains=True)
    n_iter_no_change: float = declare(10, at_least(1, Integral), OneOf(Real, {np.inf}), trains=True)
    max_fun: int = declare(15000, at_least(1, Integral))
    n_jobs: int | None = declare(
        None, None, at_least(1, Integral), Interval(Integral, None, -1, closed="right"), free=True
    )
    device: str = declare("cpu", one_of(["cpu", "cuda", "auto"]), free=True)
    dtype: str = declare("auto", one_of(DTYPES))
    preset: str | None = declare(None, one_of(presets.NAMES), None, predicts=True)

    task: str
    of_preset: frozenset[str] = frozenset()

    @classmethod
    def from_estimator(cls, estimator: Any) -> "Options":
        """Return the options of an estimator, not checked. Equal options are the same object."""
        task = task_of(estimator)
        names = parameter_names(task)
        try:
            values = tuple(map(vars(estimator).__getitem__, names))
        except KeyError:  # attributes of a subclass's own kind, or one that is missing
            values = tuple(getattr(estimator, name) for name in names)
        plain = plain_key(values)
        key = type(estimator), plain
        found = None if plain is None else _known.get(key)
        if found is None:
            found = cls._made(estimator, task, dict(zip(names, values, strict=True)))
            if plain is not None:
                if len(_known) >= MAX_REMEMBERED:
                    _known.clear()
                _known[key] = found
        return found

    @classmethod
    def _made(cls, estimator: Any, task: str, values: dict[str, Any]) -> "Options":
        changes = {} if values["preset"] is None else presets.changes(estimator, task)
        numbers = {name: python_number(value) for name, value in {**values, **changes}.items()}
        return cls(**numbers, task=task, of_preset=frozenset(changes))

    # --- Derived values

    def set_by(self, name: str) -> str:
        """Text for messages about a parameter that the preset has set, else empty."""
        return f" (set by preset={self.preset!r})" if name in self.of_preset else ""

    @cached_property
    def hidden(self) -> tuple[int, ...]:
        """Units of each hidden layer."""
        return hidden_sizes(self.hidden_layer_sizes)

    @cached_property
    def activations(self) -> str | tuple[str, ...]:
        """One name for all hidden layers, or one for each."""
        return self.activation if isinstance(self.activation, str) else tuple(self.activation)

    @property
    def is_stochastic(self) -> bool:
        """True if the solver works on mini-batches."""
        return is_stochastic(self.solver)

    @property
    def normalises_batches(self) -> bool:
        return self.norm == "batch" and self.is_stochastic and len(self.hidden) > 0

    @property
    def watches_loss(self) -> bool:
        """True if early stopping watches the loss of the validation rows."""
        return isinstance(self.scoring, str) and self.scoring == "loss"

    @property
    def takes_scorer(self) -> bool:
        """True if `scoring` is a scorer, by name or as a callable."""
        return self.scoring is not None and not self.watches_loss

    def batch_rows(self, n_rows: int) -> int:
        """Rows of a batch, before adjustment for batch normalisation."""
        return min(AUTO_BATCH_SIZE if self.batch_size == "auto" else self.batch_size, n_rows)

    def loss_entry(self, out_activation: str) -> Loss:
        return find_loss(self.loss, out_activation, self.task)

    @cached_property
    def _of_networks(self) -> dict[str, dict[str, Any]]:
        return {}

    def of_network(self, out_activation: str) -> dict[str, Any]:
        """Arguments of a network plan besides sizes, intercepts and dtype: hashable, and checked."""
        found = self._of_networks.get(out_activation)
        if found is None:
            found = self._of_networks[out_activation] = self._network_arguments(out_activation)
        return found

    def _network_arguments(self, out_activation: str) -> dict[str, Any]:
        return {
            "activation": self.activations,
            "out_activation": out_activation,
            "loss": self.loss,
            "constants": find_loss(self.loss, out_activation).constants(self.loss_params or {}),
            "dropout": dropout_rates(self.dropout),
            "input_dropout": float(self.input_dropout),
            "input_noise": float(self.input_noise),
            "residual": bool(self.residual),
            "norm": self.norm,
            "robust_inputs": self.input_scaling == "robust",
            "input_scales": bool(self.learn_input_scales),
            "blend": bool(self.parametric_activation),
            "rate_factors": _rate_factors(self.rate_factors),
            "maxout_pieces": int(self.maxout_pieces),
        }

    def that_matter(self) -> dict[str, Any]:
        """Parameters that the course of a fit depends on, with the preset's values instead of its name."""
        free = set(with_role("free"))
        if self.schedule not in (None, "constant", "plateau") or self.average == "swa":
            free.remove("max_iter")
        names = [name for name in parameter_names(self.task) if name not in free]
        return {name: getattr(self, name) for name in names} | {"preset": None}

    @cached_property
    def _training_plans(self) -> dict[tuple, TrainingPlan]:
        return {}

    def training_plan(self, **of_fit: Any) -> TrainingPlan:
        """Plan the training of one fit; the latest plan is remembered."""
        key = tuple(of_fit.values())
        found = self._training_plans.get(key)
        if found is None:
            self._training_plans.clear()
            found = training_plan(**{name: getattr(self, name) for name in with_role("trains")}, **of_fit)
            self._training_plans[key] = found
        return found


_known: dict[tuple, Options] = {}


def _rate_factors(given: dict | None) -> tuple[float, ...] | None:
    """Return `rate_factors` as a plan needs them, or raise ValueError."""
    if given is None:
        return None
    return tuple(float(value) for value in resolve(RATE_FACTORS, given, "rate_factors", "a network"))


def task_of(estimator: Any) -> str:
    return CLASSIFIER if isinstance(estimator, ClassifierMixin) else REGRESSOR


# --- The declarations


def _declared() -> list[Field]:
    return [one for one in fields(Options) if "about" in one.metadata]


@cache
def parameter_names(task: str) -> tuple[str, ...]:
    """Parameters of an estimator, in the order of its constructor."""
    return tuple(one.name for one in _declared() if task in one.metadata["about"])


@cache
def with_role(role: str) -> tuple[str, ...]:
    """Parameters declared with a role."""
    return tuple(one.name for one in _declared() if one.metadata.get(role))


def defaults(task: str) -> dict[str, Any]:
    return {one.name: one.metadata["about"][task][0] for one in _declared() if task in one.metadata["about"]}


def constraints(task: str) -> dict[str, list]:
    """Constraints of each parameter, in scikit-learn's form."""
    return {one.name: one.metadata["about"][task][1] for one in _declared() if task in one.metadata["about"]}
