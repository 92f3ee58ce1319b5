"""The prediction of a network as a list of steps, with weights: what every export is written from."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastbp.functions.activations import ACTIVATIONS, GROUP_ACTIVATIONS, ROW_ACTIVATIONS
from fastbp.functions.parametric import PARAMETRICS
from fastbp.functions.registry import Registry
from fastbp.plan.network import Kind, NetworkPlan, Op

REGISTRIES: dict[int, Registry[Any]] = {
    Kind.ELEMENTWISE: ACTIVATIONS,
    Kind.ROW: ROW_ACTIVATIONS,
    Kind.GROUP: GROUP_ACTIVATIONS,
    Kind.PARAMETRIC: PARAMETRICS,
}


@dataclass(frozen=True, eq=False)
class Step:
    """One step of a prediction: it reads buffer `source` and writes buffer `target`, which may be the same.

    Attributes
    ----------
    kind : Kind
        DENSE: source @ weights + bias; ADD: source + `other`; the others apply `function`.
    source, target : int
        Numbers of buffers; the inputs are buffer 0.
    n_in, n_out : int
        Widths of the two buffers.
    other : int or None
        The second buffer of a sum.
    function : Activation, RowActivation, GroupActivation, Parametric or None
        The entry of the registry.
    weights : ndarray of shape (n_in, n_out) or None
        Of a dense layer.
    bias : ndarray of shape (n_out,) or None
        Of a dense layer that has one.
    parameters : tuple of ndarrays of shape (n_out,)
        One or two of a parametric function: p, and q if it has two.
    """

    kind: Kind
    source: int
    target: int
    n_in: int
    n_out: int
    other: int | None = None
    function: Any = None
    weights: np.ndarray | None = None
    bias: np.ndarray | None = None
    parameters: tuple[np.ndarray, ...] = ()


@dataclass(frozen=True, eq=False)
class Program:
    """The prediction of a network, from a row of inputs to a row of outputs.

    Attributes
    ----------
    steps : tuple of Step
        In order.
    widths : tuple of int
        Widths of all buffers; those that no step writes are not needed.
    n_inputs, n_outputs : int
    output : int
        Number of the buffer with the outputs.
    dtype : numpy.dtype
        float32 or float64, of all arrays.
    """

    steps: tuple[Step, ...]
    widths: tuple[int, ...]
    n_inputs: int
    n_outputs: int
    output: int
    dtype: np.dtype

    @property
    def n_parameters(self) -> int:
        """Numbers that the program holds."""
        arrays = (a for step in self.steps for a in (step.weights, step.bias, *step.parameters))
        return sum(array.size for array in arrays if array is not None)


def program_of(network: NetworkPlan, vector: np.ndarray, *, raw: bool = False) -> Program:
    """Return the program of a network with the parameters of a flat vector, whose arrays are views of it.

    Parameters
    ----------
    network : NetworkPlan
    vector : ndarray of shape (n_parameters,)
    raw : bool, default=False
        Stop before the activation of the output layer.
    """
    ops = [op for op in network.ops[: network.n_ops_until("logits" if raw else None)] if op.prediction]
    steps, output = _steps(ops, vector)
    return Program(steps, network.widths, network.n_inputs, network.n_outputs, output, network.dtype)


def _steps(ops: Sequence[Op], vector: np.ndarray) -> tuple[tuple[Step, ...], int]:
    """Return the steps, and the buffer of the last one's results."""
    steps: list[Step] = []
    same: dict[int, int] = {}  # noise is for training only: its results are its inputs
    output = 0
    for op in ops:
        source = same.get(op.source, op.source)
        if op.kind == Kind.NOISE:
            same[op.target] = output = source
            continue
        target = source if op.target == op.source else op.target
        steps.append(_step(op, source, target, same.get(op.other, op.other), vector))
        output = target
    return tuple(steps), output


def _step(op: Op, source: int, target: int, other: int, vector: np.ndarray) -> Step:
    kind = Kind(op.kind)
    place = (kind, source, target, op.n_in, op.n_out)
    if kind == Kind.DENSE:
        matrix = op.matrix(vector)
        return Step(*place, weights=matrix[: op.n_in], bias=matrix[op.n_in] if op.bias else None)
    if kind == Kind.ADD:
        return Step(*place, other=other)
    parameters = tuple(op.matrix(vector).reshape(-1, op.n_out)) if kind == Kind.PARAMETRIC else ()
    return Step(*place, function=REGISTRIES[kind].at(op.code), parameters=parameters)
