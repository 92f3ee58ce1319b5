"""A network's prediction as ONNX nodes."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from fastbp.export.program import Step, program_of
from fastbp.onnx.functions import activation, group_activation, parametric, row_activation
from fastbp.onnx.graph import Tensor
from fastbp.plan.network import Kind


class Outputs(NamedTuple):
    """The outputs of a network, in its dtype.

    Attributes
    ----------
    logits, values : Tensor
        Before and after the activation of the output layer.
    """

    logits: Tensor
    values: Tensor


def features_of(model: Any, X: Tensor) -> Tensor:
    """The activations of the last hidden layer, as `transform` returns them."""
    program = program_of(*model._network())
    X = X.cast(program.dtype)
    dense = [number for number, step in enumerate(program.steps) if step.kind == Kind.DENSE]
    features = None
    if len(dense) > 1:
        features = _run(program.steps[: dense[-1]], {0: X}, is_output=False)
    return X if features is None else features


def outputs_of(model: Any, X: Tensor) -> Outputs:
    """The outputs of a fitted BPClassifier or BPRegressor for rows of any dtype."""
    network, vector = model._network()
    whole = program_of(network, vector)
    n_hidden = len(program_of(network, vector, raw=True).steps)
    buffers = {0: X.cast(whole.dtype)}
    logits = _run(whole.steps[:n_hidden], buffers, is_output=False)
    values = _run(whole.steps[n_hidden:], buffers, is_output=True)
    logits = buffers[0] if logits is None else logits
    return Outputs(logits, logits if values is None else values)


def _run(steps: Sequence[Step], buffers: dict[int, Tensor], *, is_output: bool) -> Tensor | None:
    """Add the nodes of steps; return the result of the last one, None if there is none."""
    last = None
    for step in steps:
        last = buffers[step.target] = _apply(step, buffers, exact=is_output)
    return last


def _apply(step: Step, buffers: dict[int, Tensor], *, exact: bool) -> Tensor:
    z = buffers[step.source]
    if step.kind == Kind.DENSE:
        assert step.weights is not None
        return z.dense(step.weights, step.bias)
    if step.kind == Kind.ADD:
        assert step.other is not None
        return z + buffers[step.other]
    if step.kind == Kind.ELEMENTWISE:
        return activation(step.function, z, exact=exact)
    if step.kind == Kind.PARAMETRIC:
        return parametric(step.function, z, step.parameters)
    if step.kind == Kind.GROUP:
        return group_activation(step.function, z, step.n_out, step.n_in // step.n_out)
    return row_activation(step.function, z, step.n_out)
