"""The step of one parameter: penalties, limits of its gradient, decay, the solver's rule, a rate of its own.

Each of them is a small function of its own, and `regularised_step` chains those that a fit asks for. Engines
compile the result: what is left out leaves no instruction behind. A bias is a parameter whose penalties and
decay are 0.
"""

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

from fastbp.functions.primitives import absolute, fma, select


class StepOptions(NamedTuple):
    """What a step does besides the solver's rule and the L2 penalty.

    Attributes
    ----------
    l1 : bool
        Weights are drawn to 0 by an L1 penalty.
    decay : bool
        Weights lose a share of themselves, whatever the gradient is (Loshchilov and Hutter 2019).
    clip : bool
        Gradients are cut off at ± a limit.
    rescale : bool
        Before that they are multiplied by a number: by what limits their norm.
    factors : bool
        The whole step is multiplied by a factor.
    """

    l1: bool = False
    decay: bool = False
    clip: bool = False
    rescale: bool = False
    factors: bool = False


def l2_gradient(w, strength):
    """Derivative of strength·w²/2."""
    return strength * w


def l1_gradient(w, strength):
    """Derivative of strength·|w|, taken as 0 at 0."""
    return select(w > 0.0, strength, select(w < 0.0, -strength, 0.0 * w))


def clipped(g, limit):
    """The gradient within ± limit."""
    return select(g > limit, limit, select(g < -limit, -limit, g))


def decayed(w, share):
    """The parameter without a share of itself."""
    return w - w * share


def part_of_step(before, after, factor):
    """A factor of the way from `before` to `after`."""
    return fma(factor, after - before, before)


@cache
def penalised_gradient(l1: bool) -> Callable:
    """The function ``(w, g, l2, strength) -> g``: the gradient of the loss with those of the penalties."""

    def penalised(w, g, l2, strength):
        pull = l2_gradient(w, l2)
        if l1:
            pull = pull + l1_gradient(w, strength)
        return g + pull

    return penalised


@cache
def regularised_step(update: Callable, options: StepOptions) -> Callable:
    """The step of a parameter w with the gradient g of the loss.

    Parameters
    ----------
    update : callable
        The rule of a solver (``fastbp.functions.solvers``).
    options : StepOptions

    Returns
    -------
    callable
        ``step(w, g, s, t, u, c, strengths, squares, sizes) -> (w, s, t, u, squares, sizes)``. s, t, u and c
        are the solver's; strengths are those of the L2 and of the L1 penalty, the share that decay takes, the
        limit of the gradient, what it is multiplied by, and the factor of the step: what the options lack is
        not read. The penalty of w before the step is added to two sums, l2·w² to `squares` and l1·|w| to
        `sizes`.
    """
    l1, decay, clip, rescale, factors = options
    penalised = penalised_gradient(l1)

    def step(w, g, s, t, u, c, strengths, squares, sizes):
        l2, strength, share, limit, scale, factor = strengths
        squares = fma(l2_gradient(w, l2), w, squares)
        if l1:
            sizes = fma(strength, absolute(w), sizes)
        g = penalised(w, g, l2, strength)
        if rescale:
            g = g * scale
        if clip:
            g = clipped(g, limit)
        before = w
        if decay:
            w = decayed(w, share)
        w, s, t, u = update(w, g, s, t, u, c)
        if factors:
            w = part_of_step(before, w, factor)
        return w, s, t, u, squares, sizes

    return step
