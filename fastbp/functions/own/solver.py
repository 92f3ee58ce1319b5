"""A user's own solver."""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Self

import numpy as np

from fastbp.functions.own.formula import Formula, checked_name
from fastbp.functions.own.parameters import (
    checked_parameters,
    defaults_of,
    inputs_of,
    parameters_of,
    places_of,
)
from fastbp.functions.registry import Registry
from fastbp.functions.solvers import N_COEFFICIENTS, SOLVERS
from fastbp.functions.solvers import Solver as Entry
from fastbp.functions.symbolic.evaluation import evaluate
from fastbp.functions.symbolic.expression import FormulaError, Node, constant, from_list, to_list, variable
from fastbp.functions.symbolic.python_code import function_of
from fastbp.functions.symbolic.tracing import trace_own
from fastbp.functions.values import shown

STATES = ("s", "t", "u")
MOST_PARAMETERS = 4
W, G, RATE, STEP = map(variable, ("w", "g", "rate", "step"))


class Solver(Formula):
    """A solver of your own: the step of one weight, given its gradient.

    The formula is recorded when the object is made and compiled like fastbp's own, for all engines. It is
    written with operators and NumPy's functions of numbers; a choice is ``np.where(g > 0, a, b)``.

    Parameters
    ----------
    name : str
        Letters, digits, '_', '.' or '-'.
    update : callable
        ``update(w, g, *states, rate, *params) -> (w, *states)``, or ``w`` without states: the new values of a
        weight w with gradient g and of its states. With `coefficients`, these are passed instead of the
        learning rate and the parameters. Penalties, clipping and weight decay are applied around it.
    n_states : int, default=0
        Numbers that are kept for each weight, at first 0; at most 3.
    params : dict, default=None
        Parameters that `solver_params` sets, at most 4, in the order of the arguments: ``{name: default}`` or
        ``{name: (default, lowest, highest)}``.
    coefficients : callable, default=None
        ``coefficients(rate, step, *params) -> tuple`` of at most 6 numbers, computed once a step, such as
        bias corrections; `step` is 1 for the first.

    Attributes
    ----------
    name : str

    Raises
    ------
    ValueError
        If the formula cannot be compiled, or returns other than it has to: names the line.

    Examples
    --------
    AdaBelief (Zhuang et al. 2020, algorithm 2, without the correction of the bias):

    >>> import numpy as np
    >>> from sklearn.datasets import load_iris
    >>> from fastbp import BPClassifier, Solver
    >>> def update(w, g, m, v, rate, beta_1, beta_2):
    ...     m = beta_1 * m + (1 - beta_1) * g
    ...     v = beta_2 * v + (1 - beta_2) * (g - m) ** 2 + 1e-12
    ...     return w - rate * m / (np.sqrt(v) + 1e-8), m, v
    >>> adabelief = Solver(
    ...     "adabelief", update, n_states=2, params={"beta_1": (0.9, 0, 1), "beta_2": (0.999, 0, 1)}
    ... )
    >>> X, y = load_iris(return_X_y=True)
    >>> net = BPClassifier((16,), solver=adabelief, learning_rate_init=0.01, random_state=0).fit(X, y)
    >>> bool(net.score(X, y) > 0.9)
    True
    """

    kind: ClassVar[str] = "Solver"
    registry: ClassVar[Registry[Any]] = SOLVERS

    def __new__(
        cls,
        name: str,
        update: Callable[..., Any],
        *,
        n_states: int = 0,
        params: Mapping[str, Any] | None = None,
        coefficients: Callable[..., Any] | None = None,
    ) -> Self:
        name = checked_name(cls.kind, name)
        if isinstance(n_states, bool) or n_states not in range(len(STATES) + 1):
            raise ValueError(f"n_states must be 0, 1, 2 or 3, got {shown(n_states)}.")
        of_params = checked_parameters(params, MOST_PARAMETERS, "solver_params")
        inputs = inputs_of(of_params)
        factors: tuple[Node, ...] = (RATE, *inputs)
        if coefficients is not None:
            what = f"the coefficients of Solver {name!r}"
            factors = trace_own(coefficients, RATE, STEP, *inputs, name=what)
        if len(factors) > N_COEFFICIENTS:
            raise ValueError(
                f"the coefficients of Solver {name!r} are {len(factors)}; at most {N_COEFFICIENTS} are kept."
            )
        states = list(map(variable, STATES[:n_states]))
        what = f"the update of Solver {name!r}"
        results = trace_own(update, W, G, *states, *_coefficients(len(factors)), name=what)
        if len(results) != 1 + n_states:
            raise FormulaError(
                f"{what} returns {len(results)} values; with n_states={n_states} they must be "
                f"{1 + n_states}: the weight, then each state."
            )
        plain = {
            "name": name,
            "params": of_params,
            "n_states": int(n_states),
            "update": to_list(results),
            "coefficients": to_list(factors),
        }
        _check(plain, results, factors)
        return cls._made(plain)

    def _is_taken(self) -> bool:
        return self.name in SOLVERS or self.name == "lbfgs"

    def _entry(self, name: str) -> Entry:
        plain = self._plain
        factors = from_list(plain["coefficients"])
        padded = [*factors, *[constant(0.0)] * (N_COEFFICIENTS - len(factors))]
        n_states = plain["n_states"]
        unused = [variable(state) for state in STATES[n_states:]]
        return Entry(
            name,
            repr(from_list(plain["update"])[0]),
            function_of(
                "update",
                ["w", "g", *STATES, "c"],
                [*from_list(plain["update"]), *unused],
                names={f"c_{i}": f"c[{i}]" for i in range(len(factors))},
            ),
            function_of(
                "coefficients",
                ["rate", "h", "step"],
                padded,
                names=places_of(plain["params"], "h"),
                wide=False,
            ),
            n_states,
            tuple(one[0] for one in plain["params"]),
            parameters_of(plain["params"]),
        )


def _coefficients(n: int) -> list[Node]:
    return [variable(f"c_{i}") for i in range(n)]


def _check(plain: dict[str, Any], results: tuple[Node, ...], factors: tuple[Node, ...]) -> None:
    """See that ten steps of some weights are finite and do not stand still."""
    rng = np.random.RandomState(0)
    w = rng.normal(size=50)
    start, states = w, dict.fromkeys(STATES[: plain["n_states"]], np.zeros(50))
    for step in range(1, 11):
        given = {"rate": 1e-3, "step": step, **defaults_of(plain["params"])}
        numbers = {f"c_{i}": number for i, number in enumerate(evaluate(factors, given))}
        w, *new = evaluate(results, {"w": w, "g": w - 3.0, **states, **numbers})
        states = dict(zip(states, new, strict=True))
        for what, values in (("weight", w), *states.items()):
            if not np.isfinite(values).all():
                raise FormulaError(
                    f"the update of Solver {plain['name']!r} makes a {what} that is not finite in step "
                    f"{step}, with a learning rate of 0.001 and the defaults of its parameters."
                )
    if np.array_equal(w, start):
        raise FormulaError(f"the update of Solver {plain['name']!r} does not change a weight in ten steps.")
