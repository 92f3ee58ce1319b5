"""The members of a table model: networks, each with its own view of the table and its own held-out rows."""

from typing import Any, NamedTuple

import numpy as np

from fastbp.ensembles.base import MAX_SEED
from fastbp.tables.encoder import Encoded
from fastbp.tables.views import BOTH, FINE_BINS, VALUES, WAVES, View


class Effort(NamedTuple):
    """How much work a table model may be.

    Attributes
    ----------
    views : tuple of str
        Of the members, in the order of what they add to the mean.
    epochs : float
        Multiple of the usual number of epochs.
    """

    views: tuple[str, ...]
    epochs: float = 1.0


_DEFAULT = (VALUES, BOTH, WAVES, FINE_BINS)
EFFORTS = {
    "fast": Effort((VALUES, BOTH)),
    "default": Effort(_DEFAULT),
    "best": Effort(_DEFAULT * 2, epochs=2.0),
}


def views_of(effort: str, n_members: int | None) -> list[str]:
    """Return the names of the members' views; beyond those of the effort they begin again."""
    views = EFFORTS[effort].views
    return [views[i % len(views)] for i in range(n_members or len(views))]


class Member(NamedTuple):
    """A member of a table model.

    Attributes
    ----------
    view : View
    network : BPClassifier or BPRegressor
    linear : BPClassifier, BPRegressor or None
        A linear model of the same rows; of small tables only.
    linear_weight : float
        Of the linear model in the member's prediction, from 0 to 1.
    """

    view: View
    network: Any
    linear: Any = None
    linear_weight: float = 0.0

    def inputs(self, encoded: Encoded) -> Any:
        """Return the inputs of the network for encoded rows."""
        return side_by_side(self.view.transform(encoded.numeric), encoded.binary)

    def predict(self, method: str, encoded: Encoded, **options: Any) -> Any:
        """Return the result of a method of the network, its first array mixed with the linear model's."""
        found = getattr(self.network, method)(self.inputs(encoded), **options)
        if not self.linear_weight:
            return found
        first, *others = found if isinstance(found, tuple) else (found,)
        linear = getattr(self.linear, method)(side_by_side(*encoded))
        first = first + first.dtype.type(self.linear_weight) * (linear - first)
        return (first, *others) if others else first


def new_member(view: str, network: Any, random_state: np.random.RandomState) -> Member:
    """Return a member before its fit, with random states of its own."""
    seeds = random_state.randint(MAX_SEED, size=2)
    network.set_params(random_state=int(seeds[0]))
    return Member(View(view, int(seeds[1])), network)


def side_by_side(numeric: Any, binary: np.ndarray) -> Any:
    """Return the numeric columns with the binary ones after them."""
    return np.concatenate([numeric, binary], axis=1) if binary.shape[1] else numeric


def rows_of(encoded: Encoded, rows: np.ndarray | slice) -> Encoded:
    """Return some rows of an encoded table."""
    return Encoded(encoded.numeric[rows], encoded.binary[rows])
