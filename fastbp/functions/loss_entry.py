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
class NormalOutputs:
    """Conversion of a loss's raw outputs to the normal distribution of each target.

    With K targets, outputs are their K means, then K raw numbers; p are the parameters of the loss.

    Attributes
    ----------
    std : callable
        ``(raw, p) -> standard deviation``.
    raw : callable
        ``(variance, p) -> raw``.
    """

    std: Callable[[np.ndarray, tuple[float, ...]], np.ndarray]
    raw: Callable[[np.ndarray, tuple[float, ...]], np.ndarray]


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
    normal : NormalOutputs or None
        Two outputs a target describe its normal distribution. Such a loss is for standardised targets.
    gradient_factor : str or None
        Parameter that, unless it is 0, changes the gradient but not the value.
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
    normal: NormalOutputs | None = None
    gradient_factor: str | None = None

    def constants(self, given: Mapping[str, Any]) -> tuple[float, ...]:
        """Return p: the values of all parameters, with defaults for those not in `given`."""
        return resolve(self.parameters, given, "loss_params", f"loss={self.user_name!r}")

    @property
    def user_name(self) -> str:
        """Name without the merged activation."""
        return self.name.partition("+")[0]

    @property
    def outputs_per_target(self) -> int:
        return 1 if self.normal is None else 2

    def n_targets(self, n_outputs: int) -> int:
        """Return the number of target columns, or raise ValueError if no targets have so many outputs."""
        if self.class_targets or self.one_target:
            return 1
        if n_outputs % self.outputs_per_target:
            raise ValueError(
                f"loss={self.user_name!r} has {self.outputs_per_target} outputs for each target, but the "
                f"network has {n_outputs}."
            )
        return n_outputs // self.outputs_per_target

    def follows_its_value(self, constants: tuple[float, ...]) -> bool:
        """Return whether the gradient is that of the value, for these values of all parameters."""
        names = [parameter.name for parameter in self.parameters]
        return self.gradient_factor is None or constants[names.index(self.gradient_factor)] == 0.0
