"""Solvers: how a parameter moves, given its gradient and its own state.

Each is an elementwise function of one parameter w, its gradient g and up to two state values s, t (moments),
with six coefficients c that hold for the whole step.
"""

from collections.abc import Callable
from dataclasses import dataclass

from fastbp.functions.primitives import fma, sqrt
from fastbp.functions.registry import Registry

N_COEFFICIENTS = 6


@dataclass(frozen=True)
class Solver:
    """One update rule.

    Attributes
    ----------
    name, formula : str
    update : callable
        ``update(w, g, s, t, c) -> (w, s, t)``.
    coefficients : callable
        ``coefficients(rate, h0, h1, h2, step) -> c``, six floats: from the learning rate, the
        hyper-parameters and the number of this step (1 for the first).
    n_states : int
        How many of s, t it uses.
    """

    name: str
    formula: str
    update: Callable
    coefficients: Callable
    n_states: int


def sgd(w, g, s, t, c):
    return fma(g, -c[0], w), s, t


def momentum(w, g, s, t, c):
    s = fma(s, c[1], g * -c[0])
    return w + s, s, t


def nesterov(w, g, s, t, c):
    # scikit-learn's form: the velocity, then one more step of it from where it led.
    step = g * -c[0]
    s = fma(s, c[1], step)
    return w + fma(s, c[1], step), s, t


def sgd_coefficients(rate, h0, h1, h2, step):
    return rate, h0, 0.0, 0.0, 0.0, 0.0


def adam(w, g, s, t, c):
    s = fma(s, c[1], g * c[2])
    t = fma(t, c[3], g * g * c[4])
    return fma(s / (sqrt(t) + c[5]), -c[0], w), s, t


def adam_coefficients(rate, h0, h1, h2, step):
    # Kingma and Ba 2014, the end of section 2: both bias corrections folded into the rate.
    return rate * (1.0 - h1**step) ** 0.5 / (1.0 - h0**step), h0, 1.0 - h0, h1, 1.0 - h1, h2


SOLVERS: Registry[Solver] = Registry("solver")
SOLVERS.add(Solver("sgd", "w -= rate g", sgd, sgd_coefficients, 0))
SOLVERS.add(Solver("momentum", "v = mu v - rate g; w += v", momentum, sgd_coefficients, 1))
SOLVERS.add(Solver("nesterov", "v = mu v - rate g; w += mu v - rate g", nesterov, sgd_coefficients, 1))
SOLVERS.add(
    Solver(
        "adam",
        "m = b1 m + (1-b1) g; v = b2 v + (1-b2) g^2; w -= rate sqrt(1-b2^t)/(1-b1^t) m/(sqrt(v)+eps)",
        adam,
        adam_coefficients,
        2,
    )
)
