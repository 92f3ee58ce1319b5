"""A user's own activation."""

from collections.abc import Callable
from typing import Any, ClassVar, Self

import numpy as np

from fastbp.functions.activations import ACTIVATIONS
from fastbp.functions.activations import Activation as Entry
from fastbp.functions.own.checks import N_POINTS, check_finite, check_slope, checked_range
from fastbp.functions.own.formula import Formula, checked_name
from fastbp.functions.parametric import PARAMETRICS, blended
from fastbp.functions.registry import Registry
from fastbp.functions.symbolic.evaluation import evaluate
from fastbp.functions.symbolic.expression import Node, from_list, to_list, variable
from fastbp.functions.symbolic.gradient import derivative as derived
from fastbp.functions.symbolic.numpy_calls import apply
from fastbp.functions.symbolic.python_code import function_of
from fastbp.functions.symbolic.tracing import trace_own_number

Z, A, DELTA = variable("z"), variable("a"), variable("delta")


class Activation(Formula):
    """An elementwise activation of your own, for hidden layers and for the output.

    The formula is recorded when the object is made and compiled like fastbp's own, for all engines. It is
    written with operators and NumPy's functions of numbers; a choice is ``np.where(z > 0, a, b)``.

    Parameters
    ----------
    name : str
        Letters, digits, '_', '.' or '-'.
    value : callable
        ``value(z) -> a``.
    derivative : callable, default=None
        ``derivative(z) -> da/dz``, or of the output a where ``of="output"``. None: derived from `value`.
    of : {"input", "output"}, default="input"
        What `derivative` takes. Of the output it needs less memory, where the output determines it.
    between : tuple of float, default=(-5.0, 5.0)
        Range of z in which the formula is checked: finite, and its derivative that of central differences.

    Attributes
    ----------
    name : str

    Raises
    ------
    ValueError
        If the formula cannot be compiled or its derivative is wrong: names the line or the point.

    Examples
    --------
    A sine, as for signals and solutions of differential equations (Sitzmann et al. 2020):

    >>> import numpy as np
    >>> from fastbp import Activation, BPRegressor
    >>> sine = Activation("sine", lambda z: np.sin(z), lambda z: np.cos(z))
    >>> X = np.linspace(-3, 3, 200)[:, None]
    >>> net = BPRegressor((32, 32), activation=sine, solver="lbfgs", random_state=0)
    >>> round(net.fit(X, np.sin(3 * X[:, 0])).score(X, np.sin(3 * X[:, 0])), 2)
    1.0
    """

    kind: ClassVar[str] = "Activation"
    registry: ClassVar[Registry[Any]] = ACTIVATIONS

    def __new__(
        cls,
        name: str,
        value: Callable[[Any], Any],
        derivative: Callable[[Any], Any] | None = None,
        *,
        of: str = "input",
        between: tuple[float, float] = (-5.0, 5.0),
    ) -> Self:
        name = checked_name(cls.kind, name)
        if of not in ("input", "output"):
            raise ValueError(f"of must be 'input' or 'output', got {of!r}.")
        low, high = checked_range(between)
        recorded = trace_own_number(value, Z, name=f"the value of Activation {name!r}")
        if derivative is None:
            of, slope = "input", derived(recorded, Z)
        else:
            argument = Z if of == "input" else A
            what = f"the derivative of Activation {name!r}"
            slope = trace_own_number(derivative, argument, name=what)
        _check(name, recorded, slope, of, np.linspace(low, high, N_POINTS), derivative is None)
        return cls._made({"name": name, "of": of, "formulas": to_list([recorded, slope])})

    def _entry(self, name: str) -> Entry:
        value, slope = self._nodes
        of_output = self._plain["of"] == "output"
        argument = "a" if of_output else "z"
        return Entry(
            name,
            repr(value),
            function_of("value", ["z"], [value]),
            function_of("backward", ["delta", argument], [apply("mul", DELTA, slope)]),
            from_input=not of_output,
        )

    @property
    def _nodes(self) -> list[Node]:
        return from_list(self._plain["formulas"])

    def _add_as(self, name: str, *, listed: bool) -> None:
        super()._add_as(name, listed=listed)
        PARAMETRICS.add(blended(ACTIVATIONS[name]), listed=False)

    def _is_taken(self) -> bool:
        return self.name in ACTIVATIONS

    def value(self, z: Any) -> np.ndarray:
        """Values at numbers z, computed by NumPy in float64."""
        return _values(self._nodes[0], "z", np.asarray(z, float))

    def derivative(self, z: Any) -> np.ndarray:
        """Derivatives at numbers z, computed by NumPy in float64."""
        z = np.asarray(z, float)
        of_output = self._plain["of"] == "output"
        return _values(self._nodes[1], *(("a", self.value(z)) if of_output else ("z", z)))


def _values(formula: Node, argument: str, points: np.ndarray) -> np.ndarray:
    (values,) = evaluate((formula,), {argument: points})
    return np.broadcast_to(values, points.shape).copy()


def _check(name: str, value: Node, slope: Node, of: str, points: np.ndarray, is_derived: bool) -> None:
    what = f"of Activation {name!r}"
    values = _values(value, "z", points)
    check_finite(
        f"value {what}", "z", points, values, "Mend it, or give the range for which it is meant by `between`."
    )
    slopes = _values(slope, "a", values) if of == "output" else _values(slope, "z", points)
    check_slope(
        f"derivative {what}", "z", points, lambda z: _values(value, "z", z), slopes, is_derived=is_derived
    )
