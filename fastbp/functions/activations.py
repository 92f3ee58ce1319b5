"""Activation functions: each with its derivative as a function of its own output."""

from collections.abc import Callable
from dataclasses import dataclass

from fastbp.functions import scalar
from fastbp.functions.primitives import get, put, select
from fastbp.functions.registry import Registry


@dataclass(frozen=True)
class Activation:
    """An elementwise function a = f(z).

    Attributes
    ----------
    name : str
    formula : str
        For the documentation.
    value : callable
        ``value(z) -> a``.
    backward : callable
        ``backward(delta, a) -> delta · f′(z)``, the chain rule through f, from the output a.
    hidden : bool
        Whether hidden layers may use it; all may be used for the output.
    """

    name: str
    formula: str
    value: Callable
    backward: Callable
    hidden: bool = True


@dataclass(frozen=True)
class RowActivation:
    """A function of all outputs of one row, for the output layer only.

    ``value(row, n)`` and ``backward(delta, a, n)`` work in place on `row` and on `delta`.
    """

    name: str
    formula: str
    value: Callable
    backward: Callable


def identity(z):
    return z


def identity_backward(delta, a):
    return delta


def logistic_backward(delta, a):
    return delta * (a * (1.0 - a))


def tanh_backward(delta, a):
    return delta * (1.0 - a * a)


def relu(z):
    # A comparison with NaN is false: NaN must reach the loss, where training stops.
    return select(z < 0.0, 0.0, z)


def relu_backward(delta, a):
    return select(a > 0.0, delta, 0.0)


def exp_backward(delta, a):
    return delta * a


def softmax(row, n):
    largest = get(row, 0)
    for j in range(1, n):
        z = get(row, j)
        largest = select(z > largest, z, largest)
    e = scalar.exp(get(row, 0) - largest)
    put(row, 0, e)
    total = e
    for j in range(1, n):
        e = scalar.exp(get(row, j) - largest)
        put(row, j, e)
        total = total + e
    for j in range(n):
        put(row, j, get(row, j) / total)


def softmax_backward(delta, a, n):
    inner = get(delta, 0) * get(a, 0)
    for j in range(1, n):
        inner = inner + get(delta, j) * get(a, j)
    for j in range(n):
        put(delta, j, get(a, j) * (get(delta, j) - inner))


def index_of_largest(row, n, zero):
    """The first of the largest elements of a row, as a float; `zero` is 0 in the row's type."""
    largest, index = get(row, 0), zero
    for j in range(1, n):
        z = get(row, j)
        more = z > largest
        largest = select(more, z, largest)
        index = select(more, float(j), index)
    return index


ACTIVATIONS: Registry[Activation] = Registry("activation")
ACTIVATIONS.add(Activation("identity", "z", identity, identity_backward))
ACTIVATIONS.add(Activation("logistic", "1 / (1 + exp(-z))", scalar.logistic, logistic_backward))
ACTIVATIONS.add(Activation("tanh", "tanh(z)", scalar.tanh, tanh_backward))
ACTIVATIONS.add(Activation("relu", "max(0, z)", relu, relu_backward))
ACTIVATIONS.add(Activation("exp", "exp(z)", scalar.exp, exp_backward, hidden=False))

ROW_ACTIVATIONS: Registry[RowActivation] = Registry("row activation")
ROW_ACTIVATIONS.add(RowActivation("softmax", "exp(z_k) / sum_j exp(z_j)", softmax, softmax_backward))
