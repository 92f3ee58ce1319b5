"""Training as a function: problems go in, results come out."""

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
        On Ctrl-C where the fit is a part of something larger, which is to end, too.
    ValueError
        When loss or weights stop being finite, or in the end the outputs for the training rows are not, and
        early stopping has no best weights with which they are.
    """
    return [
        fit_lbfgs(problem) if isinstance(problem.training, LbfgsPlan) else fit_minibatch(problem)
        for problem in problems
    ]
