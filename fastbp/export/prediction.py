"""The predictions of a model: its networks, and the steps from their outputs to what `predict` returns."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from fastbp.export.program import Program, Step
from fastbp.functions import scalar
from fastbp.functions.activations import ROW_ACTIVATIONS
from fastbp.functions.primitives import absolute, select, sqrt
from fastbp.plan.network import Kind

# How a class is chosen from scores: the first of the largest; the second class where the last score is above
# the threshold; each label where its score is above it; the only class.
LARGEST, ABOVE, EACH, ONLY = "largest", "above", "each", "only"


@dataclass(frozen=True)
class Formula:
    """An elementwise function that only exports have: `value` of a number and of parameters."""

    name: str
    value: Callable


@dataclass(frozen=True, eq=False)
class Member:
    """One network, and the program that makes scores or values of its outputs, if there is any."""

    network: Program
    head: Program | None = None

    @property
    def n_outputs(self) -> int:
        return (self.head or self.network).n_outputs

    def astype(self, dtype: np.dtype) -> "Member":
        return Member(_cast(self.network, dtype), None if self.head is None else _cast(self.head, dtype))


@dataclass(frozen=True, eq=False)
class Prediction:
    """All that an export is written from.

    Attributes
    ----------
    model : str
        The class of the estimator, for comments.
    method : str
        "predict", "predict_proba" or "decision_function": the scores are their results, and those of several
        members are averaged.
    members : tuple of Member
    choice : str or None
        `LARGEST`, `ABOVE`, `EACH` or `ONLY`; None for regressors.
    threshold : float
        Of `ABOVE` and `EACH`.
    by_network : bool
        Whether the choice is made from the network's outputs: scores may round to equal numbers.
    classes : tuple
        Plain Python values; empty for regressors.
    n_means : int or None
        Outputs of a member are this many means, then as many standard deviations; None: values only.
    feature_names : tuple of str
        Empty where unknown.
    """

    model: str
    method: str
    members: tuple[Member, ...]
    choice: str | None = None
    threshold: float = 0.0
    by_network: bool = False
    classes: tuple = ()
    n_means: int | None = None
    feature_names: tuple[str, ...] = ()

    @property
    def dtype(self) -> np.dtype:
        return self.members[0].network.dtype

    @property
    def n_inputs(self) -> int:
        return self.members[0].network.n_inputs

    @property
    def n_outputs(self) -> int:
        """Of scores or values, without standard deviations."""
        return self.n_means or self.members[0].n_outputs

    @property
    def n_parameters(self) -> int:
        programs = [p for member in self.members for p in (member.network, member.head) if p is not None]
        return sum(program.n_parameters for program in programs)

    def astype(self, dtype: Any) -> "Prediction":
        """The same with all numbers in another dtype."""
        members = tuple(member.astype(np.dtype(dtype)) for member in self.members)
        return replace(self, members=members)

    def after_scaling(self, centre: np.ndarray, factor: np.ndarray, names: Sequence[str]) -> "Prediction":
        """The prediction for inputs x that are scaled to (x - centre) * factor before the networks."""
        members = []
        for member in self.members:
            dtype = member.network.dtype
            rows = (centre.astype(dtype), factor.astype(dtype))
            members.append(replace(member, network=_scaled_first(member.network, rows)))
        return replace(self, members=tuple(members), feature_names=tuple(names))


def head(n_inputs: int, dtype: np.dtype, *parts: "Part") -> Program:
    """A program of a few parts, one after another."""
    widths, steps = [n_inputs], []
    for part in parts:
        step = part(len(widths) - 1, widths[-1], dtype)
        steps.append(step)
        widths.append(step.n_out)
    return Program(tuple(steps), tuple(widths), n_inputs, widths[-1], len(widths) - 1, dtype)


Part = Callable[[int, int, np.dtype], Step]  # of the buffer to read, its width and the dtype


def _elementwise(name: str, value: Callable) -> Part:
    return lambda b, n, dtype: Step(Kind.ELEMENTWISE, b, b + 1, n, n, function=Formula(name, value))


def _parametric(name: str, value: Callable, *rows: Any) -> Part:
    def part(buffer: int, n: int, dtype: np.dtype) -> Step:
        parameters = tuple(np.broadcast_to(np.asarray(row, dtype), (n,)) for row in rows)
        function = Formula(name, value)
        return Step(Kind.PARAMETRIC, buffer, buffer + 1, n, n, function=function, parameters=parameters)

    return part


def _linear(weights: list, bias: list | None = None) -> Part:
    def part(buffer: int, n: int, dtype: np.dtype) -> Step:
        w, b = np.array(weights, dtype), None if bias is None else np.array(bias, dtype)
        return Step(Kind.DENSE, buffer, buffer + 1, n, w.shape[1], weights=w, bias=b)

    return part


def _softmax(buffer: int, n: int, dtype: np.dtype) -> Step:
    return Step(Kind.ROW, buffer, buffer + 1, n, n, function=ROW_ACTIVATIONS["softmax"])


def log_logistic(z):
    return select(z < 0.0, z, 0.0) - scalar.log1p_exp_neg(absolute(z))


def shift(z, p, q):
    return z - p


def scaled(z, p, q):
    return (z - p) * q


def clipped(z, scale, mean, low, high):
    x = z * scale + mean
    return select(x < low, low, select(x > high, high, x))


def mean_or_std(z, is_std, floor, scale, mean, low, high):
    x = z * scale + mean
    x = select(x < low, low, select(x > high, high, x))
    return select(is_std > 0.0, scale * sqrt(scalar.softplus(z) + floor), x)


CERTAIN = _linear([[0.0]], [1.0])  # the probability of the only class
PAIR = (_linear([[-1.0, 1.0]]), _elementwise("logistic", scalar.logistic))  # probabilities of two classes
SHARES = (_elementwise("log_logistic", log_logistic), _softmax)  # logistic outputs divided by their sum


def minus(threshold: float) -> Part:
    return _parametric("shift", shift, threshold)


def in_units(scale: Any, mean: Any, span: Any) -> Part:
    """Standardised values in the units of the targets, within the span of those seen."""
    return _parametric("clipped", clipped, scale, mean, *span)


def normal_in_units(n: int, floor: float, scale: Any, mean: Any, span: Any) -> Part:
    """n means and n raw numbers for standard deviations: both in the units of the targets."""

    def twice(first: Any, second: Any) -> np.ndarray:
        return np.concatenate([np.broadcast_to(np.asarray(a, np.float64), (n,)) for a in (first, second)])

    rows = (
        twice(0.0, 1.0),
        twice(floor, floor),
        twice(scale, scale),
        twice(mean, 0.0),
        twice(span[0], -np.inf),
        twice(span[1], np.inf),
    )
    return _parametric("mean or standard deviation", mean_or_std, *rows)


def _scaled_first(program: Program, rows: tuple[np.ndarray, np.ndarray]) -> Program:
    """A program that scales its inputs first: into a buffer of its own, which all steps read instead."""
    buffer, n = len(program.widths), program.n_inputs
    first = Step(Kind.PARAMETRIC, 0, buffer, n, n, function=Formula("scaled", scaled), parameters=rows)

    steps = [
        replace(
            s, source=s.source or buffer, target=s.target or buffer, other=buffer if s.other == 0 else s.other
        )
        for s in program.steps
    ]
    output = buffer if program.output == 0 else program.output
    return replace(program, steps=(first, *steps), widths=(*program.widths, n), output=output)


def _cast(program: Program, dtype: np.dtype) -> Program:
    def cast(array: np.ndarray | None) -> Any:
        return None if array is None else array.astype(dtype)

    steps = [
        replace(s, weights=cast(s.weights), bias=cast(s.bias), parameters=tuple(map(cast, s.parameters)))
        for s in program.steps
    ]
    return replace(program, steps=tuple(steps), dtype=dtype)
