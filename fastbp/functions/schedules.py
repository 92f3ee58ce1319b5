"""Learning-rate schedules: scikit-learn's three rules after each epoch, and schedules over steps.

Plain arithmetic on scalars, which engines compile and tests call directly.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from fastbp.functions.parameters import Parameter, resolve
from fastbp.functions.registry import Registry

CONSTANT, INVSCALING, ADAPTIVE = range(3)
SCHEDULES = {"constant": CONSTANT, "invscaling": INVSCALING, "adaptive": ADAPTIVE}

SMALLEST_ADAPTIVE_RATE = 1e-6


def rate_after_epoch(schedule, rate, rate_init, power_t, n_samples_seen):
    """Return the learning rate of the next epoch: invscaling rate_init / (samples seen + 1)^power_t."""
    if schedule == INVSCALING:
        return rate_init / (n_samples_seen + 1.0) ** power_t
    return rate


def check_convergence(schedule, rate, monitored, best, n_stale, tol, patience):
    """Apply the stopping rule after an epoch with the value `monitored` (lower is better).

    Returns
    -------
    rate, best, n_stale, converged
        The epoch is stale if `monitored` > `best` − `tol`. After `patience` consecutive stale epochs training
        has converged, except with the adaptive schedule, which divides the rate by 5 instead while it is >
        1e-6.
    """
    n_stale = n_stale + 1 if monitored > best - tol else 0
    best = monitored if monitored < best else best
    if n_stale < patience:
        return rate, best, n_stale, False
    if schedule == ADAPTIVE and rate > SMALLEST_ADAPTIVE_RATE:
        return rate / 5.0, best, 0, False
    return rate, best, n_stale, True


@dataclass(frozen=True)
class Schedule:
    """A factor of the learning rate as a function of training progress.

    Attributes
    ----------
    name, formula : str
        For the documentation; x runs from 0 to 1 over the steps of the fit, e counts epochs.
    factor : callable
        ``factor(step, epoch_steps, total, p) -> float``: the index of the next step, from 0; the numbers of
        steps in an epoch and in the whole fit.
    parameters : tuple of Parameter
        The parameters in p.
    """

    name: str
    formula: str
    factor: Callable[..., float]
    parameters: tuple[Parameter, ...] = ()

    def constants(self, given: Mapping[str, Any]) -> tuple[float, ...]:
        """Return p: its parameters, zeros, and last the warm-up steps; ValueError for an invalid one."""
        all_of_them = (*self.parameters, Parameter(WARM_UP, 0.0, 0.0, INFINITY))
        *own, warmup = resolve(all_of_them, given, "schedule_params", f"schedule={self.name!r}")
        return (*own, *[0.0] * (N_PARAMETERS - 1 - len(own)), warmup)


INFINITY = float("inf")
WARM_UP = "warmup_steps"
N_PARAMETERS = 4  # of a schedule, the steps of the warm-up last


def warmed_up(factor, step, warmup_steps):
    """Return a schedule's factor, with linear warm-up from 0."""
    return factor * min(1.0, (step + 1.0) / warmup_steps) if warmup_steps > 0.0 else factor


def half_cosine(x):
    """(1 + cos πx) / 2."""
    return 0.5 * (1.0 + math.cos(math.pi * x))


def share(step, total):
    """Return the share of the fit that is done; it starts again after the end of the fit."""
    return (step % total) / total


def constant(step, epoch_steps, total, p):
    return 1.0


def cosine(step, epoch_steps, total, p):
    # Loshchilov and Hutter 2017, equation 5 without restarts, down to the share p[0].
    x = share(step, total)
    return p[0] + (1.0 - p[0]) * half_cosine(x)


def one_cycle(step, epoch_steps, total, p):
    # Smith and Topin 2017: up from the share p[0] until x = p[1], then down to 0.
    x = share(step, total)
    if x < p[1]:
        return p[0] + (1.0 - p[0]) * half_cosine(1.0 - x / p[1])
    return half_cosine((x - p[1]) / (1.0 - p[1]))


def staircase(step, epoch_steps, total, p):
    return p[0] ** math.floor(math.floor(step / epoch_steps) / p[1])


def exponential(step, epoch_steps, total, p):
    return p[0] ** (step / epoch_steps)


def inverse(step, epoch_steps, total, p):
    return (1.0 + p[0] * (step / epoch_steps)) ** -p[1]


def restarts(step, epoch_steps, total, p):
    # Loshchilov and Hutter 2017, equation 5: cycles of p[0] epochs, each p[1] times as long as the last.
    left = step / epoch_steps
    length = p[0]
    while left >= length:
        left -= length
        length *= p[1]
    return half_cosine(left / length)


def linear(step, epoch_steps, total, p):
    return 1.0 - (1.0 - p[0]) * share(step, total)


def coslog(step, epoch_steps, total, p):
    # Holzmüller, Grinsztajn, Steinwart 2024, equation 1: p[0] waves, each about twice as long as the last.
    x = share(step, total)
    wave = math.log2(1.0 + (2.0 ** p[0] - 1.0) * x)
    return half_cosine(1.0 + 2.0 * wave)


RATE_SCHEDULES: Registry[Schedule] = Registry("schedule")
RATE_SCHEDULES.add(Schedule("constant", "1", constant))
RATE_SCHEDULES.add(
    Schedule("cosine", "end + (1 - end) (1 + cos(pi x)) / 2", cosine, (Parameter("end", 0.0, 0.0, 1.0),))
)
RATE_SCHEDULES.add(
    Schedule(
        "one_cycle",
        "up by a half cosine from `start` until x = peak, down to 0 by another",
        one_cycle,
        (Parameter("start", 0.04, 0.0, 1.0), Parameter("peak", 0.3, 0.01, 1.0)),
    )
)
RATE_SCHEDULES.add(Schedule("linear", "1 - (1 - end) x", linear, (Parameter("end", 0.0, 0.0, 1.0),)))
RATE_SCHEDULES.add(
    Schedule(
        "step",
        "decay ^ floor(e / epochs)",
        staircase,
        (Parameter("decay", 0.1, 0.0, INFINITY), Parameter("epochs", 30.0, 1.0, INFINITY)),
    )
)
RATE_SCHEDULES.add(
    Schedule("exponential", "decay ^ e", exponential, (Parameter("decay", 0.95, 0.0, INFINITY),))
)
RATE_SCHEDULES.add(
    Schedule(
        "inverse",
        "(1 + decay e) ^ -power",
        inverse,
        (Parameter("decay", 1.0, 0.0, INFINITY), Parameter("power", 0.5, 0.0, INFINITY)),
    )
)
RATE_SCHEDULES.add(
    Schedule(
        "restarts",
        "(1 + cos(pi x)) / 2, x over cycles of `epochs`, each `growth` times the last",
        restarts,
        (Parameter("epochs", 10.0, 1.0, INFINITY), Parameter("growth", 2.0, 1.0, INFINITY)),
    )
)
RATE_SCHEDULES.add(
    Schedule(
        "coslog",
        "(1 - cos(2 pi log2(1 + (2 ^ waves - 1) x))) / 2",
        coslog,
        (Parameter("waves", 4.0, 1.0, 16.0),),
    )
)
