"""Fits of many estimators in one run."""

from collections.abc import Iterable, Iterator
from itertools import count
from typing import Any, NamedTuple

import sklearn

from fastbp.estimators.mlp import PendingFit
from fastbp.estimators.prepare import FitArguments
from fastbp.estimators.resumable_fit import Digests, ResumableFit
from fastbp.estimators.shared_checks import SharedChecks
from fastbp.estimators.validation_rows import ValidationArguments
from fastbp.training.fleet import fit_fleet
from fastbp.training.float_errors import silent_fit
from fastbp.training.problem import Problem
from fastbp.training.progress import FleetProgress


class FitJob(NamedTuple):
    """An estimator and the arguments of its `fit`.

    Attributes
    ----------
    estimator : BPClassifier or BPRegressor
    X, y
        Checked once for all jobs with the same objects.
    fit_params : dict
        Further arguments of `fit`.
    resumable : ResumableFit or None
        The fit resumes its state if it may, and leaves its own state there.
    """

    estimator: Any
    X: Any
    y: Any
    fit_params: dict[str, Any] = {}
    resumable: ResumableFit | None = None


@silent_fit
def fit_many(
    jobs: Iterable[FitJob], n_jobs: int | None = None, progress: FleetProgress | None = None
) -> list[Any]:
    """Fit many estimators, as by their method `fit`, in one run on `n_jobs` threads.

    Parameters
    ----------
    jobs : iterable of FitJob
        Read some ahead of their training.
    n_jobs : int or None
        Threads in all; None: as many as help.
    progress : FleetProgress, optional

    Returns
    -------
    list
        For each job its estimator, now fitted, or the exception that its fit has raised, which leaves the
        estimator as it was.

    Raises
    ------
    KeyboardInterrupt
        On Ctrl-C. Estimators whose training had ended are fitted, others as they were.
    """
    outcomes: dict[int, Any] = {}
    pending: dict[int, tuple[int, FitJob, PendingFit]] = {}  # by position in the fleet

    positions, config = count(), sklearn.get_config()

    def problems() -> Iterator[Problem]:
        checks, digests = SharedChecks(), Digests()
        for number, job in enumerate(jobs):
            estimator, X, y, fit_params, resumable = job
            outcomes[number] = estimator
            try:
                if hasattr(estimator, "_skl_callbacks"):  # scikit-learn's decorator of `fit` calls them
                    with sklearn.config_context(**config):
                        estimator.fit(X, y, **fit_params)
                    continue
                estimator._validate_params()
                fit = estimator._begin_fit(_arguments(X, y, checks, **fit_params))
                if resumable is not None:
                    resumable.begin(fit, digests)
            except Exception as error:
                outcomes[number] = error
                continue
            pending[next(positions)] = number, job, fit
            yield fit.problem

    with sklearn.config_context(skip_parameter_validation=True):  # as in `fit`; ours are checked above
        for index, result in fit_fleet(problems(), n_jobs, progress or FleetProgress()):
            number, job, fit = pending.pop(index)  # with its data and moments
            if isinstance(result, Exception):
                outcomes[number] = result
            else:
                if job.resumable is not None:
                    job.resumable.end(result)
                job.estimator._adopt(fit, result)
    return [outcomes[number] for number in range(len(outcomes))]


def _arguments(
    X: Any, y: Any, checks: SharedChecks, X_val=None, y_val=None, sample_weight_val=None, **others: Any
) -> FitArguments:
    """Return the arguments of a fit as the method `fit` passes them on."""
    validation = ValidationArguments(X_val, y_val, sample_weight_val)
    return FitArguments(X, y, **others, validation=validation, checks=checks)
