"""An entry of the registry of losses, and the targets for which a loss is defined."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fastbp.functions.parameters import Parameter, resolve


@dataclass(frozen=True)
class Domain:
    """Targets for which a regressor's loss is defined."""

    text: str
    holds: Callable[[np.ndarray], bool]


ANY = Domain("any y", lambda y: True)
UNIT = Domain("y in [0, 1]", lambda y: y.min() >= 0 and y.max() <= 1)
NON_NEGATIVE = Domain("y >= 0", lambda y: y.min() >= 0)
POSITIVE = Domain("y > 0", lambda y: y.min() > 0)


@dataclass(frozen=True)
class Loss:
    """One loss function.

    Attributes
    ----------
    name : str
        The user's name, followed by "+" and the output activation that it is merged with, if any.
    formula : str
        Loss of a row with outputs f and targets y, for the documentation.
    row : callable
        See ``fastbp.functions.losses``.
    merged_with : str or None
        The output activation that is part of it.
    class_targets : bool
        The target is one column: the index of the class.
    one_target : bool
        All outputs are compared with one column of targets.
    signed : bool
        The outputs of a classifier are compared with −1 and 1: their sign tells the class.
    parameters : tuple of Parameter
    tasks : tuple of str
        The estimators that offer it: "classifier", "regressor".
    domain : Domain
        Domain of a regressor's targets.
    centre : str
        Best constant output for the targets: their "mean", "median" or "quantile".
    """

    name: str
    formula: str
    row: Callable
    merged_with: str | None = None
    class_targets: bool = False
    one_target: bool = False
    signed: bool = False
    parameters: tuple[Parameter, ...] = ()
    tasks: tuple[str, ...] = field(default=("classifier", "regressor"))
    domain: Domain = ANY
    centre: str = "mean"

    def constants(self, given: Mapping[str, Any]) -> tuple[float, ...]:
        """Return p: the values of all parameters, with defaults for those not in `given`."""
        return resolve(self.parameters, given, "loss_params", f"loss={self.name.partition('+')[0]!r}")
