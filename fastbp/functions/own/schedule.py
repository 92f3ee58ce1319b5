"""A user's own schedule of the learning rate."""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Self

import numpy as np

from fastbp.functions.own.checks import check_finite
from fastbp.functions.own.formula import Formula, checked_name
from fastbp.functions.own.parameters import (
    checked_parameters,
    defaults_of,
    inputs_of,
    parameters_of,
    places_of,
)
from fastbp.functions.registry import Registry
from fastbp.functions.schedules import N_PARAMETERS, RATE_SCHEDULES
from fastbp.functions.schedules import Schedule as Entry
from fastbp.functions.symbolic.evaluation import evaluate
from fastbp.functions.symbolic.expression import FormulaError, from_list, to_list, variable
from fastbp.functions.symbolic.python_code import function_of
from fastbp.functions.symbolic.tracing import trace_own_number

DONE, EPOCH = variable("x"), variable("epoch")
MOST_PARAMETERS = N_PARAMETERS - 1
BEFORE = ("x = (step % total) / total", "epoch = step / epoch_steps")


class Schedule(Formula):
    """A schedule of your own: the factor of the learning rate in the course of a fit.

    Parameters
    ----------
    name : str
        Letters, digits, '_', '.' or '-'.
    factor : callable
        ``factor(x, epoch, *params) -> factor``: x is the share of the fit that is done, from 0 to below 1,
        and epoch counts epochs with fractions, from 0. Written with operators and NumPy's functions of
        numbers.
        The parameter ``warmup_steps`` of `schedule_params` works with it as with fastbp's own.
    params : dict, default=None
        Parameters that `schedule_params` sets, at most 3, in the order of the arguments: ``{name: default}``
        or ``{name: (default, lowest, highest)}``.

    Attributes
    ----------
    name : str

    Raises
    ------
    ValueError
        If the formula cannot be compiled, or is negative or not finite: names the line or the point.

    Examples
    --------
    Constant, then down to zero in a straight line (warmup-stable-decay, Hu et al. 2024):

    >>> import numpy as np
    >>> from sklearn.datasets import load_iris
    >>> from fastbp import BPClassifier, Schedule
    >>> wsd = Schedule(
    ...     "wsd",
    ...     lambda x, epoch, start: np.minimum(1, (1 - x) / (1 - start)),
    ...     params={"start": (0.8, 0, 0.99)},
    ... )
    >>> X, y = load_iris(return_X_y=True)
    >>> net = BPClassifier((16,), schedule=wsd, learning_rate_init=0.01, max_iter=50, random_state=0)
    >>> bool(net.fit(X, y).score(X, y) > 0.9)
    True
    """

    kind: ClassVar[str] = "Schedule"
    registry: ClassVar[Registry[Any]] = RATE_SCHEDULES

    def __new__(
        cls, name: str, factor: Callable[..., Any], *, params: Mapping[str, Any] | None = None
    ) -> Self:
        name = checked_name(cls.kind, name)
        of_params = checked_parameters(params, MOST_PARAMETERS, "schedule_params")
        what = f"the factor of Schedule {name!r}"
        result = trace_own_number(factor, DONE, EPOCH, *inputs_of(of_params), name=what)
        share = np.arange(200) / 200
        (values,) = evaluate((result,), {"x": share, "epoch": share * 100, **defaults_of(of_params)})
        values = np.broadcast_to(values, share.shape)
        check_finite(what, "x", share, values, "Mend it.")
        if values.min() < 0:
            raise FormulaError(f"{what} is {values.min():.6g} at x = {share[values.argmin()]:g}: below 0.")
        return cls._made({"name": name, "params": of_params, "factor": to_list([result])})

    def _is_taken(self) -> bool:
        return self.name in RATE_SCHEDULES or self.name == "plateau"

    def _entry(self, name: str) -> Entry:
        plain = self._plain
        results = from_list(plain["factor"])
        factor = function_of(
            "factor",
            ["step", "epoch_steps", "total", "p"],
            results,
            names=places_of(plain["params"], "p"),
            before=BEFORE,
            wide=False,
        )
        return Entry(name, repr(results[0]), factor, parameters_of(plain["params"]))
