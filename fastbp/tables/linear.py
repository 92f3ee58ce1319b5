"""A linear model beside each network of a small table, as far as held-out rows speak for it.

Of a few hundred rows, networks fit noise that a linear model does not, and their mix is better than either.
"""

from collections.abc import Callable

import numpy as np

from fastbp.estimators.fit_many import FitJob, fit_many
from fastbp.tables.members import Member, side_by_side
from fastbp.tables.networks import linear_parameters
from fastbp.tables.training_table import MemberRows, TrainingTable

MOST_ROWS = 1_000  # of a table that it is tried for
SHARES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)

Losses = Callable[[Member, TrainingTable], np.ndarray]  # of each row, times its weight


def with_linear_models(
    members: list[Member], rows: MemberRows, losses: Losses, n_jobs: int | None
) -> list[Member]:
    """Return the members with the linear models that make their held-out rows more likely.

    One weight holds for all of them: the rows that a member holds out are few.

    Parameters
    ----------
    losses : callable
        ``losses(member, table)`` of each row.
    """
    jobs, held_out = [], []
    for number, member in enumerate(members):
        table, unseen = rows.of(number)
        linear = type(member.network)(**linear_parameters(len(table.targets)))
        weight = {} if table.weight is None else {"sample_weight": table.weight}
        jobs.append(FitJob(linear, side_by_side(*table.encoded), table.targets, weight))
        held_out.append(unseen)
    models = fit_many(jobs, n_jobs)
    if any(isinstance(model, Exception) for model in models):
        return members  # such as of classes that are separable without end: the networks do without
    totals = []
    for share in SHARES:
        mixed = _mixed(members, models, share)
        totals.append(sum(losses(one, unseen).sum() for one, unseen in zip(mixed, held_out, strict=True)))
    best = SHARES[int(np.argmin(totals))]
    return _mixed(members, models, best) if best else members


def _mixed(members: list[Member], models: list, share: float) -> list[Member]:
    return [
        member._replace(linear=model, linear_weight=share)
        for member, model in zip(members, models, strict=True)
    ]
