"""Training of the members of a table model, in one run or within a time limit."""

import time
from typing import Any

import numpy as np

from fastbp.callbacks import TimeLimit
from fastbp.estimators.fit_many import FitJob, fit_many
from fastbp.tables.members import Member
from fastbp.tables.training_table import MemberRows, TrainingTable
from fastbp.training.call_stack import warn
from fastbp.training.progress import FleetProgress, PartOfFleet

BYTES_AT_ONCE = 64 << 20  # of the inputs of members that are trained together


def train(members: list[Member], rows: MemberRows, n_jobs: int | None, progress: FleetProgress) -> None:
    """Train members, as many at a time as there is memory for.

    Raises
    ------
    ValueError
        The first error of a member.
    """
    try:
        _train(members, rows, n_jobs, progress)
    finally:
        progress.close()


def _train(members: list[Member], rows: MemberRows, n_jobs: int | None, progress: FleetProgress) -> None:
    jobs: list[FitJob] = []
    n_bytes = n_trained = n_epochs = 0
    for number, member in enumerate(members):
        jobs.append(_job(member, *rows.of(number)))
        n_bytes += _bytes(jobs[-1].X)
        if n_bytes + _bytes(jobs[-1].X) > BYTES_AT_ONCE or number == len(members) - 1:
            for outcome in fit_many(jobs, n_jobs, PartOfFleet(progress, n_trained, n_epochs)):
                if isinstance(outcome, Exception):
                    raise outcome
                n_trained, n_epochs = n_trained + 1, n_epochs + outcome.n_iter_
            jobs, n_bytes = [], 0


def train_until(
    deadline: float, members: list[Member], rows: MemberRows, progress: FleetProgress
) -> list[Member]:
    """Train members one after another, each on all threads, as long as there is time.

    Parameters
    ----------
    deadline : float
        Of ``time.monotonic()``.

    Returns
    -------
    list of Member
        Those that were trained for all of their epochs; else the first.
    """
    trained: list[Member] = []
    for number, member in enumerate(members):
        if trained and time.monotonic() >= deadline:
            break
        job, network = _job(member, *rows.of(number)), member.network
        network.set_callbacks(TimeLimit(max(deadline - time.monotonic(), 0)))
        network.fit(job.X, job.y, **job.fit_params)
        network.set_callbacks()
        if network.n_iter_ < network.max_iter:
            if trained:
                break
            warn(
                f"time_limit ended the first network after {network.n_iter_} of {network.max_iter} epochs; "
                "the model is that network alone."
            )
            return [member]
        trained.append(member)
        progress.report(len(trained), 0)
    progress.close()
    return trained


def _job(member: Member, table: TrainingTable, held_out: TrainingTable) -> FitJob:
    """Fit the view of a member to its rows; return the fit of its network."""
    member.view.fit(table.encoded.numeric, table.weight)
    fit_params: dict[str, Any] = {} if table.weight is None else {"sample_weight": table.weight}
    if len(held_out.targets):
        fit_params |= {"X_val": member.inputs(held_out.encoded), "y_val": held_out.targets}
        if held_out.weight is not None:
            fit_params["sample_weight_val"] = held_out.weight
    else:
        member.network.set_params(early_stopping=False)
    n_rows = len(table.targets)
    member.network.set_params(batch_size=min(member.network.batch_size, n_rows))
    return FitJob(member.network, member.inputs(table.encoded), table.targets, fit_params)


def _bytes(X: Any) -> int:
    return X.nbytes if isinstance(X, np.ndarray) else X.data.nbytes + X.indices.nbytes
