"""A table made ready to learn from: inputs, target and weights, by the arguments of a command."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from fastbp.cli import tables
from fastbp.cli.errors import CommandError, UsageError
from fastbp.cli.results import Results
from fastbp.cli.tables import Table
from fastbp.cli.target import Target, target_of
from fastbp.tables.columns import numbers_of
from fastbp.tables.frame import columns_of


class Rows(NamedTuple):
    """Rows to learn from or to be scored on.

    Attributes
    ----------
    inputs : Table
    y : ndarray of shape (n_rows,)
    weight : ndarray of shape (n_rows,) or None
    """

    inputs: Table
    y: np.ndarray
    weight: np.ndarray | None

    def only(self, rows: np.ndarray) -> "Rows":
        """Return some of the rows."""
        weight = None if self.weight is None else self.weight[rows]
        return Rows(self.inputs.rows(rows), self.y[rows], weight)


def read_rows(options: Any, results: Results) -> tuple[Rows, Target]:
    """Read the table of a command and report its task."""
    table = tables.read(options.table, options.separator)
    rows, target = rows_of(table, options, options.task, options.drop, results)
    results.add(
        table=options.table,
        rows=len(rows.y),
        columns=len(rows.inputs.names),
        target=options.target,
        task=target.task,
        reason=target.reason,
    )
    results.line(f"{options.table}: {len(rows.y)} rows, {len(rows.inputs.names)} columns to learn from")
    results.line(f"task: {target.task} ({target.reason}){_otherwise(options, target)}")
    return rows, target


def rows_of(
    table: Table, options: Any, task: str, drop: Sequence[str], results: Results
) -> tuple[Rows, Target]:
    """Divide a table into inputs, target and weights."""
    table.require([options.target], "--target")
    table.require([options.weights] if options.weights else [], "--weights")
    table.require(drop, "--drop")
    if options.target in drop or options.target == options.weights:
        raise UsageError(f"{options.target!r} is the target: it cannot be dropped or be the weights")
    target = target_of(table, options.target, task)
    lacking = table.n_rows - len(target.rows)
    if lacking:
        results.note(f"{lacking} of {table.n_rows} rows have no target and are left out")
    others = [options.target, *drop, *([options.weights] if options.weights else [])]
    inputs = table.without(others)
    if not inputs.names:
        raise UsageError("no column is left to learn from")
    inputs.require(options.categorical, "--categorical")
    weight = None
    if options.weights:
        weight = _weights(table, options.weights)[target.rows]
    if lacking:
        inputs = inputs.rows(target.rows)
    return Rows(inputs, target.values, weight), target


def _weights(table: Table, name: str) -> np.ndarray:
    (column,) = columns_of(table.only([name]).frame)
    weight = numbers_of(column)
    if np.isnan(weight).any():
        raise CommandError(f"--weights: {name!r} has values that are missing or no numbers")
    return weight


def _otherwise(options: Any, target: Target) -> str:
    """Return how to choose the other task, where there is a choice."""
    if options.task != "auto" or target.values.dtype == object:
        return ""
    return f"; --task {'regress' if target.task == 'classify' else 'classify'} for the other task"
