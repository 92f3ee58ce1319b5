"""Losses: functions of one row of outputs and targets.

A loss that has a canonical output activation takes the logits and carries that activation within it, since
value and gradient are stable only together (as in scikit-learn's ``_loss``). The others take the outputs, and
the output activation has its own backward step.
"""

from collections.abc import Callable
from dataclasses import dataclass

from fastbp.functions import scalar
from fastbp.functions.primitives import absolute, get, put, select
from fastbp.functions.registry import Registry


@dataclass(frozen=True)
class Loss:
    """One loss as kernels see it.

    Attributes
    ----------
    name : str
        The user's name, with the output activation it is merged with behind a "+".
    formula : str
        Of a row with outputs f and targets y, for the documentation.
    row : callable
        ``row(z, y, delta, n, weight) -> weight · ℓ``: puts weight · dℓ/dz into `delta`.
    merged_with : str or None
        The output activation that is part of it.
    class_targets : bool
        The target is one column: the index of the class.
    """

    name: str
    formula: str
    row: Callable
    merged_with: str | None = None
    class_targets: bool = False


def squared_error(z, y, delta, n, weight):
    total = weight * 0.0
    for j in range(n):
        d = get(z, j) - get(y, j)
        put(delta, j, weight * d)
        total = total + d * d
    return weight * 0.5 * total


def mean_squared_error(z, y, delta, n, weight):
    share = weight / float(n)
    total = weight * 0.0
    for j in range(n):
        d = get(z, j) - get(y, j)
        put(delta, j, share * 2.0 * d)
        total = total + d * d
    return share * total


def sum_squared_error(z, y, delta, n, weight):
    total = weight * 0.0
    for j in range(n):
        d = get(z, j) - get(y, j)
        put(delta, j, weight * 2.0 * d)
        total = total + d * d
    return weight * total


def softmax_log_loss(z, y, delta, n, weight):
    label = get(y, 0)
    largest = get(z, 0)
    for j in range(1, n):
        v = get(z, j)
        largest = select(v > largest, v, largest)
    total = weight * 0.0
    chosen = weight * 0.0
    for j in range(n):
        v = get(z, j) - largest
        e = scalar.exp(v)
        put(delta, j, e)
        total = total + e
        chosen = select(label == float(j), v, chosen)
    share = weight / total
    for j in range(n):
        p = get(delta, j) * share
        put(delta, j, select(label == float(j), p - weight, p))
    return weight * (scalar.log(total) - chosen)


def logistic_log_loss(z, y, delta, n, weight):
    total = weight * 0.0
    for j in range(n):
        v = get(z, j)
        t = get(y, j)
        # ln(1 + eᶻ) − t·z = max(z, 0) − t·z + ln(1 + e^−|z|)
        total = total + (select(v > 0.0, v, 0.0) - t * v + scalar.log1p_exp_neg(absolute(v)))
        put(delta, j, weight * (scalar.logistic(v) - t))
    return weight * total


def poisson(z, y, delta, n, weight):
    total = weight * 0.0
    for j in range(n):
        v = get(z, j)
        t = get(y, j)
        mean = scalar.exp(v)
        entropy = t * scalar.log(select(t > 0.0, t, 1.0))
        total = total + (entropy - t * v - t + mean)
        put(delta, j, weight * (mean - t))
    return weight * total


LOSSES: Registry[Loss] = Registry("loss")
LOSSES.add(Loss("squared_error", "1/2 sum_k (f_k - y_k)^2", squared_error))
LOSSES.add(Loss("mean_squared_error", "1/K sum_k (f_k - y_k)^2", mean_squared_error))
LOSSES.add(Loss("sum_squared_error", "sum_k (f_k - y_k)^2", sum_squared_error))
LOSSES.add(Loss("log_loss+softmax", "-log f_y", softmax_log_loss, "softmax", class_targets=True))
LOSSES.add(
    Loss("log_loss+logistic", "-sum_k (y_k log f_k + (1 - y_k) log(1 - f_k))", logistic_log_loss, "logistic")
)
LOSSES.add(Loss("poisson+exp", "sum_k (y_k log(y_k / f_k) - y_k + f_k)", poisson, "exp"))


def loss_names() -> list[str]:
    """The users' names, without the merged activation, each once."""
    return list(dict.fromkeys(loss.name.partition("+")[0] for loss in LOSSES))


def default_output(loss: str, *, classifier: bool, multiclass: bool) -> str:
    """The output activation that ``out_activation="auto"`` stands for."""
    if classifier:
        return "softmax" if multiclass else "logistic"
    return {"log_loss": "logistic", "poisson": "exp"}.get(loss, "identity")
