"""Training as a function from problems to results."""

from collections.abc import Sequence

from fastbp.training.fleet import fit_alone, fit_fleet
from fastbp.training.problem import Problem
from fastbp.training.progress import FleetProgress
from fastbp.training.result import Result


def fit(problems: Sequence[Problem], n_jobs: int | None = None) -> list[Result]:
    """Train a network for each problem.

    Parameters
    ----------
    problems : sequence of Problem
        A single one is trained with its own `n_jobs`.
    n_jobs : int or None
        Threads for several networks.

    Raises
    ------
    KeyboardInterrupt
        On Ctrl-C if there are several networks, or if the fit is part of a larger call, which is to end, too.
    ValueError
        If loss or weights become non-finite, or the final outputs for the training rows are, and early
        stopping has no best weights with finite outputs.
    """
    if len(problems) == 1:
        return [fit_alone(problems[0])]
    results: dict[int, Result] = {}
    for number, outcome in fit_fleet(problems, n_jobs, FleetProgress()):
        if isinstance(outcome, Exception):
            raise outcome
        results[number] = outcome
    return [results[number] for number in range(len(problems))]
