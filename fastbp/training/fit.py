"""Training as a function from problems to results."""

from collections.abc import Sequence

from fastbp.plan.training import LbfgsPlan
from fastbp.training.lbfgs import fit_lbfgs
from fastbp.training.minibatch import fit_minibatch
from fastbp.training.problem import Problem
from fastbp.training.result import Result


def fit(problems: Sequence[Problem]) -> list[Result]:
    """Train a network for each problem, one after another.

    Raises
    ------
    KeyboardInterrupt
        On Ctrl-C if the fit is part of a larger call, which is to end, too.
    ValueError
        If loss or weights become non-finite, or the final outputs for the training rows are, and early
        stopping has no best weights with finite outputs.
    """
    return [
        fit_lbfgs(problem) if isinstance(problem.training, LbfgsPlan) else fit_minibatch(problem)
        for problem in problems
    ]
