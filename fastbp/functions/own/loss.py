"""A user's own loss."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np

from fastbp.functions.activations import OUTPUT_ACTIVATIONS
from fastbp.functions.loss_entry import ANY, NON_NEGATIVE, POSITIVE, UNIT
from fastbp.functions.loss_entry import Loss as Entry
from fastbp.functions.losses import LOSSES
from fastbp.functions.own.checks import check_finite, check_slope, checked_range
from fastbp.functions.own.formula import Formula, checked_name
from fastbp.functions.own.parameters import (
    checked_parameters,
    defaults_of,
    inputs_of,
    parameters_of,
)
from fastbp.functions.registry import Registry
from fastbp.functions.symbolic.evaluation import evaluate, length_of
from fastbp.functions.symbolic.expression import FormulaError, Node, from_list, to_list, variable
from fastbp.functions.symbolic.gradient import derivative as derived
from fastbp.functions.symbolic.row_code import row_loss
from fastbp.functions.symbolic.tracing import trace_own_number

TASKS = ("classifier", "regressor")
TARGETS = {"any": ANY, "non-negative": NON_NEGATIVE, "positive": POSITIVE, "unit": UNIT}
MOST_PARAMETERS = 8
F, Y = variable("f", row=True), variable("y", row=True)
N_ROWS, N_OUTPUTS = 40, 3  # of the check


class Loss(Formula):
    """A loss of your own: of the outputs and targets of one row.

    The formula is recorded when the object is made and compiled like fastbp's own, for all engines. It is
    written with operators and NumPy's functions for a row: `f` and `y` are as arrays of shape (n_outputs,),
    and np.sum, np.mean, np.max and np.min make a number of them.

    Parameters
    ----------
    name : str
        Letters, digits, '_', '.' or '-'.
    value : callable
        ``value(f, y, *params) -> loss of the row``, a number.
    gradient : callable, default=None
        ``gradient(f, y, *params) -> derivatives by f``, a row. None: derived from `value`.
    params : dict, default=None
        Parameters that `loss_params` sets, at most 8, in the order of the arguments: ``{name: default}`` or
        ``{name: (default, lowest, highest)}``.
    merged_with : str, default=None
        Output activation that the formula contains: `f` are the values before it. Merged formulas are stable
        where probabilities round to 0 or 1. None: `f` are the outputs, of whatever activation.
    tasks : {"classifier", "regressor"} or sequence of them, default=("classifier", "regressor")
        Estimators that may use it. The targets of a classifier are 0 and 1: a column for each class, or one
        column for two classes.
    targets : {"any", "non-negative", "positive", "unit"}, default="any"
        Targets of a regressor for which the loss is defined; others are refused. "unit" is [0, 1].
    between : tuple of float, default=(-3.0, 3.0)
        Range of f in which the formula is checked: finite, and its gradient that of central differences.

    Attributes
    ----------
    name : str

    Raises
    ------
    ValueError
        If the formula cannot be compiled or its gradient is wrong: names the line or the point.

    Examples
    --------
    An item that is missing costs four times as much as one too many:

    >>> import numpy as np
    >>> from fastbp import BPRegressor, Loss
    >>> stock = Loss(
    ...     "stock",
    ...     lambda f, y, missing: np.sum(np.where(f < y, missing * (y - f), f - y)),
    ...     params={"missing": (4.0, 0.0, 100.0)},
    ... )
    >>> X = np.zeros((500, 1))
    >>> sold = np.random.RandomState(0).exponential(size=500)
    >>> net = BPRegressor((), loss=stock, out_bias="data", max_iter=300, random_state=0).fit(X, sold)
    >>> bool(abs(net.predict(X[:1])[0] - np.quantile(sold, 0.8)) < 0.1)
    True
    """

    kind: ClassVar[str] = "Loss"
    registry: ClassVar[Registry[Any]] = LOSSES

    def __new__(
        cls,
        name: str,
        value: Callable[..., Any],
        gradient: Callable[..., Any] | None = None,
        *,
        params: Mapping[str, Any] | None = None,
        merged_with: str | None = None,
        tasks: str | Sequence[str] = TASKS,
        targets: str = "any",
        between: tuple[float, float] = (-3.0, 3.0),
    ) -> Self:
        name = checked_name(cls.kind, name)
        wanted = [tasks] if isinstance(tasks, str) else list(tasks)
        if not wanted or not set(wanted) <= set(TASKS):
            raise ValueError(f"tasks must be 'classifier', 'regressor' or both, got {tasks!r}.")
        if targets not in TARGETS:
            raise ValueError(f"targets must be one of {list(TARGETS)}, got {targets!r}.")
        if merged_with is not None and merged_with not in OUTPUT_ACTIVATIONS:
            raise ValueError(f"merged_with must be None or one of {OUTPUT_ACTIVATIONS}, got {merged_with!r}.")
        of_params = checked_parameters(params, MOST_PARAMETERS, "loss_params")
        inputs = F, Y, *inputs_of(of_params)
        loss = trace_own_number(value, *inputs, name=f"the value of Loss {name!r}")
        if loss.is_row:
            raise FormulaError(
                f"the value of Loss {name!r} is a row, a number for each output: sum them by np.sum."
            )
        if gradient is None:
            slope = derived(loss, F)
        else:
            slope = trace_own_number(gradient, *inputs, name=f"the gradient of Loss {name!r}")
        plain = {
            "name": name,
            "params": of_params,
            "merged_with": merged_with,
            "tasks": wanted,
            "targets": targets,
            "formulas": to_list([loss, slope]),
        }
        _check(plain, loss, slope, checked_range(between), gradient is None)
        return cls._made(plain)

    def _registered_as(self, name: str) -> str:
        merged = self._plain["merged_with"]
        return name if merged is None else f"{name}+{merged}"

    def _is_taken(self) -> bool:
        return any(entry.user_name == self.name for entry in LOSSES)

    def _entry(self, name: str) -> Entry:
        plain = self._plain
        loss, slope = from_list(plain["formulas"])
        return Entry(
            self._registered_as(name),
            repr(loss),
            row_loss(loss, slope, F, Y, inputs_of(plain["params"])),
            plain["merged_with"],
            parameters=parameters_of(plain["params"]),
            tasks=tuple(plain["tasks"]),
            domain=TARGETS[plain["targets"]],
        )


def _check(
    plain: dict[str, Any], loss: Node, slope: Node, between: tuple[float, float], is_derived: bool
) -> None:
    rng = np.random.RandomState(0)
    f = rng.uniform(*between, (N_ROWS, N_OUTPUTS))
    if plain["tasks"] == ["classifier"]:
        y = np.eye(N_OUTPUTS)[rng.randint(N_OUTPUTS, size=N_ROWS)]
    elif plain["targets"] == "any":
        y = rng.normal(size=f.shape)
    else:
        y = rng.uniform(0.1, 1.0, f.shape)
    constants = {**defaults_of(plain["params"]), **length_of(f)}

    def rows(formula: Node, outputs: np.ndarray) -> np.ndarray:
        return evaluate((formula,), {"f": outputs, "y": y, **constants})[0]

    def losses(outputs: np.ndarray) -> np.ndarray:
        return np.broadcast_to(rows(loss, outputs), (N_ROWS, 1))[:, 0]

    what = f"of Loss {plain['name']!r}"
    advice = "Mend it, or give the range for which it is meant by `between`."
    check_finite(f"value {what}", "f", f[:, 0], losses(f), advice)
    slopes = np.broadcast_to(rows(slope, f), f.shape)
    for j in range(N_OUTPUTS):

        def along(points: np.ndarray, j: int = j) -> np.ndarray:
            moved = f.copy()
            moved[:, j] = points
            return losses(moved)

        check_slope(f"gradient {what}", f"f[{j}]", f[:, j], along, slopes[:, j], is_derived=is_derived)
