"""The description of a table model in words."""

from typing import Any

from fastbp.tables.views import VIEWS

MOST_COLUMNS = 200  # that have a line each


def describe(model: Any) -> str:
    """Return what a fitted table model has made of each column, and its members, a line each."""
    columns = model.encoder_.columns_
    n_used = sum(column.n_outputs > 0 for column in columns)
    width = max(len(str(column.name)) for column in columns[:MOST_COLUMNS])
    lines = [f"{n_used} of {len(columns)} columns are used:"]
    for column in columns[:MOST_COLUMNS]:
        lines.append(f"  {column.name!s:{width}}  {column.kind}: {column.treatment}")
    if len(columns) > MOST_COLUMNS:
        lines.append(f"  and {len(columns) - MOST_COLUMNS} more")
    lines.append(f"mean of {len(model.members_)} networks:")
    for number, member in enumerate(model.members_, 1):
        network = member.network
        score = network.best_validation_score_
        kept = "" if score is None else f", score of held-out rows {score:.4f}"
        lines.append(f"  {number}. {VIEWS[member.view.name]}: {network.n_iter_} epochs{kept}")
    if model.members_[0].linear_weight:
        lines.append(f"each with {model.members_[0].linear_weight:.0%} of a linear model")
    return "\n".join(lines)
