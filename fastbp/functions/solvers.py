"""Solvers: update rules of a parameter, given its gradient and state.

Each is an elementwise function of one parameter w, its gradient g and up to three state values s, t, u,
initially 0, with N_COEFFICIENTS coefficients c for the whole step.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from fastbp.functions.parameters import Parameter, resolve
from fastbp.functions.primitives import fma, select, sqrt
from fastbp.functions.registry import Registry

N_COEFFICIENTS = 6


@dataclass(frozen=True)
class Solver:
    """One update rule.

    Attributes
    ----------
    name, formula : str
    update : callable
        ``update(w, g, s, t, u, c) -> (w, s, t, u)``.
    coefficients : callable
        ``coefficients(rate, h, step) -> c``, six floats: from the learning rate, the hyper-parameters (four
        floats) and the number of this step (1 for the first).
    n_states : int
        Number of states s, t, u that it uses.
    hyper : tuple of str
        The hyper-parameters h by name: parameters of the estimators, or else of `solver_params`.
    own : tuple of Parameter
        Parameters in `solver_params`.
    """

    name: str
    formula: str
    update: Callable
    coefficients: Callable
    n_states: int
    hyper: tuple[str, ...] = ()
    own: tuple[Parameter, ...] = ()

    def hyper_parameters(self, common: Mapping[str, float], given: Mapping[str, Any]) -> tuple[float, ...]:
        """Return h from the parameters `common`, `solver_params` or defaults, or raise ValueError."""
        own = resolve(self.own, given, "solver_params", f"solver={self.name!r}")
        values = {**common, **{parameter.name: value for parameter, value in zip(self.own, own, strict=True)}}
        return tuple(values[name] for name in self.hyper)


def sgd(w, g, s, t, u, c):
    return fma(g, -c[0], w), s, t, u


def momentum(w, g, s, t, u, c):
    s = fma(s, c[1], g * -c[0])
    return w + s, s, t, u


def nesterov(w, g, s, t, u, c):
    # scikit-learn's form: update the velocity, then look ahead by one more update of it.
    step = g * -c[0]
    s = fma(s, c[1], step)
    return w + fma(s, c[1], step), s, t, u


def plain_coefficients(rate, h, step):
    return rate, h[0], h[1], h[2], h[3], 0.0


def adam(w, g, s, t, u, c):
    s = fma(s, c[1], g * c[2])
    t = fma(t, c[3], g * g * c[4])
    return fma(s / (sqrt(t) + c[5]), -c[0], w), s, t, u


def amsgrad(w, g, s, t, u, c):
    # Reddi, Kale and Kumar 2018: the largest second moment so far.
    s = fma(s, c[1], g * c[2])
    t = fma(t, c[3], g * g * c[4])
    u = select(t > u, t, u)
    return fma(s / (sqrt(u) + c[5]), -c[0], w), s, t, u


def adam_coefficients(rate, h, step):
    # Kingma and Ba 2014, the end of section 2: both bias corrections folded into the rate.
    return rate * (1.0 - h[1] ** step) ** 0.5 / (1.0 - h[0] ** step), h[0], 1.0 - h[0], h[1], 1.0 - h[1], h[2]


def rmsprop(w, g, s, t, u, c):
    # Tieleman and Hinton 2012, lecture 6.5.
    s = fma(s, c[1], g * g * (1.0 - c[1]))
    return fma(g / (sqrt(s) + c[2]), -c[0], w), s, t, u


def adagrad(w, g, s, t, u, c):
    # Duchi, Hazan and Singer 2011, diagonal form.
    s = fma(g, g, s)
    return fma(g / (sqrt(s) + c[1]), -c[0], w), s, t, u


def adadelta(w, g, s, t, u, c):
    # Zeiler 2012, algorithm 1, times a learning rate.
    s = fma(s, c[1], g * g * (1.0 - c[1]))
    step = sqrt(t + c[2]) / sqrt(s + c[2]) * g
    t = fma(t, c[1], step * step * (1.0 - c[1]))
    return fma(step, -c[0], w), s, t, u


def rprop(w, g, s, t, u, c):
    # Riedmiller and Braun 1993, in the form of Igel and Huesken 2000 (iRprop-): s is the step, t the previous
    # gradient. A step of 0 is one that was never made.
    agreement = g * t
    s = select(s > 0.0, s, c[0])
    s = select(agreement > 0.0, s * c[2], select(agreement < 0.0, s * c[1], s))
    s = select(s > c[4], c[4], select(s < c[3], c[3], s))
    g = select(agreement < 0.0, 0.0, g)
    return w - select(g > 0.0, s, select(g < 0.0, -s, 0.0 * g)), s, g, u


def lion(w, g, s, t, u, c):
    # Chen et al. 2023, algorithm 2: the sign of a mixture of gradient and momentum.
    mixture = fma(s, c[1], g * (1.0 - c[1]))
    s = fma(s, c[2], g * (1.0 - c[2]))
    return w - select(mixture > 0.0, c[0], select(mixture < 0.0, -c[0], 0.0 * mixture)), s, t, u


INFINITY = float("inf")
BETAS = ("beta_1", "beta_2", "epsilon")

SOLVERS: Registry[Solver] = Registry("solver")
SOLVERS.add(Solver("sgd", "w -= rate g", sgd, plain_coefficients, 0))
SOLVERS.add(Solver("momentum", "v = mu v - rate g; w += v", momentum, plain_coefficients, 1, ("momentum",)))
SOLVERS.add(
    Solver(
        "nesterov", "v = mu v - rate g; w += mu v - rate g", nesterov, plain_coefficients, 1, ("momentum",)
    )
)
SOLVERS.add(
    Solver(
        "adam",
        "m = b1 m + (1-b1) g; v = b2 v + (1-b2) g^2; w -= rate sqrt(1-b2^t)/(1-b1^t) m/(sqrt(v)+eps)",
        adam,
        adam_coefficients,
        2,
        BETAS,
    )
)
SOLVERS.add(Solver("adamw", "as adam, with weight_decay 0.01", adam, adam_coefficients, 2, BETAS))
SOLVERS.add(Solver("amsgrad", "as adam, with the largest v so far", amsgrad, adam_coefficients, 3, BETAS))
SOLVERS.add(
    Solver(
        "rmsprop",
        "v = rho v + (1-rho) g^2; w -= rate g / (sqrt(v) + eps)",
        rmsprop,
        plain_coefficients,
        1,
        ("rho", "epsilon"),
        (Parameter("rho", 0.99, 0.0, 1.0),),
    )
)
SOLVERS.add(
    Solver(
        "adagrad",
        "v += g^2; w -= rate g / (sqrt(v) + eps)",
        adagrad,
        plain_coefficients,
        1,
        ("epsilon",),
    )
)
SOLVERS.add(
    Solver(
        "adadelta",
        "v = rho v + (1-rho) g^2; d = sqrt((x + eps) / (v + eps)) g; x = rho x + (1-rho) d^2; w -= rate d",
        adadelta,
        plain_coefficients,
        2,
        ("rho", "damping"),
        (Parameter("rho", 0.9, 0.0, 1.0), Parameter("damping", 1e-6, 0.0, INFINITY, open=True)),
    )
)
SOLVERS.add(
    Solver(
        "rprop",
        "step *= 1.2 where the gradient keeps its sign, *= 0.5 where it turns; w -= step sign(g)",
        rprop,
        plain_coefficients,
        2,
        ("shrink", "grow", "smallest", "largest"),
        (
            Parameter("shrink", 0.5, 0.0, 1.0),
            Parameter("grow", 1.2, 1.0, INFINITY),
            Parameter("smallest", 1e-6, 0.0, INFINITY),
            Parameter("largest", 50.0, 0.0, INFINITY),
        ),
    )
)
SOLVERS.add(
    Solver(
        "lion",
        "w -= rate sign(b1 m + (1-b1) g); m = b2 m + (1-b2) g",
        lion,
        plain_coefficients,
        1,
        ("beta_1", "memory"),
        (Parameter("memory", 0.99, 0.0, 1.0),),
    )
)

# scikit-learn's "sgd" is one of three rules, by momentum and nesterovs_momentum.
RULES_OF_SGD = ("momentum", "nesterov")
STOCHASTIC = tuple(entry.name for entry in SOLVERS if entry.name not in RULES_OF_SGD)


def is_stochastic(solver: object) -> bool:
    """Return whether an estimator's `solver` names an update rule of mini-batches, registered or not."""
    return solver in SOLVERS and solver not in RULES_OF_SGD
