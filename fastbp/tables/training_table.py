"""Encoded rows with their targets."""

from typing import NamedTuple

import numpy as np

from fastbp.tables.encoder import Encoded
from fastbp.tables.members import rows_of


class TrainingTable(NamedTuple):
    """Encoded rows with their targets.

    Attributes
    ----------
    encoded : Encoded
    targets : ndarray of shape (n_samples,) or (n_samples, n_outputs)
        Numbers of classes, an indicator matrix, or values.
    weight : ndarray of shape (n_samples,) or None
    """

    encoded: Encoded
    targets: np.ndarray
    weight: np.ndarray | None

    def only(self, rows: np.ndarray) -> "TrainingTable":
        """Return some of the rows."""
        if len(rows) == len(self.targets):
            return self
        weight = None if self.weight is None else self.weight[rows]
        return TrainingTable(rows_of(self.encoded, rows), self.targets[rows], weight)


class MemberRows:
    """The rows that each member is trained on, and those that it is scored on.

    Parameters
    ----------
    table : TrainingTable
    splits : list of (train, held_out)
        Row numbers, of each member.
    given : TrainingTable or None
        Rows of the user, which all members are scored on instead; then all of the table is trained on.
    """

    def __init__(
        self,
        table: TrainingTable,
        splits: list[tuple[np.ndarray, np.ndarray]],
        given: TrainingTable | None = None,
    ) -> None:
        self._table, self._splits, self._given = table, splits, given

    def of(self, member: int) -> tuple[TrainingTable, TrainingTable]:
        """Return the rows to train on and the held-out ones, copied unless they are all."""
        if self._given is not None:
            return self._table, self._given
        train, held_out = self._splits[member]
        return self._table.only(train), self._table.only(held_out)

    def held_out(self, member: int) -> TrainingTable:
        """Return the held-out rows alone."""
        return self._table.only(self._splits[member][1]) if self._given is None else self._given
